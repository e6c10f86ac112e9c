"""The client on every store: in memory, in a file, and on a PostgreSQL server."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from resilient_poll import Billing, Phase, PriceTable, SubmitInDoubt, TaskFailed
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.errors import GuardRefused
from resilient_poll.ledger.guards import Guards, SpendLimit
from resilient_poll.ledger.logic import LedgerLogic
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.rows import ENTRIES, STRAYS
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.dashscope.keys_worker import open_ledger
from tests.dashscope.ledger_clients import FAILED, LOST, MADE, URL, Service
from tests.dashscope.ledger_worker import KEY_OF_ALL, working
from tests.dashscope.scripted import KEY, Reply, a_client
from tests.ledger.conftest import conninfo, postgres_server  # noqa: F401  # pytest finds fixtures by their names
from tests.support.colours import COLOURS, INPUT, MODEL, dashscope_client, got, run_in
from tests.support.fake_process import FakeProcess, running_fake

in_each_colour = pytest.mark.parametrize("colour", COLOURS)
PRICES = PriceTable.of({"currency": "USD", "models": {MODEL: {"second": "0.10"}, "wan2.5-t2i": {"image": "0.03"}}})
RUNNING = {"word": "RUNNING"}


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of each kind."""
    if request.param == "memory":
        yield MemoryLedger()
    elif request.param == "sqlite":
        with SqliteLedger(tmp_path / "ledger.sqlite3") as file:
            yield file
    else:
        with open_ledger(request.getfixturevalue("conninfo")) as server:
            yield server


@in_each_colour
def test_a_key_from_its_submit_to_its_bill(colour: str, ledger: Ledger) -> None:
    """Submitted, brought again, resumed, failed, tried again and paid: each store tells the same story."""
    usage = {"video_duration": 4, "video_count": 1}
    service = Service(steps=(FAILED,))

    async def main() -> None:
        options = {"ledger": ledger, "prices": PRICES, "account": "studio"}
        async with a_client(colour, "httpx", service, **options) as client:
            task = await got(client.submit(MODEL, INPUT, {"duration": 5}, idempotency_key="k"))
            assert (await got(client.submit(MODEL, INPUT, {"duration": 5}, idempotency_key="k"))).id == task.id
            with pytest.raises(TaskFailed):
                await got((await got(client.resume("k"))).wait())
            service._steps = (RUNNING, {**MADE, "usage": usage})
        async with a_client(colour, "httpx", service, **options) as client:
            made = await got((await got(client.retry("k", MODEL, INPUT, {"duration": 5}))).wait())
            assert (made.task_id, made.video_url) == ("task-2", URL)
            (row,) = (await got(client.bill())).rows
            assert (row.billed, row.tasks_billed, row.may_yet_be_billed) == (Decimal("0.40"), 1, 0)

    run_in(colour, main)
    assert service.creates == 2
    newest, oldest = ledger.entries()
    assert [(one.attempt, one.phase, one.billing) for one in (newest, oldest)] == [
        (2, Phase.SUCCEEDED, Billing.BILLED),
        (1, Phase.FAILED, Billing.NONE),
    ]


@in_each_colour
def test_limits_count_what_is_open_and_what_is_in_doubt(colour: str, ledger: Ledger) -> None:
    """What runs, what may yet be billed and what is in doubt uses up each limit; what failed gives its money back."""
    service = Service(LOST, steps=(FAILED,))
    spend = Guards(max_spend=(SpendLimit(Decimal("1.50"), "USD"),))

    async def main() -> None:
        clock, five = VirtualClock(), {"duration": 5}
        shared: dict[str, Any] = {"ledger": ledger, "prices": PRICES}
        async with a_client(colour, "httpx", service, clock, guards=spend, **shared) as client:
            with pytest.raises(SubmitInDoubt):
                await got(client.submit(MODEL, INPUT, five, idempotency_key="lost"))
            open_task = await got(client.submit(MODEL, INPUT, five, idempotency_key="open"))
            await got(client.submit(MODEL, INPUT, five, idempotency_key="too"))
            with pytest.raises(GuardRefused, match=r"used 1\.50 USD, asked 0\.06 USD"):
                await got(client.submit("wan2.5-t2i", INPUT, {"n": 2}, endpoint="text-to-image"))
            with pytest.raises(GuardRefused, match="its price is not known"):
                await got(client.submit("another-model", INPUT))
            with pytest.raises(TaskFailed):
                await got(open_task.wait())
            await got(client.submit("wan2.5-t2i", INPUT, {"n": 2}, endpoint="text-to-image"))
            with pytest.raises(GuardRefused, match=r"used 1\.06 USD, asked 0\.50 USD"):
                await got(client.submit(MODEL, INPUT, five))
        for guards, figures in (
            (Guards(max_open_tasks=3), "max_open_tasks: limit 3, used 3"),
            (Guards(max_tasks_per_day=4), "max_tasks_per_day: limit 4, used 4"),
        ):
            async with a_client(colour, "httpx", service, clock, guards=guards, **shared) as client:
                with pytest.raises(GuardRefused, match=figures):
                    await got(client.submit(MODEL, INPUT, five))

    run_in(colour, main)
    assert service.creates == 4


def test_the_rows_hold_neither_key_nor_prompt(ledger: Ledger) -> None:
    """In no row of any table of any store is the API key, the prompt, or a header's value."""
    prompt, header = "a canary-prompt in a cage", "canary-header-value"
    quoting = Reply(400, {"code": "InvalidParameter", "message": f"bad key {KEY}", "request_id": KEY})
    made = {**MADE, "orig_prompt": prompt, "actual_prompt": f"{prompt}, 4k"}
    service = Service(quoting, Reply(500, {"code": "InternalError", "message": KEY}), steps=(made,))

    async def main() -> None:
        async with a_client("sync", "httpx", service, ledger=ledger, headers={"x-canary": header}) as client:
            for key in ("refused", "lost"):
                with pytest.raises(Exception, match=r"."):  # What it is is not the point.
                    client.submit(MODEL, {"prompt": prompt}, idempotency_key=key)
            client.submit(MODEL, {"prompt": prompt}, idempotency_key="k").wait()

    run_in("sync", main)
    assert isinstance(ledger, LedgerLogic)
    rows = ledger._store.read(lambda rows: [*rows.select(ENTRIES, ()), *rows.select(STRAYS, ())])
    everything = repr(rows)
    assert "task-1" in everything
    assert "prompt_mark" in everything
    for secret in (KEY, "canary-prompt", header):
        assert secret not in everything


def test_postgres_s_own_files_hold_neither(conninfo: str) -> None:  # noqa: F811  # the fixture
    """Nowhere in the files of the database's server, its write-ahead log included, is the API key or the prompt."""
    prompt = "a canary-prompt in a cage"
    service = Service(LOST, steps=({**MADE, "orig_prompt": prompt},))

    async def main() -> None:
        with open_ledger(conninfo) as ledger:
            async with a_client("sync", "httpx", service, ledger=ledger) as client:
                with pytest.raises(SubmitInDoubt):
                    client.submit(MODEL, {"prompt": prompt}, idempotency_key="lost")
                client.submit(MODEL, {"prompt": prompt}, idempotency_key="canary-idempotency-key").wait()

    run_in("sync", main)
    found = re.search(r"host=(\S+)", conninfo)
    assert found is not None
    files = [file for file in (Path(found[1]) / "data").rglob("*") if file.is_file()]
    everything = [file.read_bytes() for file in files]
    assert any(b"canary-idempotency-key" in content for content in everything), "what is kept is found there"
    for secret in (KEY, "canary-prompt"):
        assert not any(secret.encode() in content for content in everything)


SCENARIO = """
version: 1
summary: A video that is made while it is polled.
tasks: [RUNNING 2 polls -> SUCCEEDED]
expect: {outcome: SUCCEEDED}
"""


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeProcess]:
    """A fake for all of them; each has a world of its own."""
    folder = tmp_path_factory.mktemp("scenarios")
    (folder / "while-polled.yaml").write_text(SCENARIO)
    with running_fake("--scenarios", str(folder)) as process:
        yield process


NUMBERS = count()


def wait_for_its_end(ledger: LedgerLogic) -> None:
    """Wait until the server has noticed that a process is gone."""
    (entry,) = ledger.entries()
    for _ in range(1200):
        if entry.owner is None or ledger._liveness.is_dead(entry.owner):
            return
        time.sleep(0.05)  # real: it is another process, which needs the processor to notice
    raise AssertionError("the server did not notice the end of a process within a minute")


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize(
    ("colour", "point", "tasks"),
    [("sync", "licensed", 0), ("sync", "answered", 1), ("asyncio", "answered", 1), ("asyncio", "accepted", 1)],
)
def test_a_kill_on_a_server_never_pays_twice(
    fake: FakeProcess,
    conninfo: str,  # noqa: F811  # the fixture
    colour: str,
    point: str,
    tasks: int,
) -> None:
    """Killed in mid-create, a process leaves a doubt on the server for the next one, killed after it the task."""
    api_key = f"sk-while-polled.pg-{os.getpid()}-{next(NUMBERS)}"
    base_url, world = f"{fake.url}/api/v1", fake.open_world(api_key)
    with working(conninfo, base_url, api_key, colour, point, "kill") as worker:
        assert worker.wait(60) == -signal.SIGKILL

    async def main() -> None:
        with open_ledger(conninfo) as ledger:
            wait_for_its_end(ledger)
            service = {"api_key": api_key, "base_url": base_url, "ledger": ledger}
            async with our_client(colour, **service) as client:
                if point == "accepted":
                    task = await got(client.submit(MODEL, INPUT, idempotency_key=KEY_OF_ALL))
                    assert (await got(task.wait())).billing is Billing.BILLED
                    return
                for _ in range(2):
                    with pytest.raises(SubmitInDoubt):
                        await got(client.submit(MODEL, INPUT, idempotency_key=KEY_OF_ALL))
                (entry,) = ledger.entries()
                assert entry.phase is Phase.IN_DOUBT

    run_in(colour, main)
    assert len(fake.page(f"worlds/{world}/bill")["tasks"]) == tasks


def our_client(colour: str, **options: Any) -> Any:
    """Return a client over its own connections, for which time passes at once."""
    clock = VirtualClock()
    base_url = options.pop("base_url")
    return dashscope_client(colour, "own", base_url, clock=clock if colour == "sync" else clock.for_async(), **options)
