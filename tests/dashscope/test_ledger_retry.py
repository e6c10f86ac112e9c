"""Trying a key again: the next attempt for who has the key only, after a restart too; and what the keys cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from resilient_poll import (
    Billing,
    ConfigurationError,
    Phase,
    PriceTable,
    SubmitInDoubt,
    SubmitRefused,
    SubmitThrottled,
    TaskFailed,
)
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.errors import ResultAtOnce, RetryRefused
from resilient_poll.ledger.errors import ActRefused, IdempotencyConflict
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.dashscope.ledger_clients import BUSY, FAILED, LOST, MADE, REFUSED, URL, Service, only_entry
from tests.dashscope.scripted import Reply, a_client
from tests.support.colours import COLOURS, INPUT, MODEL, got, run_in

in_each_colour = pytest.mark.parametrize("colour", COLOURS)
AT_ONCE = Reply(200, {"request_id": "r", "output": {"video_url": URL}})
RUNNING = {"word": "RUNNING"}


@in_each_colour
def test_a_key_is_tried_again_after_a_restart(colour: str, tmp_path: Path) -> None:
    """With the key and the request another process makes attempt 2 of a task that failed, once, and it is the key's."""
    service, path = Service(steps=(FAILED,)), tmp_path / "ledger.sqlite3"

    async def main() -> None:
        with SqliteLedger(path) as ledger:
            async with a_client(colour, "httpx", service, ledger=ledger) as client:
                with pytest.raises(TaskFailed):
                    await got((await got(client.submit(MODEL, INPUT, {"seed": 1}, idempotency_key="k"))).wait())
        with SqliteLedger(path) as ledger:
            async with a_client(colour, "httpx", service, ledger=ledger) as client:
                with pytest.raises(IdempotencyConflict):
                    await got(client.retry("k", MODEL, INPUT, {"seed": 2}))
                task = await got(client.retry("k", MODEL, INPUT, {"seed": 1}))
                assert (task.id, task.phase) == ("task-2", Phase.QUEUED)
                with pytest.raises(RetryRefused, match="not known to have ended"):
                    await got(client.retry("k", MODEL, INPUT, {"seed": 1}))
                with pytest.raises(TaskFailed):
                    await got(task.wait())
                assert (await got(task.retry())).id == "task-3", "a task of a retry has all that a task has"
            assert [entry.attempt for entry in ledger.entries()] == [3, 2, 1]

    run_in(colour, main)
    assert service.creates == 3
    assert service.bodies[0] == service.bodies[1] == service.bodies[2]


@in_each_colour
def test_an_attempt_that_was_begun_and_not_sent_is_gone_on_with(colour: str) -> None:
    """Who tries a key again after a process that was killed while it did so goes on with that attempt."""
    service, ledger = Service(steps=(FAILED,)), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            task = await got(client.submit(MODEL, INPUT, idempotency_key="k"))
            with pytest.raises(TaskFailed):
                await got(task.wait())
            ended = only_entry(ledger)
            assert ledger.begin_attempt(ended, now_wall_s=2e9).phase is Phase.NEW
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            assert (await got(client.retry("k", MODEL, INPUT))).id == "task-2"

    run_in(colour, main)
    assert sorted((entry.attempt, entry.task_id) for entry in ledger.entries()) == [(1, "task-1"), (2, "task-2")]


@in_each_colour
def test_two_who_try_a_key_again_make_one_attempt(colour: str) -> None:
    """Of two clients that try a key again, the second one joins the first one's attempt if both saw the same end."""
    service, ledger = Service(steps=(FAILED,)), MemoryLedger()

    async def main() -> None:
        async with (
            a_client(colour, "httpx", service, ledger=ledger) as one,
            a_client(colour, "httpx", service, ledger=ledger) as other,
        ):
            with pytest.raises(TaskFailed):
                await got((await got(one.submit(MODEL, INPUT, idempotency_key="k"))).wait())
            task = await got(other.resume("k"))
            seen = other._core.create_of_key("k", "video", MODEL, INPUT, None)
            other._core.entry_to_retry(seen)
            assert (await got(one.retry("k", MODEL, INPUT))).id == "task-2"
            late = type(task)(other, task._poller.record, seen)
            assert (await got(late.retry())).id == "task-2"

    run_in(colour, main)
    assert service.creates == 2


@in_each_colour
def test_a_charge_needs_consent(colour: str) -> None:
    """After a charge, of a task or of a result that came at once, a key is tried again with consent only."""
    service, ledger = Service(Reply(*said_made()), AT_ONCE, steps=(MADE,)), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            await got((await got(client.submit(MODEL, INPUT, idempotency_key="task"))).wait())
            with pytest.raises(ResultAtOnce):
                await got(client.submit(MODEL, INPUT, idempotency_key="at once"))
            for key, refusal in (("task", RetryRefused), ("at once", ActRefused)):
                with pytest.raises(refusal, match="accept_second_charge=True"):
                    await got(client.retry(key, MODEL, INPUT))
            assert service.creates == 2
            for number, key in enumerate(("task", "at once"), 1):
                again = await got(client.retry(key, MODEL, INPUT, accept_second_charge=True))
                assert again.id == f"task-{number}"
            with pytest.raises(ConfigurationError, match="must be True or False"):
                await got(client.retry("task", MODEL, INPUT, accept_second_charge="false"))

    run_in(colour, main)
    assert service.creates == 4


def said_made() -> tuple[int, Any]:
    """Return the answer to a create that the service's script does not number."""
    return 200, {"request_id": "r", "output": {"task_id": "task-0", "task_status": "PENDING"}}


@in_each_colour
def test_what_cannot_be_tried_again_says_why(colour: str) -> None:
    """A doubt, a key that nobody knows or nothing was sent of, and no key at all: each is told, and nothing is sent."""
    service, ledger, clock = Service(LOST, BUSY), MemoryLedger(), VirtualClock()

    async def main() -> None:
        async with a_client(colour, "httpx", service, clock, ledger=ledger) as client:
            with pytest.raises(SubmitInDoubt):
                await got(client.submit(MODEL, INPUT, idempotency_key="lost"))
            with pytest.raises(SubmitThrottled):
                await got(client.submit(MODEL, INPUT, idempotency_key="busy", timeout=2))
            with pytest.raises(SubmitInDoubt, match="in doubt"):
                await got(client.retry("lost", MODEL, INPUT, accept_second_charge=True))
            for key, told in (("busy", "submit"), ("no such", "knows nothing"), (None, "characters on one line")):
                with pytest.raises(ConfigurationError, match=told) as caught:
                    await got(client.retry(key, MODEL, INPUT))
                assert caught.value.safe_to_submit_again
        async with a_client(colour, "httpx", service) as client:
            with pytest.raises(ConfigurationError, match="knows nothing"):
                await got(client.retry("lost", MODEL, INPUT))

    run_in(colour, main)
    assert service.creates == 2


@in_each_colour
def test_a_refused_key_can_be_tried_again(colour: str) -> None:
    """A key that was refused has no task, and retry() makes its next attempt as submit() does."""
    service, ledger = Service(REFUSED), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            with pytest.raises(SubmitRefused):
                await got(client.submit(MODEL, INPUT, idempotency_key="k"))
            assert (await got(client.retry("k", MODEL, INPUT))).id == "task-1"

    run_in(colour, main)
    assert [(entry.attempt, entry.task_id) for entry in ledger.entries()] == [(2, "task-1"), (1, None)]


@in_each_colour
def test_the_bill_of_an_account(colour: str) -> None:
    """bill() says what this account sent within a time, in amounts that are exact, and nothing of another account."""
    prices = PriceTable.of({"currency": "USD", "models": {MODEL: {"second": "0.10"}}})
    usage = {"video_duration": 4, "video_count": 1}
    service, ledger, clock = Service(LOST, steps=({**MADE, "usage": usage},)), MemoryLedger(), VirtualClock()

    async def main() -> None:
        async with a_client(colour, "httpx", service, clock, ledger=ledger, prices=prices, account="a") as client:
            began = datetime.fromtimestamp(clock.now().wall_s, UTC)
            with pytest.raises(SubmitInDoubt):
                await got(client.submit(MODEL, INPUT, {"duration": 5}, idempotency_key="lost"))
            await got((await got(client.submit(MODEL, INPUT, {"duration": 5}))).wait())
            await got(client.submit(MODEL, INPUT, {"duration": 10}))
            (row,) = (await got(client.bill())).rows
            sums = (row.model, row.currency, row.billed, row.may_yet_be_billed, row.in_doubt)
            assert sums == (MODEL, "USD", Decimal("0.40"), Decimal("1.00"), Decimal("0.50"))
            assert (await got(client.bill(since=began + timedelta(days=1)))).rows == ()
            assert (await got(client.bill(until=began))).rows == ()
            assert len((await got(client.bill(since=began, until=began + timedelta(days=1)))).rows) == 1
            for wrong in ({"since": began + timedelta(days=1), "until": began}, {"since": datetime(2026, 1, 1)}):  # noqa: DTZ001  # on purpose
                with pytest.raises(ConfigurationError, match="since"):
                    await got(client.bill(**wrong))
        async with a_client(colour, "httpx", service, clock, ledger=ledger, account="b") as client:
            assert (await got(client.bill())).rows == ()
        async with a_client(colour, "httpx", service) as client:
            with pytest.raises(ConfigurationError, match="pass ledger="):
                await got(client.bill())

    run_in(colour, main)
    assert {entry.billing for entry in ledger.entries()} == {Billing.UNDETERMINED, Billing.BILLED, Billing.NOT_YET}
