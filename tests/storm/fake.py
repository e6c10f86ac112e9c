"""The fake under the storm: a process of its own, whose stderr is kept and whose memory is watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StormedFake:
    """A fake that is up.

    Attributes:
        url: Where its API is.
        process: Its process.
        errors: The file of what it says on stderr.
    """

    url: str
    process: subprocess.Popen[str]
    errors: Path

    def said(self) -> str:
        """Everything on its stderr so far."""
        return self.errors.read_text(encoding="utf-8", errors="replace")

    @property
    def memory_mb(self) -> float:
        """What it holds in memory, in MB of 10**6 bytes; 0 where the system does not tell."""
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        except OSError:
            return 0.0
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def stormed_fake(folder: Path, seed: int, *more: str) -> Iterator[StormedFake]:
    """Run the fake under heavy chaos until the block ends.

    Args:
        folder: Where its stderr goes.
        seed: What its chance is drawn by.
        more: Further arguments of `serve`.
    """
    errors = folder / "stderr.txt"
    command = [sys.executable, "-m", "tests.storm.loud", "serve", "--port", "0", "--clock", "manual"]
    command += ["--chaos", "heavy", "--seed", str(seed), "--exit-with-parent", *more]
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,  # noqa: S603  # our own
    ):
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise RuntimeError(f"the fake did not start: {errors.read_text(encoding='utf-8')}")
            yield StormedFake(json.loads(line)["url"], process, errors)
        finally:
            process.terminate()
            process.wait(timeout=60)
