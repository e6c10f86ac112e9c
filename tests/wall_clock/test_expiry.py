"""What lasts for a day: results and tasks at the service, and what is said of them here, across odd days."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import freezegun
import httpx
import pytest

from fake_server.testing import InProcessDashScope
from resilient_poll import DashScope, DownloadFailed, Phase, TaskExpired
from resilient_poll.cli.__main__ import main
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.instant import Instant
from tests.support.colours import INPUT, MODEL
from tests.wall_clock.edges import EDGES

DAY = timedelta(hours=24)
SOME = {name: EDGES[name] for name in ("before 29 February", "autumn in New York")}
at_some_edges = pytest.mark.parametrize("now", SOME.values(), ids=SOME)


class World:
    """A client and a fake on one clock that begins somewhere."""

    def __init__(self, now: datetime, ledger: SqliteLedger | None = None) -> None:
        self.clock = VirtualClock(Instant(0.0, now.timestamp()))
        self.fake = InProcessDashScope("succeeds", clock=self.clock)
        self.http_client = httpx.Client(transport=self.fake.httpx_transport())
        options: dict[str, Any] = {"http_client": self.http_client, "clock": self.clock, "ledger": ledger}
        url = f"{self.fake.origin}/api/v1"
        self.client = DashScope(dialect="dashscope", api_key=self.fake.key, base_url=url, **options)

    def close(self) -> None:
        """Close what is open."""
        self.client.close()
        self.http_client.close()


@pytest.fixture
def worlds() -> Iterator[list[World]]:
    """Worlds, which are closed in the end."""
    made: list[World] = []
    yield made
    for world in made:
        world.close()


@at_some_edges
def test_a_result_lives_for_a_day(worlds: list[World], now: datetime, tmp_path: Path) -> None:
    """Ten seconds before its day is over a result is saved, and a second after it the service has it no more."""
    for past_s in (-10.0, 1.0):
        world = World(now)
        worlds.append(world)
        task = world.client.submit(MODEL, INPUT)
        task.wait()
        ended_s = world.clock.now().wall_s
        world.clock.advance(DAY.total_seconds() + past_s - (world.clock.now().wall_s - ended_s))
        if past_s < 0:
            assert task.download(tmp_path / "clip.mp4").stat().st_size > 0
            continue
        with pytest.raises(DownloadFailed):
            task.download(tmp_path / "late.mp4")
        assert not (tmp_path / "late.mp4").exists()


@at_some_edges
def test_a_task_of_yesterday_is_asked_about_before_it_is_given_up(worlds: list[World], now: datetime) -> None:
    """After a day and a minute the service knows a task no more: one answer says so, and the bill stays as it was."""
    world = World(now)
    worlds.append(world)
    task = world.client.submit(MODEL, INPUT)
    task.refresh()
    world.clock.advance((DAY + timedelta(minutes=1)).total_seconds())
    with pytest.raises(TaskExpired) as caught:
        task.wait(timeout=300)
    assert caught.value.standing.phase is Phase.EXPIRED
    asked = [line.route for line in world.fake.engine.journal.entries]
    assert asked.count("query") == 2


@pytest.fixture
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AISA", "DASHSCOPE", "RESILIENT_POLL"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@at_some_edges
@pytest.mark.usefixtures("_home")
def test_the_list_warns_until_a_day_is_over(
    worlds: list[World], now: datetime, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """By the frozen wall clock, a paid result expires in what is left of its 24 hours, and has expired thereafter."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger:
        world = World(now, ledger)
        worlds.append(world)
        world.client.submit(MODEL, INPUT, idempotency_key="k").wait()
        ended = datetime.fromtimestamp(ledger.entries().entries[0].ended_wall_s or 0.0, UTC)
    for ago, said in (
        (timedelta(hours=1), "in 23 h"),
        (DAY - timedelta(seconds=90), "in 1 min"),
        (DAY * 2, "has expired 1 d ago"),
    ):
        with freezegun.freeze_time(ended + ago):
            assert main(["list", "--ledger", "ledger.sqlite3", "--json"]) == 0
        row = json.loads(capfd.readouterr().out.splitlines()[0])
        assert said in row["warning"], row


@at_some_edges
@pytest.mark.usefixtures("_home")
def test_a_duration_is_of_hours_and_not_of_dates(
    worlds: list[World], now: datetime, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`--since 1d` means the 24 hours before, also where a date has another length or does not exist."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger:
        world = World(now, ledger)
        worlds.append(world)
        world.client.submit(MODEL, INPUT, idempotency_key="k")
    for ago, count in ((DAY - timedelta(seconds=1), 1), (DAY + timedelta(seconds=1), 0)):
        with freezegun.freeze_time(now + ago):
            main(["list", "--ledger", "ledger.sqlite3", "--json", "--since", "1d"])
        rows = [line for line in capfd.readouterr().out.splitlines() if '"idempotency_key": "k"' in line]
        assert len(rows) == count, ago
