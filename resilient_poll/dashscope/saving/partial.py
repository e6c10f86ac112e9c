"""A file that appears under its name only when it is whole, and what becomes of those that never did."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from resilient_poll.dashscope.saving.rules import DownloadProblem

try:
    import fcntl

    _CAN_LOCK = True
except ImportError:  # pragma: no cover - Windows has no flock; there nothing is swept.
    _CAN_LOCK = False

__all__ = ["PartialFile", "make_folder", "sha256_of", "sweep"]

STALE_S = 3600.0
"""How long a file must have been left alone to be swept, in seconds. Its lock says whether its writer lives; this
only covers the moment before that is taken, and no living download pauses for as long."""
_OURS = re.compile(r"\.resilient-poll-[0-9a-f]{16}\.part")


class PartialFile:
    """A file beside its final name, which it takes only when it is whole.

    It is locked for as long as its writer lives, so that others can tell what a killed process left.

    Args:
        target: The final name. A file of that name is replaced, at the end and at once; behind a symbolic link, the
            file that it leads to. What is neither a file nor a free name is refused.

    Attributes:
        size: How many bytes were written.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        # Without the target's name, which may be as long as names can be.
        self._partial_name = f".resilient-poll-{secrets.token_hex(8)}.part"
        self._partial: Path | None = None
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Self:
        try:
            self._target = _replaceable(self._target)
        except ValueError as error:
            raise DownloadProblem(f"no file can have that name: {error}") from None
        # Not tempfile: it makes files that only their owner reads, and this one keeps its mode.
        partial = self._target.parent / self._partial_name
        self._file = partial.open("xb")
        self._partial = partial
        _lock(self._file.fileno())
        return self

    @property
    def sha256(self) -> str:
        """Of what was written, in hexadecimal."""
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Add a piece.

        Raises:
            OSError: The disk says no.
        """
        if self._file is None:
            raise ValueError("the file is not open")
        self.size += len(chunk)
        self._hash.update(chunk)
        self._file.write(chunk)

    def start_over(self) -> None:
        """Forget what was written.

        Raises:
            OSError: The disk says no.
        """
        if self._file is None:
            raise ValueError("the file is not open")
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    def keep(self) -> None:
        """Give the file its final name, durably."""
        if self._file is None or self._partial is None:
            raise ValueError("the file is not open")
        self._file.flush()
        os.fsync(self._file.fileno())
        if not _CAN_LOCK:  # pragma: no cover - Windows renames no open file
            self._file.close()
        # Before it is closed, and so unlocked: until it has its name, nobody may take it for left behind.
        self._partial.replace(self._target)
        self._file.close()
        _sync_folder(self._target.parent)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._file is not None:
                # What is still buffered goes to the disk here, and a full disk says no once more.
                self._file.close()
        finally:
            if self._partial is not None:
                self._partial.unlink(missing_ok=True)


def sweep(folder: Path, now_wall_s: float) -> int:
    """Remove what downloads of processes that are gone left in a folder, and return how many files that were.

    Only files with a name of ours that are this user's, that nobody wrote to for ``STALE_S``, and whose writer's
    lock is free: a kill frees it and a pause does not, in another container too. Where files cannot be locked,
    as on some network file systems, nothing is removed.

    Args:
        folder: Where; that it cannot be read is no error.
        now_wall_s: When, in seconds since 1970.
    """
    if not _CAN_LOCK:  # pragma: no cover - see above
        return 0
    swept = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name):
                with suppress(OSError):
                    swept += _removed_if_dead(entry.path, now_wall_s - STALE_S)
    return swept


def _removed_if_dead(path: str, before_wall_s: float) -> bool:
    # Neither through a link nor waiting for whoever opens the other end of a pipe.
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        is_left = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_mtime < before_wall_s
        if not is_left or not _lock(descriptor):
            return False
        Path(path).unlink()
        return True
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    if not _CAN_LOCK:  # pragma: no cover - see above
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # Somebody has it, or this file system has no locks.
        return False
    return True


def sha256_of(path: Path) -> str:
    """Return the hash of a file's content, in hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(folder: Path) -> None:
    """Make a folder and those that it lies in, durably: a file in it is not lost with its name.

    Args:
        folder: The folder; it may be there already.

    Raises:
        OSError: The system says no.
        ValueError: No folder can have that name.
    """
    if os.path.isdir(folder):  # noqa: PTH112  # Path.is_dir() raises on a name that no file can have
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make a new name durable. Some file systems refuse that, and the file is there all the same."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _replaceable(target: Path) -> Path:
    """Return what a file of that name would be, through symbolic links.

    Raises:
        DownloadProblem: Something is there that is no file: a device or a pipe would be replaced by one.
        OSError: The system refuses the name.
        ValueError: It holds a zero byte.
    """
    behind = Path(os.path.realpath(target)) if target.is_symlink() else target
    try:
        mode = behind.stat().st_mode
    except FileNotFoundError:
        return behind
    if not stat.S_ISREG(mode):
        raise DownloadProblem(f"{str(target)!r} is there and is no file that could be replaced")
    return behind
