"""The command line as a script uses it, and as a function of this process, for what coverage can see."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from resilient_poll.cli.__main__ import main
from resilient_poll.cli.report import JSON_WORDS

LONGEST_RUN_S = 20.0
MAKE = ("--model", "wan2.6-t2v", "--prompt", "a cat")
SOON = ("--interval", "0.01")
"""The first poll comes at once; the floor of half a second holds for the others."""
PATHS = {"AISA": "/apis/v1", "DASHSCOPE": "/api/v1"}


@dataclass(frozen=True)
class Ended:
    """What a run left."""

    code: int
    stdout: str
    stderr: str

    @property
    def object(self) -> dict[str, Any]:
        """The one JSON object."""
        assert self.stdout.count("\n") == 1, self.stdout
        found: dict[str, Any] = json.loads(self.stdout)
        assert tuple(found) == JSON_WORDS
        return found


@dataclass
class Running:
    """A run that goes on."""

    process: subprocess.Popen[str]
    said: str = field(default="")

    def wait_for(self, text: str) -> None:
        """Return as soon as stderr holds a text."""
        assert self.process.stderr is not None
        until_s = time.monotonic() + LONGEST_RUN_S
        while text not in self.said:
            left_s = until_s - time.monotonic()
            ready, _, _ = select.select([self.process.stderr], [], [], max(0.0, left_s))
            assert ready, f"{text!r} never came: {self.said}"
            piece = os.read(self.process.stderr.fileno(), 65536).decode()
            assert piece, f"the run ended without {text!r}: {self.said}"
            self.said += piece

    def end(self) -> Ended:
        """Wait for the end."""
        stdout, stderr = self.process.communicate(timeout=LONGEST_RUN_S)
        return Ended(self.process.returncode, stdout, self.said + stderr)


class Account:
    """A key, and the environment that names the service.

    Args:
        url: The service's origin.
        monkeypatch: Sets the environment.
        tail: Makes the key's world private.
    """

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch, *, tail: str) -> None:
        self._url = url
        self._monkeypatch = monkeypatch
        self._tail = tail

    def open(self, scenario: str, family: str = "AISA", **variables: str) -> str:
        """Set the environment so that the key picks a scenario; return the key."""
        key = f"sk-{scenario}.{self._tail}"
        for other in PATHS:
            self._monkeypatch.delenv(f"{other}_API_KEY", raising=False)
            self._monkeypatch.delenv(f"{other}_BASE_URL", raising=False)
        self._monkeypatch.delenv("DASHSCOPE_HTTP_BASE_URL", raising=False)
        values = {f"{family}_API_KEY": key, f"{family}_BASE_URL": self._url + PATHS[family], **variables}
        for name, value in values.items():
            self._monkeypatch.setenv(name, value)
        return key

    def submitted(self, capfd: pytest.CaptureFixture[str]) -> str:
        """Submit a task and return its id."""
        ended = here(capfd, "submit", *MAKE)
        assert ended.code == 0, ended
        return ended.stdout.strip()


def here(capfd: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """Run the command line as a function."""
    capfd.readouterr()
    code = main(arguments)
    captured = capfd.readouterr()
    return Ended(code, captured.out, captured.err)


def command(*arguments: str) -> list[str]:
    """The words that start the command line as a process."""
    return [sys.executable, "-W", "error", "-m", "resilient_poll.cli", *arguments]


def as_process(*arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    """Run the command line as a process."""
    done = subprocess.run(  # noqa: S603  # our own command
        command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_RUN_S,
        env={**os.environ, **(environment or {})},
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(*arguments: str) -> Iterator[Running]:
    """Start the command line as a process that a test talks to."""
    with subprocess.Popen(  # noqa: S603  # our own command
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()
