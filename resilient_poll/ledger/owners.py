"""Who is alive, by locks on files beside a ledger's file. POSIX only.

The lock is ``flock``: it belongs to the open file, so a kill at any instruction releases it, and
SIGSTOP does not. Locks of the ``fcntl`` sort would go with the first descriptor that any part of the
process closes. A child of ``fork`` closes its copies at once, or it would keep a dead parent alive; a new
program never gets one, as with everything that Python opens.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from resilient_poll.ledger.errors import LedgerForked, LedgerUnavailable

__all__ = ["FileOwner", "FileOwners", "lock_now"]

_SUFFIX = ".lock"
_MOST_TRIES = 10


def lock_now(descriptor: int) -> bool:
    """Take the lock of an open file if it is free; return whether it is held now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class FileOwners:
    """The owners of one ledger.

    Args:
        folder: Where their files are; made with mode 0700 when the first is opened.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open_owner(self) -> FileOwner:
        """See :class:`.Liveness`."""
        name = f"{os.getpid()}-{secrets.token_hex(8)}"
        return FileOwner(self._folder / f"{name}{_SUFFIX}", name)

    def is_dead(self, name: str) -> bool:
        """See :class:`.Liveness`. Whose file is gone counts as dead: that can only make a doubt."""
        if Path(name).name != name:
            return True  # No owner of ours is called like this.
        try:
            descriptor = os.open(self._folder / f"{name}{_SUFFIX}", os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise LedgerUnavailable(f"whether owner {name} is alive cannot be told: {error}") from error
        try:
            return lock_now(descriptor)
        finally:
            os.close(descriptor)

    def forget_the_dead(self) -> None:
        """See :class:`.Liveness`."""
        with suppress(OSError):  # What is left behind is empty, and looked at again next time.
            for path in self._folder.glob(f"*{_SUFFIX}"):
                _forget_if_dead(path)


def _forget_if_dead(path: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            if lock_now(descriptor):
                path.unlink()  # Still locked by us: who is just being born will see that the file is gone.
        finally:
            os.close(descriptor)


class FileOwner:
    """An owner that holds the lock of a file.

    Args:
        path: The file.
        name: What rows call the owner.

    Raises:
        LedgerUnavailable: The lock cannot be had.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._process = os.getpid()
        self._descriptor: int | None = None
        self._is_closed = False
        self.hold()
        _OPEN.add(self)

    @property
    def name(self) -> str:
        """See :class:`.Owner`."""
        return self._name

    def hold(self) -> None:
        """See :class:`.Owner`. A file that somebody removed is made anew."""
        if os.getpid() != self._process:
            raise LedgerForked
        if self._is_closed:
            raise LedgerUnavailable("this owner is closed, so it may hold no licence: open another; nothing was sent")
        try:
            for _ in range(_MOST_TRIES):
                if self._descriptor is not None and self._is_in_place(self._descriptor):
                    return
                self._let_go()
                self._path.parent.mkdir(mode=0o700, exist_ok=True)
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
                self._descriptor = descriptor
                # Only somebody who looks whether we are dead can hold it, and then for a moment.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise LedgerUnavailable(f"the lock {self._path} cannot be had: {error}; nothing was sent") from error
        raise LedgerUnavailable(f"the lock {self._path} is removed again and again by somebody; nothing was sent")

    def close(self) -> None:
        """See :class:`.Owner`."""
        self._is_closed = True
        if os.getpid() == self._process and self._descriptor is not None and self._is_in_place(self._descriptor):
            with suppress(OSError):
                self._path.unlink()
        self._let_go()
        _OPEN.discard(self)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except OSError:
            return False

    def _let_go(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None


_OPEN: weakref.WeakSet[FileOwner] = weakref.WeakSet()


def _in_a_child() -> None:
    for owner in list(_OPEN):
        owner._let_go()  # noqa: SLF001  # same module


os.register_at_fork(after_in_child=_in_a_child)
