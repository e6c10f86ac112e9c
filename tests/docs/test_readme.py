"""README and docs are executed or derived."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from resilient_poll.drive.clocks import VirtualClock
from tests.support.fake_process import FakeProcess, running_fake

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DERIVED = re.compile(r"<!-- derived: .*?<!-- end -->", re.DOTALL)
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "scenarios" / "README.md"]
}


def examples_of(page: str) -> list[str]:
    """Return the Python examples of a page that are not derived."""
    return re.findall(r"```python\n(.*?)```", DERIVED.sub("", PAGES[page]), re.DOTALL)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES)
def test_what_is_derived_is_up_to_date(page: str) -> None:
    """Every derived block is what the code derives now; `make docs` mends it."""
    assert load(ROOT / "docs" / "derive.py").rewritten(PAGES[page]) == PAGES[page]


def test_every_move_is_drawn() -> None:
    """The picture of the lifecycle names every phase of the table."""
    from resilient_poll import Phase  # noqa: PLC0415  # only here

    picture = load(ROOT / "docs" / "derive.py").lifecycle_diagram()
    assert all(re.search(rf"\b{phase}\b", picture) for phase in Phase)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeProcess]:
    """A fake on a manual clock that the examples' own clocks move, and an environment as a reader would set it."""
    with running_fake("--clock", "manual") as fake:
        key = "sk-succeeds.readme"
        name = fake.open_world(key)
        clock = VirtualClock(on_sleep=lambda seconds: fake.advance(name, seconds))
        monkeypatch.setattr("resilient_poll.dashscope.client.RealClock", lambda: clock)
        monkeypatch.setattr("resilient_poll.dashscope.client_async.RealAsyncClock", clock.for_async)
        for variable in ("AISA_API_KEY", "AISA_BASE_URL", "DASHSCOPE_BASE_URL"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("DASHSCOPE_API_KEY", key)
        monkeypatch.setenv("DASHSCOPE_HTTP_BASE_URL", f"{fake.url}/api/v1")
        monkeypatch.chdir(tmp_path)
        yield fake


def test_the_examples_run(world: FakeProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every Python example of the README runs, in order, against the fake, and the first leaves a video."""
    del world  # it only has to be there
    from resilient_poll import DashScope  # noqa: PLC0415  # as a reader would

    with DashScope() as client:
        names: dict[str, Any] = {"id_or_token": client.submit("wan2.5-t2v-preview", {"prompt": "x"}).resume_token}
    examples = examples_of("README.md")
    assert len(examples) == 6
    for number, example in enumerate(examples):
        exec(compile(example, f"README example {number}", "exec"), names)  # noqa: S102  # that is the point
    assert (tmp_path / "clip.mp4").stat().st_size > 1000
    assert names["outcome"].billing == "BILLED"
    assert "QUEUED → RUNNING" in capsys.readouterr().out


def test_the_examples_of_the_whole_api_run(world: FakeProcess, tmp_path: Path) -> None:
    """Every Python example of docs/api.md runs, in order, against the fake, and the first leaves four images."""
    del world  # it only has to be there
    examples = examples_of("docs/api.md")
    assert examples
    for number, example in enumerate(examples):
        exec(compile(example, f"api.md example {number}", "exec"), {})  # noqa: S102  # that is the point
    images = [tmp_path / f"cat-{index}.png" for index in range(1, 5)]
    assert all(image.read_bytes().startswith(b"\x89PNG") for image in images)


def test_the_examples_of_the_ledger_run(world: FakeProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every Python example of docs/ledger.md runs, in order, against the fake, and a worker hands over what ended."""
    del world  # it only has to be there
    examples = examples_of("docs/ledger.md")
    assert examples
    for number, example in enumerate(examples):
        exec(compile(example, f"ledger.md example {number}", "exec"), {})  # noqa: S102  # that is the point
    assert "order-18 SUCCEEDED BILLED None" in capsys.readouterr().out
    assert len(list((tmp_path / "videos").iterdir())) == 1


def test_the_contrast_is_true() -> None:
    """What the README shows of both loops is what running them prints."""
    ran = subprocess.run(  # noqa: S603  # our own example
        [sys.executable, str(ROOT / "examples" / "minimal_poller.py")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    said = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", ran.stdout)
    said = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "TASK_ID", said)
    assert said == (ROOT / "docs" / "contrast.txt").read_text()


def test_every_command_is_documented() -> None:
    """The README names every command of the command line."""
    from resilient_poll.cli.app import cli  # noqa: PLC0415  # click comes with an extra

    section = README[README.index("### From a shell") : README.index("## What a task goes through")]
    for name in cli.commands:
        assert name in section, name


def test_links_lead_somewhere() -> None:
    """Every relative link of the pages leads to a file that exists."""
    for page, text in PAGES.items():
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), target
