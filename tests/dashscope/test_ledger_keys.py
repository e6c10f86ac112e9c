"""One key, one accepted submit: in one process or several clients, threads, colours, one by one or many at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from resilient_poll import (
    DashScope,
    Job,
    Phase,
    SubmitInDoubt,
    SubmitNotSent,
    SubmitPolicy,
    SubmitRefused,
    SubmitThrottled,
)
from resilient_poll.dashscope.keeping import books
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.errors import ConfigurationError, ResultAtOnce, SnapshotError
from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.errors import GuardRefused, IdempotencyConflict
from resilient_poll.ledger.guards import Guards
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.instant import Instant
from tests.dashscope.ledger_clients import BUSY, LOST, MADE, REFUSED, URL, Service, Watched, only_entry
from tests.dashscope.scripted import EACH, KEY, Reply, a_client
from tests.support.colours import COLOURS, INPUT, MODEL, got, run_in

in_each_way = pytest.mark.parametrize(("colour", "library"), EACH)
in_each_colour = pytest.mark.parametrize("colour", COLOURS)
IMAGES = {"request_id": "r-1", "output": {"choices": [{"message": {"content": [{"image": URL}]}}]}}


@in_each_way
def test_the_same_key_brings_the_same_task(colour: str, library: str) -> None:
    """A key that was used brings its task again, from another client too, and nothing is sent for it."""
    service, ledger = Service(), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, library, service, ledger=ledger) as client:
            first = await got(client.submit(MODEL, INPUT, idempotency_key="order 7"))
            again = await got(client.submit(MODEL, INPUT, idempotency_key="order 7"))
            assert (first.id, first.phase) == (again.id, again.phase) == ("task-1", Phase.QUEUED)
            made = await got(again.wait())
        async with a_client(colour, library, service, ledger=ledger) as client:
            task = await got(client.submit(MODEL, INPUT, idempotency_key="order 7"))
            queries = service.queries
            assert (task.id, task.phase, task.billing) == (again.id, again.phase, again.billing)
            assert (await got(task.wait())).result == made.result
            assert service.queries == queries, "what is known is not asked for"

    run_in(colour, main)
    assert service.creates == 1
    assert only_entry(ledger).sends == 1


@in_each_colour
def test_a_key_survives_the_ledger_being_opened_again(colour: str, tmp_path: Path) -> None:
    """A key that was used before the file was closed brings the same task, phase and result afterwards."""
    service, path = Service(), tmp_path / "ledger.sqlite3"

    async def submitted() -> Any:
        with SqliteLedger(path) as ledger:
            async with a_client(colour, "httpx", service, ledger=ledger) as client:
                task = await got(client.submit(MODEL, INPUT, {"size": "1280*720"}, idempotency_key="k"))
                return task.id, (await got(task.wait())).result

    async def main() -> None:
        assert await submitted() == await submitted()

    run_in(colour, main)
    assert service.creates == 1


@pytest.mark.parametrize(("has_ledger", "has_one_client"), [(True, True), (True, False), (False, True)])
def test_threads_at_once(tmp_path: Path, has_one_client: bool, has_ledger: bool) -> None:
    """Eight threads that submit one key at the same moment get one task together."""
    service, everybody = Service(), threading.Barrier(8)
    found: list[Any] = []
    is_answered = threading.Event()

    class Patient(VirtualClock):
        """Time passes here only once the one who was first has its answer."""

        def sleep(self, seconds: float) -> None:
            assert is_answered.wait(20)
            super().sleep(seconds)

    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger:

        def handle(request: httpx.Request) -> httpx.Response:
            assert request.method == "POST"
            service.creates += 1
            return httpx.Response(
                200, json={"output": {"task_status": "PENDING", "task_id": f"task-{service.creates}"}}
            )

        def new_client() -> DashScope:
            return DashScope(
                dialect="dashscope",
                api_key=KEY,
                base_url="http://api.test/v1",
                http_client=httpx.Client(transport=httpx.MockTransport(handle)),
                clock=Patient(),
                ledger=ledger if has_ledger else None,
            )

        shared = new_client()

        def submit() -> None:
            client = shared if has_one_client else new_client()
            everybody.wait(20)
            found.append(client.submit(MODEL, INPUT, idempotency_key="k").id)
            is_answered.set()

        threads = [threading.Thread(target=submit) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert found == ["task-1"] * 8
    assert service.creates == 1


@in_each_way
def test_another_request_under_the_key_is_refused(colour: str, library: str) -> None:
    """A key of another request is refused, and nothing is sent; the same in another order is no other request."""
    service = Service()

    async def main() -> None:
        async with a_client(colour, library, service, ledger=MemoryLedger()) as client:
            task = await got(client.submit(MODEL, INPUT, {"size": "1280*720", "seed": 1}, idempotency_key="k"))
            again = await got(client.submit(MODEL, INPUT, {"seed": 1, "size": "1280*720"}, idempotency_key="k"))
            assert again.id == task.id
            for other in ({"prompt": "a dog"}, {"prompt": "a cat", "seed": 2}):
                with pytest.raises(IdempotencyConflict, match="nothing was sent"):
                    await got(client.submit(MODEL, other, idempotency_key="k"))

    run_in(colour, main)
    assert service.creates == 1


@in_each_colour
def test_a_result_that_came_at_once_is_brought_again(colour: str) -> None:
    """generate() under a key asks once, and brings the same result again without asking."""
    service, ledger = Service(Reply(200, IMAGES)), MemoryLedger()
    request = ("qwen-image", {"messages": [{"role": "user", "content": [{"text": "a cat"}]}]})

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            first = await got(client.generate(*request, idempotency_key="k"))
            again = await got(client.generate(*request, idempotency_key="k"))
            assert (first.result, first.billing) == (again.result, again.billing)

    run_in(colour, main)
    assert service.creates == 1
    assert only_entry(ledger).delivered_wall_s is not None
    assert not ledger.undelivered().entries


@in_each_colour
def test_a_result_in_the_place_of_a_task_is_kept(colour: str) -> None:
    """A result that came where a task was asked for is in the ledger, and brought again by its key."""
    service, ledger = Service(Reply(200, {"request_id": "r", "output": {"video_url": URL}})), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            for _ in range(2):
                with pytest.raises(ResultAtOnce) as caught:
                    await got(client.submit(MODEL, INPUT, idempotency_key="k"))
                assert caught.value.outcome.urls == (URL,)

    run_in(colour, main)
    assert service.creates == 1
    assert not ledger.undelivered().entries


@in_each_colour
def test_many_at_once_share_keys(colour: str) -> None:
    """Jobs of the same key are one task, in one run of submit_many and the next, also once it has ended."""
    service, ledger = Service(steps=({"word": "RUNNING"}, MADE)), MemoryLedger()
    jobs = [Job(MODEL, INPUT, idempotency_key=f"k{number % 2}") for number in range(4)]

    async def main() -> None:
        for _ in range(2):
            async with a_client(colour, "httpx", service, ledger=ledger) as client:
                if colour == "sync":
                    finished = list(client.submit_many(jobs))
                else:
                    finished = [one async for one in client.submit_many(jobs)]
                assert sorted(one.result().task_id for one in finished) == ["task-1"] * 2 + ["task-2"] * 2

    run_in(colour, main)
    assert service.creates == 2
    assert not ledger.undelivered().entries, "whoever read the results to their end was told of all"


@in_each_colour
def test_only_what_was_handed_out_was_delivered(colour: str) -> None:
    """Who leaves submit_many early was told of what it had asked to go on from, and of nothing else."""
    service, ledger = Service(), MemoryLedger()
    jobs = [Job(MODEL, INPUT, idempotency_key=f"k{number}") for number in range(3)]

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            if colour == "sync":
                results = client.submit_many(jobs)
                next(results)
                next(results)
                results.close()
            else:
                async with client.submit_many(jobs) as several:
                    await anext(several)
                    await anext(several)

    run_in(colour, main)
    told = [entry for entry in ledger.entries() if entry.delivered_wall_s is not None]
    assert len(told) in {1, 2}


@in_each_colour
def test_a_key_in_doubt_stays_in_doubt(colour: str) -> None:
    """A key whose answer was lost says so again, and nothing is sent again by itself."""
    service, ledger = Service(LOST), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            for _ in range(2):
                with pytest.raises(SubmitInDoubt):
                    await got(client.submit(MODEL, INPUT, idempotency_key="k"))

    run_in(colour, main)
    assert service.creates == 1
    assert only_entry(ledger).phase is Phase.IN_DOUBT


@in_each_colour
def test_a_refused_key_is_asked_for_anew(colour: str) -> None:
    """After refusals, of which nothing is owed, the same submit makes the next attempt, and another one a conflict."""
    service, ledger = Service(REFUSED, REFUSED), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            for _ in range(2):
                with pytest.raises(SubmitRefused):
                    await got(client.submit(MODEL, INPUT, idempotency_key="k"))
            with pytest.raises(IdempotencyConflict):
                await got(client.submit(MODEL, {"prompt": "another"}, idempotency_key="k"))
            assert service.creates == 2, "each submit sends once"
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            tasks = [await got(client.submit(MODEL, INPUT, idempotency_key="k")) for _ in range(2)]
            assert [task.id for task in tasks] == ["task-1", "task-1"]

    run_in(colour, main)
    assert [(entry.attempt, entry.phase) for entry in ledger.entries()] == [
        (3, Phase.QUEUED),
        (2, Phase.REFUSED),
        (1, Phase.REFUSED),
    ]
    assert not ledger.undelivered().entries, "who was refused was told"


@in_each_colour
def test_a_limit_holds_for_what_is_asked_for_anew(colour: str) -> None:
    """A key that was refused is not asked for anew where a limit of one's own forbids one more task."""
    service, ledger = Service(REFUSED), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger, guards=Guards(max_open_tasks=1)) as client:
            with pytest.raises(SubmitRefused):
                await got(client.submit(MODEL, INPUT, idempotency_key="k"))
            await got((await got(client.submit(MODEL, INPUT, idempotency_key="other"))).wait())
            await got(client.submit(MODEL, INPUT, idempotency_key="open"))
            for ask in (client.submit, client.retry):
                named = {"idempotency_key": "k", "model": MODEL, "input": INPUT}
                with pytest.raises(GuardRefused, match="nothing was sent"):
                    await got(ask(**named))

    run_in(colour, main)
    assert service.creates == 3
    assert [entry.attempt for entry in ledger.entries(key="k")] == [1]


@in_each_colour
def test_a_refused_result_at_once_is_asked_for_anew(colour: str) -> None:
    """A synchronous request that was refused is asked again under its key when its caller asks again."""
    service, ledger = Service(REFUSED, Reply(200, IMAGES)), MemoryLedger()
    request = ("qwen-image", {"messages": [{"role": "user", "content": [{"text": "a cat"}]}]})

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            with pytest.raises(SubmitRefused):
                await got(client.generate(*request, idempotency_key="k"))
            assert (await got(client.generate(*request, idempotency_key="k"))).urls == (URL,)

    run_in(colour, main)
    assert service.creates == 2


@pytest.mark.parametrize("answer", [REFUSED, None], ids=["refused again", "accepted"])
def test_all_who_ask_anew_at_once_share_one_attempt(tmp_path: Path, answer: Reply | None) -> None:
    """Of clients that ask at once for a key that was refused one sends, and all hear what came of that one."""
    service, everybody = Service(REFUSED, *([answer] if answer else [])), threading.Barrier(4)
    heard: list[str] = []
    with SqliteLedger(tmp_path / "ledger.sqlite3") as file:

        async def submitted(ledger: Any, key: str) -> str:
            async with a_client("sync", "httpx", service, Impatient(), ledger=ledger) as client:
                try:
                    task_id: str = client.submit(MODEL, INPUT, idempotency_key=key).id
                except SubmitRefused:
                    return "refused"
                return task_id

        assert run_in("sync", lambda: submitted(file, "k")) == "refused"

        def submit() -> None:
            ledger = Watched(file)

            def wait_for_all(_: Any) -> None:
                ledger.after.clear()
                everybody.wait(20)  # All of them have seen the refusal by then.

            ledger.after["begin"] = wait_for_all
            heard.append(run_in("sync", lambda: submitted(ledger, "k")))

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        attempts = [(entry.attempt, entry.sends) for entry in file.entries()]
    assert heard == ["refused" if answer else "task-1"] * 4
    assert (service.creates, attempts) == (2, [(2, 1), (1, 1)])


class Impatient(VirtualClock):
    """Lets other threads run while it sleeps, so that who waits for another's submit does not use its time up."""

    def sleep(self, seconds: float) -> None:
        time.sleep(0.02)  # real: others need the processor to get on
        super().sleep(min(seconds, 0.5))


@in_each_colour
def test_the_service_s_hint_outlives_the_client(colour: str) -> None:
    """When the service may be asked again is kept, and a later submit of the key waits until then before it sends."""
    service, ledger, clock = Service(BUSY), MemoryLedger(), VirtualClock()
    came_s: list[float] = []
    service.on_create = lambda: came_s.append(clock.now().monotonic_s)

    async def main() -> None:
        hasty = SubmitPolicy(timeout_s=6.0)
        async with a_client(colour, "httpx", service, clock, ledger=ledger, submit_policy=hasty) as client:
            with pytest.raises(SubmitThrottled):
                await got(client.submit(MODEL, INPUT, idempotency_key="k"))
        assert only_entry(ledger).phase is Phase.NEW
        async with a_client(colour, "httpx", service, clock, ledger=ledger) as client:
            await got(client.submit(MODEL, INPUT, idempotency_key="k"))

    run_in(colour, main)
    assert came_s[1] - came_s[0] >= 7.0


class Stepping(VirtualClock):
    """A clock whose date somebody sets while the first sleep goes on.

    Args:
        step_s: By how many seconds.
    """

    def __init__(self, step_s: float) -> None:
        super().__init__()
        self._step_s = step_s

    def now(self) -> Instant:
        """Return the time."""
        now = super().now()
        return Instant(now.monotonic_s, now.wall_s + (self._step_s if self.slept_s else 0.0))


@in_each_colour
@pytest.mark.parametrize("step_s", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_holds_up_no_throttled_submit(colour: str, step_s: float) -> None:
    """A hint that was written before the clock was set, back or forth, keeps no submit waiting for a day."""
    service, ledger, clock = Service(BUSY), MemoryLedger(), Stepping(step_s)

    async def main() -> None:
        async with a_client(colour, "httpx", service, clock, ledger=ledger) as client:
            assert (await got(client.submit(MODEL, INPUT, idempotency_key="k"))).id == "task-1"

    run_in(colour, main)
    assert clock.now().monotonic_s < 60.0


@in_each_colour
def test_another_s_submit_that_is_out_is_no_not_sent(colour: str) -> None:
    """Where another has the key's submit out until the time is up, the error is a doubt and nothing was sent."""
    service, ledger = Service(), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            with ledger.open_owner() as other:
                key = {"idempotency_key": "k"}
                filed = client._core.new_create("video", MODEL, INPUT, None, is_synchronous=False, **key).filing
                space = client._core.books.namespace
                entry = ledger.begin(space, "k", filed.digest, now_wall_s=1.0)
                assert ledger.license(entry, other, now_wall_s=1.0)
                with pytest.raises(SubmitInDoubt, match="is out") as caught:
                    await got(client.submit(MODEL, INPUT, **key))
                assert not caught.value.safe_to_submit_again
            with pytest.raises(SubmitInDoubt, match="in doubt"):
                await got(client.submit(MODEL, INPUT, idempotency_key="k"))

    run_in(colour, main)
    assert service.creates == 0


def test_a_made_up_key_is_logged_before_it_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    """A submit without a key gets one of its own, which is in the log before the request leaves, and in the ledger."""
    caplog.set_level(logging.INFO, "resilient_poll")
    service, ledger = Service(), MemoryLedger()
    logged: list[str] = []
    service.on_create = lambda: logged.append(caplog.text)

    async def main() -> None:
        async with a_client("sync", "httpx", service, ledger=ledger) as client:
            for _ in range(2):
                client.submit(MODEL, INPUT)

    run_in("sync", main)
    keys = {entry.key for entry in ledger.entries()}
    assert len(keys) == service.creates == 2
    assert all(key in logged[-1] for key in keys)


@pytest.mark.parametrize("key", ["", " k", "k\n", "k" * 201, 7, "a\0b"])
def test_what_is_no_key_is_refused(key: Any) -> None:
    """What cannot be a key is refused before anything is sent."""
    service = Service()

    async def main() -> None:
        async with a_client("sync", "httpx", service, ledger=MemoryLedger()) as client:
            with pytest.raises(ConfigurationError, match="nothing was sent"):
                client.submit(MODEL, INPUT, idempotency_key=key)

    run_in("sync", main)
    assert service.creates == 0


@in_each_colour
@pytest.mark.parametrize("key", [KEY, f"order-{KEY}-17"])
@pytest.mark.parametrize("is_model", [False, True])
def test_no_name_holds_the_api_key(colour: str, key: str, is_model: bool) -> None:
    """What is kept as it is written, an idempotency key or a model's name, is refused if it holds the API key."""
    service, ledger = Service(), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            model, name = (key, "k") if is_model else (MODEL, key)
            with pytest.raises(ConfigurationError, match=r"may hold the API key.*nothing was sent") as caught:
                await got(client.submit(model, INPUT, idempotency_key=name))
            assert KEY not in str(caught.value)

    run_in(colour, main)
    assert service.creates == len(ledger.entries().entries) == 0


@in_each_colour
def test_without_a_ledger_a_crash_s_price_is_told_once(
    colour: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a ledger, what a crash would lose is said once in a process, also to who uses keys; with one, never."""
    monkeypatch.setattr(books, "_WARNED", [])
    service = Service()

    async def submit(**options: Any) -> None:
        async with a_client(colour, "httpx", service, **options) as client:
            await got(client.submit(MODEL, INPUT, idempotency_key="k"))
            await got(client.submit(MODEL, INPUT))

    run_in(colour, lambda: submit(ledger=MemoryLedger()))
    assert "no ledger was given" not in caplog.text
    run_in(colour, submit)
    run_in(colour, submit)
    assert caplog.text.count("no ledger was given") == 1


@pytest.mark.parametrize("label", [None, "studio"])
def test_a_rotated_key_under_a_label_is_the_same_account(label: str | None) -> None:
    """Under one label a new API key finds the same task; without a label each API key is an account of its own."""
    service, ledger = Service(), MemoryLedger()

    async def main() -> None:
        ids = []
        for api_key in ("sk-old-0123456789", "sk-new-0123456789"):
            async with a_client("sync", "httpx", service, api_key=api_key, ledger=ledger, account=label) as client:
                ids.append(client.submit(MODEL, INPUT, idempotency_key="k").id)
        assert ids == (["task-1", "task-2"] if label is None else ["task-1", "task-1"])

    run_in("sync", main)
    assert all(entry.namespace.account == label for entry in ledger.entries() if label)


@in_each_colour
def test_a_rotated_key_goes_on_with_what_the_old_one_made(colour: str) -> None:
    """Under its label a new API key finds the old one's task by token, key and list, and another label finds none."""
    service, ledger = Service(), MemoryLedger()

    async def main() -> None:
        old, new = {"api_key": "sk-old-0123456789"}, {"api_key": "sk-new-0123456789"}
        async with a_client(colour, "httpx", service, **old, ledger=ledger, account="studio") as client:
            token = (await got(client.submit(MODEL, INPUT, idempotency_key="k"))).resume_token
        async with a_client(colour, "httpx", service, **new, ledger=ledger, account="studio") as client:
            for task in (client.task(token), await got(client.resume(token)), await got(client.resume("k"))):
                assert (await got(task.wait())).video_url == URL
            space = client._core.books.namespace
            assert [entry.task_id for entry in ledger.entries(namespace=space)] == ["task-1"]
        async with a_client(colour, "httpx", service, **new, ledger=ledger, account="another") as client:
            queries = service.queries
            for find in (client.task, client.resume):
                with pytest.raises(SnapshotError, match="another account"):
                    await got(find(token))
            assert service.queries == queries, "nothing was asked"
            assert not ledger.entries(namespace=client._core.books.namespace).entries

    run_in(colour, main)


@pytest.mark.parametrize("label", ["", KEY, f"studio {KEY}", "a\nb", 7])
def test_a_label_is_a_short_text_without_the_key(label: Any) -> None:
    """A label that is none, or holds the API key, is refused when the client is made."""
    with pytest.raises(ConfigurationError, match="label") as caught:
        DashScope(dialect="dashscope", api_key=KEY, ledger=MemoryLedger(), account=label)
    assert KEY not in str(caught.value) or label != KEY


class Stopping(VirtualClock):
    """A clock of a process that is stopped once, right after its licence was given.

    Args:
        ledger: Where the licence stands.
        stop_s: How many seconds the process is stopped for.
        meanwhile: What another process does with the entry.
    """

    is_suspended = False
    """Whether the whole machine is, so that its monotonic clock stands still as well."""

    def __init__(self, ledger: MemoryLedger, stop_s: float, meanwhile: Callable[[Entry], object]) -> None:
        super().__init__()
        self._ledger, self._stop_s, self._meanwhile = ledger, stop_s, meanwhile
        self._drift_s = 0.0

    def now(self) -> Instant:
        """Return the time; the licence is noticed when it is asked for next."""
        out = [entry for entry in self._ledger.entries() if entry.phase is Phase.SUBMITTING]
        if out and self._stop_s:
            if self.is_suspended:
                self._drift_s = self._stop_s
            else:
                self.advance(self._stop_s)
            self._stop_s = 0.0
            self._meanwhile(out[0])
        now = super().now()
        return Instant(now.monotonic_s, now.wall_s + self._drift_s)


def stopped_submit(colour: str, stop_s: float, meanwhile: Callable[[Entry], object], ledger: MemoryLedger) -> Service:
    """Submit in a process that is stopped between its licence and its request."""
    service = Service()

    async def main() -> None:
        async with a_client(colour, "httpx", service, Stopping(ledger, stop_s, meanwhile), ledger=ledger) as client:
            await got(client.submit(MODEL, INPUT, idempotency_key="k"))

    run_in(colour, main)
    return service


@in_each_colour
def test_a_licence_that_comes_late_is_used_while_it_stands(colour: str) -> None:
    """A slow disk, or a stop within the submit's time, makes neither a second licence nor a failure."""
    ledger = MemoryLedger()
    assert stopped_submit(colour, 60.0, lambda _: None, ledger).creates == 1
    assert (only_entry(ledger).sends, only_entry(ledger).task_id) == (1, "task-1")


@in_each_colour
def test_who_is_stopped_past_the_submits_time_sends_nothing(colour: str) -> None:
    """A process that wakes up when its submit's time is over sends nothing, and the key is free."""
    ledger = MemoryLedger()
    with pytest.raises(SubmitNotSent):
        stopped_submit(colour, 400.0, lambda _: None, ledger)
    assert (only_entry(ledger).phase, only_entry(ledger).task_id) == (Phase.NEW, None)


@in_each_colour
@pytest.mark.parametrize("is_suspended", [False, True])
def test_who_is_stopped_until_others_took_its_licence_away_sends_nothing(
    colour: str, is_suspended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process, or a whole machine, that wakes up to find its licence overruled sends nothing by it."""
    monkeypatch.setattr(Stopping, "is_suspended", is_suspended)
    ledger = MemoryLedger()
    with pytest.raises(SubmitInDoubt):
        stopped_submit(colour, 60.0, lambda entry: ledger.doubt(entry, "its owner was lost", now_wall_s=1.0), ledger)
    assert only_entry(ledger).phase is Phase.IN_DOUBT


@in_each_colour
def test_a_client_that_is_closed_leaves_no_doubt(colour: str) -> None:
    """A submit through a closed HTTP client is surely not sent, and the key can be used afterwards."""
    service, ledger = Service(), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            queries = client._exchange._creates
            await got(queries.aclose() if colour != "sync" else queries.close())
            with pytest.raises(ConfigurationError, match="closed"):
                await got(client.submit(MODEL, INPUT, idempotency_key="k"))
        assert only_entry(ledger).phase is Phase.NEW
        async with a_client(colour, "httpx", service, ledger=ledger) as client:
            assert (await got(client.submit(MODEL, INPUT, idempotency_key="k"))).id == "task-1"

    run_in(colour, main)
