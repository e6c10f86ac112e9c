"""What may be believed of one task, and what may be done about it, after all that was heard of it.

Sources: the README's promises and docs/decisions.md, *Numbers and their sources*; not the code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

NEVER_SEEN_S, ONCE_SEEN_S = 60.0, 120.0
LEAST_GAP_S = 0.5
LAST_LOOK_S = 2.0
HELD_BACK_NEEDS_S = 1.0
REFETCHES = 3
# Sums of seconds are floats: at an instant that is met exactly, both sides of it are possible.
ROUNDING_S = 1e-6
ENDS = {"SUCCEEDED", "FAILED", "CANCELED"}
OVER = {*ENDS, "EXPIRED"}
OWED = {"SUCCEEDED": "BILLED", "CANCELED": "PARTIAL_POSSIBLE", "FAILED": "NONE"}


@dataclass(frozen=True)
class Heard:
    """One thing that was heard.

    Attributes:
        at_s: When.
        phase: What a status stands for: QUEUED, RUNNING, UNRECOGNIZED, UNLISTED, an end; None if it was no status.
        is_whole: Whether a success had its result.
        hint_s: For how long the service asked to be left alone.
        is_refusal: Whether it said "never".
    """

    at_s: float
    phase: str | None = None
    is_whole: bool = True
    hint_s: float | None = None
    is_refusal: bool = False


@dataclass(frozen=True)
class State:
    """One thing that may be the case: where the task stands, since when, and whether it was ever found."""

    phase: str
    since_s: float
    was_found: bool = False


@dataclass
class Wait:
    """All that was heard of one task, and the limits of the wait for it.

    Attributes:
        began_s: When the wait began.
        deadline_s: When it must be over.
        heard: What was heard, in order, also before this wait.
        heard_before: How many of these were heard by another process.
        refused_before: How many were heard before this wait began.
        limited: The phases in which the task may stay only so long, with that time.
        attempt_s: The longest that one question may take.
    """

    began_s: float
    deadline_s: float
    heard: list[Heard] = field(default_factory=list)
    heard_before: int = 0
    refused_before: int = 0
    limited: Mapping[str, float] = field(default_factory=dict)
    attempt_s: float = math.inf

    def states(self) -> set[State]:
        """Return all that may be the case."""
        possible = {State("QUEUED", 0.0)}
        for heard in self.heard:
            if heard.phase is not None:
                possible = {after for state in possible for after in _after(state, heard.phase, heard.at_s)}
        return possible

    def bills(self) -> set[str]:
        """Return what may be said of the bill."""
        ends = self._ends()
        if ends:
            worst = next(phase for phase in OWED if phase in ends)
            return {OWED[worst]}
        words: set[str] = set()
        for state in self.states():
            if state.phase == "QUEUED":
                words |= {"ON_SUCCESS"} if self._has_run() else {"NOT_YET"}
            else:
                words.add("ON_SUCCESS" if state.phase == "RUNNING" else "UNDETERMINED")
        return words

    def earliest_s(self) -> float:
        """Return before when nothing may be asked: half a second after the last word, and what was asked for."""
        return max((self.began_s, self._hinted_s(), self._gap_s()))

    def why_over(self, now_s: float) -> set[str]:
        """Return the reasons for which the wait may be over now; empty if it must go on."""
        phases = {state.phase for state in self.states()}
        is_refused = any(one.is_refusal for one in self.heard[self.refused_before :])
        reasons: set[str] = set()
        if phases & OVER:
            reasons.add("ENDED")
        if is_refused:
            reasons.add("POLL_REFUSED")
        limit_s = self.limit_s()
        early_s = 0.0 if self.must_leave_it() else LAST_LOOK_S
        if now_s >= limit_s - early_s - ROUNDING_S:
            reasons |= {"DEADLINE", "PHASE_LIMIT"} if limit_s < self.deadline_s else {"DEADLINE"}
        if self._hinted_s() >= limit_s - ROUNDING_S:
            reasons.add("COME_BACK_LATER")
        return reasons

    def limit_s(self) -> float:
        """Return when the wait is over if nothing more is heard."""
        limit_s = self.deadline_s
        for state in self.states():
            if state.phase in self.limited:
                limit_s = min(limit_s, max(state.since_s, self.began_s) + self.limited[state.phase])
        return limit_s

    def may_leave_it(self) -> bool:
        """Return whether the wait may be slept through without a question, which is left to the next one."""
        return self._has_little_left(ROUNDING_S) and any(state.phase not in OVER for state in self.states())

    def must_leave_it(self) -> bool:
        """Return whether the wait has to be slept through."""
        return self._has_little_left(-ROUNDING_S) and all(state.phase not in OVER for state in self.states())

    def may_ask(self, now_s: float) -> bool:
        """Return whether a query may leave now."""
        if self.must_leave_it():
            return False
        if now_s < self.earliest_s() - ROUNDING_S or now_s >= self.deadline_s:
            return False
        if any(one.is_refusal for one in self.heard[self.refused_before :]):
            return False
        return self._lacks_its_result() or any(state.phase not in ENDS for state in self.states())

    def _hinted_s(self) -> float:
        """Return until when the service asked to be left alone."""
        return max((one.at_s + one.hint_s for one in self.heard if one.hint_s is not None), default=-math.inf)

    def _gap_s(self) -> float:
        """Return until when the last word is too fresh to ask again."""
        return max((one.at_s + LEAST_GAP_S for one in self.heard[self.heard_before :]), default=-math.inf)

    def _has_little_left(self, slack_s: float) -> bool:
        """Return whether a word from before this wait, and no hint, holds its first question back for too long."""
        gap_s, hinted_s, limit_s = self._gap_s(), self._hinted_s(), self.limit_s()
        if len(self.heard) > self.refused_before or hinted_s >= min(gap_s, limit_s) + slack_s:
            return False
        needs_s = min(HELD_BACK_NEEDS_S, self.attempt_s)
        return gap_s > self.began_s - slack_s and limit_s - gap_s < needs_s + slack_s

    def _ends(self) -> list[str]:
        """Return the ends that were told, from the first one on."""
        return [heard.phase for heard in self.heard if heard.phase in ENDS]

    def _has_run(self) -> bool:
        return any(heard.phase == "RUNNING" for heard in self.heard)

    def _lacks_its_result(self) -> bool:
        if self._ends()[:1] != ["SUCCEEDED"]:
            return False
        first = next(number for number, heard in enumerate(self.heard) if heard.phase in ENDS)
        # Another process knows that it succeeded, and has no result; it asks as often as the first would have.
        here = self.heard[max(first, self.heard_before) :]
        is_here = any(heard.phase == "SUCCEEDED" and heard.is_whole for heard in here)
        asked = len(self.heard[max(first + 1, self.refused_before) :])
        return not is_here and asked < REFETCHES


def _after(state: State, phase: str, at_s: float) -> set[State]:
    """Return what may be the case after a status."""
    if state.phase in ENDS or (state.phase == "EXPIRED" and phase == "UNRECOGNIZED"):
        return {state}
    found = state.was_found or phase not in {"UNRECOGNIZED", "UNLISTED"}
    stays = state.phase == phase
    moved = State(phase, state.since_s if stays else at_s, found)
    if phase != "UNRECOGNIZED":
        return {moved}
    over_s = moved.since_s + (ONCE_SEEN_S if found else NEVER_SEEN_S) - at_s
    expired = State("EXPIRED", at_s, found)
    if abs(over_s) <= ROUNDING_S:
        return {moved, expired}
    return {expired} if over_s < 0 else {moved}
