"""What an install brings, and what it can do without its extras."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest

from fake_server.scenario import shipped_scenarios
from tests.support.fake_process import FakeProcess, running_fake

ROOT = Path(__file__).parents[2]

# What pip brings for httpx, and the standard library; everything else is an extra.
WITHOUT_EXTRAS = """
import sys
EXTRAS = {"click", "rich", "pydantic", "pydantic_core", "ruamel", "starlette", "uvicorn", "uvloop", "httptools",
          "httpx2", "httpcore2", "trio", "yaml", "hypothesis", "pytest"}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
MAIN_JOB = """
import asyncio
from resilient_poll import AsyncDashScope, DashScope, Fixed, WaitPolicy
policy = WaitPolicy(schedule=Fixed(0.5))
with DashScope(wait_policy=policy) as client:
    task = client.submit("wan2.5-t2v-preview", {"prompt": "a cat"})
    print(task.wait(timeout=30).billing, task.download("clip.mp4").stat().st_size > 1000)
async def main():
    async with AsyncDashScope(wait_policy=policy) as client:
        task = await client.submit("wan2.5-t2v-preview", {"prompt": "a cat"})
        print((await task.wait(timeout=30)).billing)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProcess]:
    """A fake whose videos take no time."""
    with running_fake("--speed", "1000") as process:
        yield process


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-W", "error", "-c", WITHOUT_EXTRAS + code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.thorough(plain=1)
def test_a_plain_install_does_the_main_job(fake: FakeProcess, tmp_path: Path) -> None:
    """Without any extra, a video is created, waited for and saved; that there is no ledger is all it says, once."""
    ran = run(MAIN_JOB, tmp_path, DASHSCOPE_API_KEY="sk-succeeds.plain", DASHSCOPE_HTTP_BASE_URL=f"{fake.url}/api/v1")
    assert re.fullmatch(r"no ledger was given, .* this is said once\n", ran.stderr)
    assert ran.stdout.split() == ["BILLED", "True", "BILLED"]


@pytest.mark.parametrize(
    ("module", "extra"), [("resilient_poll.cli.__main__", "cli"), ("fake_server.__main__", "fake")]
)
def test_what_lacks_an_extra_says_which(module: str, extra: str, tmp_path: Path) -> None:
    """A command line without its extra says in one sentence what to install, and exits with 2."""
    ran = run(f"from {module} import main; sys.exit(main())", tmp_path)
    assert ran.returncode == 2
    assert f"resilient-poll[{extra}]" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_client_without_its_library_says_so(tmp_path: Path) -> None:
    """A client of neither library is refused by name."""
    code = "from resilient_poll import DashScope; DashScope(dialect='aisa', api_key='sk-test', http_client=object())"
    ran = run(code, tmp_path)
    assert "must be a client of httpx or httpx2, not builtins.object" in ran.stderr


def test_a_plain_install_requires_httpx_only() -> None:
    """Outside extras only httpx is required, and anyio, which httpx requires anyway."""
    plain = {re.split("[<>=]", line)[0] for line in requires("resilient-poll") or [] if "extra ==" not in line}
    assert plain == {"httpx", "anyio"}
    assert any(line.startswith("anyio") for line in requires("httpx") or [])


def test_the_wheel_carries_what_it_needs(tmp_path: Path) -> None:
    """The wheel holds both packages, their type marks, the fake's assets, and every scenario."""
    subprocess.run(  # noqa: S603  # our own build
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"resilient_poll/py.typed", "fake_server/py.typed", "resilient_poll/machine/poller.py"} <= names
    assert any(name.startswith("fake_server/assets/") and name.endswith(".mp4") for name in names)
    packed = {Path(name).stem for name in names if name.startswith("fake_server/scenarios/") and name.endswith(".yaml")}
    assert set(shipped_scenarios()) <= packed
    assert not any(name.startswith("tests/") for name in names)
