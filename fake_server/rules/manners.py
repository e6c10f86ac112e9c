"""How a client behaves: who came before a `Retry-After` had passed, or too often."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

    from fake_server.rules.tasks import Task
    from fake_server.wire.messages import Request

# A timer may fire a hair early; what is judged is manners, not clocks.
MARGIN_S = 0.001
# "Not faster than 2 Hz" (AIsa docs, async-operations), less what a network may do to the distance between
# two requests that were sent half a second apart.
SHORTEST_POLL_GAP_S = 0.5
POLL_GAP_MARGIN_S = 0.05
# A different request may have been on its way when another one was answered "later": not held against it.
IN_FLIGHT_S = 0.1
# Ids whose last query is remembered. Only the last half second matters; who asks for more ids within it than
# these is beyond judging, and must not cost the machine's memory.
MOST_REMEMBERED_IDS = 10_000
# Lines of the journal that are named for a breach: a reader looks at the first, and perhaps for a pattern.
MOST_LINES_OF_EVIDENCE = 5


class Manners:
    """Counts bad manners into a world's counters: `early_creates`, `early_polls`, `early_requests`, `polls_after_end`.

    Args:
        counters: Where to count.
    """

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        # Which lines of the journal show them: the first few of each.
        self.evidence: dict[str, list[int]] = {}
        # The shortest time between two status queries of one task that was not over, in seconds.
        self.least_poll_gap_s: float | None = None
        self._create = _NotBefore()
        self._poll = _NotBefore()
        self._request = _NotBefore()
        # Whether an id was forgotten while it could still be asked for too soon.
        self.has_forgotten = False
        # By the hash of an id that nobody knows, as those may be long; the one asked for longest ago first. What is
        # known is a task, which remembers it itself.
        self._last_poll_s: OrderedDict[int, float] = OrderedDict()

    def saw_request(self, whom: str, now_s: float) -> None:
        """Any request arrived that counts towards a limit on all of them."""
        if self._request.is_broken_by(whom, now_s):
            self._count("early_requests")

    def told_request(self, whom: str, now_s: float, retry_after_s: float) -> None:
        """A request was answered with a `Retry-After` that holds for all of them."""
        self._request.set(whom, now_s, retry_after_s)

    def saw_create(self, request: Request, now_s: float) -> None:
        """A create arrived."""
        self._counters["create_requests"] += 1
        if self._create.is_broken_by(_same(request), now_s):
            self._count("early_creates")

    def told_create(self, request: Request, now_s: float, retry_after_s: float) -> None:
        """A create was answered with a `Retry-After` that is over at this many seconds from now."""
        self._create.set(_same(request), now_s, retry_after_s)

    def saw_poll(self, task_id: str, task: Task | None, now_s: float) -> None:
        """A status query arrived; `task` is None where nobody knows the id."""
        self._counters["polls"] += 1
        is_before = self._poll.is_broken_by(task_id, now_s)
        is_over = task is not None and task.end_told
        last_s = self._last_poll_of_stranger(task_id, now_s) if task is None else task.asked_s
        if task is not None:
            task.asked_s = now_s
        is_hasty = last_s is not None and self._follows_too_soon(now_s - last_s, is_over=is_over)
        if is_over:
            self._count("polls_after_end")
        elif is_hasty:
            self._count("hasty_polls")
        if is_before:
            self._count("polls_before_retry_after")
        if is_before or (is_hasty and not is_over):
            self._count("early_polls")

    def told_poll(self, task_id: str, now_s: float, retry_after_s: float) -> None:
        """A status query was answered with a `Retry-After`; it holds for the whole account."""
        self._poll.set(task_id, now_s, retry_after_s)

    @property
    def least_margin_s(self) -> float | None:
        """By how many seconds the most hurried request came after the `Retry-After` that it had to wait for.

        Below zero it came too early; None where nothing was told, or nobody came again.
        """
        seen = [rule.least_margin_s for rule in (self._create, self._poll, self._request)]
        return min((margin_s for margin_s in seen if margin_s is not None), default=None)

    def _count(self, name: str) -> None:
        """Count a breach; the line of the request that is being answered will be the journal's next."""
        self._counters[name] += 1
        lines = self.evidence.setdefault(name, [])
        if len(lines) < MOST_LINES_OF_EVIDENCE:
            lines.append(self._counters["requests"] + 1)

    def is_late(self) -> None:
        """The request that is being answered is still on its way: the journal's next line will be another's."""
        for lines in self.evidence.values():
            if lines and lines[-1] > self._counters["requests"]:
                lines.pop()

    def _last_poll_of_stranger(self, task_id: str, now_s: float) -> float | None:
        """When this id was asked for before; it now was."""
        mark = hash(task_id)
        last_s = self._last_poll_s.pop(mark, None)
        self._last_poll_s[mark] = now_s
        if len(self._last_poll_s) > MOST_REMEMBERED_IDS:
            _, forgotten_s = self._last_poll_s.popitem(last=False)
            self.has_forgotten |= now_s - forgotten_s < SHORTEST_POLL_GAP_S
        return last_s

    def _follows_too_soon(self, gap_s: float, *, is_over: bool) -> bool:
        """Whether a query comes too soon after the one before."""
        if not is_over and (self.least_poll_gap_s is None or gap_s < self.least_poll_gap_s):
            self.least_poll_gap_s = gap_s
        return gap_s < SHORTEST_POLL_GAP_S - POLL_GAP_MARGIN_S


def _same(request: Request) -> str:
    """A short mark of a create's body: a repetition of a request has the same one."""
    return hashlib.sha256(request.body).hexdigest()


class _NotBefore:
    """The latest instant before which nobody should come, and who was told."""

    def __init__(self) -> None:
        self._until_s = float("-inf")
        self._told_s = float("-inf")
        self._told_whom = ""
        self._is_awaited = False
        # By how much the most hurried of those who had to wait came after the instant; below zero, too early.
        self.least_margin_s: float | None = None

    def set(self, whom: str, now_s: float, retry_after_s: float) -> None:
        self._until_s = max(self._until_s, now_s + retry_after_s)
        self._told_s, self._told_whom = now_s, whom
        self._is_awaited = True

    def is_broken_by(self, whom: str, now_s: float) -> bool:
        if not self._is_awaited:
            return False
        margin_s = now_s - self._until_s
        is_early = margin_s < -MARGIN_S
        if is_early and whom != self._told_whom and now_s - self._told_s <= IN_FLIGHT_S:
            return False
        if self.least_margin_s is None or margin_s < self.least_margin_s:
            self.least_margin_s = margin_s
        self._is_awaited = is_early
        return is_early
