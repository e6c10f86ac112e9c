"""The story of a world as one JSON document: what became of its tasks, who asked when, what it cost.

The control room and the report of `check` draw the same pictures of it. It is bounded, and what clients sent stands in
it as text only; no key does, as the journal keeps none.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import asdict
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, Final, Literal

from fake_server.operating import forgotten_s, life
from fake_server.rules.billing import bill_row
from fake_server.rules.limits import quotas_in_use
from fake_server.rules.nearest import nearest_routes
from fake_server.wire.bodies import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fake_server.engine import Engine
    from fake_server.faults.selection import Armed
    from fake_server.moment import Moment
    from fake_server.rules.billing import BillRow
    from fake_server.rules.journal import Entry
    from fake_server.rules.tasks import Task

STORY_VERSION: Final = 1
# More lanes than this nobody reads, and a page draws no more in a frame.
MOST_TASKS = 500
# What a journal keeps.
MOST_LINES = 1_000
# A prompt is shown so that its task can be told from others.
LONGEST_PROMPT = 160
MOST_UNMATCHED = 20
# No sum of prices is ever rounded.
_EXACT_DIGITS = 50
_KEY_LIKE = re.compile(r"sk-\S+")

Mark = Literal["create", "poll", "download", "cancel", "list", "throttle", "fault", "cut", "refused", "unmatched"]
# What each mark stands for; the page's own table says the same.
MARKS: Final[dict[Mark, str]] = {
    "create": "create",
    "poll": "status query",
    "download": "download",
    "cancel": "cancel",
    "list": "list or quotas",
    "throttle": "refused for now",
    "fault": "fault",
    "cut": "cut without an answer",
    "refused": "refused",
    "unmatched": "fitted no route",
}
_BY_ROUTE: Final[dict[str, Mark]] = {
    "create": "create",
    "query": "poll",
    "asset": "download",
    "cancel": "cancel",
    "list": "list",
    "quotas": "list",
}
_TOO_MANY = 429
_REFUSED_FROM = 400
_QUOTA_WORD = "quota "


def tell(
    engine: Engine, now: Moment, *, after: int = 0, most_tasks: int = MOST_TASKS, most_lines: int = MOST_LINES
) -> dict[str, Any]:
    """The story of a world until an instant.

    Args:
        engine: The world.
        now: The instant.
        after: Lines up to this number are known, and left out; marks still name them.
        most_tasks: How many tasks are told of, the latest.
        most_lines: How many lines, the latest.

    Returns:
        A document that JSON can carry. Instants are seconds since the world began; amounts are text.
    """
    now = engine.forward(now)
    teller = _Teller(engine, now)
    kept = list(deque(engine.everything(), maxlen=most_tasks))
    entries = engine.journal.entries[-most_lines:]
    bill = engine.bill(now, most_rows=0)
    rows = {task.task_id: bill_row(task, engine.scenario.prices, now.monotonic_s) for task in kept}
    return {
        "story_version": STORY_VERSION,
        "world": engine.world,
        "scenario": {"name": engine.scenario.name, "summary": engine.scenario.summary},
        "now_s": teller.since(now.monotonic_s),
        "wall_s": now.wall_s,
        "speed": engine.speed,
        "quotas": {**asdict(engine.scenario.quotas), "in_use": quotas_in_use(engine.limits, now.monotonic_s)},
        "counters": dict(engine.journal.counters),
        "tasks": teller.lanes(kept, rows, entries),
        "tasks_left_out": len(engine.tasks) + len(engine.made_at_once) - len(kept),
        "in_flight": teller.in_flight([task for task in kept if task.task_id in engine.tasks]),
        "bill": teller.bill(kept, rows, bill.total, bill.billed_tasks),
        **_lines(entries, after),
        "lines_left_out": engine.journal.counters["requests"] - len(entries),
        "unmatched": _unmatched(entries),
        "faults": [fault_row(armed) for armed in engine.armed()],
        "rules": [asdict(row) for row in engine.conduct.judge()],
        "expectations": [asdict(row) for row in engine.verdict(now)],
    }


def mark_of(entry: Entry) -> Mark:
    """What a line of the journal is drawn as; what went wrong shows before what was asked for."""
    if entry.status == _TOO_MANY or (entry.fault or "").startswith(_QUOTA_WORD):
        return "throttle"
    if entry.status == 0:
        return "cut"
    if entry.fault is not None:
        return "fault"
    if entry.route not in _BY_ROUTE:
        return "unmatched"
    return "refused" if entry.status >= _REFUSED_FROM else _BY_ROUTE[entry.route]


def fault_row(armed: Armed) -> dict[str, Any]:
    """A fault of a world, and how often it struck."""
    return {
        "id": armed.identity,
        "what": armed.fault.describe(),
        "matched": armed.matched,
        "struck": armed.struck,
        "fired": armed.fired,
        "must_fire": armed.fault.must_fire,
    }


def steps_of(changes: Iterable[tuple[float, int, int]]) -> list[list[float]]:
    """How two numbers go on from zero, given when each changes by how much; one step for an instant."""
    steps: list[list[float]] = []
    running = waiting = 0
    for at_s, more_running, more_waiting in sorted(changes):
        running, waiting = running + more_running, waiting + more_waiting
        if steps and steps[-1][0] == at_s:
            steps.pop()
        steps.append([at_s, running, waiting])
    return steps


class _Teller:
    """Tells of the tasks of one world, in seconds since it began.

    Args:
        engine: The world.
        now: Until when.
    """

    def __init__(self, engine: Engine, now: Moment) -> None:
        self._engine = engine
        self._now_s = now.monotonic_s

    def since(self, at_s: float) -> float:
        """Seconds since the world began, as the journal rounds them."""
        return round(at_s - self._engine.started.monotonic_s, 6)

    def lanes(
        self, tasks: Sequence[Task], rows: Mapping[str, BillRow], entries: Sequence[Entry]
    ) -> list[dict[str, Any]]:
        """A lane for each task: its life, and the lines that are about it."""
        lines: dict[str, list[int]] = {task.task_id: [] for task in tasks}
        for entry in entries:
            if entry.task_id in lines:
                lines[entry.task_id].append(entry.ordinal)
        return [self._lane(task, rows[task.task_id], lines[task.task_id]) for task in tasks]

    def _lane(self, task: Task, row: BillRow, lines: list[int]) -> dict[str, Any]:
        points = life(task, self._now_s)
        ends = [at_s for at_s, _ in points[1:]] + [self._now_s]
        forgotten = forgotten_s(self._engine, task)
        is_over = task.view(self._now_s).ended_s is not None
        return {
            "task_id": task.task_id,
            "number": task.ordinal + 1,
            "dialect": task.dialect,
            "endpoint": task.endpoint.name,
            "model": task.asked.model,
            "prompt": _KEY_LIKE.sub("***", task.asked.prompt[:LONGEST_PROMPT]),
            "status": row.status,
            "is_over": is_over,
            "waits_for_slot": task.started_s is None and task.canceled_s is None,
            "forgotten_s": self.since(forgotten) if forgotten <= self._now_s else None,
            "end_told": task.end_told,
            "was_fetched": task.was_fetched,
            "amount": str(row.amount),
            "segments": [
                {"status": status, "from_s": self.since(from_s), "to_s": self.since(to_s)}
                for (from_s, status), to_s in zip(points, ends, strict=True)
            ],
            "lines": lines,
        }

    def in_flight(self, tasks: Sequence[Task]) -> list[dict[str, Any]]:
        """For each dialect that was spoken: the cap, and how many tasks ran and waited from when on."""
        quotas = self._engine.scenario.quotas
        told = []
        for dialect in DIALECTS:
            spoken = [task for task in tasks if task.dialect == dialect]
            if spoken:
                cap = None if quotas.by_model and dialect == "dashscope" else quotas.concurrent_tasks
                steps = steps_of(change for task in spoken for change in self._changes(task))
                told.append({"dialect": dialect, "cap": cap, "steps": steps})
        return told

    def _changes(self, task: Task) -> list[tuple[float, int, int]]:
        """When a task began and ceased to wait for a slot, and to have one: (when, more running, more waiting)."""
        submitted_s, left_s = task.submitted_s, task.frees_slot_s()
        if task.started_s is None:
            changes = [(submitted_s, 0, 1)] + ([] if left_s is None else [(left_s, 0, -1)])
        else:
            changes = [(task.started_s, 1, 0)] + ([] if left_s is None else [(left_s, -1, 0)])
            if task.started_s > submitted_s:
                changes += [(submitted_s, 0, 1), (task.started_s, 0, -1)]
        return [(self.since(at_s), running, waiting) for at_s, running, waiting in changes if at_s <= self._now_s]

    def bill(
        self, tasks: Sequence[Task], rows: Mapping[str, BillRow], total: Decimal, billed_tasks: int
    ) -> dict[str, Any]:
        """The bill as it grew: what each task added when it ended, and what tasks that are left out cost before."""
        ended: list[tuple[float, BillRow]] = []
        for task in tasks:
            row, ended_s = rows[task.task_id], task.view(self._now_s).ended_s
            if row.billed and ended_s is not None:
                ended.append((self.since(ended_s), row))
        ended.sort(key=lambda end: end[0])
        with localcontext(prec=_EXACT_DIGITS):
            so_far = before = total - sum((row.amount for _, row in ended), Decimal(0))
            steps = []
            for at_s, row in ended:
                so_far += row.amount
                steps.append({"at_s": at_s, "task_id": row.task_id, "amount": str(row.amount), "total": str(so_far)})
        return {"total": str(total), "billed_tasks": billed_tasks, "before": str(before), "steps": steps}


def _lines(entries: Sequence[Entry], after: int) -> dict[str, Any]:
    """The lines, and the sets of header names, which most of them share."""
    sets: dict[tuple[str, ...], int] = {}
    lines = []
    for entry in entries:
        if entry.ordinal <= after:
            continue
        line = asdict(entry)
        line["headers"] = sets.setdefault(line.pop("header_names"), len(sets))
        line["mark"] = mark_of(entry)
        lines.append(line)
    return {"lines": lines, "header_sets": [list(names) for names in sets]}


def _unmatched(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Why requests fitted nothing; what was asked for several times is explained once, by its latest line."""
    times: Counter[tuple[str, str]] = Counter()
    latest: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if entry.route == "unmatched":
            asked = (entry.method, entry.path)
            times[asked] += 1
            latest.pop(asked, None)
            latest[asked] = entry
    return [
        {
            "line": entry.ordinal,
            "method": entry.method,
            "path": entry.path,
            "times": times[asked],
            "nearest": [
                {"route": near.route, "differences": [difference.text for difference in near.differences]}
                for near in nearest_routes(entry.method, entry.path, entry.query)
            ],
        }
        for asked, entry in list(latest.items())[-MOST_UNMATCHED:]
    ]
