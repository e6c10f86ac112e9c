"""What a lost answer costs: tasks that each client makes, and pays for, for one wanted result; by the fake's own bill.

Whoever wants the result calls again until it is there; with ours, once the service's list was looked at for it
(``client.reconcile()``, as the error says). ``python -m benchmarks.lost_answers`` prints the table of
the README; nothing in it is measured, so it comes out the same each time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from benchmarks.figures import Row, Scale, Spread
from benchmarks.serving import Served, running_fake

__all__ = ["FAULTS", "KEPT", "Came", "as_table", "measure", "what_came"]

FAULTS = {
    "lost-by-reset": "the connection is reset",
    "lost-by-close": "the connection ends",
    "lost-by-500": "500 instead of the answer",
    "lost-by-503": "a proxy's 503 instead of the answer",
    "lost-three-times": "the connection is reset, three times",
    "lost-six-times": "the connection is reset, six times",
}
"""By the scenario's name. In each the create was carried out before."""
NAMES = {"v1": "`dashscope` 2.0.2, `VideoSynthesis`", "v2": "`dashscope` 2.0.2, `Client`", "ours": "`resilient_poll`"}
KEPT = Path(__file__).with_suffix(".md")
"""The table as the README shows it; a test makes it anew and compares."""


class Came(NamedTuple):
    """What came of one wanted result.

    Attributes:
        tasks: How many tasks the service made, and bills.
        total: What they cost, in the fake's prices.
        is_in_hand: Whether the caller has the result.
    """

    tasks: int
    total: str
    is_in_hand: bool


def what_came() -> dict[str, dict[str, Came]]:
    """Let each client want one result under each fault; return what came of it by fault and client."""
    arms = [arm for arm in NAMES if arm == "ours" or util.find_spec("dashscope") is not None]
    with running_fake(next(iter(FAULTS))) as served:
        got = {arm: _run(served, arm) for arm in arms}
        return {fault: {arm: _came(served, arm, fault, got[arm][fault]) for arm in arms} for fault in FAULTS}


def _run(served: Served, arm: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.lost_answers_run", arm, f"{served.url}/api/v1", arm, *FAULTS]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # our own command
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _came(served: Served, arm: str, fault: str, got: dict[str, Any]) -> Came:
    page = httpx.get(f"{served.url}/__admin/worlds/{fault}.{arm}/bill", trust_env=False).raise_for_status().json()
    if page["billed_tasks"] != len(page["tasks"]):
        raise RuntimeError(f"every task of {fault} is billed at once, and the bill says otherwise: {page}")
    return Came(page["billed_tasks"], page["total"], got["in_hand"])


def as_table(came: dict[str, dict[str, Came]]) -> str:
    """Return the table of the README, in Markdown."""
    arms = list(next(iter(came.values())))
    head = ["the create was carried out, and then", *(NAMES[arm] for arm in arms)]
    rows = [[FAULTS[fault], *(_cell(by_arm[arm]) for arm in arms)] for fault, by_arm in came.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def _cell(came: Came) -> str:
    told = f"{came.tasks} task{'s' if came.tasks != 1 else ''}, {came.total}"
    return told if came.is_in_hand else f"{told}, in doubt"


def measure(scale: Scale) -> list[Row]:  # noqa: ARG001  # it is as quick as it can be, and counts
    """Count, once."""
    return [
        Row(
            f"tasks paid for one result: {FAULTS[fault]} / {NAMES[arm]}",
            _exactly(by_arm["ours"].tasks),
            "tasks",
            _exactly(by_arm[arm].tasks),
            _exactly(by_arm["ours"].tasks / by_arm[arm].tasks),
            "1 task",
            by_arm["ours"].tasks == 1,
        )
        for fault, by_arm in what_came().items()
        for arm in by_arm
        if arm != "ours"
    ]


def _exactly(value: float) -> Spread:
    return Spread(value, value, value)


def main() -> None:
    """Make the table anew; ``--write`` keeps it for the README."""
    told = as_table(what_came()) + "\n"
    if sys.argv[1:] == ["--write"]:
        KEPT.write_text(told)
    sys.stdout.write(told)


if __name__ == "__main__":
    main()
