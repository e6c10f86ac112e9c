"""What becomes of a task when the time of its wait is up: it goes on, or it is cancelled, within five seconds."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import (
    Billing,
    ConfigurationError,
    DashScope,
    Fixed,
    Job,
    Phase,
    StillGoing,
    StillQueued,
    StillRunning,
    TaskFailed,
    WaitPolicy,
    poll,
)
from resilient_poll.dashscope.cancelling import CLOSING_S, LOOK_S, Closing
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.machine.commands import Done, DoneReason, Query, SleepUntil
from resilient_poll.machine.observations import StatusSeen, Throttled, Unreachable
from tests.dashscope.ledger_clients import MADE, Service, only_entry
from tests.dashscope.scripted import Asked, Broken, Reply, a_client, said
from tests.support.colours import COLOURS, INPUT, MODEL, got, run_in
from tests.support.many_world import ManyWorld

in_each_colour = pytest.mark.parametrize("colour", COLOURS)
WAIT_S = 30.0
CANCEL: dict[str, Any] = {"timeout": WAIT_S, "on_timeout": "cancel"}
NOT_PENDING = Reply(400, {"code": "UnsupportedOperation", "message": "not pending", "request_id": "r"})
UNUSED = httpx.Client(verify=False)  # It sends nothing.
YES = Reply(200, {"request_id": "r"})


def a_world(lifecycle: str) -> ManyWorld:
    return ManyWorld(tasks=[lifecycle], dialect="dashscope", cap=50)


async def ended(colour: str, world: ManyWorld, way: str, **options: Any) -> Any:
    """Return what a wait returned, or the error that it raised."""

    async def one(client: Any) -> Any:
        if way == "submit_many":
            return await many(client)
        task = await got(client.submit(MODEL, INPUT))
        try:
            if way == "wait":
                return await got(task.wait(**CANCEL))
            if way == "as_completed":
                return await many(client, task)
            if colour == "sync":
                list(task.updates(**CANCEL))
            else:
                assert [one async for one in task.updates(**CANCEL)]
        except StillGoing as error:
            return error
        return task.outcome

    async def many(client: Any, *tasks: Any) -> Any:
        every = client.as_completed(tasks, **CANCEL) if tasks else client.submit_many([Job(MODEL, INPUT)], **CANCEL)
        (finished,) = list(every) if colour == "sync" else [one async for one in every]
        return finished.outcome or finished.error

    if colour == "sync":
        with world.client(**options) as client:
            return await one(client)
    async with world.client(is_async=True, **options) as client:
        return await one(client)


@in_each_colour
@pytest.mark.parametrize("way", ["wait", "updates", "submit_many", "as_completed"])
def test_a_queued_task_is_cancelled_at_its_deadline(colour: str, way: str) -> None:
    """A task that is queued when the time is up is cancelled then and not before, and the timeout says so in 5 s."""
    world = a_world("PENDING 600s -> RUNNING 5s -> SUCCEEDED")
    error = run_in(colour, lambda: ended(colour, world, way))
    assert isinstance(error, StillQueued)
    assert (error.phase, error.billing) == (Phase.CANCELED, Billing.PARTIAL_POSSIBLE)
    assert "was canceled" in str(error)
    assert WAIT_S <= world.now_s <= WAIT_S + CLOSING_S
    assert world.counters["cancel_requests"] == 1


@in_each_colour
@pytest.mark.parametrize("way", ["wait", "updates", "submit_many", "as_completed"])
def test_a_result_that_came_meanwhile_is_returned(colour: str, way: str) -> None:
    """A task that succeeds between the last poll and its cancel is returned, and is billed."""
    world = a_world("PENDING 1s -> RUNNING 28s -> SUCCEEDED")
    outcome = run_in(colour, lambda: ended(colour, world, way))
    assert outcome.video_url
    assert outcome.billing is Billing.BILLED
    assert WAIT_S <= world.now_s <= WAIT_S + CLOSING_S


@in_each_colour
def test_a_cancel_that_is_refused_leaves_the_timeout(colour: str) -> None:
    """A task that runs and cannot be cancelled goes on: the timeout says so, and why."""
    world = a_world("PENDING 1s -> RUNNING 300s -> SUCCEEDED")
    error = run_in(colour, lambda: ended(colour, world, "wait"))
    assert isinstance(error, StillRunning)
    assert error.phase is Phase.RUNNING
    assert "the service did not cancel it: HTTP 400" in str(error)
    assert error.resume_token is not None


@pytest.mark.parametrize("way", ["wait", "updates", "submit_many", "as_completed"])
@pytest.mark.parametrize("lifecycle", ["PENDING 600s -> SUCCEEDED", "PENDING 1s -> RUNNING 28s -> SUCCEEDED"])
def test_both_colours_cancel_alike(way: str, lifecycle: str) -> None:
    """Blocking, on asyncio and on trio, the same happens at the same instants."""

    def traces(colour: str) -> list[str]:
        world = a_world(lifecycle)
        run_in(colour, lambda: ended(colour, world, way))
        return [f"{event.at_s:.3f} {event}" for event in world.events]

    assert traces("sync") == traces("asyncio") == traces("trio")


class Script:
    """A service whose task never ends by itself.

    Args:
        cancel: What a cancel is answered with.
        after: What is said of the task once it was cancelled.
        query: What is said of the task before.
    """

    def __init__(
        self, cancel: Reply | Broken = YES, after: Reply | Broken | None = None, query: Reply | None = None
    ) -> None:
        self._cancel, self._after = cancel, after
        self._query = query or said("task-1", "PENDING")
        self.asked: list[tuple[str, float]] = []

    def __call__(self, asked: Asked) -> Reply | Broken:
        self.asked.append((f"{asked.method} {asked.path.rpartition('/')[2]}", asked.at_s))
        if asked.path.endswith("/cancel"):
            return self._cancel
        has_come = any(what == "POST cancel" for what, _ in self.asked)
        return self._after if has_come and self._after is not None else self._query


@in_each_colour
@pytest.mark.parametrize(
    ("cancel", "after", "words"),
    [
        (Broken("ReadTimeout"), None, "whether the service took the cancel is not known"),
        (Reply(502, "bad gateway"), None, "HTTP 502"),
        (YES, None, "the service took the cancel"),
        (YES, Broken("ConnectError"), "the service took the cancel"),
        (NOT_PENDING, Reply(503, "later"), "did not cancel it"),
        (Reply(429, {"code": "Throttling", "message": "no"}, {"retry-after": "60"}), None, "did not cancel it"),
    ],
)
def test_the_timeout_stays_the_error(colour: str, cancel: Any, after: Any, words: str) -> None:
    """Whatever comes of the cancel, the timeout is raised with where the task stands, and says what came of it."""
    script, clock = Script(cancel, after), VirtualClock()

    async def main() -> None:
        async with a_client(colour, "httpx", script, clock) as client:
            with pytest.raises(StillQueued, match=words) as caught:
                await got(client.task("task-1").wait(**CANCEL))
            assert not caught.value.safe_to_submit_again

    run_in(colour, main)
    assert [what for what, _ in script.asked].count("POST cancel") == 1
    assert clock.now().monotonic_s <= WAIT_S + CLOSING_S


@in_each_colour
def test_an_end_of_its_own_is_no_timeout(colour: str) -> None:
    """A task that failed meanwhile has failed; the error is the failure."""
    script = Script(NOT_PENDING, said("task-1", "FAILED", code="X", message="why"))

    async def main() -> None:
        async with a_client(colour, "httpx", script) as client:
            with pytest.raises(TaskFailed, match="X: why"):
                await got(client.task("task-1").wait(**CANCEL))

    run_in(colour, main)


@in_each_colour
def test_a_retry_after_beyond_the_deadline_never_cancels(colour: str) -> None:
    """Where the service asks to come back after the deadline, the wait ends and nothing is cancelled."""
    script = Script(query=Reply(429, {"code": "Throttling", "message": "slow"}, {"retry-after": "100"}))

    async def main() -> None:
        async with a_client(colour, "httpx", script) as client:
            with pytest.raises(StillGoing) as caught:
                await got(client.task("task-1").wait(**CANCEL))
            assert caught.value.come_back_in_s is not None

    run_in(colour, main)
    assert all(what != "POST cancel" for what, _ in script.asked)


@in_each_colour
def test_a_limit_of_a_phase_never_cancels(colour: str) -> None:
    """A wait that ends by another limit than its deadline leaves the task alone."""
    script, policy = Script(), WaitPolicy(phase_limits_s={Phase.QUEUED: 10.0}, on_timeout="cancel")

    async def main() -> None:
        async with a_client(colour, "httpx", script, wait_policy=policy) as client:
            with pytest.raises(StillQueued, match="limit for this phase"):
                await got(client.task("task-1").wait())

    run_in(colour, main)
    assert all(what != "POST cancel" for what, _ in script.asked)


@pytest.mark.parametrize("way", ["the call", "the client"])
@in_each_colour
def test_the_usual_can_be_overruled(colour: str, way: str) -> None:
    """The client's policy says what is usual, and each call may say otherwise; without either nothing is cancelled."""
    script = Script(YES, said("task-1", "CANCELED"))

    async def main() -> None:
        usual = WaitPolicy(timeout_s=WAIT_S, on_timeout="cancel" if way == "the client" else "keep_running")
        async with a_client(colour, "httpx", script, wait_policy=usual) as client:
            other = "keep_running" if way == "the client" else None
            with pytest.raises(StillQueued) as caught:
                await got(client.task("task-1").wait(on_timeout=other))
            assert caught.value.phase is Phase.QUEUED
            assert all(what != "POST cancel" for what, _ in script.asked)
            with pytest.raises(StillQueued) as caught:
                await got(client.task("task-1").wait(on_timeout=None if way == "the client" else "cancel"))
            assert caught.value.phase is Phase.CANCELED

    run_in(colour, main)


@in_each_colour
@pytest.mark.parametrize("way", ["client", "wait", "updates", "submit_many", "as_completed"])
def test_where_nothing_can_be_cancelled_nothing_is_sent(colour: str, way: str) -> None:
    """In the dialect without a cancel the call is refused before a submit or a query leaves."""
    script = Script()

    async def main() -> None:
        options: dict[str, Any] = {"dialect": "aisa"}
        if way == "client":
            options["wait_policy"] = WaitPolicy(on_timeout="cancel")
        async with a_client(colour, "httpx", script, **options) as client:
            task, wanted = client.task("task-1"), {"on_timeout": "cancel"}
            if way == "client":
                return
            if way == "wait":
                await got(task.wait(**wanted))
            elif way == "submit_many":
                client.submit_many([Job(MODEL, INPUT)], **wanted)
            elif way == "as_completed":
                client.as_completed([task], **wanted)
            elif colour == "sync":
                list(task.updates(**wanted))
            else:
                assert [one async for one in task.updates(**wanted)]

    with pytest.raises(ConfigurationError, match=r"no way to cancel|nothing was sent"):
        run_in(colour, main)
    assert script.asked == []


def test_nonsense_is_refused() -> None:
    """Anything but the two words is refused, and so is a cancel where no service is known that has one."""
    with pytest.raises(ConfigurationError, match="on_timeout"):
        WaitPolicy(on_timeout="stop")  # type: ignore[arg-type]  # what callers without a type checker pass
    from resilient_poll.dashscope.wire.dialects import LIFECYCLE  # noqa: PLC0415  # any table will do

    with pytest.raises(ConfigurationError, match="poll"):
        poll(lambda: "PENDING", lifecycle=LIFECYCLE, policy=WaitPolicy(on_timeout="cancel"))


def test_ctrl_c_never_cancels() -> None:
    """Interrupted at any moment of its wait, a task is not cancelled."""
    script = Script()

    class Interrupting(VirtualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.now().monotonic_s > WAIT_S / 2:
                raise KeyboardInterrupt

    async def main() -> None:
        async with a_client("sync", "httpx", script, Interrupting()) as client:
            with pytest.raises(KeyboardInterrupt):
                client.task("task-1").wait(**CANCEL)

    run_in("sync", main)
    assert all(what != "POST cancel" for what, _ in script.asked)


@in_each_colour
def test_the_ledger_knows_of_the_cancel(colour: str) -> None:
    """A task that was cancelled because of its timeout is at its end in the ledger, and its caller knows it."""
    service, ledger = Service(steps=({"word": "PENDING"},)), MemoryLedger()

    def answers(asked: Asked) -> Reply | Broken:
        if asked.path.endswith("/cancel"):
            service._steps = ({"word": "CANCELED"},)
            return YES
        return service(asked)

    async def main() -> None:
        async with a_client(colour, "httpx", answers, ledger=ledger) as client:
            with pytest.raises(StillQueued):
                await got((await got(client.submit(MODEL, INPUT, idempotency_key="k"))).wait(**CANCEL))

    run_in(colour, main)
    entry = only_entry(ledger)
    assert entry.phase is Phase.CANCELED
    assert entry.delivered_wall_s is not None


@given(
    st.floats(0, 8),
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["seen", "made", "busy", "gone"])), min_size=2, max_size=2),
    st.just(0.0) | st.floats(0, 9),
)
def test_closing_is_bounded(late_s: float, answers: list[tuple[float, str]], floor_ahead_s: float) -> None:
    """However slow the answers are, one cancel and one query leave at most, none early, and all is over in 5 s."""
    clock = VirtualClock()
    # With its own connections it would load the certificates for each example.
    options: dict[str, Any] = {"dialect": "dashscope", "api_key": "sk-test", "base_url": "http://api.test/v1"}
    with DashScope(**options, clock=clock, http_client=UNUSED) as client:
        task = client.task("task-1")
        task._begin(WaitPolicy(timeout_s=WAIT_S, schedule=Fixed(3.0), on_timeout="cancel"))
        clock.advance(WAIT_S - 4 + late_s)
        began_s = max(WAIT_S, clock.now().monotonic_s)
        client._core.query_floor.raise_to(clock.now().monotonic_s + floor_ahead_s)
        closing = Closing(task._poller, Done(DoneReason.DEADLINE), client._core, clock.now())
        left, sent, lasting_s = list(answers), 0, 0.0
        while not isinstance(command := closing.next_command(clock.now()), Done):
            now_s = clock.now().monotonic_s
            if isinstance(command, SleepUntil):
                assert math.isfinite(command.at_s)
                clock.advance(command.at_s - now_s)
                continue
            assert isinstance(command, Query)
            assert now_s >= max(WAIT_S, client._core.query_floor.not_before_s)
            share, what = left.pop(0)
            lasting_s = command.timeout_s
            clock.advance(share * lasting_s)
            sent += 1
            heard: Any = {
                "seen": StatusSeen(status="PENDING"),
                "made": StatusSeen(status="SUCCEEDED", result=MADE),
                "busy": Throttled(retry_after_s=3.0),
                "gone": Unreachable(reason="gone"),
            }[what]
            closing.receive(heard, clock.now())
        assert sent <= 2
        assert clock.now().monotonic_s <= began_s + CLOSING_S + 1e-6
        assert sent or floor_ahead_s > 0
        if not floor_ahead_s and answers[0][1] != "busy" and late_s <= 4:
            assert sent == 2
            assert lasting_s >= LOOK_S - 1e-6  # However slow the cancel was, there is time to look.
