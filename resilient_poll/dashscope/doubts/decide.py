"""Which doubt is settled by which task, from the ledger, the service's list and finished tasks' answers. Pure.

A wrong adoption is as bad as a second bill, so what is not certain stays in doubt. A task is adopted

- where its answer shows the very request, and nobody else's request could have made it; or
- where it is the only one that the submit can have made, and the ledger is declared the account's
  only submitter.

That nothing was made is said only where the list shows a task of the ledger's from the same time: a
list that shows nothing at all proves nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from resilient_poll.dashscope.doubts import words
from resilient_poll.dashscope.doubts.claims import (
    REACH_S,
    SETTLING_S,
    ZONES_S,
    Claim,
    Rows,
    claim_of,
    created_s,
    is_of_another_time,
    names_of_models,
    zone_of,
)
from resilient_poll.dashscope.doubts.likeness import Comparison, Likeness, compared
from resilient_poll.dashscope.doubts.matching import matched
from resilient_poll.dashscope.doubts.verdicts import Verdict
from resilient_poll.dashscope.wire.listing import ListedTask
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.lifecycle import ENDS, Phase

__all__ = ["NEARBY_S", "SOLE_SUBMITTER", "Decision", "Evidence", "decide", "to_look_at"]

SOLE_SUBMITTER = "sole_submitter"
"""The setting by which a ledger is declared the account's only submitter, with the value ``yes``."""
NEARBY_S = 24 * 3600.0
"""A task of the same window: one that was sent within a day of the doubt."""
_UNLIKE = frozenset({Likeness.OTHER})
_UNLIKE_THE_SAME = frozenset({Likeness.OTHER, Likeness.CONTRADICTED})
"""Beside a submit whose very request a task shows, one that it contradicts is none that may have made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known when it is decided.

    Attributes:
        entries: Everything of the ledger that was sent to this service: doubts, what is out, known tasks.
        beside: Ids of tasks that the ledger holds beside its entries.
        listed: What the service lists, once two readings agreed; None if none did.
        answers: The whole answers about tasks that succeeded, by their ids.
        is_sole_submitter: Whether the ledger is declared the account's only submitter.
        is_damaged: Whether something in the ledger cannot be read, which may hold any task.
        attempt_s: The longest that one sending takes, in seconds.
        now_wall_s: When the list was read.
    """

    entries: tuple[Entry, ...]
    listed: tuple[ListedTask, ...] | None
    attempt_s: float
    now_wall_s: float
    beside: frozenset[str] = frozenset()
    answers: Mapping[str, object] = field(default_factory=dict)
    is_sole_submitter: bool = False
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided about one doubt.

    Attributes:
        verdict: What it comes to.
        why: One sentence.
        task: What is adopted.
        candidates: What may be its task.
    """

    verdict: Verdict
    why: str
    task: ListedTask | None = None
    candidates: tuple[ListedTask, ...] = ()


def decide(wanted: Collection[int], evidence: Evidence) -> Mapping[int, Decision]:
    """Return what is decided about some doubts.

    Args:
        wanted: The numbers of their entries.
        evidence: What is known.

    Returns:
        A decision for each of them that is in doubt and may have made a task.
    """
    search = _Search(evidence)
    doubts = [claim for claim in search.claims if claim.entry.entry_id in wanted and _is_doubt(claim)]
    if evidence.listed is None or evidence.is_damaged:
        why = words.DAMAGED if evidence.is_damaged else words.UNSTEADY
        return {claim.entry.entry_id: Decision(Verdict.UNCLEAR, why) for claim in doubts}
    return search.decide(doubts)


def to_look_at(wanted: Collection[int], evidence: Evidence) -> tuple[str, ...]:
    """Return the ids of finished tasks whose answers may say whose they are.

    Args:
        wanted: The numbers of the doubts' entries.
        evidence: What is known without those answers.
    """
    search = _Search(evidence)
    found: dict[str, None] = {}
    for claim in search.claims:
        if claim.entry.entry_id in wanted and _is_doubt(claim):
            rows = (*search.candidates(claim), *search.held_up(claim))
            found.update((task.task_id, None) for task in rows if task.phase is Phase.SUCCEEDED)
    return tuple(task_id for task_id in found if task_id not in evidence.answers)


def _is_doubt(claim: Claim) -> bool:
    return claim.entry.phase is Phase.IN_DOUBT


class _Search:
    """All submits without a known task, beside all tasks without a known submit."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        listed = {task.task_id: task for task in evidence.listed or ()}
        held = {entry.task_id for entry in evidence.entries} | evidence.beside
        self._free = Rows(task for task in listed.values() if task.task_id not in held)
        self._known = tuple(
            (entry, listed[entry.task_id])
            for entry in evidence.entries
            if entry.task_id is not None and entry.task_id in listed
        )
        self._names = names_of_models(self._known)
        shown = {zone_of(entry, task, evidence.attempt_s) for entry, task in self._known}
        self._is_zone_known = len(shown - {None}) == 1
        self._zones = tuple(zone for zone in ZONES_S if zone in shown) if self._is_zone_known else ZONES_S
        found = (claim_of(entry, evidence.attempt_s) for entry in evidence.entries)
        self.claims = tuple(claim for claim in found if claim is not None)
        self._compared: dict[tuple[int, str], Comparison] = {}
        self._possible_tasks: dict[tuple[int, float], list[ListedTask]] = {}
        self._taken: set[str] = set()

    def decide(self, doubts: list[Claim]) -> Mapping[int, Decision]:
        """Return what is decided about some doubts: first by requests, then by there being only one."""
        found: dict[int, Decision] = {}
        pairs, crowded = self._pairs(doubts)
        for claim in doubts:
            decision = self._by_request(claim, pairs, crowded)
            if decision is not None:
                found[claim.entry.entry_id] = decision
        self._taken |= {decision.task.task_id for decision in found.values() if decision.task is not None}
        for claim in doubts:
            if claim.entry.entry_id in found:
                continue
            decision = found[claim.entry.entry_id] = self._only_one(claim) or self._nothing_certain(claim)
            if decision.task is not None:
                self._taken.add(decision.task.task_id)
        return found

    def candidates(self, claim: Claim) -> tuple[ListedTask, ...]:
        """Return the tasks that a submit may have made in its time, and nobody is known to own."""
        return tuple(self._possible(claim, held_up_s=0.0))

    def held_up(self, claim: Claim) -> tuple[ListedTask, ...]:
        """Return those that it may have made later than that."""
        usual = {task.task_id for task in self._possible(claim, held_up_s=0.0)}
        return tuple(task for task in self._possible(claim, held_up_s=SETTLING_S) if task.task_id not in usual)

    def _possible(self, claim: Claim, *, held_up_s: float) -> Iterator[ListedTask]:
        which = claim.entry.entry_id, held_up_s
        if which not in self._possible_tasks:  # It is asked several times, and may be about hundreds of tasks.
            self._possible_tasks[which] = [
                task
                for task in self._free.covered(claim, self._zones, held_up_s=held_up_s)
                if self._is_of_its_model(claim, task) and self._likeness(claim, task) is not Likeness.OTHER
            ]
        return (task for task in self._possible_tasks[which] if task.task_id not in self._taken)

    def _is_of_its_model(self, claim: Claim, task: ListedTask) -> bool:
        asked = claim.entry.about.get("model", "")
        return not asked or task.model is None or task.model in self._names.get(asked, frozenset()) | {asked}

    def _likeness(self, claim: Claim, task: ListedTask) -> Likeness:
        return self._comparison(claim, task).likeness

    def _comparison(self, claim: Claim, task: ListedTask) -> Comparison:
        pair = claim.entry.entry_id, task.task_id
        if pair not in self._compared:
            self._compared[pair] = compared(claim.entry, self._evidence.answers.get(task.task_id))
        return self._compared[pair]

    def _same(self, claim: Claim) -> list[ListedTask]:
        return [task for task in self.candidates(claim) if self._is_the_same(claim, task)]

    def _is_the_same(self, claim: Claim, task: ListedTask) -> bool:
        return created_s(task) is not None and self._likeness(claim, task) is Likeness.SAME

    def _others(self, claim: Claim, task: ListedTask, *, unlike: frozenset[Likeness]) -> list[Claim]:
        """Return the other submits that may have made a task, but for those for which it makes no difference.

        Args:
            claim: For whom it is asked.
            task: The task.
            unlike: What a comparison must bring for another submit to be ruled out.
        """
        at_s = created_s(task)
        return [
            other
            for other in self.claims
            if other is not claim
            and not other.is_twin_of(claim)
            and self._is_of_its_model(other, task)
            and other.covers(at_s, self._zones, held_up_s=SETTLING_S)
            and self._likeness(other, task) not in unlike
        ]

    def _pairs(self, doubts: list[Claim]) -> tuple[Mapping[int, ListedTask], set[int]]:
        """Match tasks with the submits of the very same request, in whatever order there is among these.

        Returns:
            The task of each entry that gets one; and the entries of requests that more tasks show than were
            sent, so that somebody else sends the same.
        """
        wanted = {claim.entry.entry_id for claim in doubts}
        pairs: dict[int, ListedTask] = {}
        crowded: set[int] = set()
        seen: set[int] = set()
        for claim in doubts:
            if claim.entry.entry_id in seen:
                continue
            twins = [claim, *(other for other in self.claims if other is not claim and other.is_twin_of(claim))]
            # Whom the caller asks about gets a task first.
            twins.sort(key=lambda twin: (twin.entry.entry_id not in wanted, not _is_doubt(twin), twin.earliest_s))
            seen.update(twin.entry.entry_id for twin in twins)
            places = [twin for twin in twins for _ in range(twin.slots)]
            # One that was held up on the way is not adopted, and it counts: then an equal one is another's.
            tasks = {
                task.task_id: task
                for twin in twins
                for task in (*self.candidates(twin), *self.held_up(twin))
                if self._is_the_same(twin, task)
            }
            fits = {task_id: self._places_for(task, places) for task_id, task in tasks.items()}
            found = matched(fits)
            if found is None:
                crowded.update(twin.entry.entry_id for twin in twins)
                continue
            for task_id, place in found.items():
                pairs.setdefault(places[place].entry.entry_id, tasks[task_id])
        return pairs, crowded

    def _places_for(self, task: ListedTask, places: list[Claim]) -> list[int]:
        """Return the numbers of the twins that may have made a task, those for which it came in time first."""
        at_s = created_s(task)
        in_time = [number for number, twin in enumerate(places) if twin.covers(at_s, self._zones)]
        held_up = [number for number, twin in enumerate(places) if twin.covers(at_s, self._zones, held_up_s=SETTLING_S)]
        return list(dict.fromkeys(in_time + held_up))

    def _by_request(self, claim: Claim, pairs: Mapping[int, ListedTask], crowded: Collection[int]) -> Decision | None:
        """Return what the very requests say; None if they say nothing."""
        candidates, same = self.candidates(claim), self._same(claim)
        if not same:
            return None
        others = [other for task in same for other in self._others(claim, task, unlike=_UNLIKE_THE_SAME)]
        if others:
            return Decision(Verdict.UNCLEAR, words.contested(same, others), candidates=candidates)
        if claim.entry.entry_id in crowded:
            return Decision(Verdict.UNCLEAR, words.more_than_sent(same), candidates=candidates)
        unseen = [task for task in (*candidates, *self.held_up(claim)) if self._is_to_be_seen(task)]
        if unseen and not self._evidence.is_sole_submitter:
            return Decision(Verdict.UNCLEAR, words.to_be_seen(unseen), candidates=candidates)
        task = pairs.get(claim.entry.entry_id)
        if task is None or task not in same:
            return None  # A twin of it got what there was, or it came too late to be sure.
        return Decision(Verdict.ADOPTED, words.same_request(task), task=task, candidates=candidates)

    def _is_to_be_seen(self, task: ListedTask) -> bool:
        """Tell whether a task's answer may yet show its request."""
        is_unread = task.phase is Phase.SUCCEEDED and task.task_id not in self._evidence.answers
        return is_unread or task.phase not in ENDS

    def _only_one(self, claim: Claim) -> Decision | None:
        """Return the only task that a submit can have made, where nobody outside the ledger submits."""
        candidates = self.candidates(claim)
        if not self._evidence.is_sole_submitter or len(candidates) != 1:
            return None
        (task,) = candidates
        is_contradicted = self._likeness(claim, task) is Likeness.CONTRADICTED
        if is_contradicted or created_s(task) is None or self._others(claim, task, unlike=_UNLIKE):
            return None
        return Decision(Verdict.ADOPTED, words.only_one(task), task=task, candidates=candidates)

    def _nothing_certain(self, claim: Claim) -> Decision:
        candidates = self.candidates(claim)
        if candidates:
            reasons = {task.task_id: self._comparison(claim, task).why for task in candidates}
            others = [other for task in candidates for other in self._others(claim, task, unlike=_UNLIKE)]
            unseen = [task for task in candidates if self._is_to_be_seen(task)]
            why = words.may_be(candidates, unseen, others, reasons)
            return Decision(Verdict.UNCLEAR, why, candidates=candidates)
        if late := self.held_up(claim):
            return Decision(Verdict.UNCLEAR, words.came_late(late), candidates=late)
        too_soon_or_late, canary = self._why_not_none(claim), self._canary(claim)
        if too_soon_or_late is not None or canary is None:
            return Decision(Verdict.UNCLEAR, too_soon_or_late or words.NO_CANARY)
        return Decision(Verdict.NONE_FOUND, words.none_found(canary))

    def _why_not_none(self, claim: Claim) -> str | None:
        """Return why it cannot be said yet, or any more, that nothing was made; None if that can be said."""
        now_s, settled_s = self._evidence.now_wall_s, claim.latest_s + SETTLING_S
        if now_s < settled_s:
            return words.too_early(settled_s - now_s)
        if now_s - claim.earliest_s > REACH_S:
            return words.TOO_OLD
        # Whose clock was wrong sent his own at another time than he wrote down, and perhaps this one too.
        is_wrong = any(
            _is_nearby(entry, claim.entry) and is_of_another_time(entry, task, self._evidence.attempt_s)
            for entry, task in self._known
        )
        return words.CLOCK_WAS_WRONG if is_wrong else None

    def _canary(self, claim: Claim) -> ListedTask | None:
        """Return a task of the ledger's that the list shows, of the doubt's account, model and time."""
        for entry, task in self._known if self._is_zone_known else ():
            if zone_of(entry, task, self._evidence.attempt_s) is not None and _is_nearby(entry, claim.entry):
                return task
        return None


def _is_nearby(known: Entry, doubt: Entry) -> bool:
    is_alike = known.namespace == doubt.namespace and known.about.get("model") == doubt.about.get("model")
    return is_alike and abs((known.licensed_wall_s or 0.0) - (doubt.licensed_wall_s or 0.0)) <= NEARBY_S
