"""Looking for the tasks of doubts: the ledger's doubts, the list twice, the ledger once more, finished tasks' answers.

The ledger is read after the list: a task that is listed and was heard of is then known to be held,
and one that was not heard of belongs to a submit that is out or in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.dashscope.doubts import filed, words
from resilient_poll.dashscope.doubts.claims import SETTLING_S, ZONES_S, claim_of, created_s, is_synchronous
from resilient_poll.dashscope.doubts.decide import NEARBY_S, Decision, Evidence, decide, to_look_at
from resilient_poll.dashscope.doubts.steps import Asked, Call, Question, Steps, about_a_task
from resilient_poll.dashscope.doubts.verdicts import Reconciled, Verdict
from resilient_poll.dashscope.keeping.books import Books
from resilient_poll.dashscope.wire.dialects import LIFECYCLE, RETENTION_S
from resilient_poll.dashscope.wire.listing import LIST_S, PAGE_SIZE, ListedTask, Listing, questions
from resilient_poll.dashscope.wire.requests import list_request
from resilient_poll.errors import ListingFailed
from resilient_poll.http.messages import Answer
from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.errors import ActRefused
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import Observation, Refused, StatusSeen
from resilient_poll.machine.policy import SubmitPolicy

__all__ = ["Searching"]

LOOK_S = 30.0
"""How long to go on asking for one task's answer: two attempts."""
MOST_READINGS = 4
"""How often the list is read until two readings agree."""
_OLDEST_S = RETENTION_S + 3600.0
"""How old a doubt may be for the list to be worth asking; the hour is for two clocks."""


@dataclass(frozen=True, slots=True)
class Searching:
    """One call of :meth:`.DashScope.reconcile`.

    Attributes:
        core: Whose doubts they are.
        now: What time it is.
        timeout_s: How many seconds all of it may take.
    """

    core: ClientCore
    now: Callable[[], Instant]
    timeout_s: float

    def steps(self, key: str | None) -> Steps[tuple[Reconciled, ...]]:
        """Look for the tasks of all doubts, or of one, and adopt what is certain.

        Args:
            key: The idempotency key of one; of all, if None.

        Raises:
            ActRefused: That one is not in doubt.
            ListingFailed: The list could not be read; nothing was changed.
        """
        core, begun = self.core, self.now()
        books = filed.books_of(core)
        if key is None:
            doubts: tuple[Entry, ...] = yield Call(lambda: filed.doubts_in(books, begun))
        else:
            doubts = ((yield Call(lambda: filed.doubt_of(books, key, begun))),)
        decisions = {entry.entry_id: found for entry in doubts if (found := self._without_a_look(entry, begun))}
        wanted = [entry for entry in doubts if entry.entry_id not in decisions]
        seen: dict[str, StatusSeen] = {}
        if wanted:
            decisions |= yield from self._decisions(books, wanted, begun.monotonic_s + self.timeout_s, seen)
        told: tuple[Reconciled, ...] = ()
        for entry in doubts:
            told += ((yield from self._carried_out(books, entry, decisions.get(entry.entry_id), seen)),)
        return told

    def _without_a_look(self, entry: Entry, now: Instant) -> Decision | None:
        """Return what is decided about a doubt for which the list is not worth asking; None if it is."""
        if is_synchronous(entry):
            return Decision(Verdict.CANNOT_LIST, words.NO_TASK_AT_ALL)
        if not self.core.settings.dialect.can_list:
            return Decision(Verdict.CANNOT_LIST, words.CANNOT_LIST)
        sent_s = entry.licensed_wall_s or entry.created_wall_s
        return Decision(Verdict.UNCLEAR, words.TOO_OLD) if now.wall_s - sent_s > _OLDEST_S else None

    def _decisions(
        self, books: Books, doubts: list[Entry], deadline_s: float, seen: dict[str, StatusSeen]
    ) -> Steps[Mapping[int, Decision]]:
        listed = yield from self._read_until_steady(doubts, deadline_s)
        read_at = self.now()
        first_s = min(entry.licensed_wall_s or entry.created_wall_s for entry in doubts)
        held: filed.Filed = yield Call(lambda: filed.everything_sent(books, first_s))
        wanted = {entry.entry_id: entry.sends for entry in doubts}
        # Who was settled and sent anew meanwhile is in another doubt than the one that was looked for.
        still = {entry.entry_id for entry in held.entries if wanted.get(entry.entry_id) == entry.sends}

        def evidence() -> Evidence:
            return Evidence(
                entries=held.entries,
                listed=listed,
                attempt_s=self._attempt_s,
                now_wall_s=read_at.wall_s,
                beside=held.beside,
                answers={task_id: answer.result for task_id, answer in seen.items()},
                is_sole_submitter=held.is_sole_submitter,
                is_damaged=held.is_damaged,
            )

        # Of hundreds of doubts, deciding takes a while too.
        finished: tuple[str, ...] = yield Call(lambda: to_look_at(still, evidence()))
        for task_id in finished:
            left_s = deadline_s - self.now().monotonic_s
            if left_s <= 0.0:
                break
            asked: Asked = yield about_a_task(self.core, task_id, self.now(), min(LOOK_S, left_s))
            if isinstance(asked.lookup.last, Refused):
                break  # It would refuse the others, too.
            heard: StatusSeen | None = None if asked.lookup.answered is None else asked.lookup.answered.result
            if heard is not None and LIFECYCLE.phase_of(heard.status) is Phase.SUCCEEDED:
                seen[task_id] = heard
        decisions: Mapping[int, Decision] = yield Call(lambda: decide(still, evidence()))
        return decisions

    @property
    def _attempt_s(self) -> float:
        # Another process may have sent it, by its own policy.
        return max(self.core.submit_policy.attempt_timeout_s, SubmitPolicy().attempt_timeout_s)

    def _read_until_steady(self, doubts: list[Entry], deadline_s: float) -> Steps[tuple[ListedTask, ...] | None]:
        """Read the list until two readings agree about what matters; None if none do."""
        claims = [claim for entry in doubts if (claim := claim_of(entry, self._attempt_s)) is not None]
        before: frozenset[str] | None = None
        for _ in range(MOST_READINGS):
            listed = yield from self._read(doubts, deadline_s)
            # All day long tasks are added; those of another time make no difference.
            matters = frozenset(
                task.task_id
                for task in listed
                if any(claim.covers(created_s(task), ZONES_S, held_up_s=SETTLING_S) for claim in claims)
            )
            if matters == before:
                return listed
            before = matters
        return None

    def _read(self, doubts: list[Entry], deadline_s: float) -> Steps[tuple[ListedTask, ...]]:
        core = self.core
        sent = [entry.licensed_wall_s or entry.created_wall_s for entry in doubts]
        nearby = timedelta(seconds=NEARBY_S)
        asked = questions(
            core.settings.dialect,
            start=datetime.fromtimestamp(min(sent), UTC) - nearby,
            end=datetime.fromtimestamp(max(sent), UTC) + nearby,
            model=None,
            status=None,
            page_size=PAGE_SIZE,
        )
        pages = Listing(asked)
        found: list[ListedTask] = []
        while (parameters := pages.next_page()) is not None:
            number, left_s = pages.number, deadline_s - self.now().monotonic_s
            if left_s <= 0.0:
                raise ListingFailed(f"the service's list was not read to its end in {self.timeout_s:g} s")

            def understand(answer: Answer, at: Instant, number: int = number) -> Observation:
                return core.after_listing(answer, at, number)

            request = list_request(core.settings, parameters)
            came: Asked = yield Question(request, understand, min(LIST_S, left_s))
            found += pages.receive(core.page_of(came.lookup, came.done, self.now()))
        return tuple(found)

    def _carried_out(
        self, books: Books, entry: Entry, decision: Decision | None, seen: Mapping[str, StatusSeen]
    ) -> Steps[Reconciled]:
        """Do what was decided, and say it."""
        if decision is None:
            return (yield from self._settled_meanwhile(books, entry, "somebody else settled it meanwhile"))
        task, stands = decision.task, entry
        if task is not None:
            said, now = seen.get(task.task_id, task), self.now()
            try:
                stands = yield Call(lambda: filed.adopt(books, entry, task.task_id, said, now))
            except ActRefused as error:
                return (yield from self._settled_meanwhile(books, entry, str(error)))
        return Reconciled(
            entry=stands,
            verdict=decision.verdict,
            task_id=None if task is None else task.task_id,
            candidates=decision.candidates,
            why=decision.why,
        )

    def _settled_meanwhile(self, books: Books, entry: Entry, why: str) -> Steps[Reconciled]:
        stands: Entry = yield Call(lambda: books.ledger.get(entry.entry_id))
        is_found = stands.task_id is not None and stands.phase is not Phase.IN_DOUBT
        verdict = Verdict.ADOPTED if is_found else Verdict.UNCLEAR
        return Reconciled(entry=stands, verdict=verdict, task_id=stands.task_id, candidates=(), why=why)
