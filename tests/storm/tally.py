"""What a client knows of what it sent, counted by itself, to be held against the fake's own counters."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

# What stands in a row of the verdict, before words about tasks that are not over.
_NUMBER = re.compile(r"[0-9]+(?=,|$)")
# What the world's journal counts under these names.
COUNTED = {"create": "create_requests", "query": "polls", "unmatched": "unmatched"}


@dataclass
class Tally:
    """The requests to one world.

    Attributes:
        sure: Those that arrived, by kind.
        perhaps: Those that stood behind an answer which ended their connection, and may not have been read.
        told: The ids of tasks that its answers told.
        fetched: Those whose asset came whole.
    """

    sure: Counter[str] = field(default_factory=Counter)
    perhaps: Counter[str] = field(default_factory=Counter)
    told: set[str] = field(default_factory=set)
    fetched: set[str] = field(default_factory=set)

    def differences(self, counters: dict[str, int], bill: dict[str, Any], verdict: dict[str, Any]) -> list[str]:
        """Where the fake's counters, its bill and its verdict do not fit what was sent."""
        wrong = []
        expected = {"requests": (self.sure.total(), self.perhaps.total())}
        expected |= {name: (self.sure[kind], self.perhaps[kind]) for kind, name in COUNTED.items()}
        for name, (least, more) in expected.items():
            found = counters.get(name, 0)
            if not least <= found <= least + more:
                wrong.append(f"{name}: sent {least} (and perhaps {more}), and the fake counts {found}")
        told = {row["name"]: _NUMBER.match(row["actual"]) for row in verdict["expectations"]}
        rows = {name: int(number[0]) for name, number in told.items() if number}
        for row, name in (("create_requests", "create_requests"), ("max_polls", "polls")):
            if rows.get(row) != counters.get(name, 0):
                wrong.append(f"{row}: the verdict says {rows.get(row)}, the counter {counters.get(name, 0)}")
        made = len(bill["tasks"]) + bill["left_out"]
        if rows.get("tasks_created") != made:
            wrong.append(f"tasks_created: the verdict says {rows.get('tasks_created')}, the bill has {made}")
        if rows.get("billed_tasks") != bill["billed_tasks"]:
            wrong.append(f"billed_tasks: the verdict says {rows.get('billed_tasks')}, the bill {bill['billed_tasks']}")
        strangers = self.told - {row["task_id"] for row in bill["tasks"]}
        if strangers and not bill["left_out"]:
            wrong.append(f"{len(strangers)} tasks were told and are not on the bill, such as {min(strangers)}")
        if (rows.get("downloads") or 0) < len(self.fetched):
            wrong.append(f"downloads: {len(self.fetched)} came whole, and the verdict says {rows.get('downloads')}")
        return wrong
