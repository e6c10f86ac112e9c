"""The storm's long form made short, and what it once found."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.storm.__main__ import main
from tests.storm.fake import StormedFake, stormed_fake
from tests.storm.tally import Tally
from tests.storm.wire import Line, request

REQUESTS = 1_500


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


@pytest.mark.parametrize("path", ["/api/v1/tasks/nobody", "/__admin/health"])
def test_an_answer_to_a_connection_that_is_over_is_dropped_in_silence(tmp_path: Path, path: str) -> None:
    """A request with rubbish behind it is refused while its answer is made; writing that answer is no error."""

    async def throw(fake: StormedFake) -> None:
        line, other = Line(fake.url), Line(fake.url)
        await line.ask(request("GET", path, (("authorization", "Bearer sk-succeeds"),)) + b"\0 no request\r\n\r\n")
        after = await other.ask(request("GET", "/__admin/health"))
        assert after.status == 200
        other.cut()

    with stormed_fake(tmp_path, 1) as fake:
        asyncio.run(throw(fake))
    assert "Traceback" not in fake.said()


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
