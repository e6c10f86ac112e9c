"""The blocks of docs/driver.md, made from what `fake-dashscope check` is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fake_server.check.judging import MEANINGS
from fake_server.check.plan import TASK_KEYS, VARIABLES
from fake_server.rules.conduct import RULES
from fake_server.scenario.model import COUNTS, OUTCOMES

ROOT = Path(__file__).resolve().parents[1]
_DRIVERS: Mapping[str, str] = {
    "dashscope_v1.py": "the package `dashscope` 2.0.2, `VideoSynthesis` (its older face)",
    "dashscope_v2.py": "the package `dashscope` 2.0.2, `Client` (its newer face)",
    "node_fetch.mjs": "Node 18 and newer, `fetch`",
    "JavaClient.java": "Java 17 and newer, `java.net.http`",
    "curl.sh": "`curl` and `sh`",
    "resilient_poll_cli.py": "our own command line, `resilient-poll`",
}


def _table(head: tuple[str, str], rows: Mapping[str, str]) -> str:
    return "\n".join(
        [f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in rows.items())]
    )


def _words() -> str:
    outcomes = ", ".join(f"`{word}`" for word in OUTCOMES)
    return (
        f"An outcome is one of {outcomes}. `billed`, which may be left out, says whether the client believes to owe "
        "anything for the task: `true`, `false`, or `null` for perhaps (a list with one for each task)."
    )


def _drivers() -> str:
    rows = {f"examples/clients/{name}": text for name, text in _DRIVERS.items()}
    return _table(("driver", "of"), rows)


BLOCKS: Mapping[str, Callable[[], str]] = {
    "driver-environment": lambda: _table(("variable", "meaning"), VARIABLES),
    "driver-task": lambda: _table(("key", "meaning"), TASK_KEYS),
    "driver-words": _words,
    "driver-rules": lambda: _table(("rule", "asks for"), RULES),
    "driver-run": lambda: _table(
        ("expectation", "asks for"), {name: text for name, text in MEANINGS.items() if name not in COUNTS}
    ),
    "drivers": _drivers,
}
