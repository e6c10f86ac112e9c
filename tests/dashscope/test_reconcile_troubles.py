"""Reconciling while the list fails or moves, others settle the same doubt, and the ledger cannot be trusted."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from resilient_poll import ConfigurationError, ListingFailed, Phase, Reconciled, SubmitInDoubt, Verdict
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.errors import ActRefused, LedgerUnavailable
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.dashscope.ledger_clients import LOST, URL, Watched
from tests.dashscope.scripted import Asked, Broken, Reply, a_client, said
from tests.support.colours import COLOURS, MODEL, got, run_in

CAT = {"prompt": "a cat"}
in_each_colour = pytest.mark.parametrize("colour", COLOURS)


@dataclass
class Lister:
    """A service that makes every create a task, loses all answers to creates, and lists what it made.

    Attributes:
        clock: The time of both sides.
        before_list: Called before each reading of the list begins; may return what is answered instead.
        before_look: The same for a query of one task.
        is_heard: Whether answers to creates arrive.
    """

    clock: VirtualClock = field(default_factory=VirtualClock)
    before_list: Callable[[], Reply | None] = lambda: None
    before_look: Callable[[], Reply | None] = lambda: None
    is_heard: bool = False
    tasks: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Reply | Broken:
        kind = "create" if asked.method == "POST" else "list" if asked.path.endswith("/tasks/") else "look"
        self.asked.append(kind)
        if kind == "create":
            return self._create(json.loads(asked.body))
        if kind == "list":
            is_first = asked.query["page_no"] == "1"
            return (self.before_list() if is_first else None) or self._list()
        task_id = asked.path.rpartition("/")[2]
        if (instead := self.before_look()) is not None:
            return instead
        body = self.tasks[task_id][1]
        return said(task_id, "SUCCEEDED", orig_prompt=body["input"]["prompt"], video_url=URL)

    def _create(self, body: dict[str, Any]) -> Reply | Broken:
        task_id = self.add(body)
        return said(task_id, "PENDING") if self.is_heard else LOST

    def add(self, body: dict[str, Any]) -> str:
        """Make a task, whoever asked for it."""
        task_id = f"task-{len(self.tasks) + 1}"
        self.tasks[task_id] = (round(self.clock.now().wall_s * 1000), body)
        return task_id

    def _list(self) -> Reply:
        rows = [
            {"task_id": task_id, "status": "SUCCEEDED", "gmt_create": created_ms, "model_name": body["model"]}
            for task_id, (created_ms, body) in self.tasks.items()
            if task_id not in self.hidden
        ]
        return Reply(200, {"request_id": "r", "data": rows, "page_no": 1, "total_page": 1, "total": len(rows)})


def in_doubt(
    colour: str,
    service: Lister,
    ledger: Any,
    then: Callable[[Any], Any],
    keys: tuple[str, ...] = ("order",),
    **options: Any,
) -> Any:
    """Lose the answers to some creates, and let something happen an hour later."""

    async def main() -> Any:
        async with a_client(colour, "httpx", service, service.clock, ledger=ledger, **options) as client:
            for key in keys:
                with pytest.raises(SubmitInDoubt):
                    await got(client.submit(MODEL, CAT, idempotency_key=key))
            service.clock.advance(3_600.0)
            service.asked.clear()
            return await then(client)

    return run_in(colour, main)


async def reconciled(client: Any) -> Reconciled:
    """Return what came of the only doubt."""
    (one,) = await got(client.reconcile())
    found: Reconciled = one
    return found


@in_each_colour
@pytest.mark.parametrize("status", [403, 500])
def test_a_list_that_does_not_come_changes_nothing(colour: str, status: int) -> None:
    """If the list is refused or fails, that is an error within the time given, and the doubt stays as it was."""
    body = {"code": "AccessDenied", "message": "no", "request_id": "r"}
    service, ledger = Lister(before_list=lambda: Reply(status, body)), MemoryLedger()

    async def then(client: Any) -> None:
        (before,) = await got(client.doubts())
        began_s = service.clock.now().monotonic_s
        with pytest.raises(ListingFailed):
            await got(client.reconcile(timeout=20))
        assert service.clock.now().monotonic_s <= began_s + 20
        assert await got(client.doubts()) == (before,)
        assert set(service.asked) == {"list"}

    in_doubt(colour, service, ledger, then)


@in_each_colour
def test_two_readings_must_agree(colour: str) -> None:
    """A list that changes from reading to reading decides nothing; once two readings agree it does."""
    service = Lister()

    def flicker() -> None:
        service.hidden ^= {"task-1"}

    async def then(client: Any) -> None:
        service.before_list = lambda: flicker() if len(service.asked) % 3 == 1 else None  # Three windows a reading.
        moved = await reconciled(client)
        assert (moved.verdict, "not the same in two readings" in moved.why) == (Verdict.UNCLEAR, True)
        assert "look" not in service.asked
        service.hidden, shown_late = {"task-1"}, iter([None, None, None, "now"])

        def appear() -> None:
            if next(shown_late, None) == "now":
                service.hidden.clear()

        service.before_list = appear
        assert (await reconciled(client)).verdict is Verdict.ADOPTED

    in_doubt(colour, service, MemoryLedger(), then)


@in_each_colour
def test_an_answer_that_cannot_be_had_is_asked_for_again(colour: str) -> None:
    """While a candidate's own answer does not come, nothing is adopted; when it does, the doubt is settled."""
    service = Lister(before_look=lambda: Reply(500, {"code": "InternalError", "message": "x", "request_id": "r"}))

    async def then(client: Any) -> None:
        early = await reconciled(client)
        assert (early.verdict, "could not be read" in early.why) == (Verdict.UNCLEAR, True)
        service.before_look = lambda: Reply(403, {"code": "AccessDenied", "message": "x", "request_id": "r"})
        assert (await reconciled(client)).verdict is Verdict.UNCLEAR
        service.before_look = lambda: said("task-1", "UNKNOWN")  # Another replica, which does not have it yet.
        assert (await reconciled(client)).verdict is Verdict.UNCLEAR
        service.before_look = lambda: None
        assert (await reconciled(client)).verdict is Verdict.ADOPTED

    in_doubt(colour, service, MemoryLedger(), then)


@in_each_colour
def test_a_success_that_shows_no_result_yet_is_waited_for(colour: str) -> None:
    """A task that shows its request and not yet what was made is adopted as one to be asked about, and then whole."""
    service = Lister(before_look=lambda: said("task-1", "SUCCEEDED", orig_prompt="a cat"))

    async def then(client: Any) -> None:
        found = await reconciled(client)
        assert (found.verdict, found.entry.is_ended) == (Verdict.ADOPTED, False)
        service.before_look = lambda: None
        outcome = await got((await got(client.resume("order"))).wait())
        assert outcome.video_url == URL

    in_doubt(colour, service, MemoryLedger(), then)


@in_each_colour
@pytest.mark.parametrize("what", ["the same", "another", "sent again", "given up", "taken by another"])
def test_who_comes_second_changes_nothing(colour: str, what: str) -> None:
    """A doubt that somebody else settles at the last moment is not settled once more, and the outcome says so."""
    service, ledger = Lister(), Watched(MemoryLedger())

    async def then(client: Any) -> Reconciled:
        (doubt,) = await got(client.doubts())
        genuine, now_s = ledger.ledger, service.clock.now().wall_s

        def meanwhile() -> None:
            ledger.before.clear()
            if what == "sent again":
                genuine.license_resubmit(doubt, now_wall_s=now_s)
            elif what == "given up":
                genuine.abandon(doubt, now_wall_s=now_s)
            elif what == "taken by another":
                other = genuine.begin(doubt.namespace, "other", "d", now_wall_s=now_s)
                with genuine.open_owner() as owner:
                    licence = genuine.license(other, owner, now_wall_s=now_s)
                    genuine.accept(licence, "task-1", now_wall_s=now_s)
            else:
                genuine.adopt(doubt, {"the same": "task-1"}.get(what, "task-9"), now_wall_s=now_s)

        ledger.before["adopt"] = meanwhile
        return await reconciled(client)

    found = in_doubt(colour, service, ledger, then)
    stands = ledger.ledger.get(found.entry.entry_id)
    expected = {
        "the same": (Verdict.ADOPTED, "task-1", Phase.SUCCEEDED),
        "another": (Verdict.ADOPTED, "task-9", Phase.UNRECOGNIZED),
        "sent again": (Verdict.UNCLEAR, None, Phase.NEW),
        "given up": (Verdict.UNCLEAR, None, Phase.ABANDONED),
        "taken by another": (Verdict.UNCLEAR, None, Phase.IN_DOUBT),
    }[what]
    assert (found.verdict, found.task_id, stands.phase) == expected
    assert found.entry == stands
    assert "create" not in service.asked


@in_each_colour
def test_what_is_settled_while_the_list_is_read_is_left_alone(colour: str) -> None:
    """A doubt that is sent again while the list is read is another doubt, for which nothing is decided."""
    service, ledger = Lister(), MemoryLedger()

    async def then(client: Any) -> None:
        (doubt,) = await got(client.doubts())

        def meanwhile() -> None:
            service.before_list = lambda: None
            now_s = service.clock.now().wall_s
            new = ledger.license_resubmit(doubt, now_wall_s=now_s)
            with ledger.open_owner() as owner:
                licence = ledger.license(new, owner, now_wall_s=now_s)
                assert licence is not None
                ledger.doubt(licence, "lost again", now_wall_s=now_s)

        service.before_list = meanwhile
        found = await reconciled(client)
        assert (found.verdict, found.task_id) == (Verdict.UNCLEAR, None)
        assert "meanwhile" in found.why
        assert found.entry.sends == 2

    in_doubt(colour, service, ledger, then)


@in_each_colour
def test_what_another_label_holds_is_not_adopted(colour: str) -> None:
    """A task that an entry under another label of the ledger holds is no candidate: both may be one account."""
    service, ledger = Lister(), MemoryLedger()

    async def main() -> None:
        service.is_heard = True
        async with a_client(colour, "httpx", service, service.clock, ledger=ledger, account="one") as client:
            await got(client.submit(MODEL, CAT, idempotency_key="order"))
        service.is_heard = False
        async with a_client(colour, "httpx", service, service.clock, ledger=ledger, account="two") as client:
            with pytest.raises(SubmitInDoubt):
                await got(client.submit(MODEL, CAT, idempotency_key="order"))
            service.hidden.add("task-2")  # Its own is not listed.
            service.clock.advance(3_600.0)
            assert (await reconciled(client)).candidates == ()
            service.hidden.clear()
            assert (await reconciled(client)).task_id == "task-2"

    run_in(colour, main)


@in_each_colour
def test_a_stray_is_not_adopted(colour: str) -> None:
    """A task that the ledger holds beside its entries is no candidate."""
    service, ledger = Lister(), MemoryLedger()

    async def then(client: Any) -> None:
        (doubt,) = await got(client.doubts())
        other = ledger.begin(doubt.namespace, "other", "d", now_wall_s=0.0)
        with ledger.open_owner() as owner:
            licence = ledger.license(other, owner, now_wall_s=0.0)
            assert licence is not None
            ledger.refuse(licence, now_wall_s=0.0)
            ledger.accept(licence, "task-1", now_wall_s=0.0)
        assert [stray.task_id for stray in ledger.strays()] == ["task-1"]
        found = await reconciled(client)
        assert (found.verdict, found.candidates, "proves nothing" in found.why) == (Verdict.UNCLEAR, (), True)
        with pytest.raises(ActRefused, match="belongs to entry"):
            await got(client.adopt("order", "task-1"))

    in_doubt(colour, service, ledger, then)


@in_each_colour
def test_a_damaged_row_decides_nothing(tmp_path: Path, colour: str) -> None:
    """While a row of the time is damaged no doubt is settled by itself, and all readable doubts are still shown."""
    path, service = tmp_path / "ledger.sqlite3", Lister()
    with SqliteLedger(path) as ledger:

        async def then(client: Any) -> None:
            with sqlite3.connect(path) as connection:
                connection.execute("UPDATE entries SET phase = 'SUCCEEDED', sends = -1 WHERE key = 'first'")
            assert [entry.key for entry in await got(client.doubts())] == ["second"]
            found = await reconciled(client)
            assert (found.verdict, "damaged" in found.why) == (Verdict.UNCLEAR, True)

        in_doubt(colour, service, ledger, then, keys=("first", "second"))


@in_each_colour
def test_who_died_while_it_was_out_left_a_doubt(colour: str) -> None:
    """What a dead owner had out is among the doubts, and its task is found."""
    service, ledger = Lister(), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, service.clock, ledger=ledger) as client:
            with pytest.raises(SubmitInDoubt):
                await got(client.submit(MODEL, CAT, idempotency_key="order"))
            (doubt,) = await got(client.doubts())
            again = ledger.begin(doubt.namespace, "dead", doubt.digest, doubt.about, now_wall_s=1.0)
            owner = ledger.open_owner()
            ledger.license(again, owner, now_wall_s=service.clock.now().wall_s)
            assert [entry.key for entry in await got(client.doubts())] == ["order"]
            owner.close()
            assert [entry.key for entry in await got(client.doubts())] == ["dead", "order"]

    run_in(colour, main)


@in_each_colour
def test_a_ledger_that_can_only_be_read_shows_its_doubts(colour: str) -> None:
    """Where it cannot be written down who died, the doubts that are known are shown all the same."""
    service, ledger = Lister(), Watched(MemoryLedger())

    def cannot() -> None:
        raise LedgerUnavailable("the ledger can only be read")

    async def then(client: Any) -> None:
        ledger.before["settle_the_dead"] = cannot
        assert [entry.key for entry in await got(client.doubts())] == ["order"]

    in_doubt(colour, service, ledger, then)


@in_each_colour
def test_what_the_list_cannot_show_is_not_asked_for(colour: str) -> None:
    """A doubt older than the service's memory, or of a result without a task, costs no request."""
    service, ledger = Lister(), MemoryLedger()

    async def then(client: Any) -> None:
        service.clock.advance(26 * 3_600.0)
        with pytest.raises(SubmitInDoubt):
            await got(client.generate("qwen-image", {"prompt": "a cat"}, idempotency_key="picture"))
        service.asked.clear()
        told = {each.entry.key: each for each in await got(client.reconcile())}
        assert (told["order"].verdict, "a day only" in told["order"].why) == (Verdict.UNCLEAR, True)
        assert (told["picture"].verdict, "makes no task" in told["picture"].why) == (Verdict.CANNOT_LIST, True)
        assert service.asked == []

    in_doubt(colour, service, ledger, then)


@in_each_colour
def test_senseless_calls_are_refused_before_anything_is_sent(colour: str) -> None:
    """Without a ledger, with an unknown key or a senseless time, each call is refused and nothing is sent."""
    service = Lister()

    async def main() -> None:
        async with a_client(colour, "httpx", service, service.clock) as client:
            for call in (
                client.doubts,
                client.reconcile,
                lambda: client.adopt("k", "task-1"),
                lambda: client.permit_resubmit("k"),
                lambda: client.abandon("k"),
            ):
                with pytest.raises(ConfigurationError, match="ledger"):
                    await got(call())
        async with a_client(colour, "httpx", service, service.clock, ledger=MemoryLedger()) as client:
            for call in (
                lambda: client.reconcile("k"),
                lambda: client.reconcile(""),
                lambda: client.reconcile(timeout=0),
                lambda: client.adopt("k", "task-1"),
                lambda: client.permit_resubmit("k"),
                lambda: client.abandon("k"),
            ):
                with pytest.raises(ConfigurationError):
                    await got(call())
            assert await got(client.reconcile()) == ()

    run_in(colour, main)
    assert service.asked == []


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_the_ledger_is_asked_off_the_loop(tmp_path: Path, colour: str) -> None:
    """No call of the ledger that settles a doubt runs on the event loop's thread."""
    service = Lister()
    with SqliteLedger(tmp_path / "ledger.sqlite3") as file:
        ledger = Watched(file)

        async def then(client: Any) -> None:
            ledger.calls.clear()
            assert (await reconciled(client)).verdict is Verdict.ADOPTED
            for call in (client.adopt("order", "task-9"), client.permit_resubmit("order"), client.abandon("order")):
                with pytest.raises(ActRefused):
                    await call
            await client.doubts()

        in_doubt(colour, service, ledger, then)
    names = {name for name, _ in ledger.calls}
    assert {"adopt", "observe", "entries", "strays", "setting", "find", "abandon"} <= names
    assert threading.get_ident() not in {thread for _, thread in ledger.calls}
