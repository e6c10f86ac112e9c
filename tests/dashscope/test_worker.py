"""A worker hands every end of the ledger's tasks to the application, at least once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from resilient_poll import (
    AsyncDashScope,
    Billing,
    ConfigurationError,
    DashScope,
    Fixed,
    HandedOver,
    Phase,
    ResultUnreadable,
    SubmitRefused,
    TaskCanceled,
    TaskExpired,
    TaskFailed,
    WaitPolicy,
)
from resilient_poll.dashscope.workers import shift as shifts
from resilient_poll.dashscope.workers import worker as workers
from resilient_poll.dashscope.workers.duty import CALLER_S, Scan, Tell
from resilient_poll.dashscope.workers.shift import LEASE_S, REST_S, SCAN_S
from resilient_poll.drive.clocks import RealAsyncClock, RealClock, VirtualClock
from resilient_poll.ledger.errors import LedgerUnavailable
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.machine.commands import SleepUntil, Turn
from tests.dashscope.ledger_clients import FAILED, LOST, MADE, REFUSED, URL, Service, Watched, full, only_entry
from tests.dashscope.scripted import Asked, Broken, Reply, a_client, said
from tests.support.colours import COLOURS, INPUT, MODEL, got, run_in

in_each_colour = pytest.mark.parametrize("colour", COLOURS)
RUNNING, CANCELED, UNKNOWN = {"word": "RUNNING"}, {"word": "CANCELED"}, {"word": "UNKNOWN"}
QUICK = WaitPolicy(schedule=Fixed(0.01), minimum_interval_s=0.01)
LONGEST_S = 60.0


class Handler:
    """Takes what a worker hands over, and raises a few times if it is told to."""

    def __init__(self, *, failures: int = 0, on_call: Callable[[HandedOver[Any]], None] = lambda _: None) -> None:
        self._failures = failures
        self._on_call = on_call
        self.calls: list[str] = []
        self.taken: dict[str, HandedOver[Any]] = {}
        self.has_taken = threading.Event()

    def __call__(self, handed: HandedOver[Any]) -> None:
        self.calls.append(handed.idempotency_key)
        self._on_call(handed)
        if self._failures:
            self._failures -= 1
            raise ValueError("the database is away")
        self.taken[handed.idempotency_key] = handed
        self.has_taken.set()


async def submitted(client: Any, *keys: str) -> None:
    for key in keys:
        await got(client.submit(MODEL, INPUT, idempotency_key=key))


@in_each_colour
@pytest.mark.parametrize(
    ("end", "kind", "phase", "billing"),
    [
        (MADE, None, Phase.SUCCEEDED, Billing.BILLED),
        (FAILED, TaskFailed, Phase.FAILED, Billing.NONE),
        (CANCELED, TaskCanceled, Phase.CANCELED, Billing.PARTIAL_POSSIBLE),
        (UNKNOWN, TaskExpired, Phase.EXPIRED, Billing.UNDETERMINED),
        ({"word": "SUCCEEDED"}, ResultUnreadable, Phase.SUCCEEDED, Billing.BILLED),
    ],
)
def test_every_end_is_handed_over(
    colour: str, end: dict[str, Any], kind: type[Exception] | None, phase: Phase, billing: Billing
) -> None:
    """Success, failure, cancel, an id that expired, a result that cannot be read: each reaches the handler once."""
    service, ledger, handler = Service(steps=(RUNNING, end)), MemoryLedger(), Handler()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            await submitted(client, "k")
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            counts = await got(client.worker(handler).run_until_idle())
            assert (counts.open, counts.waiting, counts.handed_over) == (0, 0, 1)
            assert (await got(client.worker(handler).run_until_idle())).handed_over == 0

    run_in(colour, main)
    assert handler.calls == ["k"]
    handed = handler.taken["k"]
    assert (handed.phase, handed.billing, handed.model, handed.attempt) == (phase, billing, MODEL, 1)
    assert handed.task_id == handed.task.id == "task-1"
    if kind is None:
        assert handed.result() is handed.outcome
        assert handed.outcome.video_url == URL
    else:
        assert handed.outcome is None
        with pytest.raises(kind):
            handed.result()
    assert only_entry(ledger).delivered_wall_s is not None


@in_each_colour
def test_ends_without_a_task_are_handed_over(colour: str) -> None:
    """A refusal and a result at once, whose process died before it told its caller, reach the handler."""
    ledger, handler = Watched(MemoryLedger()), Handler()
    done = Reply(200, {"request_id": "r-1", "output": {"results": [{"url": URL}]}})
    ledger.before["delivered"] = full
    clock = VirtualClock()

    async def main() -> None:
        async with a_client(colour, "httpx", Service(REFUSED, done), clock, ledger=ledger) as client:
            with pytest.raises(SubmitRefused):
                await submitted(client, "refused")
            await got(client.generate("wan2.6-t2i", INPUT, idempotency_key="at once"))
            ledger.before.clear()
            await got(client.worker(handler).run_until_idle())

    run_in(colour, main)
    refused, at_once = handler.taken["refused"], handler.taken["at once"]
    assert isinstance(refused.error, SubmitRefused)
    assert "InvalidParameter" in str(refused.error)
    assert at_once.outcome is not None
    assert at_once.outcome.urls == (URL,)
    assert refused.task_id is at_once.task_id is refused.task is None


@in_each_colour
def test_a_handler_that_raises_is_called_again(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that raises is called again, later each time, and keeps no other task waiting."""
    clock, when = VirtualClock(), []
    slow, quick = Handler(failures=3, on_call=lambda _: when.append(clock.now().monotonic_s)), Handler()
    service, ledger = Service(steps=(RUNNING, MADE)), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, clock, ledger=ledger) as client:
            await submitted(client, "slow", "quick")
            handler = lambda handed: (slow if handed.idempotency_key == "slow" else quick)(handed)  # noqa: E731  # short
            worker = client.worker(handler)
            counts = await got(worker.run_until_idle())
            assert (counts.handler_failures, counts.handed_over) == (3, 1)
            assert (await got(worker.run_until_idle())).handed_over == 1

    run_in(colour, main)
    assert slow.calls == ["slow"] * 4
    assert quick.calls == ["quick"]
    first, second = when[1] - when[0], when[2] - when[1]
    assert 0.75 <= first <= 1.25
    assert 1.5 <= second <= 2.5
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 3
    assert all("task-1" in record.getMessage() and record.exc_info for record in told)


@in_each_colour
def test_a_crash_before_the_handler_returns_calls_it_again(colour: str) -> None:
    """Where the process dies between an end and the handler's return, the next worker calls the handler anew."""
    clock, ledger, service = VirtualClock(), MemoryLedger(), Service(steps=(MADE,))

    class Died(BaseException):
        """It is killed."""

    def die(_: Any) -> None:
        raise Died

    async def main() -> None:
        async with a_client(colour, "httpx", service, clock, ledger=ledger) as client:
            await submitted(client, "k")
            with pytest.raises(Died):
                await got(client.worker(Handler(on_call=die)).run_until_idle())
        async with a_client(colour, "httpx", service, clock, ledger=ledger) as client:
            soon, late = Handler(), Handler()
            # Whoever saw the end has it for a while: it may be alive.
            assert (await got(client.worker(soon).run_until_idle(timeout=5))).elsewhere == 1
            await got(client.worker(late).run_until_idle())
            assert (soon.calls, late.calls) == ([], ["k"])

    run_in(colour, main)
    assert service.queries == 1


@in_each_colour
def test_what_the_handler_took_is_written_until_it_is(colour: str) -> None:
    """Where the ledger cannot note that the handler returned, it is noted later, and the handler is not called anew."""
    service, ledger, handler = Service(steps=(MADE,)), Watched(MemoryLedger()), Handler()
    times = [0]

    def twice() -> None:
        times[0] += 1
        if times[0] < 3:
            full()

    ledger.before["delivered"] = twice

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            await submitted(client, "k")
            await got(client.worker(handler).run_until_idle())

    run_in(colour, main)
    assert handler.calls == ["k"]
    assert only_entry(ledger.ledger).delivered_wall_s is not None


@in_each_colour
def test_what_was_told_is_not_told_again(colour: str) -> None:
    """An end that its own caller heard of is not handed over."""
    service, handler, ledger = Service(steps=(MADE,)), Handler(), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            await got((await got(client.submit(MODEL, INPUT, idempotency_key="k"))).wait())
            await got(client.worker(handler).run_until_idle())

    run_in(colour, main)
    assert handler.calls == []


@in_each_colour
def test_a_doubt_is_told_once_and_hands_nothing_over(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """A submit that is in doubt is counted and named once in the log, and nothing is handed over for it."""
    clock, handler, ledger = VirtualClock(), Handler(), MemoryLedger()
    service = Service(LOST, steps=(*[RUNNING] * 30, MADE))

    async def main() -> None:
        async with a_client(colour, "httpx", service, clock, ledger=ledger) as client:
            with pytest.raises(Exception, match="answer is lost"):
                await submitted(client, "lost")
            await submitted(client, "k")
            caplog.clear()
            assert (await got(client.worker(handler).run_until_idle())).in_doubt == 1

    run_in(colour, main)
    assert handler.calls == ["k"]
    assert clock.now().monotonic_s > 3 * SCAN_S
    assert len([record for record in caplog.records if "'lost'" in record.getMessage()]) == 1


@in_each_colour
def test_a_worker_that_was_paused_lets_go(colour: str) -> None:
    """A worker that stood still past its leases asks no more about tasks that another took meanwhile."""
    clock, ledger, asked = VirtualClock(), MemoryLedger(), list[str]()
    service = Service(steps=(RUNNING,))

    def answers(name: str) -> Callable[[Asked], Reply | Broken]:
        def answer(one: Asked) -> Reply | Broken:
            asked.append(name)
            return service(one)

        return answer

    async def main() -> None:
        async with (
            a_client(colour, "httpx", answers("first"), clock, ledger=ledger) as first,
            a_client(colour, "httpx", answers("second"), clock, ledger=ledger) as second,
        ):
            await submitted(first, *"abc")
            paused, other = first.worker(print), second.worker(print)
            shift = paused._begin()
            await steps(paused, shift, 1)
            assert len(shift.held) == 3
            await got(other.run_until_idle(timeout=5))
            asked.clear()
            clock.advance(LEASE_S + 1)
            taking = other._begin()
            await steps(other, taking, 1)
            assert len(taking.held) == 3
            await steps(paused, shift, 1)
            assert len(shift.held) == 0
            assert asked == []

    run_in(colour, main)


async def steps(worker: Any, shift: Any, number: int) -> None:
    """Carry out some commands of a worker."""
    if hasattr(worker, "_is_real"):  # The awaiting one.
        async with anyio.create_task_group() as group:
            for _ in range(number):
                await worker._step(shift, group)
    else:
        for _ in range(number):
            worker._step(shift)


@in_each_colour
def test_a_worker_that_is_killed_is_followed_by_another(colour: str) -> None:
    """Open tasks of a worker that is gone without a word are taken over when its leases run out."""
    clock, ledger, handler = VirtualClock(), MemoryLedger(), Handler()

    async def main() -> None:
        async with a_client(colour, "httpx", Service(steps=(MADE,)), clock, ledger=ledger) as client:
            await submitted(client, *"abc")
            gone = client.worker(print)
            await steps(gone, gone._begin(), 1)
            assert (await got(client.worker(handler).run_until_idle(timeout=5))).elsewhere == 3
            assert handler.calls == []
            assert (await got(client.worker(handler).run_until_idle())).elsewhere == 0
            assert clock.now().monotonic_s < 2 * LEASE_S

    run_in(colour, main)
    assert sorted(handler.calls) == ["a", "b", "c"]


def carry_out(worker: Any, shift: Any, command: Any, clock: VirtualClock) -> None:
    """Carry out one command of a blocking worker, as its own loop would."""
    if isinstance(command, Scan):
        shift.found(command.plan, worker._work.rota.scan(command.plan, clock.now()), clock.now())
    elif isinstance(command, Turn):
        shift.heard(command, shift.task_of(command)._ask(command.command), None, clock.now())
    else:
        clock.sleep(command.at_s - clock.now().monotonic_s)


def test_what_is_lost_while_it_is_asked_about_is_let_go() -> None:
    """A task that another took while a query of it was out is let go of once the answer is there."""
    clock, ledger = VirtualClock(), MemoryLedger()

    async def main() -> None:
        async with a_client("sync", "httpx", Service(steps=(RUNNING,)), clock, ledger=ledger) as client:
            await submitted(client, "k")
            slow, other = client.worker(print), client.worker(print)
            shift, theirs = slow._begin(), other._begin()
            while not isinstance(turn := shift.next_command(clock.now()), Turn):
                carry_out(slow, shift, turn, clock)
            clock.advance(LEASE_S + 1)
            await steps(other, theirs, 1)
            command = shift.next_command(clock.now())
            assert isinstance(command, Scan)
            carry_out(slow, shift, command, clock)
            assert list(shift.held) == ["task-1"]
            carry_out(slow, shift, turn, clock)
            assert list(shift.held) == []
            assert list(theirs.held) == ["task-1"]

    run_in("sync", main)


@in_each_colour
@pytest.mark.parametrize("is_heard", [True, False])
def test_an_end_is_left_to_its_own_caller_first(colour: str, is_heard: bool) -> None:
    """An end that somebody saw who waits for the task himself is handed over if he is silent for a while."""
    clock, ledger, handler = VirtualClock(), Watched(MemoryLedger()), Handler()
    ledger.before["delivered"] = full

    async def main() -> None:
        async with a_client(colour, "httpx", Service(steps=(MADE,)), clock, ledger=ledger) as client:
            await got((await got(client.submit(MODEL, INPUT, idempotency_key="k"))).wait())
            ledger.before.clear()
            worker = client.worker(handler)
            shift = worker._begin()
            began_s = clock.now().monotonic_s
            await steps(worker, shift, 1)
            assert list(shift.parcels)
            if is_heard:
                ledger.delivered(only_entry(ledger), now_wall_s=clock.now().wall_s)
            while shift.parcels:
                await steps(worker, shift, 1)
                assert not handler.calls or clock.now().monotonic_s - began_s >= CALLER_S

    run_in(colour, main)
    assert handler.calls == ([] if is_heard else ["k"])


@in_each_colour
def test_an_end_that_could_not_be_written_is_written_with_its_handover(colour: str) -> None:
    """Where the ledger could not be told of an end when it was seen, it is told before the end counts as told."""
    service, handler, ledger = Service(steps=(MADE,)), Handler(), Watched(MemoryLedger())
    ledger.before["observe"] = lambda: None if handler.calls else full()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            await submitted(client, "k")
            await got(client.worker(handler).run_until_idle())

    run_in(colour, main)
    entry = only_entry(ledger.ledger)
    assert (entry.phase, entry.billing) == (Phase.SUCCEEDED, Billing.BILLED)
    assert entry.delivered_wall_s is not None
    assert handler.calls == ["k"]


def test_a_slow_handler_keeps_its_end() -> None:
    """While a handler is at work, its end is nobody else's; after the time that a handler has, it is free."""
    clock, ledger, other = VirtualClock(), MemoryLedger(), Handler()

    async def main() -> None:
        async with a_client("sync", "httpx", Service(steps=(MADE,)), clock, ledger=ledger) as client:
            await submitted(client, "k")
            worker = client.worker(print, handler_time=100.0)
            shift = worker._begin()
            while not isinstance(command := shift.next_command(clock.now()), Tell):
                carry_out(worker, shift, command, clock)
            for _ in range(9):
                clock.advance(SCAN_S)
                while not isinstance(command := shift.next_command(clock.now()), SleepUntil):
                    carry_out(worker, shift, command, clock)
                client.worker(other).run_until_idle(timeout=0.1)
            assert other.calls == []
            for _ in range(4):
                clock.advance(SCAN_S)
                while not isinstance(command := shift.next_command(clock.now()), SleepUntil):
                    carry_out(worker, shift, command, clock)
            client.worker(other).run_until_idle(timeout=0.1)

    run_in("sync", main)
    assert other.calls == ["k"]


@in_each_colour
def test_a_worker_that_stops_leaves_its_tasks_to_others(colour: str) -> None:
    """A worker that ends in order gives its tasks back at once."""
    clock, ledger = VirtualClock(), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", Service(steps=(RUNNING,)), clock, ledger=ledger) as client:
            await submitted(client, *"ab")
            counts = await got(client.worker(print).run_until_idle(timeout=10))
            assert counts.open == 2
            assert all(entry.worker is None for entry in ledger.entries())

    run_in(colour, main)
    assert clock.now().monotonic_s == pytest.approx(10, abs=1)


@in_each_colour
def test_a_refusal_to_say_is_no_end(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """Where the service refuses to say how a task does, nothing is handed over, and the task is asked about later."""
    clock, handler, ledger = VirtualClock(), Handler(), MemoryLedger()
    service = Service(steps=(MADE,))
    is_locked = [True]

    def answers(asked: Asked) -> Reply | Broken:
        if asked.method == "GET" and is_locked[0]:
            service.queries += 1
            return Reply(401, {"code": "InvalidApiKey", "message": "no", "request_id": "r"})
        return service(asked)

    async def main() -> None:
        async with a_client(colour, "httpx", answers, clock, ledger=ledger) as client:
            await submitted(client, "k")
            counts = await got(client.worker(handler).run_until_idle())
            assert (counts.refused, counts.open, service.queries) == (1, 1, 1)
            worker = client.worker(handler)
            shift = worker._begin()
            await steps(worker, shift, 30)
            is_locked[0] = False
            began_s, before = clock.now().monotonic_s, service.queries
            while service.queries == before:
                await steps(worker, shift, 1)
            assert clock.now().monotonic_s - began_s <= REST_S

    run_in(colour, main)
    assert handler.calls == []
    assert any("task-1" in record.getMessage() for record in caplog.records if record.levelno == logging.ERROR)


@in_each_colour
def test_more_than_can_be_held_is_taken_in_turns(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more open tasks than a worker holds, few are in memory, and each has its turn also where none ends."""
    monkeypatch.setattr(shifts, "HELD_AT_ONCE", 6)
    monkeypatch.setattr(shifts, "PORTION", 3)
    clock, ledger, asked, most = VirtualClock(), MemoryLedger(), set[str](), [0]
    service = Service(steps=(RUNNING,))

    def answers(one: Asked) -> Reply | Broken:
        if one.method == "GET":
            asked.add(one.path)
        return service(one)

    async def main() -> None:
        async with a_client(colour, "httpx", answers, clock, ledger=ledger) as client:
            await submitted(client, *(f"k{number}" for number in range(30)))
            worker = client.worker(print)
            shift = worker._begin()
            while clock.now().monotonic_s < 600 and len(asked) < 30:
                await steps(worker, shift, 5)
                most[0] = max(most[0], len(shift.held))

    run_in(colour, main)
    assert len(asked) == 30
    assert most[0] == 6


@in_each_colour
def test_a_ledger_that_fails_does_not_end_the_worker(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """A ledger that cannot be used for a while is tried again; a worker that is to come to rest raises instead."""
    clock, handler = VirtualClock(), Handler()
    service, ledger = Service(steps=(MADE,)), Watched(MemoryLedger())

    async def main() -> None:
        async with a_client(colour, "httpx", service, clock, ledger=ledger) as client:
            await submitted(client, "k")
            ledger.before["claim"] = full
            with pytest.raises(LedgerUnavailable):
                await got(client.worker(handler).run_until_idle())
            worker = client.worker(handler)
            shift = worker._begin()
            await steps(worker, shift, 5)
            ledger.before.clear()
            while not handler.calls:
                await steps(worker, shift, 1)

    run_in(colour, main)
    assert handler.calls == ["k"]
    assert any("could not look into the ledger" in record.getMessage() for record in caplog.records)


class _RealForAsync:
    now = RealClock().now

    @staticmethod
    def for_async() -> RealAsyncClock:
        return RealAsyncClock()


def real_clock(colour: str) -> Any:
    """Return what has a client of a colour go by real time."""
    return RealClock() if colour == "sync" else _RealForAsync()


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize("colour", COLOURS)
def test_beside_the_caller(colour: str) -> None:
    """Beside the caller's own code, a task that is submitted meanwhile is handed over, and leaving ends the work."""
    service, ledger, handler = Service(steps=(RUNNING, RUNNING, MADE)), MemoryLedger(), Handler()

    async def main() -> None:
        options: dict[str, Any] = {"ledger": ledger, "wait_policy": QUICK, "clock": real_clock(colour)}
        async with a_client(colour, "httpx", service, **options) as client:
            worker = client.worker(handler)
            if colour == "sync":
                with worker:
                    await submitted(client, "k")
                    assert handler.has_taken.wait(LONGEST_S)
            else:
                async with worker:
                    await submitted(client, "k")
                    assert await anyio.to_thread.run_sync(handler.has_taken.wait, LONGEST_S)
            assert worker.counts.open == 0
            with pytest.raises(ZeroDivisionError):  # What the block raises goes on as it is.
                await broken(worker)

    async def broken(worker: Any) -> None:
        if colour == "sync":
            with worker:
                raise ZeroDivisionError
        async with worker:
            raise ZeroDivisionError

    run_in(colour, main)
    assert handler.calls == ["k"]
    assert only_entry(ledger).delivered_wall_s is not None


@pytest.mark.parametrize("colour", COLOURS)
def test_leaving_waits_for_a_handler(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving waits for a handler that is at work; for one that never returns only so long, and it is called again."""
    leaving, ledger = threading.Event(), MemoryLedger()
    began, late = threading.Event(), list[str]()

    def patient(handed: HandedOver[Any]) -> None:
        began.set()
        assert leaving.wait(LONGEST_S)
        late.append(handed.idempotency_key)

    def endless(handed: HandedOver[Any]) -> None:
        del handed
        began.set()
        leaving.wait()

    async def one(handler: Callable[[HandedOver[Any]], None], key: str) -> None:
        options: dict[str, Any] = {"ledger": ledger, "wait_policy": QUICK, "clock": real_clock(colour)}
        async with a_client(colour, "httpx", Service(steps=(MADE,)), account=key, **options) as client:
            await submitted(client, key)
            worker = client.worker(handler)
            original = worker.stop
            if handler is patient:
                worker.stop = lambda: (original(), leaving.set())
            if colour == "sync":
                with worker:
                    assert began.wait(LONGEST_S)
            else:
                async with worker:
                    assert await anyio.to_thread.run_sync(began.wait, LONGEST_S)

    run_in(colour, lambda: one(patient, "patient"))
    assert late == ["patient"]
    leaving.clear()
    began.clear()
    for module in (workers, __import__("resilient_poll.dashscope.workers.worker_async", fromlist=["x"])):
        monkeypatch.setattr(module, "HANDLERS_END_S", 0.05)
    try:
        run_in(colour, lambda: one(endless, "endless"))
    finally:
        leaving.set()
    stands = {entry.key: entry.delivered_wall_s is not None for entry in ledger.entries()}
    assert stands == {"patient": True, "endless": False}


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_worker_ends_in_order(colour: str) -> None:
    """Cancelled from outside, a worker lets its handler finish, notes that, and gives its other tasks back."""
    ledger, began, may_end, took = MemoryLedger(), anyio.Event(), anyio.Event(), list[str]()

    def answers(asked: Asked) -> Reply | Broken:
        if asked.path.endswith("task-1"):
            return said("task-1", "SUCCEEDED", video_url=URL)
        return service(asked)

    service = Service(steps=(RUNNING,))

    async def handle(handed: HandedOver[Any]) -> None:
        began.set()
        await may_end.wait()
        took.append(handed.idempotency_key)

    async def main() -> None:
        options: dict[str, Any] = {"ledger": ledger, "wait_policy": QUICK, "clock": real_clock(colour)}
        async with a_client(colour, "httpx", answers, **options) as client:
            await submitted(client, *"abc")
            async with anyio.create_task_group() as group:
                group.start_soon(client.worker(handle).run)
                await began.wait()
                group.cancel_scope.cancel()
                may_end.set()

    run_in(colour, main)
    assert took == ["a"]
    stands = {entry.key: (entry.delivered_wall_s is not None, entry.worker) for entry in ledger.entries()}
    assert stands == {"a": (True, None), "b": (False, None), "c": (False, None)}


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_the_ledger_is_used_off_the_event_loop(colour: str) -> None:
    """Nothing that a worker does in the ledger runs in the event loop's thread."""
    ledger, handler = Watched(MemoryLedger()), Handler()

    async def main() -> int:
        async with a_client(colour, "httpx", Service(steps=(RUNNING, MADE)), ledger=ledger) as client:
            await submitted(client, *"ab")
            ledger.calls.clear()
            await client.worker(handler).run_until_idle()
        return threading.get_ident()

    here = run_in(colour, main)
    assert {"claim", "claim_ends", "observe", "get", "delivered", "settle_the_dead"} <= set(ledger.names)
    assert all(thread != here for _, thread in ledger.calls)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_handler_runs_where_it_belongs(colour: str) -> None:
    """A plain handler is called off the event loop, and one that awaits on it; what a plain one returns is awaited."""
    where: dict[str, bool] = {}

    def plain(_: HandedOver[Any]) -> None:
        where["plain"] = threading.get_ident() == here[0]

    async def awaiting(_: HandedOver[Any]) -> None:
        where["awaiting"] = threading.get_ident() == here[0]

    here: list[int] = []

    async def main() -> None:
        here.append(threading.get_ident())
        for handler in (plain, awaiting, lambda handed: awaiting(handed)):  # noqa: PLW0108  # it is no coroutine function
            where.clear()
            ledger = MemoryLedger()
            async with a_client(colour, "httpx", Service(steps=(MADE,)), ledger=ledger) as client:
                await submitted(client, "k")
                await client.worker(handler).run_until_idle()
            assert where == ({"plain": False} if handler is plain else {"awaiting": True})

    run_in(colour, main)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_handlers_leave_room_for_the_ledger(colour: str) -> None:
    """Handlers that fill their threads and wait for what needs the ledger do not keep the ledger from its own."""
    at_work, may_end = threading.Semaphore(0), threading.Event()

    def handler(_: HandedOver[Any]) -> None:
        at_work.release()
        assert may_end.wait(20)

    async def main() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 2
        options: dict[str, Any] = {"ledger": Watched(MemoryLedger()), "wait_policy": QUICK, "clock": real_clock(colour)}
        async with a_client(colour, "httpx", Service(steps=(MADE,)), **options) as client:
            await submitted(client, "a", "b")
            async with client.worker(handler, handlers=2):
                with anyio.fail_after(20):
                    while at_work._value < 2:  # threads tell it, which set no event of the loop's
                        await anyio.lowlevel.checkpoint()
                    await client.bill()
                may_end.set()

    run_in(colour, main)


def test_nonsense_is_refused() -> None:
    """Without a ledger, with a handler that cannot be called, or that a blocking worker cannot await, there is none."""

    async def awaiting(handed: HandedOver[Any]) -> None:
        del handed

    settings: dict[str, Any] = {"dialect": "dashscope", "api_key": "sk-test"}
    for kind in (DashScope, AsyncDashScope):
        with pytest.raises(ConfigurationError, match="ledger="):
            kind(**settings).worker(print)
        with pytest.raises(ConfigurationError, match="on_outcome"):
            kind(**settings, ledger=MemoryLedger()).worker("print")  # type: ignore[arg-type]  # what others pass
        with pytest.raises(ConfigurationError, match="handler_time"):
            kind(**settings, ledger=MemoryLedger()).worker(print, handler_time=0)
    with DashScope(**settings, ledger=MemoryLedger(), clock=VirtualClock()) as client:
        with pytest.raises(ConfigurationError, match="plain function"):
            client.worker(awaiting)
        worker = client.worker(print)
        worker._begin()
        with pytest.raises(ConfigurationError, match="at work already"):
            worker.run()


def test_both_colours_do_the_same() -> None:
    """Blocking, on asyncio and on trio, the same is asked and told at the same instants."""

    def traces(colour: str) -> list[str]:
        clock, trace = VirtualClock(), list[str]()
        service = Service(steps=(RUNNING, RUNNING, MADE))

        def answers(asked: Asked) -> Reply | Broken:
            trace.append(f"{asked.at_s:.3f} {asked.method} {asked.path}")
            return service(asked)

        def handle(handed: HandedOver[Any]) -> None:
            trace.append(f"{clock.now().monotonic_s:.3f} {handed.idempotency_key} {len(trace)}")
            if len(trace) % 3 == 0:
                raise ValueError("not now")

        async def main() -> None:
            async with a_client(colour, "httpx", answers, clock, ledger=MemoryLedger()) as client:
                await submitted(client, *"abcd")
                await got(client.worker(handle).run_until_idle())

        run_in(colour, main)
        return trace

    assert traces("sync") == traces("asyncio") == traces("trio")


def test_a_task_says_what_it_makes() -> None:
    """A success that holds no video is asked about again, also where only the ledger says that it is one."""
    steps = ({"word": "SUCCEEDED", "text": "a result, where nobody knows what the task makes"}, MADE)
    service, ledger, handler = Service(steps=steps), MemoryLedger(), Handler()

    async def main() -> None:
        async with a_client("sync", "httpx", service, ledger=ledger) as client:
            await submitted(client, "k")
        async with a_client("sync", "httpx", service, ledger=ledger) as client:
            client.worker(handler).run_until_idle()

    run_in("sync", main)
    outcome = handler.taken["k"].outcome
    assert outcome is not None
    assert outcome.urls == (URL,)
