"""The fake without a socket: transports for httpx and httpx2, on a clock that both sides share."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from fake_server.scenario import read_fault
from fake_server.testing import InProcessDashScope, NeedsASocketError, VirtualClock
from resilient_poll import AsyncDashScope, DashScope
from tests.support.colours import run_in

MODEL, INPUT = "wan2.5-t2v-preview", {"prompt": "a cat"}
LIBRARIES: dict[str, ModuleType] = {"httpx": httpx, "httpx2": httpx2}
each_library = pytest.mark.parametrize("library", LIBRARIES)
each_colour = pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])


def transport_of(fake: InProcessDashScope, library: str) -> Any:
    """Return the fake's transport for a library."""
    return fake.httpx_transport() if library == "httpx" else fake.httpx2_transport()


def make_one(fake: InProcessDashScope, library: str, colour: str) -> Any:
    """Make one video with our own client, over a library's client that reaches the fake."""
    where: dict[str, Any] = {"dialect": "aisa", "base_url": fake.base_url("aisa"), "api_key": fake.key}
    transport = transport_of(fake, library)
    if colour == "sync":
        with (
            LIBRARIES[library].Client(transport=transport) as http,
            DashScope(**where, http_client=http, clock=fake.clock) as client,
        ):
            return client.submit(MODEL, INPUT).wait(timeout=300)

    async def main() -> Any:
        async with LIBRARIES[library].AsyncClient(transport=transport) as http:
            clock = fake.clock.for_async()
            async with AsyncDashScope(**where, http_client=http, clock=clock) as client:
                return await (await client.submit(MODEL, INPUT)).wait(timeout=300)

    return run_in(colour, main)


@each_library
@each_colour
def test_a_client_plays_a_scenario_without_a_socket(library: str, colour: str) -> None:
    """With either library, blocking or awaiting, a client on the shared clock comes to the scenario's end and bill."""
    fake = InProcessDashScope("throttled-poll")
    outcome = make_one(fake, library, colour)
    assert fake.verdict("SUCCEEDED").passed
    assert [row.task_id for row in fake.bill.tasks] == [outcome.task_id]
    assert fake.now_s > 10
    assert fake.now_s == pytest.approx(sum(fake.clock.slept_s))


@each_library
def test_the_same_requests_get_the_same_bytes(library: str) -> None:
    """Two fakes of one scenario answer the same requests at the same times alike, to the byte."""

    def answers() -> list[bytes]:
        fake = InProcessDashScope("succeeds")
        with LIBRARIES[library].Client(transport=transport_of(fake, library), base_url=fake.base_url()) as client:
            path = "/services/aigc/video-generation/video-synthesis"
            headers = {"Authorization": "Bearer any-key", "X-DashScope-Async": "enable"}
            made = client.post(path, headers=headers, json={"model": MODEL, "input": INPUT})
            fake.clock.sleep(3)
            task_id = made.json()["output"]["task_id"]
            return [made.content, client.get(f"/tasks/{task_id}", headers=headers).content]

    assert answers() == answers()


@each_library
@each_colour
def test_a_late_answer_is_the_librarys_own_time_out(library: str, colour: str) -> None:
    """An answer later than the client waits raises the library's ReadTimeout, and what was asked for is done."""
    module = LIBRARIES[library]
    fake = InProcessDashScope("succeeds")
    fake.arm("latency", fixed="30s", first=1, on="create")
    url = f"{fake.base_url('aisa')}/services/aigc/video-generation/video-synthesis"
    options = {
        "headers": {"Authorization": f"Bearer {fake.key}", "X-DashScope-Async": "enable"},
        "json": {"model": MODEL, "input": INPUT},
        "timeout": module.Timeout(60, read=5),
    }

    async def create() -> None:
        async with module.AsyncClient(transport=transport_of(fake, library)) as client:
            await client.post(url, **options)

    def ask() -> None:
        if colour == "sync":
            with module.Client(transport=transport_of(fake, library)) as client:
                client.post(url, **options)
        else:
            run_in(colour, create)

    with pytest.raises(module.ReadTimeout, match="no answer within 5 s") as raised:
        ask()
    assert str(raised.value.request.url) == url
    assert fake.now_s == 5
    assert len(fake.tasks) == 1


@each_library
def test_an_answer_in_time_lets_its_time_pass(library: str) -> None:
    """An answer that is late but within the client's time limit comes, and the shared clock has moved by its delay."""
    fake = InProcessDashScope("succeeds")
    fake.arm("latency", fixed="4s", on="query")
    with LIBRARIES[library].Client(transport=transport_of(fake, library), timeout=5) as client:
        answer = client.get(f"{fake.base_url()}/tasks/x", headers={"Authorization": "Bearer any-key"})
    assert answer.status_code == 200
    assert fake.now_s == 4


def test_a_scenario_of_the_wire_is_refused_by_name() -> None:
    """A scenario, an armed fault and chaos that need a wire are refused, each with the fault's name and what to use."""
    with pytest.raises(NeedsASocketError, match=r"poll drop .* of the scenario poll-dropped .*use FakeDashScope"):
        InProcessDashScope("poll-dropped")
    with pytest.raises(NeedsASocketError, match=r"\(chaos heavy, line \d+\) is a fault of the wire"):
        InProcessDashScope("succeeds", chaos="heavy")
    fake = InProcessDashScope("succeeds")
    with pytest.raises(NeedsASocketError, match="lost_create"):
        fake.arm("lost_create", nth=1)
    assert fake.engine.armed() == []


def test_a_fault_of_the_wire_that_comes_in_another_way_is_refused_when_it_strikes() -> None:
    """A fault that was armed behind the fake's back is no answer of the library's, but the error that names it."""
    fake = InProcessDashScope("succeeds")
    fake.engine.arm(read_fault({"fault": "wire", "kind": "drip"}))
    with httpx.Client(transport=fake.httpx_transport()) as client, pytest.raises(NeedsASocketError, match="wire drip"):
        client.get(f"{fake.base_url()}/tasks/x", headers={"Authorization": "Bearer any-key"})


def test_dates_are_those_of_the_shared_clock() -> None:
    """What the fake dates is dated by the clock that the test moves."""
    clock = VirtualClock()
    fake = InProcessDashScope("succeeds", clock=clock)
    clock.advance(86_400)
    with httpx.Client(transport=fake.httpx_transport()) as client:
        answer = client.get(f"{fake.base_url()}/tasks/x", headers={"Authorization": "Bearer any-key"})
    assert answer.headers["date"] == datetime.fromtimestamp(clock.time(), tz=UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def test_a_world_begun_anew_gives_out_other_ids() -> None:
    """After a reset nothing is left, and an id that was given out is not given out again."""
    fake = InProcessDashScope("succeeds")
    first = make_one(fake, "httpx", "sync")
    fake.reset()
    assert (fake.journal, fake.bill.tasks) == ((), ())
    assert make_one(fake, "httpx", "sync").task_id != first.task_id


def test_the_clock_of_a_test_never_goes_back() -> None:
    """A negative or endless sleep is refused, and the clock stays where it was."""
    clock = VirtualClock()
    clock.sleep(2)
    for seconds in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="never goes back"):
            clock.advance(seconds)
    assert (clock.monotonic(), clock.slept_s) == (2.0, [2])


def test_each_library_is_imported_only_when_it_is_asked_for() -> None:
    """A fake without a socket imports neither library before its transport is asked for, and then only that one."""
    script = (
        "import sys; from fake_server.testing import InProcessDashScope; fake = InProcessDashScope();"
        "print('httpx' in sys.modules, 'httpx2' in sys.modules, 'starlette' in sys.modules);"
        "fake.httpx_transport(); print('httpx2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603  # our own script
    assert done.stdout.split() == ["False", "False", "False", "False"]


def test_a_world_in_which_nothing_was_created_passes_no_verdict() -> None:
    """A test whose client never came here, or only asked, is not passed by what it reports."""
    fake = InProcessDashScope("fails-by-policy")
    assert str(fake.verdict("FAILED")) == "NOT_EXERCISED\nnothing was created in this world"
    with httpx.Client(transport=fake.httpx_transport(), base_url=fake.base_url()) as client:
        client.get("/tasks/nobody", headers={"Authorization": f"Bearer {fake.key}"})
    assert not fake.verdict("FAILED").passed
