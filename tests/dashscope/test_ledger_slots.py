"""Tasks hold slots in the ledger: no submit passes over the cap, and nobody dead keeps a slot for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resilient_poll import DashScope, Job, Limits, Phase, SubmitInDoubt, SubmitNotSent
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.events import Event, Waiting
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.slots import DOUBT_HOLDS_S
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.commands import SleepReason
from tests.dashscope.ledger_clients import LOST, MADE, REFUSED, Service, Watched
from tests.dashscope.scripted import a_client
from tests.support.colours import COLOURS, INPUT, MODEL, got, run_in

in_each_colour = pytest.mark.parametrize("colour", COLOURS)
RUNNING = {"word": "RUNNING"}
ONE = Limits(concurrent_tasks=1)


@in_each_colour
def test_a_submit_waits_for_a_slot_and_is_told_why(colour: str) -> None:
    """While another's task holds the only slot nothing is sent; the wait is told with its reason, and ends in time."""
    service, ledger, told = Service(steps=(RUNNING,)), MemoryLedger(), list[Event]()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger, limits=ONE) as first:
            await got(first.submit(MODEL, INPUT))
            async with a_client(colour, "httpx", service, ledger=ledger, limits=ONE, on_event=told.append) as second:
                with pytest.raises(SubmitNotSent, match="1 of at most 1 tasks of the account are open") as caught:
                    await got(second.submit(MODEL, INPUT, timeout=20.0))
        assert caught.value.attempts == 0
        assert caught.value.come_back_in_s is not None

    run_in(colour, main)
    assert (service.creates, service.accepted) == (1, 1)
    waits = [event for event in told if isinstance(event, Waiting) and event.reason is SleepReason.SLOT]
    assert waits
    assert all(event.until_s - event.at_s <= 1.0 for event in waits)


@in_each_colour
def test_who_waits_looks_at_the_tasks_that_nobody_waits_for(colour: str, tmp_path: Path) -> None:
    """A slot whose task nobody waits for comes free at its end: who waits looks, seldom, and hands over nothing."""
    service = Service(steps=(RUNNING, RUNNING, MADE))
    ledger = Watched(SqliteLedger(tmp_path / "ledger.sqlite3"))

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger, limits=ONE) as first:
            await got(first.submit(MODEL, INPUT, idempotency_key="left alone"))
        async with a_client(colour, "httpx", service, ledger=ledger, limits=ONE) as second:
            await got(second.submit(MODEL, INPUT, idempotency_key="next"))
            assert service.accepted == 2
            # It looked three times, and no more often than every 15 s.
            assert service.queries == 3
            left = await got(second.resume("left alone"))
            assert left.phase is Phase.SUCCEEDED
            assert [entry.key for entry in ledger.ledger.undelivered()] == ["left alone"]

    run_in(colour, main)
    ledger.ledger.close()


@in_each_colour
def test_a_doubt_holds_its_slot_for_an_hour(colour: str) -> None:
    """A submit in doubt may have made a task, so it holds a slot; and not for ever."""
    service, ledger, clock = Service(LOST), MemoryLedger(), VirtualClock()

    async def main() -> None:
        async with a_client(colour, "httpx", service, clock, ledger=ledger, limits=ONE) as client:
            with pytest.raises(SubmitInDoubt):
                await got(client.submit(MODEL, INPUT))
            # Who waits looks every second; the hour passes while nobody does, and both of its edges are looked at.
            for not_yet_s in (0.0, DOUBT_HOLDS_S - 60.0):
                clock.sleep(not_yet_s)
                with pytest.raises(SubmitNotSent):
                    await got(client.submit(MODEL, INPUT, timeout=20.0))
            assert service.creates == 1
            await got(client.submit(MODEL, INPUT, timeout=40.0))
            assert service.creates == 2

    run_in(colour, main)


@in_each_colour
def test_what_is_refused_holds_no_slot(colour: str) -> None:
    """A refused submit frees its slot at once, and a key that has its task needs none."""
    service, ledger = Service(REFUSED), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger, limits=ONE) as client:
            with pytest.raises(Exception, match="refused"):
                await got(client.submit(MODEL, INPUT))
            task = await got(client.submit(MODEL, INPUT, idempotency_key="k", timeout=2.0))
            assert (await got(client.submit(MODEL, INPUT, idempotency_key="k", timeout=2.0))).id == task.id

    run_in(colour, main)
    assert service.creates == 2


def test_a_batch_keeps_to_the_slots_of_others_too() -> None:
    """A batch beside a task of another client has one slot less, does all its jobs, and never looks like a throttle."""
    service, ledger = Service(steps=(RUNNING, RUNNING, MADE)), MemoryLedger()
    clock, limits = VirtualClock(), Limits(concurrent_tasks=2)
    options: dict[str, Any] = {"ledger": ledger, "limits": limits, "clock": clock}
    most = 0

    def count() -> None:
        nonlocal most
        most = max(
            most, sum(ledger.counts().get(phase, 0) for phase in (Phase.SUBMITTING, Phase.QUEUED, Phase.RUNNING))
        )

    service.on_create = count
    made = a_client("sync", "httpx", service, **options)

    async def main() -> None:
        async with made as first, a_client("sync", "httpx", service, **options) as second:
            assert isinstance(second, DashScope)
            await got(first.submit(MODEL, INPUT))
            done = [one.outcome for one in second.submit_many(Job(MODEL, INPUT) for _ in range(4))]
            assert len(done) == 4
            assert None not in done

    run_in("sync", main)
    assert (service.accepted, most) == (5, 2)


def test_without_a_ledger_single_submits_are_not_bound() -> None:
    """Without a ledger nobody may ever see the end of a single task, so the cap does not stop the next."""
    service = Service(steps=(RUNNING,))

    async def main() -> None:
        async with a_client("sync", "httpx", service, limits=ONE) as client:
            for _ in range(3):
                await got(client.submit(MODEL, INPUT, timeout=2.0))

    run_in("sync", main)
    assert service.accepted == 3
