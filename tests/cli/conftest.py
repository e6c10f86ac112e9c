"""One fake for all runs of the command line; every test has a world, and a key, of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import Account
from tests.support.fake_process import FakeProcess, running_fake

SCENARIOS = {
    "at-once": "tasks: [SUCCEEDED]",
    "gone-at-once": "url_lifetime: 0s\ntasks: [SUCCEEDED]",
    "fails-at-once": "tasks: [FAILED DataInspectionFailed]",
    "every-second-fails": "tasks: [SUCCEEDED, FAILED InternalError, SUCCEEDED, FAILED InternalError]",
    "some-time": "tasks: [RUNNING 2 polls -> SUCCEEDED]",
    "goes-on": "tasks: [RUNNING]",
    "queues": "dialects: [dashscope]\ntasks: [PENDING 50 polls -> SUCCEEDED]",
    "refuses-to-say": "poll: [{status: 401, times: 100}]\ntasks: [RUNNING]",
    "two-of-three": "dialects: [dashscope]\ntasks: [{lifecycle: SUCCEEDED, results: [ok, {code: DataInspectionFailed, "
    "message: Not this one.}, ok]}]",
    "none-of-two": "dialects: [dashscope]\ntasks: [{lifecycle: SUCCEEDED, results: [{code: InternalError}, "
    "{code: DataInspectionFailed}]}]",
    "one-bad-gateway": 'poll: [{status: 502, body: "<html>bad gateway</html>"}]\ntasks: [RUNNING 1 poll -> SUCCEEDED]',
}


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeProcess]:
    """A fake on a real socket that knows the scenarios above."""
    folder = tmp_path_factory.mktemp("scenarios")
    for name, text in SCENARIOS.items():
        (folder / f"{name}.yaml").write_text(
            f"version: 1\nsummary: For the command line.\n{text}\nexpect: {{outcome: SUCCEEDED}}\n"
        )
    with running_fake("--speed", "600", "--scenarios", str(folder)) as process:
        yield process


@pytest.fixture(autouse=True)
def _a_state_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of its own for each test; nobody's home is written."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    for name in ("RESILIENT_POLL_LEDGER", "RESILIENT_POLL_PRICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def account(
    fake: FakeProcess, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Account:
    """Runs of the command line against the fake, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return Account(fake.url, monkeypatch, tail=f"{abs(hash(request.node.nodeid)):x}")
