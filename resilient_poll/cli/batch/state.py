"""The state of a batch on disk: what was sent, before it is sent, so that a second run pays for nothing twice.

One JSON object a line, only ever appended and synced at once. It holds no key, and of a request only a hash.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from resilient_poll.dashscope.checking import shown
from resilient_poll.errors import ConfigurationError

__all__ = ["Entry", "Owner", "StateFile", "StateLost", "Step"]

VERSION = 1
_KIND = "state of resilient-poll batch"
_BEGINNING = json.dumps({"kind": _KIND}).encode()[:-1]


class StateLost(Exception):
    """The state could not be written, in one clause. What it licenses must not be done."""


class Step(StrEnum):
    """How far a job has come. Each is one kind of line in the file."""

    SUBMITTING = "submitting"
    """The one licence to send is taken; without a later line nobody knows what came of it."""
    FREE = "free"
    """It was surely not accepted: it may be sent again."""
    ACCEPTED = "accepted"
    """There is a task."""
    ANSWERED = "answered"
    """There is no task, and the result is here."""
    ENDED = "ended"
    """All is done, and its report is here."""


@dataclass(slots=True)
class Entry:
    """What is known of one job.

    Attributes:
        step: How far it has come.
        digest: The hash of what was asked for.
        line: The number of its line when it was sent.
        at: When it came so far.
        task_id: Its task.
        resume_token: The token of it.
        result: A result without a task.
        request_id: The service's id of the request that brought it.
        report: What was printed of it.
        exit_code: The exit code of that.
        target: Where its results were to go when it was sent; None if that was not written down.
    """

    step: Step
    digest: str
    line: int
    at: str = ""
    task_id: str | None = None
    resume_token: str | None = None
    result: Any = None
    request_id: str | None = None
    report: Mapping[str, Any] | None = None
    exit_code: int | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whom a state belongs to.

    Attributes:
        file: The name of the file of jobs.
        dialect: The dialect's name.
        service: A mark of where the service is.
        key: The API key, of which only a salted hash is kept.
        may_have_new_key: Whether the caller says that another key is of the same account.
    """

    file: str
    dialect: str
    service: str
    key: str
    may_have_new_key: bool = False

    def header(self) -> dict[str, Any]:
        """Return the first line of a new state."""
        salt = secrets.token_hex(8)
        return {
            "kind": _KIND,
            "version": VERSION,
            "file": self.file,
            "dialect": self.dialect,
            "service": self.service,
            "salt": salt,
            "account": _mark(self.key, salt),
        }

    def complaint(self, header: Mapping[str, Any]) -> str | None:
        """Return why a state with that first line is not this owner's, or None if it is."""
        if header.get("kind") != _KIND:
            return "it is no state of a batch"
        if header.get("version") != VERSION:
            return f"it is of version {shown(header.get('version'))}, and this program writes {VERSION}"
        for word, mine, what in (
            ("file", self.file, "the jobs of"),
            ("dialect", self.dialect, "dialect"),
            ("service", self.service, "a service at another address, marked"),
        ):
            if header.get(word) != mine:
                return f"it belongs to {what} {shown(header.get(word))}, not {mine!r}"
        if header.get("account") != _mark(self.key, str(header.get("salt"))) and not self.may_have_new_key:
            return "it was begun with another API key: if that is of the same account, add --same-account"
        return None


class StateFile:
    """A state that this process alone writes.

    Args:
        path: Where it is.
        owner: Whose it must be.

    Attributes:
        entries: What is known of each job, by its key.
        targets: Where the results of each go, which is written down when it is sent.

    Raises:
        ConfigurationError: It is another's, is being written, or cannot be read or written; nothing was sent.
    """

    def __init__(self, path: Path, owner: Owner) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        self.targets: Mapping[str, str] = {}
        self._lock = threading.Lock()
        self._size = 0
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._open(owner)
        except (OSError, ValueError) as error:
            self.close()
            if isinstance(error, ConfigurationError):
                raise
            why = error.strerror if isinstance(error, OSError) else error
            raise self._refused(f"it cannot be used: {why}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file, and of its lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def note(self, key: str, step: Step, **values: Any) -> None:
        """Write how far a job has come; when this returns, a crash of the machine does not undo it.

        Args:
            key: The job's key.
            step: How far.
            values: What is known with it: the attributes of :class:`Entry`.

        Raises:
            StateLost: It cannot be written.
        """
        said = {"job": key, "step": step, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **values}
        if step is Step.SUBMITTING:
            said["target"] = self.targets.get(key)
        with self._lock:
            try:
                self._append(said)
            except OSError as error:
                raise StateLost(f"the state file {str(self.path)!r} cannot be written: {error.strerror}") from None
            self._apply(said)

    def _open(self, owner: Owner) -> None:
        mode = os.fstat(self._descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise self._refused("it is there and is no file")
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._refused("another run is at work with it: wait for that, or stop it") from None
        lines, torn = self._read()
        if not lines and (not torn or torn.startswith(_BEGINNING[: len(torn)])):
            os.ftruncate(self._descriptor, 0)
            self._append(owner.header())
            _sync_folder(self.path)
            return
        for number, raw in enumerate(lines or [torn], start=1):
            try:
                said = json.loads(raw)
                if number > 1:
                    self._apply(said)
            except (ValueError, KeyError, TypeError, RecursionError):
                raise self._refused(f"its line {number} cannot be read; it was not written by this program") from None
            if number == 1 and (why := owner.complaint(said if isinstance(said, dict) else {})):
                raise self._refused(why)
        # Only now is it known that this file is ours to mend: its last line was being written when the machine stopped.
        os.ftruncate(self._descriptor, self._size)

    def _read(self) -> tuple[list[bytes], bytes]:
        """Return all whole lines, and what comes after the last of them."""
        pieces = []
        while piece := os.read(self._descriptor, 1 << 20):
            pieces.append(piece)
        content = b"".join(pieces)
        *whole, torn = content.split(b"\n")
        self._size = len(content) - len(torn)
        return whole, torn

    def _append(self, said: Mapping[str, Any]) -> None:
        data = json.dumps(said).encode() + b"\n"
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._descriptor, data[written:], self._size + written)
            os.fsync(self._descriptor)
        except OSError:
            # Half a line must not stand before the next one.
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)

    def _apply(self, said: Mapping[str, Any]) -> None:
        key, step = said["job"], Step(said["step"])
        if step is Step.SUBMITTING:
            self.entries[key] = Entry(step, digest=str(said["digest"]), line=int(said["line"]))
        entry = self.entries[key]
        entry.step = step
        entry.at = str(said.get("at"))
        for name in ("task_id", "resume_token", "result", "request_id", "report", "exit_code", "target"):
            if name in said:
                setattr(entry, name, said[name])

    def _refused(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"the state file {str(self.path)!r}: {why}; nothing was sent")


def _mark(key: str, salt: str) -> str:
    return blake2b(key.encode(), key=salt.encode()[:64], digest_size=8).hexdigest()


def _sync_folder(path: Path) -> None:
    with suppress(OSError):  # Some file systems refuse that.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
