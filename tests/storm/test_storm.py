"""The storm's long form made short, and what it once found."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from fake_server.feed import MOST_READERS
from tests.storm.__main__ import main
from tests.storm.fake import stormed_fake
from tests.storm.storm import Storm
from tests.storm.tally import Tally
from tests.storm.wire import Heard, request

REQUESTS = 1_500
CLIENTS = 20
IN_TURN = 40


@pytest.mark.thorough
def test_a_short_storm_leaves_the_fake_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Requests of every kind under heavy chaos give no traceback, no unasked 500 and no miscount; the seed is told."""
    code = main(["--requests", str(REQUESTS), "--seed", "7"])
    said = capsys.readouterr().out
    assert code == 0, said
    assert said.startswith("seed 7\n")
    figures = {line[:36].strip(): line[36:].strip() for line in said.splitlines() if line[36:]}
    assert figures["tracebacks"] == "0"
    assert int(figures["requests"]) >= REQUESTS
    assert int(figures["counted worlds that forgot lines"]) >= 1
    assert int(figures["faults that fired"]) >= REQUESTS // 10


def test_who_leaves_with_requests_unanswered_is_not_answered(tmp_path: Path) -> None:
    """A client that sent several requests and left while the first was held back is noticed: nothing is written to it
    when its time has come, and no error is told."""
    key = "sk-succeeds.left"
    asked = request("GET", "/api/v1/tasks/nobody", (("authorization", f"Bearer {key}"),))
    with stormed_fake(tmp_path, 1) as fake, httpx.Client(base_url=f"{fake.url}/__admin/worlds/") as admin:
        httpx.post(f"{fake.url}/__admin/worlds", json={"key": key}).raise_for_status()
        for _ in range(CLIENTS):
            with socket.create_connection((urlsplit(fake.url).hostname, urlsplit(fake.url).port)) as client:
                client.sendall(asked * 3)
        assert admin.get("succeeds.left/clock").status_code == 200
        admin.post("succeeds.left/clock/advance", json={"seconds": 3_600})
        assert admin.get("succeeds.left/clock").status_code == 200
    assert "Traceback" not in fake.said()


def test_who_leaves_a_stream_with_a_request_behind_it_makes_room(tmp_path: Path) -> None:
    """Readers of events that left are forgotten, also where each had sent a request behind: others may read."""
    with stormed_fake(tmp_path, 1) as fake:
        address = (urlsplit(fake.url).hostname, urlsplit(fake.url).port)
        for _ in range(2 * MOST_READERS):
            with socket.create_connection(address) as client:
                client.sendall(request("GET", "/__admin/events") * 2)
                assert client.recv(12) == b"HTTP/1.1 200"


def test_requests_that_are_held_back_one_after_the_other_are_all_waited_for(tmp_path: Path) -> None:
    """However many requests of one connection the fake holds back in turn, the storm moves the clock for each, and
    calls none of them unanswered."""

    async def ask(storm: Storm) -> list[Heard]:
        line, clock = storm.line(), storm.line()
        await storm.admin(clock, "POST", "/worlds", {"world": "succeeds.turns"})
        await storm.admin(clock, "POST", "/worlds/succeeds.turns/faults", {"fault": "latency", "fixed": "20m"})
        asked = request("GET", "/api/v1/quotas", (("authorization", "Bearer sk-succeeds.turns"),))

        async def talk() -> list[Heard]:
            return [await line.ask(asked * IN_TURN), *[await line.hear() for _ in range(IN_TURN - 1)]]

        (heard,) = await storm.settled("turns", "succeeds.turns", clock, [talk()])
        line.cut()
        clock.cut()
        return heard or []

    with stormed_fake(tmp_path, 1) as fake:
        storm = Storm(fake, 0)
        answers = asyncio.run(ask(storm))
    assert storm.wrong == []
    assert [one.is_whole for one in answers] == [True] * IN_TURN


def test_a_miscount_is_told() -> None:
    """A client that sent one create more than the fake has counted says so."""
    tally = Tally()
    tally.sure["create"] = 2
    expectations = [
        {"name": name, "actual": "1" if name == "create_requests" else "0"}
        for name in ("create_requests", "max_polls", "tasks_created", "billed_tasks", "downloads")
    ]
    bill = {"tasks": [], "left_out": 0, "billed_tasks": 0}
    wrong = tally.differences({"requests": 2, "create_requests": 1}, bill, {"expectations": expectations})
    assert wrong == ["create_requests: sent 2 (and perhaps 0), and the fake counts 1"]
