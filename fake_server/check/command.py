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
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The end of what a command prints is what tells why it ended.
LONGEST_TAIL_BYTES = 64_000
_PIECE_BYTES = 8_192
# How long pipes that a killed command left to its children are waited for.
LAST_WORDS_S = 2.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Args:
        exit_code: Its exit code, negative for a signal; None where it was killed for its time.
        took_s: Seconds from its start to its end.
        output: The end of its standard output.
        errors: The end of its standard error.
    """

    exit_code: int | None
    took_s: float
    output: str
    errors: str


def run_command(command: Sequence[str], environment: Mapping[str, str], folder: str, limit_s: float) -> Ended:
    """Run a command.

    Args:
        command: The program and its arguments.
        environment: What is added to this process's own environment.
        folder: Where it runs.
        limit_s: After how many seconds it is killed, with all its children.

    Raises:
        OSError: There is no such program.
    """
    began_s = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - running what the user names is what this is for
        list(command),
        env={**os.environ, **environment},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A session of its own, so that its children can be killed with it.
        start_new_session=True,
    )
    assert process.stdout is not None, "asked for above"  # noqa: S101 - for the type checker
    assert process.stderr is not None, "asked for above"  # noqa: S101 - for the type checker
    tails = [_Tail(process.stdout), _Tail(process.stderr)]
    exit_code: int | None
    try:
        exit_code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        exit_code = None
    finally:
        took_s = time.monotonic() - began_s
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    output, errors = (tail.text() for tail in tails)
    return Ended(exit_code, took_s, output, errors)


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
