"""Slots of a ledger for requests: never more than there are, in turn, and worth as much as their owner is alive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import strategies as st

from resilient_poll.errors import ConfigurationError
from resilient_poll.ledger.errors import LedgerUnavailable, SlotsTaken
from resilient_poll.ledger.logic import LedgerLogic
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.rows import SLOTS
from resilient_poll.ledger.slots import DOUBT_HOLDS_S, STANDS_S, TASK_HOLDS_S, LedgerSlots
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.lifecycle import ENDS, Billing, Phase
from tests.ledger.ledger_world import HERE
from tests.support.properties import Property

PLACES = 2
PROCESSES = 3


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LedgerLogic]:
    """An empty ledger of each kind."""
    with ExitStack() as stack:
        if request.param == "memory":
            yield stack.enter_context(MemoryLedger())
        elif request.param == "sqlite":
            yield stack.enter_context(SqliteLedger(tmp_path / "ledger.sqlite3"))
        else:
            conninfo = request.getfixturevalue("conninfo")
            from resilient_poll.ledger.postgres import PostgresLedger  # noqa: PLC0415  # only where it is installed

            yield stack.enter_context(PostgresLedger(conninfo))


@contextmanager
def sharers(ledger: LedgerLogic, now_s: Callable[[], float], count: int = PROCESSES) -> Iterator[list[LedgerSlots]]:
    """Give so many that share slots, as processes do."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(LedgerSlots(ledger._store, ledger._liveness, PLACES, wall_s=now_s))
            for _ in range(count)
        ]


def die(slots: LedgerSlots) -> None:
    """Do what a kill does: let go of the lock, and of nothing else."""
    assert slots._owner is not None
    slots._owner.close()
    slots._owner = None


def test_no_more_slots_than_there_are(ledger: LedgerLogic) -> None:
    """Each key has its slots, for all who share them; one that is given back is free."""
    with sharers(ledger, lambda: 1000.0) as (one, two, _):
        held = [one.take("a"), two.take("a")]
        assert None not in held
        assert one.take("a") is None
        assert one.take("another") is not None
        two.give_back(held[1])
        assert one.take("a") is not None


def test_a_free_slot_belongs_to_who_stands_longest(ledger: LedgerLogic) -> None:
    """Who gave a slot back and wants it again stands behind those who waited, until they have left."""
    now_s = 1000.0
    with sharers(ledger, lambda: now_s) as (one, two, three):
        held = [one.take("a"), one.take("a")]
        assert (two.take("a"), three.take("a")) == (None, None)
        one.give_back(held[0])
        assert (one.take("a"), three.take("a")) == (None, None)
        assert two.take("a") is not None
        one.give_back(held[1])
        now_s += STANDS_S - 1
        assert one.take("a") is None, "three stands before it"
        now_s += 2  # Three did not ask again.
        assert one.take("a") is not None


def test_who_dies_frees_what_it_held_and_who_pauses_does_not(ledger: LedgerLogic) -> None:
    """A dead owner's slots and places in the line are free at the next look; a silent one's stay for ever."""
    now_s = 1000.0
    with sharers(ledger, lambda: now_s) as (one, two, three):
        assert one.take("a") is not None
        assert two.take("a") is not None
        now_s += 1e9
        assert three.take("a") is None
        die(one)
        assert three.take("a") is not None
        assert one.take("a") is None, "it is another owner now"


def test_the_key_is_not_written_down(ledger: LedgerLogic) -> None:
    """What the caller calls its key may be a secret, so the ledger holds a digest of it only."""
    with ledger.slots(1) as slots:
        slots.take("sk-canary-key")
        slots.take("sk-canary-key")
        rows = ledger._store.read(lambda rows: rows.select(SLOTS, []))
    assert len(rows) == 2
    assert "canary" not in repr(rows)
    assert ledger._store.read(lambda rows: rows.select(SLOTS, [])) == [], "closing gives everything back"


def test_what_could_not_be_given_back_is_given_back_later() -> None:
    """A ledger that is out of order when a request is over costs its caller nothing, and no slot is lost."""
    ledger = MemoryLedger()
    slots, run = ledger.slots(1), ledger._store.run

    def broken(*_: object) -> None:
        raise LedgerUnavailable("gone for a moment")

    held = slots.take("a")
    assert held is not None
    ledger._store.run = broken  # type: ignore[method-assign,assignment]  # the store breaks
    slots.give_back(held)
    ledger._store.run = run  # type: ignore[method-assign]  # and is whole again
    assert slots.take("a") is not None


@pytest.mark.parametrize(
    "wrong", [{"places": 0}, {"places": True}, {"places": 1.5}, {"places": 1, "look_again_s": 9.0}]
)
def test_slots_without_sense_are_refused(wrong: dict[str, float]) -> None:
    """A number that lets nobody through, or would lose its place each time, is refused where it is said."""
    with pytest.raises(ConfigurationError):
        MemoryLedger().slots(**wrong)  # type: ignore[arg-type]  # on purpose


steps = st.lists(
    st.tuples(st.sampled_from(["take", "take", "take", "give_back", "die", "sleep"]), st.integers(0, PROCESSES - 1)),
    max_size=40,
)


def shared(steps: list[tuple[str, int]]) -> None:
    """Never are more slots held than there are, and whoever keeps asking gets one once there is one for it."""
    now_s = 1000.0
    ledger = MemoryLedger()
    with sharers(ledger, lambda: now_s) as processes:
        held: list[list[int]] = [[] for _ in processes]
        for what, which in steps:
            if what == "take" and (slot := processes[which].take("a")) is not None:
                held[which].append(slot)
            elif what == "give_back" and held[which]:
                processes[which].give_back(held[which].pop())
            elif what == "die" and processes[which]._owner is not None:
                die(processes[which])
                held[which] = []
            elif what == "sleep":
                now_s += 1.0
            assert sum(map(len, held)) <= PLACES
        for which, slots in enumerate(held):
            while slots:
                processes[which].give_back(slots.pop())
        got: set[int] = set()
        for _ in range(PROCESSES):
            for which, process in enumerate(processes):
                if which not in got and (slot := process.take("a")) is not None:
                    got.add(which)
                    process.give_back(slot)
        assert got == set(range(PROCESSES)), "somebody starves"


def test_slots_in_any_order_of_events() -> None:
    """However processes take, give back, die and pause, the cap holds and nobody starves."""
    Property(shared, steps=steps).holds()


def test_a_licence_is_a_slot_until_the_task_ends(ledger: LedgerLogic) -> None:
    """What is being sent, open, or in doubt holds a slot; what is refused, given back or ended does not."""
    with ledger.open_owner() as owner:

        def licensed(key: str, now_s: float = 1000.0) -> bool:
            entry = ledger.begin(HERE, key, "digest", now_wall_s=now_s)
            try:
                licence = ledger.license(entry, owner, slots=1, now_wall_s=now_s)
            except SlotsTaken:
                return False
            assert licence is not None
            licences[key] = licence
            return True

        licences = {}
        assert licensed("given back")
        assert not licensed("next")
        ledger.give_back(licences["given back"], now_wall_s=1000.0)
        assert licensed("refused")
        assert not licensed("given back")
        ledger.refuse(licences["refused"], now_wall_s=1000.0)
        assert licensed("accepted")
        kept = ledger.accept(licences["accepted"], "task-1", now_wall_s=1000.0)
        for phase in set(Phase) - ENDS - {Phase.NEW, Phase.SUBMITTING, Phase.IN_DOUBT}:
            kept = ledger.observe(kept, phase=phase, billing=Billing.UNDETERMINED, now_wall_s=1000.0)
            assert not licensed("next")
        ledger.observe(kept, phase=Phase.FAILED, billing=Billing.NONE, now_wall_s=1000.0)
        assert licensed("doubted")
        assert not licensed("next", 9e8)  # Nobody said that it is not on its way: a pause frees nothing.
        ledger.doubt(licences["doubted"], "no answer", now_wall_s=1000.0)
        assert not licensed("next", 1000.0 + DOUBT_HOLDS_S - 1)
        assert licensed("next", 1000.0 + DOUBT_HOLDS_S)
        since_s = 1000.0 + DOUBT_HOLDS_S
        ledger.accept(licences["next"], "task-2", now_wall_s=since_s)
        assert not licensed("last", since_s + TASK_HOLDS_S - 1)
        assert licensed("last", since_s + TASK_HOLDS_S)
