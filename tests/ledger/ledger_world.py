"""A ledger as a state machine: processes that send, poll, die, pause and lose their locks; the service knows the truth.

Sends and what came of them are judged by tests/oracle/ledger.py, leases by tests/oracle/leases.py. Both hear what the
processes hear, and share no rule with the ledger.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from resilient_poll.ledger.entry import Entry, Namespace
from resilient_poll.ledger.errors import ActRefused
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.ledger.senders import FATES, TASKS, Fate, Process, Send
from tests.oracle.leases import Leases
from tests.oracle.ledger import MADE, NOT_MADE, Judge, View

HERE = Namespace("https://api.test/v1", "generic", "main")
PROCESSES, KEYS = 2, 2
STEPS = 14


SEEN = {
    Phase.QUEUED: Billing.NOT_YET,
    Phase.RUNNING: Billing.ON_SUCCESS,
    Phase.SUCCEEDED: Billing.BILLED,
    Phase.FAILED: Billing.NONE,
    Phase.CANCELED: Billing.PARTIAL_POSSIBLE,
    Phase.EXPIRED: Billing.UNDETERMINED,
}

processes = st.integers(0, PROCESSES - 1)
keys = st.integers(0, KEYS - 1)
which = st.integers(0, 11)
lasts = st.sampled_from([0.0, 5.0, 60.0, 3600.0, 10_000.0])
OFTEN = (*["send", "hear", "hear again", "overrule"] * 2, "look", "wait", "settle")
WORKS = ("take", "take", "wait", "renew", "let go", "look", "tell")
Act = tuple[str, int, int, Fate, int]
Work = tuple[str, int, int, float]
works = st.tuples(st.sampled_from(WORKS), processes, which, lasts)
acts = st.tuples(st.sampled_from(OFTEN), processes, keys, st.sampled_from(FATES), which)


class LedgerLife(RuleBasedStateMachine):
    """Two processes at a time on one ledger, whoever comes after those that die, and humans who decide upon doubts."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = self.new_ledger()
        self.now_s = 1_750_000_000.0
        self.judge, self.leases = Judge(), Leases()
        self.sends: list[Send] = []
        self.processes = [self.new_process() for _ in range(PROCESSES)]
        self.entries: dict[int, Entry] = {}
        for key in range(KEYS):
            self.begin(key)

    def new_ledger(self) -> Ledger:
        """Where everything is kept."""
        return MemoryLedger()

    def close_ledger(self) -> None:
        """Let go of it."""
        self.ledger.close()

    def teardown(self) -> None:
        for process in self.processes:
            process.owner.close()
        self.close_ledger()

    def new_process(self) -> Process:
        return Process(self.ledger.open_owner())

    def entry(self, key: int) -> Entry:
        found = self.ledger.find(HERE, f"key-{key}")
        assert found is not None
        return found

    def one_of(self, number: int) -> Entry:
        """Any entry, of an earlier attempt too, as it stands."""
        return self.ledger.get(sorted(self.entries)[number % len(self.entries)])

    def is_any(self, holds: Callable[[Entry], bool]) -> bool:
        """Whether there was such an entry when they were last looked at."""
        return any(holds(entry) for entry in self.entries.values())

    def to_hear(self, is_again: bool) -> list[Send]:
        """The sends of those who can act that were not heard of, or all of them."""
        return [send for send in self.sends if send.process.can_act and (is_again or not send.heard)]

    @initialize(
        count=st.integers(0, 3), acts=st.lists(acts, max_size=10), works=st.lists(works, min_size=4, max_size=16)
    )
    def begin_late(self, count: int, acts: list[Act], works: list[Work]) -> None:
        """Some tasks are there already, that somebody looks after, and some more was sent."""
        for number in range(count):
            process = self.processes[0]
            entry = self.ledger.begin(HERE, f"earlier-{number}", "digest", now_wall_s=self.now_s)
            licence = self.ledger.license(entry, process.owner, now_wall_s=self.now_s)
            assert licence is not None
            judged = self.judge.leaves(licence.entry_id, licence.sends)
            judged.could = {MADE}
            self.sends.append(Send(process, licence, Fate.ACCEPTED, judged, heard=1))
            self.ledger.accept(licence, judged.name, now_wall_s=self.now_s)
        self.all_is_possible()
        self.much_happens(acts)
        self.they_look_after_tasks(works)

    # What the processes do.

    @rule(key=keys)
    def begin(self, key: int) -> None:
        """Somebody wants what was wanted before, or is the first."""
        self.ledger.begin(HERE, f"key-{key}", "digest", now_wall_s=self.now_s)

    @rule(number=processes, key=keys, fate=st.sampled_from(FATES))
    def send(self, number: int, key: int, fate: Fate) -> None:
        """A process sends, if it is given the licence; what is at its end is wanted once more."""
        process, entry = self.processes[number], self.entry(key)
        if not process.can_act:
            return
        if entry.is_ended:
            entry = self.ledger.begin_attempt(entry, accept_second_charge=True, now_wall_s=self.now_s)
        licence = self.ledger.license(entry, process.owner, now_wall_s=self.now_s)
        if licence is not None:
            judged = self.judge.leaves(licence.entry_id, licence.sends)
            self.sends.append(Send(process, licence, fate, judged))

    @precondition(lambda self: self.to_hear(is_again=True))
    @rule(number=which, again=st.booleans(), asks_s=st.sampled_from([0.0, 1.0, 2.0]))
    def hear(self, number: int, again: bool, asks_s: float) -> None:
        """A process hears what became of a send, for the first time or again."""
        waiting = self.to_hear(again)
        if not waiting:
            return
        send = waiting[number % len(waiting)]
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
                ledger.give_back(licence, not_before_wall_s=now_s + asks_s, now_wall_s=now_s)
            case Fate.REFUSED:
                ledger.refuse(licence, now_wall_s=now_s)
            case _:
                ledger.doubt(licence, "no answer", now_wall_s=now_s)

    @rule(acts=st.lists(acts, min_size=5, max_size=20))
    def much_happens(self, acts: list[Act]) -> None:
        """One after the other, what happens most: so that a run gets somewhere."""
        for what, number, key, fate, other in acts:
            match what:
                case "send":
                    self.send(number, key, fate)
                case "hear" | "hear again":
                    self.hear(other, again=what == "hear again", asks_s=0.0)
                case "look":
                    self.look(other, list(SEEN)[other % len(SEEN)])
                case "wait":
                    self.the_clock_goes(1000.0)
                case "settle":
                    self.settle()
                case _:
                    self.overrule(key)
            self.all_is_possible()

    @rule(number=processes, key=keys, acts=st.lists(acts, min_size=5, max_size=20))
    def one_is_busy(self, number: int, key: int, acts: list[Act]) -> None:
        """The same, and all that is sent is the same and by the same process."""
        self.much_happens([(what, number, key, fate, other) for what, _, _, fate, other in acts])

    @precondition(lambda self: self.is_any(lambda entry: entry.task_id is not None))
    @rule(number=which, phase=st.sampled_from(list(SEEN)))
    def look(self, number: int, phase: Phase) -> None:
        """Somebody writes down what a poll saw, whether or not it is late, or nobody's business."""
        entry = self.one_of(number)
        if entry.task_id is not None:
            after = self.ledger.observe(entry, phase=phase, billing=SEEN[phase], now_wall_s=self.now_s)
            assert after.phase.value in self.judge.may_stand(entry.entry_id, phase.value)

    @rule(number=processes, for_s=lasts, limit=st.integers(1, 5), ends=st.booleans())
    def take(self, number: int, for_s: float, limit: int, ends: bool) -> None:
        """A process takes what is free: open tasks, or ends to tell of."""
        process = self.processes[number]
        if process.can_act:
            claim = self.ledger.claim_ends if ends else self.ledger.claim
            found = claim(HERE, process.worker, for_s=for_s, limit=limit, now_wall_s=self.now_s)
            taken = [entry.entry_id for entry in found]
            assert taken == self.leases.take(process.worker, for_s, limit, self.now_s, ends=ends)

    @precondition(lambda self: self.is_any(lambda entry: entry.task_id is not None))
    @rule(works=st.lists(works, min_size=4, max_size=16))
    def they_look_after_tasks(self, works: list[Work]) -> None:
        """One after the other, what workers do most."""
        for what, number, other, for_s in works:
            match what:
                case "take":
                    self.take(number, for_s, 1 + other % 5, other % 3 == 0)
                case "renew":
                    self.renew(number, other, for_s)
                case "let go":
                    self.let_go(number, other)
                case "tell":
                    self.tell(other)
                case "look":
                    self.look(other, list(SEEN)[number * 2 + other % 3])
                    self.all_is_possible()  # The model of leases is told where a task stands.
                case _:
                    self.the_clock_goes(for_s)

    @precondition(lambda self: self.is_any(lambda entry: entry.worker is not None))
    @rule(number=processes, other=which, for_s=lasts)
    def renew(self, number: int, other: int, for_s: float) -> None:
        """A process wants to go on with one, whether or not it is its own."""
        process, entry = self.processes[number], self.one_of(other)
        if process.can_act:
            is_mine = self.ledger.renew(entry, process.worker, for_s=for_s, now_wall_s=self.now_s)
            assert is_mine == self.leases.renew(entry.entry_id, process.worker, for_s, self.now_s)

    @precondition(lambda self: self.is_any(lambda entry: entry.worker is not None))
    @rule(number=processes, other=which)
    def let_go(self, number: int, other: int) -> None:
        """A process lets go of one, whether or not it is its own."""
        process, entry = self.processes[number], self.one_of(other)
        if process.can_act:
            self.ledger.release(entry, process.worker, now_wall_s=self.now_s)
            self.leases.let_go(entry.entry_id, process.worker, self.now_s)

    @precondition(lambda self: self.is_any(lambda entry: entry.is_ended))
    @rule(number=which)
    def tell(self, number: int) -> None:
        """Somebody is told of an end, if it is one."""
        entry = self.one_of(number)
        self.ledger.delivered(entry, now_wall_s=self.now_s)
        self.leases.tell(entry.entry_id)

    @rule()
    def settle(self) -> None:
        """Somebody settles what the dead had out, and nothing else changes."""
        earlier = self.all_entries()
        self.ledger.settle_the_dead(now_wall_s=self.now_s)
        gone = {send.process.owner.name for send in self.sends if send.process.has_lost_its_lock}
        for entry_id, entry in self.all_entries().items():
            was = earlier[entry_id]
            if was.phase is Phase.SUBMITTING and was.owner in gone:
                assert entry.phase is Phase.IN_DOUBT, "a dead owner's send is a doubt"
            else:
                assert entry == was, "only what the dead had out is settled"

    # What becomes of them.

    @rule(number=processes)
    def pause(self, number: int) -> None:
        """A process stands still, or goes on."""
        self.processes[number].is_paused ^= True

    @rule(number=processes, is_dead=st.booleans())
    def kill(self, number: int, is_dead: bool) -> None:
        """A process is gone, and its lock with it, or only its lock, as when a connection to a database breaks: then it
        hears its answers, and seems dead. Its leases stay until they are over; another takes its place."""
        process = self.processes[number]
        process.is_dead, process.has_lost_its_lock = is_dead, True
        process.owner.close()
        self.processes[number] = self.new_process()

    @rule(seconds=st.sampled_from([1.0, 10.0, 61.0, 1000.0, 3600.0, 100_000.0, -60.0, -7200.0]))
    def the_clock_goes(self, seconds: float) -> None:
        """Time passes, or the clock is set back."""
        self.now_s += seconds

    # What humans decide.

    @precondition(lambda self: self.is_any(lambda entry: entry.phase is Phase.IN_DOUBT))
    @rule(key=keys)
    def overrule(self, key: int) -> None:
        """A human allows one more send, in spite of a doubt."""
        entry = self.entry(key)
        if entry.phase is Phase.IN_DOUBT:
            self.ledger.license_resubmit(entry, now_wall_s=self.now_s)
            self.judge.overruled(entry.entry_id)

    @precondition(lambda self: self.is_any(lambda entry: entry.phase is Phase.IN_DOUBT))
    @rule(key=keys)
    def adopt(self, key: int) -> None:
        """The task of a doubt is found."""
        entry = self.entry(key)
        lost = [send for send in self.sends if send.licence.entry_id == entry.entry_id]
        made = [send for send in lost if send.fate in TASKS]
        if entry.phase is Phase.IN_DOUBT and made and made[-1].licence.sends == entry.sends:
            self.ledger.adopt(entry, made[-1].made, now_wall_s=self.now_s)

    @precondition(lambda self: self.is_any(lambda entry: not entry.is_ended))
    @rule(key=keys)
    def abandon(self, key: int) -> None:
        """A human gives up what is not at its end, unless it is just being sent."""
        entry = self.entry(key)
        try:
            self.ledger.abandon(entry, now_wall_s=self.now_s)
        except ActRefused:
            assert entry.phase is Phase.SUBMITTING or entry.is_ended

    @precondition(lambda self: self.is_any(lambda entry: entry.is_ended))
    @rule(key=keys, accepts=st.booleans())
    def attempt(self, key: int, accepts: bool) -> None:
        """What is at its end is wanted once more, with consent to a second charge or without."""
        entry = self.entry(key)
        if entry.is_ended:
            try:
                self.ledger.begin_attempt(entry, accept_second_charge=accepts, now_wall_s=self.now_s)
            except ActRefused:
                assert not accepts
                assert entry.billing is not Billing.NONE

    # What must hold.

    def all_entries(self) -> dict[int, Entry]:
        return {entry.entry_id: entry for entry in self.ledger.entries(limit=1000)}

    @invariant()
    def all_is_possible(self) -> None:
        """Nothing is forgotten or paid twice, no bill falls, and who has what is what the models say."""
        self.entries = self.all_entries()
        beside = self.ledger.strays()
        recorded = {entry.task_id for entry in self.entries.values()} | {stray.task_id for stray in beside}
        results = [self.ledger.get(number).result for number, one in self.entries.items() if one.is_ended]
        recorded |= {str(result).strip('"') for result in (*results, *(stray.result for stray in beside))}
        views = {
            entry_id: View(entry.phase.value, entry.billing.value, entry.sends, frozenset(entry.doubtful_sends))
            for entry_id, entry in self.entries.items()
        }
        self.judge.check(views, {name for name in recorded if name is not None})
        for entry_id, entry in self.entries.items():
            self.leases.stands(entry_id, entry.phase.value)
            kept = self.leases.tasks[entry_id]
            assert (entry.worker, entry.worker_until_wall_s) == (kept.worker, kept.until_s), "a lease is what was taken"
            assert (entry.delivered_wall_s is not None) == kept.is_told, "told is what was told"


class LedgerLifeInAFile(LedgerLife):
    """The same with files and their locks."""

    def new_ledger(self) -> Ledger:
        self.folder = tempfile.TemporaryDirectory()
        return SqliteLedger(Path(self.folder.name) / "ledger.sqlite3")

    def close_ledger(self) -> None:
        super().close_ledger()
        self.folder.cleanup()


def run_machine(machine: type[LedgerLife], how: settings) -> None:
    run_state_machine_as_test(machine, settings=settings(how, stateful_step_count=STEPS))
