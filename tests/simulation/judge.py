"""The judge of a world. It is naive on purpose, and knows none of the client's rules or words but what it reads.

It hears what leaves a process and what comes back, reads the answers itself, and compares what the clients say in the
end with the service's own bill. Each of its counters must be zero.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fake_server.rules.billing import BillRow

__all__ = ["COUNTERS", "Judge", "Said"]

ROUNDING_S = 1e-6
IN_FLIGHT_S = 0.1
"""A create that was decided upon before may leave so much later: its licence waits for a disk.

So may a poll, after a create was accepted: its id is written down before anything else is heard of it."""
SHORTEST_GAP_S = 0.5
"""The service's pages: not faster than twice a second."""
DEADLINE_MARGIN_S = 0.25
"""What the documentation promises: a wait ends by its timeout, and this much to close and unwind."""
ENDS = ("SUCCEEDED", "FAILED", "CANCELED")
COUNTERS = (
    *("duplicates", "losses", "understated bills", "overstated bills", "forgotten intents", "mixed up tasks"),
    "false all-clears",
    *("polls before Retry-After", "creates before Retry-After", "polls faster than the floor", "polls after an end"),
    *("late deadlines", "unfinished jobs", "unsettled intents", "journal disagrees", "errors"),
)


class Said(Protocol):
    """What the ledger says of one attempt, in plain words."""

    key: str
    attempt: int
    phase: str
    billing: str
    task_id: str | None
    is_ended: bool


class Judge:
    """Counts what must not be, and writes a line for each.

    Attributes:
        counts: How often each thing was.
        lines: What was wrong, in words.
        made: The tasks that each attempt of a key made, by the service's own word.
        creates: How many creates left.
        verdicts: What looking for the tasks of doubts came to.
    """

    def __init__(self) -> None:
        self.counts = dict.fromkeys(COUNTERS, 0)
        self.lines: list[str] = []
        self.made: dict[tuple[str, int], list[str]] = {}
        self.creates = 0
        self._key_until: dict[str, float] = {}
        self.verdicts = Counter[str]()
        self._hints: dict[tuple[str, str], list[tuple[float, float]]] = {}
        self._last_poll: dict[tuple[str, str], float] = {}
        self._over: set[tuple[str, str]] = set()
        self._claims: list[tuple[str, int, str | None, str]] = []
        self._all_clears: list[tuple[str, int]] = []

    def complain(self, counter: str, line: str) -> None:
        """Count one thing that must not be."""
        self.counts[counter] += 1
        self.lines.append(f"{counter}: {line}")

    def left(self, life: str, at_s: float, kind: str, task_id: str) -> None:
        """Hear that a request left a process, at a time of its own monotonic clock."""
        family = "creates" if kind == "create" else "polls"
        # Each hint for itself: who may not have heard the last one yet has heard those before.
        hints = self._hints.get((life, family), [])
        broken = [until_s for told_s, until_s in hints if told_s + IN_FLIGHT_S < at_s < until_s - ROUNDING_S]
        if broken:
            told = f"{life} sent one at {at_s:.3f}, and was told to stay away until {max(broken):.3f}"
            self.complain(f"{family} before Retry-After", told)
        if kind != "query":
            return
        last_s = self._last_poll.get((life, task_id))
        self._last_poll[life, task_id] = at_s
        if last_s is not None and at_s - last_s < SHORTEST_GAP_S - ROUNDING_S:
            self.complain("polls faster than the floor", f"{life} asked for {task_id} after {at_s - last_s:.3f} s")
        if (life, task_id) in self._over:
            self.complain("polls after an end", f"{life} asked for {task_id} at {at_s:.3f}")

    def came(
        self,
        life: str,
        at_s: float,
        kind: str,
        task_id: str,
        status: int,
        headers: Iterable[tuple[str, str]],
        body: bytes,
    ) -> None:
        """Hear what came back to a process."""
        wait_s = _told_to_wait(headers)
        if wait_s is not None:
            for family in _families(kind, status, body):
                hints = self._hints.setdefault((life, family), [])
                hints[:] = [hint for hint in hints if hint[1] > at_s]
                hints.append((at_s, at_s + wait_s))
        if kind == "query" and status == 200 and _is_an_end(body, task_id):
            self._over.add((life, task_id))

    def has_made(self, key: str, attempt: int, task_id: str) -> None:
        """Hear from the service that a create made a task."""
        tasks = self.made.setdefault((key, attempt), [])
        tasks.append(task_id)
        if len(tasks) > 1:
            self.complain("duplicates", f"attempt {attempt} of {key} made {' and '.join(tasks)}")

    def told_later(self, key: str, true_s: float, headers: Iterable[tuple[str, str]]) -> None:
        """Hear that a create under a key was refused for now, in true seconds."""
        if (wait_s := _told_to_wait(headers)) is not None:
            self._key_until[key] = max(self._key_until.get(key, 0.0), true_s + wait_s)

    def sends(self, key: str, true_s: float) -> None:
        """Hear that a create under a key leaves, whoever sends it and whoever was told: the ledger knows."""
        self.creates += 1
        if true_s < self._key_until.get(key, 0.0) - ROUNDING_S:
            until_s = self._key_until[key]
            self.complain("creates before Retry-After", f"{key} at {true_s:.3f}, and it was told until {until_s:.3f}")

    def waited(self, life: str, began_s: float, timeout_s: float, ended_s: float, halted_s: float) -> None:
        """Hear how long a caller waited, by the process's own clock, and how long the process stood still.

        Of a submit the timeout is the time in which a sending may begin, and what one sending may take.
        """
        late_s = ended_s - began_s - timeout_s - halted_s
        if late_s > DEADLINE_MARGIN_S:
            self.complain("late deadlines", f"{life} heard {late_s:.3f} s after {timeout_s:.3f} s")

    def settled(self, key: str, attempt: int, verdict: str) -> None:
        """Hear what looking for the task of a doubt came to, long after anything could still arrive."""
        self.verdicts[verdict] += 1
        if verdict == "NONE_FOUND":
            self._all_clears.append((key, attempt))

    def said(self, key: str, attempt: int, task_id: str | None, billing: str) -> None:
        """Hear what a caller was told of the bill."""
        self._claims.append((key, attempt, task_id, billing))

    def finish(
        self, rows: Sequence[Said], strays: Iterable[str], bill: Sequence[BillRow], wanted: Iterable[str]
    ) -> None:
        """Compare what the clients say with the service's bill, when all is over.

        Args:
            rows: What the ledger says.
            strays: The ids that it holds beside.
            bill: What is charged.
            wanted: The keys of everything that was ever wanted.
        """
        truth = {row.task_id: row for row in bill}
        by_attempt = {(row.key, row.attempt): row for row in rows}
        known = {row.task_id for row in rows} | set(strays)
        for (key, attempt), tasks in self.made.items():
            row = by_attempt.get((key, attempt))
            is_doubted = row is not None and row.phase == "IN_DOUBT"
            for task_id in tasks:
                if task_id not in known and not is_doubted:
                    phase = "no row" if row is None else row.phase
                    self.complain("losses", f"task {task_id} of attempt {attempt} of {key} is known to nobody: {phase}")
        for row in rows:
            if row.task_id is not None and row.task_id not in self.made.get((row.key, row.attempt), ()):
                self.complain("mixed up tasks", f"attempt {row.attempt} of {row.key} has task {row.task_id} of another")
            self._compare("the ledger", row.key, row.attempt, row.task_id, row.billing, truth)
            if not row.is_ended and row.phase != "IN_DOUBT":
                self.complain("unsettled intents", f"attempt {row.attempt} of {row.key} is {row.phase} in the end")
        for key, attempt, task_id, billing in self._claims:
            self._compare("a caller", key, attempt, task_id, billing, truth)
        for key, attempt in self._all_clears:
            # A task that the service denies for ever, in its list and on its bill, is found by nobody.
            tasks = [
                each for each in self.made.get((key, attempt), ()) if each not in truth or _is_owned_up(truth[each])
            ]
            if tasks:
                line = f"attempt {attempt} of {key} made {tasks}, and is said to have made none"
                self.complain("false all-clears", line)
        keys = {row.key for row in rows}
        for key in wanted:
            if key not in keys:
                self.complain("forgotten intents", key)

    def _compare(
        self, who: str, key: str, attempt: int, task_id: str | None, billing: str, truth: Mapping[str, BillRow]
    ) -> None:
        tasks = [task_id] if task_id is not None else self.made.get((key, attempt), [])
        charged = [each for each in tasks if each in truth and (truth[each].billed or truth[each].is_open)]
        if billing == "NONE" and charged:
            self.complain("understated bills", f"{who} has NONE for attempt {attempt} of {key}: {charged} is charged")
        if billing == "BILLED" and not charged:
            self.complain("overstated bills", f"{who} has BILLED for attempt {attempt} of {key}, and nothing is")


def _is_owned_up(row: BillRow) -> bool:
    return row.status != "UNKNOWN" or row.billed


def _families(kind: str, status: int, body: bytes) -> tuple[str, ...]:
    """Which requests have to wait: after a create that was accepted the polls of its task, too."""
    if kind != "create":
        return ("polls",)
    return ("creates", "polls") if status == 200 and b'"task_id"' in body and body.endswith(b"}") else ("creates",)


def _told_to_wait(headers: Iterable[tuple[str, str]]) -> float | None:
    """Read the two forms of Retry-After that nobody misunderstands."""
    found = {name: value for name, value in headers if name in {"retry-after", "date"}}
    value = found.get("retry-after")
    if value is None:
        return None
    if value.isdigit():
        return float(value)
    if "date" not in found:
        return None
    return (parsedate_to_datetime(value) - parsedate_to_datetime(found["date"])).total_seconds()


def _is_an_end(body: bytes, task_id: str) -> bool:
    """Tell whether an answer says that a task is over, with its result if it succeeded."""
    if not any(end.encode() in body for end in ENDS):
        return False
    try:
        output = json.loads(body)["output"]
        status, named = output["task_status"], output["task_id"]
    except (ValueError, KeyError, TypeError):
        return False
    return named == task_id and status in ENDS and (status != "SUCCEEDED" or "video_url" in output)
