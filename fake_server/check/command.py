"""Runs a command until it ends or its time is up, and leaves nothing of it behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The end of what a command prints is what tells why it ended.
LONGEST_TAIL_BYTES = 64_000
_PIECE_BYTES = 8_192
# How long the children of a command may take to end after it, and pipes that it left to them are waited for.
LAST_WORDS_S = 2.0
LOOK_EVERY_S = 0.02
# The variable whose value is another one in each run.
MARK = "FAKE_DASHSCOPE_OUTPUT"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Args:
        exit_code: Its exit code, negative for a signal; None where it was killed for its time.
        took_s: Seconds from its start to its end.
        output: The end of its standard output.
        errors: The end of its standard error.
        left_behind: Whether processes that it had started went on after its end, and had to be killed.
    """

    exit_code: int | None
    took_s: float
    output: str
    errors: str
    left_behind: bool = False


class Commands:
    """Runs commands, from as many threads as there are, until it is told to stop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[int, str] = {}
        self._is_over = False

    def stop(self) -> None:
        """Kill what runs, with all its children, and run nothing any more."""
        with self._lock:
            self._is_over = True
            for group, mark in self._groups.items():
                _kill(group, mark)

    def run(self, command: Sequence[str], environment: Mapping[str, str], folder: str, limit_s: float) -> Ended:
        """Run a command.

        Args:
            command: The program and its arguments.
            environment: What is added to this process's own environment; :data:`MARK` among it.
            folder: Where it runs.
            limit_s: After how many seconds it is killed, with all its children.

        Raises:
            OSError: There is no such program.
            InterruptedError: Nothing is run any more.
        """
        with self._lock:
            if self._is_over:
                raise InterruptedError("told to stop")
            began_s = time.monotonic()
            process = _start(command, environment, folder)
            # Programs that leave their group keep their environment; this entry of it is of this run only.
            mark = f"{MARK}={environment[MARK]}"
            self._groups[process.pid] = mark
        assert process.stdout is not None, "asked for"  # noqa: S101 - for the type checker
        assert process.stderr is not None, "asked for"  # noqa: S101 - for the type checker
        tails = [_Tail(process.stdout), _Tail(process.stderr)]
        left_behind = False
        try:
            exit_code: int | None = process.wait(limit_s)
            took_s = time.monotonic() - began_s
            left_behind = _outlasts(process.pid, mark, LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            exit_code, took_s = None, time.monotonic() - began_s
        finally:
            with self._lock:
                self._groups.pop(process.pid, None)
            _kill(process.pid, mark)
            process.wait()
        output, errors = (tail.text() for tail in tails)
        return Ended(exit_code, took_s, output, errors, left_behind)


def _start(command: Sequence[str], environment: Mapping[str, str], folder: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - running what the user names is what this is for
        list(command),
        env={**os.environ, **environment},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A session of its own, so that its children can be killed with it.
        start_new_session=True,
    )


def _kill(group: int, mark: str) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    for process_id in _running(group, mark) or ():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process_id, signal.SIGKILL)


def _outlasts(group: int, mark: str, patience_s: float) -> bool:
    """Whether processes of a command are there for so long."""
    until_s = time.monotonic() + patience_s
    while _is_alive(group, mark):
        if time.monotonic() >= until_s:
            return True
        time.sleep(LOOK_EVERY_S)
    return False


def _is_alive(group: int, mark: str) -> bool:
    running = _running(group, mark)
    if running is not None:
        return bool(running)
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of those that wait to be buried.
        return False
    return True


def _running(group: int, mark: str) -> list[int] | None:
    """The processes of a group, and those that left it but carry its mark; None where the system does not tell."""
    folders = [path for path in Path("/proc").glob("[0-9]*") if path.name.isdecimal()]
    return [int(path.name) for path in folders if _belongs(path, group, mark.encode())] if folders else None


def _belongs(path: Path, group: int, mark: bytes) -> bool:
    """Whether this process is one of a command's, and no corpse (proc(5): state, parent, group after the name)."""
    try:
        state, _, its_group = (path / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:3]
        if state in "ZX":
            return False
        return int(its_group) == group or mark in (path / "environ").read_bytes()
    except (OSError, ValueError):
        return False


class _Tail:
    """The end of a stream, however much is written to it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._pieces: deque[bytes] = deque(maxlen=LONGEST_TAIL_BYTES // _PIECE_BYTES + 1)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        """What was read last; what is no UTF-8 is shown as such."""
        self._thread.join(LAST_WORDS_S)
        return b"".join(self._pieces)[-LONGEST_TAIL_BYTES:].decode("utf-8", "replace")

    def _read(self) -> None:
        descriptor = self._stream.fileno()
        while piece := os.read(descriptor, _PIECE_BYTES):
            # Short pieces are put together, or many of them would push out what belongs to the end.
            if self._pieces and len(self._pieces[-1]) + len(piece) <= _PIECE_BYTES:
                piece = self._pieces.pop() + piece
            self._pieces.append(piece)
        self._stream.close()
