"""The fake as users run it: a process of its own, on a real socket."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass
class FakeProcess:
    """A fake that is up.

    Attributes:
        url: Where its API is.
        admin: A client of its admin pages.
    """

    url: str
    admin: httpx.Client

    def open_world(self, key: str) -> str:
        """Make the world of a key before its first request, and return its name."""
        answer = self.admin.post("worlds", json={"key": key}).raise_for_status().json()
        world: str = answer["world"]
        return world

    def advance(self, world: str, seconds: float) -> None:
        """Move a world's clock."""
        self.admin.post(f"worlds/{world}/clock/advance", json={"seconds": seconds}).raise_for_status()

    def page(self, path: str, **query: Any) -> Any:
        """Return an admin page."""
        return self.admin.get(path, params=query).raise_for_status().json()


@contextmanager
def running_fake(*arguments: str) -> Iterator[FakeProcess]:
    """Run ``fake-dashscope serve`` on a free port until the block ends.

    Args:
        arguments: Further arguments of the command.
    """
    command = [sys.executable, "-m", "fake_server", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603  # our own command
        try:
            assert process.stdout is not None
            hello = json.loads(process.stdout.readline())
            with httpx.Client(base_url=hello["admin_url"] + "/", timeout=20) as admin:
                yield FakeProcess(hello["url"], admin)
        finally:
            process.terminate()
