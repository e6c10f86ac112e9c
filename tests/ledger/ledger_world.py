"""A world for a ledger: senders that die, pause and lose their locks, and a service that knows the truth.

Judged by tests/oracle/ledger.py, which hears what the senders hear, and shares no rule with the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hypothesis import strategies as st

from resilient_poll.ledger.entry import Entry, Namespace
from resilient_poll.ledger.errors import ActRefused
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.rows import Owner
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.oracle.ledger import MADE, NOT_MADE, Judge, Sent, View

HERE = Namespace("https://api.test/v1", "generic", "main")
SENDERS, KEYS = 2, 2


class Fate(StrEnum):
    """What the service makes of a send, and what its sender will hear."""

    ACCEPTED = "accepted"
    ACCEPTED_AND_LOST = "accepted, answer lost"
    ACCEPTED_AND_LATE = "accepted, answer late"
    ANSWERED = "answered"
    THROTTLED = "throttled"
    REFUSED = "refused"
    LOST = "lost"


FATES = (*Fate, Fate.THROTTLED, Fate.THROTTLED, Fate.ACCEPTED_AND_LATE, Fate.ACCEPTED_AND_LOST)
TASKS = {Fate.ACCEPTED, Fate.ACCEPTED_AND_LOST, Fate.ACCEPTED_AND_LATE}
SEEN = {
    Phase.QUEUED: Billing.NOT_YET,
    Phase.RUNNING: Billing.ON_SUCCESS,
    Phase.SUCCEEDED: Billing.BILLED,
    Phase.FAILED: Billing.NONE,
    Phase.CANCELED: Billing.PARTIAL_POSSIBLE,
    Phase.EXPIRED: Billing.UNDETERMINED,
}


@dataclass
class Sender:
    """Whoever sends: its lock, and whether it runs."""

    owner: Owner
    is_dead: bool = False
    is_paused: bool = False
    has_lost_its_lock: bool = False

    @property
    def can_act(self) -> bool:
        return not self.is_dead and not self.is_paused


@dataclass
class Send:
    """One request that left, and the truth about it."""

    sender: Sender
    licence: Entry
    fate: Fate
    judged: Sent
    heard: int = 0

    @property
    def made(self) -> str:
        return self.judged.name

    @property
    def is_known(self) -> bool:
        """Whether its sender told the ledger what the service made."""
        needed = {Fate.ACCEPTED: 1, Fate.ANSWERED: 1, Fate.ACCEPTED_AND_LATE: 2}
        return self.heard >= needed.get(self.fate, self.heard + 1)


@dataclass
class World:
    """Carries out steps and checks after each that nothing was forgotten or paid twice."""

    ledger: Ledger
    now_s: float = 1000.0
    sends: list[Send] = field(default_factory=list)
    judge: Judge = field(default_factory=Judge)
    senders: list[Sender] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.senders = [Sender(self.ledger.open_owner()) for _ in range(SENDERS)]
        for key in range(KEYS):
            self.begin(key, 0)

    def play(self, steps: Sequence[tuple[str, int, int]]) -> None:
        for name, first, second in steps:
            getattr(self, name)(first, second)
            self.check()

    def entry(self, key: int) -> Entry | None:
        return self.ledger.find(HERE, f"key-{key % KEYS}")

    def begin(self, key: int, _: int) -> None:
        self.ledger.begin(HERE, f"key-{key % KEYS}", "digest", now_wall_s=self.now_s)

    def send(self, which: int, fate: int) -> None:
        sender, entry = self.senders[which % SENDERS], self.entry(which // SENDERS)
        if not sender.can_act or entry is None:
            return
        if entry.is_ended:
            entry = self.ledger.begin_attempt(entry, accept_second_charge=True, now_wall_s=self.now_s)
        licence = self.ledger.license(entry, sender.owner, now_wall_s=self.now_s)
        if licence is None:
            return
        judged = self.judge.leaves(licence.entry_id, licence.sends)
        self.sends.append(Send(sender, licence, FATES[fate % len(FATES)], judged))

    def hear(self, which: int, again: int) -> None:
        waiting = [send for send in self.sends if send.sender.can_act and (again % 2 or not send.heard)]
        if not waiting:
            return
        send = waiting[which % len(waiting)]
        send.heard += 1
        ledger, licence, now_s = self.ledger, send.licence, self.now_s
        if send.is_known:
            send.judged.could = {MADE}
        elif send.fate in {Fate.THROTTLED, Fate.REFUSED}:
            send.judged.could = {NOT_MADE}
        match send.fate:
            case Fate.ACCEPTED | Fate.ACCEPTED_AND_LATE if send.is_known:
                ledger.accept(licence, send.made, now_wall_s=now_s)
            case Fate.ANSWERED:
                ledger.answered(licence, f'"{send.made}"', now_wall_s=now_s)
            case Fate.THROTTLED:
                ledger.give_back(licence, not_before_wall_s=now_s + again % 3, now_wall_s=now_s)
            case Fate.REFUSED:
                ledger.refuse(licence, now_wall_s=now_s)
            case _:
                ledger.doubt(licence, "no answer", now_wall_s=now_s)

    def kill(self, which: int, _: int) -> None:
        sender = self.senders[which % SENDERS]
        sender.is_dead = True
        sender.owner.close()
        self.senders[which % SENDERS] = Sender(self.ledger.open_owner())

    def lose_the_lock(self, which: int, _: int) -> None:
        """As when a database connection breaks: it still hears its answers, and seems dead."""
        sender = self.senders[which % SENDERS]
        sender.has_lost_its_lock = True
        sender.owner.close()
        self.senders[which % SENDERS] = Sender(self.ledger.open_owner())

    def pause(self, which: int, _: int) -> None:
        self.senders[which % SENDERS].is_paused ^= True

    def settle(self, _: int, __: int) -> None:
        earlier = self.all_entries()
        self.ledger.settle_the_dead(now_wall_s=self.now_s)
        gone = {send.sender.owner.name for send in self.sends if send.sender.is_dead or send.sender.has_lost_its_lock}
        for entry_id, entry in self.all_entries().items():
            was = earlier[entry_id]
            if was.phase is Phase.SUBMITTING and was.owner in gone:
                assert entry.phase is Phase.IN_DOUBT, "a dead owner's send is a doubt"
            else:
                assert entry == was, "only what the dead had out is settled"

    def overrule(self, key: int, _: int) -> None:
        entry = self.entry(key)
        if entry is not None and entry.phase is Phase.IN_DOUBT:
            self.ledger.license_resubmit(entry, now_wall_s=self.now_s)
            self.judge.overruled(entry.entry_id)

    def adopt(self, key: int, _: int) -> None:
        entry = self.entry(key)
        lost = [send for send in self.sends if entry and send.licence.entry_id == entry.entry_id]
        made = [send for send in lost if send.fate in TASKS]
        if entry is not None and entry.phase is Phase.IN_DOUBT and made and made[-1].licence.sends == entry.sends:
            self.ledger.adopt(entry, made[-1].made, now_wall_s=self.now_s)

    def abandon(self, key: int, chance: int) -> None:
        entry = self.entry(key)
        if entry is not None and chance % 3 == 0:
            try:
                self.ledger.abandon(entry, now_wall_s=self.now_s)
            except ActRefused:
                assert entry.phase is Phase.SUBMITTING or entry.is_ended

    def attempt(self, key: int, chance: int) -> None:
        entry = self.entry(key)
        if entry is not None and entry.is_ended:
            try:
                self.ledger.begin_attempt(entry, accept_second_charge=chance % 2 == 0, now_wall_s=self.now_s)
            except ActRefused:
                assert entry.billing is not Billing.NONE

    def observe(self, key: int, seen: int) -> None:
        entry = self.entry(key)
        if entry is not None and entry.task_id is not None:
            phase = list(SEEN)[seen % len(SEEN)]
            self.ledger.observe(entry, phase=phase, billing=SEEN[phase], now_wall_s=self.now_s)

    def claim(self, worker: int, seconds: int) -> None:
        self.ledger.claim(HERE, f"worker-{worker % 2}", for_s=seconds, now_wall_s=self.now_s)

    def sleep(self, seconds: int, _: int) -> None:
        self.now_s += 10 ** (seconds % 6)

    def all_entries(self) -> dict[int, Entry]:
        return {entry.entry_id: self.ledger.get(entry.entry_id) for entry in self.ledger.entries()}

    def check(self) -> None:
        entries = self.all_entries()
        beside = self.ledger.strays()
        recorded = {entry.task_id for entry in entries.values()} | {stray.task_id for stray in beside}
        recorded |= {str(one.result).strip('"') for one in (*entries.values(), *beside)}
        views = {
            entry_id: View(entry.phase.value, entry.billing.value, entry.sends, frozenset(entry.doubtful_sends))
            for entry_id, entry in entries.items()
        }
        self.judge.check(views, {name for name in recorded if name is not None})


def steps() -> st.SearchStrategy[list[tuple[str, int, int]]]:
    """Steps in an order that is likely to get somewhere: sending and hearing most of all."""
    often = ["send"] * 5 + ["hear"] * 5 + ["overrule", "overrule", "observe", "observe", "settle", "sleep"]
    seldom = ["begin", "kill", "pause", "lose_the_lock", "adopt", "abandon", "attempt", "claim"]
    number = st.integers(0, 11)
    return st.lists(st.tuples(st.sampled_from(often + seldom), number, number), min_size=20, max_size=60)
