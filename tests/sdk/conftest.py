"""The fake as a process, and the vendor's own Python package in another: what the tests of its faces share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

# It runs in a process of its own: the package reads its base URL when it is imported, and sleeps for whole
# seconds between polls. Shortening the sleeps leaves the package itself as it is.
_PREAMBLE = """
import asyncio, json, os, time
blocking, awaiting = time.sleep, asyncio.sleep
time.sleep = lambda seconds: blocking(seconds / 100)
asyncio.sleep = lambda seconds, *more: awaiting(seconds / 100, *more)
import dashscope
from dashscope import Client, ImageSynthesis, VideoSynthesis
from dashscope.aigc.video_synthesis import AioVideoSynthesis
from dashscope.api_entities.aio_session import close_shared_aio_session
from dashscope.version import __version__
assert __version__ == "2.0.2", __version__

def tell(**values):
    print(json.dumps(values))

def second_face():
    return Client(base_url=os.environ["DASHSCOPE_HTTP_BASE_URL"], api_key=os.environ["DASHSCOPE_API_KEY"])
"""


@dataclass(frozen=True)
class Served:
    """A fake in a process of its own.

    Attributes:
        url: Where it is.
        admin_url: Where its admin pages are.
    """

    url: str
    admin_url: str

    def admin(self, path: str) -> dict[str, Any]:
        """Return an admin page."""
        page: dict[str, Any] = httpx.get(self.admin_url + path, trust_env=False).raise_for_status().json()
        return page

    def verdicts(self, world: str, outcome: str) -> dict[str, str]:
        """Return what the judge says of a client that reported an outcome."""
        page = self.admin(f"/worlds/{world}/verdict?outcome={outcome}")
        return {row["name"]: row["verdict"] for row in page["expectations"]}


Package = Callable[[str, str], dict[str, Any]]


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """`fake-dashscope serve --speed 600` in a process of its own."""
    command = [sys.executable, "-m", "fake_server", "serve", "--speed", "600"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603 - ours
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    yield Served(said["url"], said["admin_url"])
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()


@pytest.fixture(scope="session")
def package(served: Served) -> Package:
    """Runs a script with the package pointed at the fake under a key, and returns what it told."""

    def run(key: str, script: str) -> dict[str, Any]:
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        environment |= {"DASHSCOPE_HTTP_BASE_URL": f"{served.url}/api/v1", "DASHSCOPE_API_KEY": key}
        result = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, "-c", _PREAMBLE + script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
        return told

    return run
