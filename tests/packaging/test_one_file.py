"""The fake as one file, and as the Dockerfile puts it together: what can be run without Docker is run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
BUILD = [sys.executable, str(ROOT / "tools" / "build_fake.py")]
# Without the environment's packages: what is missing in the file is missing.
BARE = [sys.executable, "-I", "-S"]
TOKEN = "token-of-a-test"


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one file."""
    target = tmp_path_factory.mktemp("dist") / "fake-dashscope.pyz"
    subprocess.run([*BUILD, str(target)], check=True, capture_output=True, timeout=120)  # noqa: S603 - our own script
    return target


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with a cache of its own."""
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")), "FAKE_DASHSCOPE_ADMIN_TOKEN": TOKEN}


def ran(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own


def digest_of(pyz: Path) -> str:
    """Under which name the file unpacks itself."""
    digest: str = json.loads(zipfile.ZipFile(pyz).read("made_for.json"))["digest"]
    return digest


@contextmanager
def served(command: list[str], environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """A server, and the line in which it says where it is."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603 - our own
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def assert_it_makes_a_video(url: str) -> None:
    """Create, poll and download."""
    headers = {"Authorization": "Bearer sk-succeeds.file", "X-DashScope-Async": "enable"}
    with httpx.Client(base_url=url, headers=headers, verify=False, trust_env=False) as client:
        body = {"model": "m", "input": {"prompt": "a cat"}}
        made = client.post("/api/v1/services/aigc/video-generation/video-synthesis", json=body).json()["output"]
        advance = "/__admin/worlds/succeeds.file/clock/advance"
        client.post(advance, json={"seconds": 3}, headers={"Authorization": f"Bearer {TOKEN}"}).raise_for_status()
        for _ in range(4):
            output = client.get(f"/api/v1/tasks/{made['task_id']}").json()["output"]
        assert client.get(output["video_url"]).content[4:8] == b"ftyp"


def test_one_file_runs_without_any_package(pyz: Path, environment: dict[str, str]) -> None:
    """The file serves, over TLS too, with a Python that has no package; it unpacks itself once, into the cache."""
    command = [*BARE, str(pyz), "serve", "--clock", "manual", "--tls"]
    with served(command, environment) as line:
        assert line["version"] != "0+unknown"
        assert Path(line["ca_file"]).is_file()
        assert_it_makes_a_video(line["url"])
    (folder,) = (Path(environment["XDG_CACHE_HOME"]) / "fake-dashscope").iterdir()
    before = folder.stat().st_mtime_ns
    assert "succeeds" in ran([*BARE, str(pyz), "scenarios"], environment).stdout
    assert folder.stat().st_mtime_ns == before


def test_one_file_without_a_cache_leaves_nothing(pyz: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """Where the cache cannot be written the file unpacks into a private folder, and takes it away at the end."""
    (tmp_path / "cache").write_text("no folder")
    (tmp_path / "temporary").mkdir()
    places = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path / "temporary")}
    told = ran([*BARE, str(pyz), "--version"], {**environment, **places})
    assert told.stdout.startswith("fake-dashscope, version "), told.stderr
    assert list((tmp_path / "temporary").iterdir()) == []


def test_one_file_says_where_it_cannot_run(pyz: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """On another Python or platform than it was made for, the file says so in a sentence and exits with 2."""
    other = tmp_path / "other.pyz"
    with zipfile.ZipFile(other, "w") as written, zipfile.ZipFile(pyz) as archive:
        written.writestr("__main__.py", archive.read("__main__.py"))
        written.writestr("made_for.json", json.dumps({"python": "CPython 3.9", "platform": "mars", "digest": "0"}))
    told = ran([*BARE, str(other)], environment)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("error: this file was made for CPython 3.9 on mars and this is ")


def test_one_file_carries_the_fake_and_not_the_client(pyz: Path) -> None:
    """The file holds the fake, its scenarios and what it needs; neither the client, nor httpx, nor tests."""
    names = {name.split("/")[1] for name in zipfile.ZipFile(pyz).namelist() if name.startswith("payload/")}
    assert {"fake_server", "starlette", "uvicorn", "httptools", "ruamel", "click", "trustme"} <= names
    assert not names & {"resilient_poll", "httpx", "httpcore", "tests", "pytest", "hypothesis"}


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile and what follows each."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line and not line.startswith("#")]


def test_the_dockerfile_copies_what_there_is_and_is_nobody() -> None:
    """What the Dockerfile copies exists and is let in, its stages have one Python, and what runs is not root."""
    let_in = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    for instruction, rest in instructions():
        if instruction == "COPY" and "--from" not in rest:
            *sources, _ = rest.split()
            assert set(sources) <= let_in
            assert all((ROOT / source).exists() for source in sources)
    bases = [rest.split()[0] for instruction, rest in instructions() if instruction == "FROM"]
    assert len(set(bases)) == 1
    after_last_base = instructions()[[name for name, _ in instructions()].index("FROM", 1) :]
    assert dict(after_last_base)["USER"] == "10001:10001"


def test_what_the_image_runs_runs(pyz: Path, environment: dict[str, str]) -> None:
    """The folder that the image holds serves by the image's own command; without a token it refuses in a sentence."""
    # Filled by the same function as the image's folder.
    folder = Path(environment["XDG_CACHE_HOME"]) / "fake-dashscope" / digest_of(pyz) / "payload"
    if not folder.is_dir():
        ran([*BARE, str(pyz), "--version"], environment)
    entry = json.loads(dict(instructions())["ENTRYPOINT"])
    assert entry[0] == "python"
    bare = [sys.executable, "-S", "-P", *entry[1:], "--port", "0", "--clock", "manual"]
    inside = {**environment, "PYTHONPATH": str(folder)}
    with served(bare, inside) as line:
        assert_it_makes_a_video(line["url"])
    del inside["FAKE_DASHSCOPE_ADMIN_TOKEN"]
    refused = ran(bare, inside)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "set FAKE_DASHSCOPE_ADMIN_TOKEN" in refused.stderr
