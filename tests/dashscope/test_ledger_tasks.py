"""Tasks that the ledger knows: picked up, restored without asking, tried again, limited, and without secrets."""

from __future__ import annotations

import inspect
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from resilient_poll import (
    Billing,
    ConfigurationError,
    DashScope,
    Job,
    Phase,
    SubmitInDoubt,
    TaskCanceled,
    TaskError,
    TaskExpired,
    TaskFailed,
)
from resilient_poll.dashscope.keeping.prices import PriceTable
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.errors import GuardRefused
from resilient_poll.ledger.guards import Guards, SpendLimit
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.dashscope.ledger_clients import FAILED, LOST, MADE, REFUSED, URL, Service, Watched, only_entry
from tests.dashscope.scripted import KEY, Reply, a_client
from tests.support.colours import COLOURS, INPUT, MODEL, got, run_in

in_each_colour = pytest.mark.parametrize("colour", COLOURS)
RUNNING = {"word": "RUNNING"}
UNKNOWN = {"word": "UNKNOWN"}
PRICES = PriceTable.of({"currency": "USD", "models": {MODEL: {"second": "0.10"}}})


@in_each_colour
@pytest.mark.parametrize("way", ["id", "token", "key", "refresh", "as_completed"])
@pytest.mark.parametrize("end", [MADE, FAILED], ids=lambda end: end["word"])
def test_a_task_that_is_picked_up_writes_its_end(colour: str, way: str, end: dict[str, Any]) -> None:
    """However a task is picked up, by another client, its end is written into its entry and counts as handed over."""
    service, ledger = Service(steps=(RUNNING, end)), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            first = await got(client.submit(MODEL, INPUT, idempotency_key="k"))
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            picked = {"token": first.resume_token, "key": "k"}.get(way, first.id)
            task = await got(client.resume("k")) if way == "key" else client.task(picked)
            try:
                if way == "refresh":
                    await got(task.refresh())
                    assert only_entry(ledger).phase is Phase.RUNNING
                    await got(task.refresh())
                elif way != "as_completed":
                    await got(task.wait())
                elif colour == "sync":
                    list(client.as_completed([task]))
                else:
                    assert [one async for one in client.as_completed([task])]
            except TaskFailed:
                assert end is FAILED

    run_in(colour, main)
    entry = only_entry(ledger)
    assert (entry.phase.value, entry.task_id) == (end["word"], "task-1")
    assert entry.billing is (Billing.BILLED if end is MADE else Billing.NONE)
    assert entry.delivered_wall_s is not None
    assert (entry.result is not None) is (end is MADE)


@in_each_colour
def test_ends_are_restored_without_a_request(colour: str) -> None:
    """A success is restored with its outcome, a failure with code and message, and neither is asked about again."""
    service, ledger = Service(steps=(MADE,)), MemoryLedger()
    failing = Service(steps=(FAILED,))

    async def main() -> None:
        for answers, key in ((service, "made"), (failing, "failed")):
            async with a_client(colour, "httpx", answers, ledger=ledger, account=key) as client:
                task = await got(client.submit(MODEL, INPUT, idempotency_key=key))
                try:
                    await got(task.wait())
                except TaskFailed:
                    assert key == "failed"
            before = answers.queries
            async with a_client(colour, "httpx", answers, ledger=ledger, account=key) as client:
                for again in (
                    await got(client.resume(key)),
                    await got(client.submit(MODEL, INPUT, idempotency_key=key)),
                ):
                    if key == "made":
                        assert again.outcome is not None
                        assert (await got(again.wait())).video_url == URL
                    else:
                        with pytest.raises(TaskFailed, match=r"InternalError\.Algo: sorry") as caught:
                            await got(again.wait())
                        assert caught.value.billing is Billing.NONE
            assert answers.queries == before

    run_in(colour, main)


@pytest.mark.parametrize(("levels", "is_kept"), [(60, True), (150, False), (800, False)])
def test_an_answer_that_is_nested_deeply_is_asked_for_again(levels: int, is_kept: bool) -> None:
    """An answer that could be read only near a program's bottom is not kept, so resuming deep inside one works."""
    odd: list[Any] = []
    for _ in range(levels):
        odd = [odd]
    service, ledger = Service(steps=({**MADE, "odd": odd},)), MemoryLedger()

    def deeper(frames: int, act: Any) -> Any:
        return deeper(frames - 1, act) if frames else act()

    async def main() -> None:
        async with a_client("sync", "httpx", service, ledger=ledger) as client:
            client.submit(MODEL, INPUT, idempotency_key="k").wait()
        assert (only_entry(ledger).result is not None) is is_kept
        before = service.queries
        async with a_client("sync", "httpx", service, ledger=ledger) as client:
            task = deeper(750 - len(inspect.stack()), lambda: client.resume("k"))
            assert task.wait().video_url == URL
        assert service.queries == before + (not is_kept)

    run_in("sync", main)


@in_each_colour
def test_an_end_that_only_the_token_knows_reaches_the_ledger(colour: str) -> None:
    """A token of an end brings the end into a ledger that did not know of it, without a request."""
    service, ledger = Service(steps=(FAILED,)), Watched(MemoryLedger())

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            task = await got(client.submit(MODEL, INPUT, idempotency_key="k"))
            ledger.before["observe"] = lambda: (_ for _ in ()).throw(ConfigurationError("it may not be written"))
            with pytest.raises(TaskFailed):
                await got(task.wait())
            ledger.before.clear()
            queries = service.queries
            with pytest.raises(TaskFailed):
                await got(client.task(task.resume_token).wait())
            assert service.queries == queries

    run_in(colour, main)
    assert only_entry(ledger).phase is Phase.FAILED


@in_each_colour
def test_an_expiry_is_written_and_can_be_reopened(colour: str) -> None:
    """A task that the service no longer knows ends as EXPIRED in the ledger, and a later answer reopens it there."""
    service, ledger = Service(steps=(UNKNOWN,) * 40 + (MADE,)), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            task = await got(client.submit(MODEL, INPUT, idempotency_key="k"))
            with pytest.raises(TaskExpired):
                await got(task.wait())
            assert only_entry(ledger).phase is Phase.EXPIRED
            service._asked["task-1"] = 40
            again = await got(client.resume("k"))
            assert (await got(again.wait())).video_url == URL

    run_in(colour, main)
    entry = only_entry(ledger)
    assert (entry.phase, entry.billing, entry.delivered_wall_s is None) == (Phase.SUCCEEDED, Billing.BILLED, False)


@in_each_colour
def test_what_others_did_to_an_entry_counts(colour: str) -> None:
    """A task that somebody gave up is restored as given up, and what was archived as it ended, both with their bill."""
    service, ledger = Service(steps=(FAILED,)), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            await got(client.submit(MODEL, INPUT, idempotency_key="given up"))
            ledger.abandon(only_entry(ledger), "nobody wants it", now_wall_s=1_750_000_001.0)
            task = await got(client.resume("given up"))
            assert (task.phase, task.billing) == (Phase.ABANDONED, Billing.NOT_YET)
            with pytest.raises(TaskCanceled, match="nobody wants it"):
                await got(task.wait())
            ended = await got(client.submit(MODEL, INPUT, idempotency_key="archived"))
            with pytest.raises(TaskFailed):
                await got(ended.wait())
            ledger.archive(3e9, now_wall_s=3e9)
            queries = service.queries
            with pytest.raises(TaskFailed, match="sorry") as caught:
                await got((await got(client.resume("archived"))).wait())
            assert caught.value.billing is Billing.NONE
            assert service.queries == queries

    run_in(colour, main)


@in_each_colour
def test_a_retry_is_the_key_s_next_attempt(colour: str) -> None:
    """A retry after a free failure is attempt 2 of the key, which everybody who has the key gets from then on."""
    service, ledger = Service(steps=(FAILED,)), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            task = await got(client.submit(MODEL, INPUT, idempotency_key="k"))
            with pytest.raises(TaskFailed):
                await got(task.wait())
            again = await got(task.retry())
            assert again.id == "task-2"
            newest, oldest = ledger.entries()
            assert [(one.attempt, one.task_id) for one in (newest, oldest)] == [(2, "task-2"), (1, "task-1")]
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            assert (await got(client.submit(MODEL, INPUT, idempotency_key="k"))).id == "task-2"
            assert (await got(client.resume("k"))).id == "task-2"

    run_in(colour, main)
    assert service.creates == 2


@in_each_colour
def test_two_processes_that_retry_make_one_attempt(colour: str) -> None:
    """Two clients that try the same failed task again get the same second task."""
    service, ledger = Service(steps=(FAILED,)), MemoryLedger()

    async def main() -> None:
        async with (
            a_client(colour, "httpx", service, ledger=ledger) as one,
            a_client(colour, "httpx", service, ledger=ledger) as other,
        ):
            tasks = [await got(client.submit(MODEL, INPUT, idempotency_key="k")) for client in (one, other)]
            for task in tasks:
                with pytest.raises(TaskFailed):
                    await got(task.wait())
            assert [(await got(task.retry())).id for task in tasks] == ["task-2", "task-2"]

    run_in(colour, main)
    assert service.creates == 2


@in_each_colour
def test_a_charged_attempt_needs_consent(colour: str) -> None:
    """After a charge nothing is tried again without consent, and with it there is attempt 2."""
    service, ledger = Service(steps=(MADE,)), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            task = await got(client.submit(MODEL, INPUT, idempotency_key="k"))
            await got(task.wait())
            with pytest.raises(TaskError, match="nothing was sent again"):
                await got(task.retry())
            assert len(ledger.entries()) == service.creates == 1
            assert (await got(task.retry(accept_second_charge=True))).id == "task-2"

    run_in(colour, main)
    assert [entry.attempt for entry in ledger.entries()] == [2, 1]


@in_each_colour
def test_what_cannot_be_resumed_says_why(colour: str) -> None:
    """An unknown key, another account's, a doubt, a refusal and a result at once each say what they are."""
    at_once = Reply(200, {"request_id": "r", "output": {"video_url": URL}})
    service, ledger = Service(LOST, REFUSED, at_once), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger, account="mine") as client:
            for key in ("lost", "refused", "at once"):
                with pytest.raises(Exception, match=r"."):  # Each its own; see below.
                    await got(client.submit(MODEL, INPUT, idempotency_key=key))
            with pytest.raises(SubmitInDoubt, match="in doubt"):
                await got(client.resume("lost"))
            for key, said in (("refused", "REFUSED"), ("at once", "SUCCEEDED"), ("no such", "knows nothing")):
                with pytest.raises(ConfigurationError, match=said):
                    await got(client.resume(key))
            await got(client.submit(MODEL, INPUT, idempotency_key="k"))
        async with a_client(colour, "httpx", service, ledger=ledger, account="another") as client:
            with pytest.raises(ConfigurationError, match="in this account"):
                await got(client.resume("k"))
        async with a_client(colour, "httpx", service) as client:
            with pytest.raises(ConfigurationError, match="pass ledger="):
                await got(client.resume("k"))

    run_in(colour, main)
    assert service.creates == 4


GUARDS = [
    (Guards(max_open_tasks=2), "max_open_tasks: limit 2, used 2, asked 1"),
    (Guards(max_tasks_per_day=2), "max_tasks_per_day: limit 2, used 2, asked 1"),
    (
        Guards(max_spend=(SpendLimit(Decimal("1.10"), "USD"),)),
        "max_spend: limit 1.10 USD, used 1.00 USD, asked 0.50 USD",
    ),
]


@in_each_colour
@pytest.mark.parametrize(("guards", "figures"), GUARDS, ids=["open", "a day", "spend"])
def test_a_limit_of_one_s_own_sends_nothing(colour: str, guards: Guards, figures: str) -> None:
    """What a limit forbids is not sent, and the error names the figures; what is known is brought all the same."""
    service = Service(steps=(RUNNING,))
    parameters = {"duration": 5}

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=MemoryLedger(), guards=guards, prices=PRICES) as client:
            for key in ("a", "b", "a"):
                await got(client.submit(MODEL, INPUT, parameters, idempotency_key=key))
            with pytest.raises(GuardRefused, match="nothing was sent") as caught:
                await got(client.submit(MODEL, INPUT, parameters, idempotency_key="c"))
            assert figures in str(caught.value)
            assert caught.value.safe_to_submit_again

    run_in(colour, main)
    assert service.creates == 2


@in_each_colour
def test_limits_among_many(colour: str) -> None:
    """In submit_many each job that a limit forbids finishes with that error, and the others are made."""
    service = Service(steps=(MADE,))

    async def main() -> None:
        guards = Guards(max_tasks_per_day=2)
        async with a_client(colour, "httpx", service, ledger=MemoryLedger(), guards=guards) as client:
            jobs = [Job(MODEL, INPUT) for _ in range(5)]
            if colour == "sync":
                finished = list(client.submit_many(jobs))
            else:
                finished = [one async for one in client.submit_many(jobs)]
        assert [type(one.error) for one in sorted(finished, key=lambda one: one.ordinal)] == [
            type(None),
            type(None),
            GuardRefused,
            GuardRefused,
            GuardRefused,
        ]

    run_in(colour, main)
    assert service.creates == 2


@pytest.mark.parametrize("prices", [None, PRICES])
def test_what_has_no_price_does_not_fit_into_a_spending_limit(prices: PriceTable | None) -> None:
    """Under a limit on spending a model without a price is refused, as nobody can say whether it fits."""
    service = Service()

    async def main() -> None:
        guards = Guards(max_spend=(SpendLimit(Decimal(100), "USD"),))
        async with a_client("sync", "httpx", service, guards=guards, prices=prices) as client:
            with pytest.raises(GuardRefused, match="its price is not known"):
                client.submit("another-model", INPUT)

    run_in("sync", main)
    assert service.creates == 0


def test_the_bill_has_what_the_answer_charges() -> None:
    """A task is on the bill with its estimate while it runs, and with what its answer charges afterwards."""
    usage = {"video_duration": 4, "video_count": 1}
    service, ledger = Service(steps=(RUNNING, {**MADE, "usage": usage})), MemoryLedger()

    async def main() -> None:
        async with a_client("sync", "httpx", service, ledger=ledger, prices=PRICES) as client:
            task = client.submit(MODEL, INPUT, {"duration": 5})
            assert [str(row.may_yet_be_billed) for row in ledger.bill().rows] == ["0.50"]
            task.wait()
        assert [(str(row.billed), row.may_yet_be_billed) for row in ledger.bill().rows] == [("0.40", 0)]

    run_in("sync", main)


def test_an_amount_that_is_no_round_number_ends_no_wait() -> None:
    """Seconds with many decimals are charged as what a ledger can keep, and the paid result is returned."""
    usage = {"duration": 5.041666666666667, "video_count": 1}
    service, ledger = Service(steps=({**MADE, "usage": usage},)), MemoryLedger()
    prices = PriceTable.of({"currency": "USD", "models": {"*": {"second": "0.123456789"}}})

    async def main() -> None:
        async with a_client("sync", "httpx", service, ledger=ledger, prices=prices) as client:
            assert client.submit(MODEL, INPUT).wait().video_url == URL

    run_in("sync", main)
    charge = only_entry(ledger).charge
    assert charge is not None
    assert Decimal("5.041666666666667") * Decimal("0.123456789") <= charge.amount < Decimal("0.62242798")


def all_bytes(folder: Path) -> bytes:
    """Return what is in a ledger's files, while it is open."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {"ledger.sqlite3", "ledger.sqlite3-wal"} <= {file.name for file in files}
    return b"".join(file.read_bytes() for file in files)


@in_each_colour
def test_no_secret_is_in_the_file(colour: str, tmp_path: Path) -> None:
    """Neither API key, nor prompt, nor a header is anywhere in the ledger's files, whatever the service quotes."""
    prompt, header = "a canary-prompt in a cage", "canary-header-value"
    quoting = Reply(400, {"code": "InvalidParameter", "message": f"bad key {KEY}", "request_id": KEY})
    lost = Reply(500, {"code": "InternalError", "message": f"with {KEY}", "request_id": "r"})
    made = {**MADE, "orig_prompt": prompt, "actual_prompt": f"{prompt}, 4k"}
    service = Service(quoting, lost, steps=({**RUNNING, "message": KEY}, made))
    path = tmp_path / "ledger.sqlite3"

    async def main() -> None:
        options: dict[str, Any] = {"headers": {"x-canary": header}, "clock": VirtualClock()}
        with SqliteLedger(path) as ledger:
            async with a_client(colour, "httpx", service, options.pop("clock"), ledger=ledger, **options) as client:
                for key in ("quoting", "lost"):
                    with pytest.raises(Exception, match=r"."):  # What it is is not the point.
                        await got(client.submit(MODEL, {"prompt": prompt}, idempotency_key=key))
                task = await got(client.submit(MODEL, {"prompt": prompt}, idempotency_key="k"))
                assert (await got(task.wait())).result["output"]["orig_prompt"] == prompt
                assert (await got((await got(client.resume("k"))).wait())).video_url == URL
            everything = all_bytes(tmp_path)
        assert b"task-1" in everything
        for secret in (KEY, "canary-prompt", header):
            assert secret.encode() not in everything

    run_in(colour, main)


def test_another_origin_or_dialect_is_another_account(tmp_path: Path) -> None:
    """A key that was used against one service means nothing at another, even for the same API key and label."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger:
        spaces = set()
        for dialect, url in (
            ("dashscope", "http://a.test/v1"),
            ("dashscope", "http://b.test/v1"),
            ("aisa", "http://a.test/v1"),
        ):
            with DashScope(dialect=dialect, api_key=KEY, base_url=url, ledger=ledger, account="x") as client:
                books = client._core.books
                assert books is not None
                spaces.add(books.namespace)
    assert len(spaces) == 3


@in_each_colour
def test_marks_of_any_request_can_be_kept(colour: str) -> None:
    """A request with however many and long names is submitted under its key as any other, and marked if that fits."""
    service, ledger = Service(), MemoryLedger()
    many = {f"{number:02}" + "x" * 80: number for number in range(40)}

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            await got(client.submit(MODEL, INPUT, {"size": "1280*720"}, idempotency_key="short"))
            await got(client.submit(MODEL, INPUT, many, idempotency_key="long"))

    run_in(colour, main)
    assert "prompt_mark" in ledger.entries(key="short").entries[0].about
    assert {"model", "endpoint", "base_url"} <= ledger.entries(key="long").entries[0].about.keys()
