"""Which lines of the journal show that an expectation was met, or was not, where the judge itself named none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fake_server.rules.manners import MOST_LINES_OF_EVIDENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_server.rules.expectations import Judgement
    from fake_server.rules.journal import Entry

_CREATES, _POLLS, _ASSETS = ("create",), ("query",), ("asset",)
# What an expectation is about, by the route of the requests that it looks at; from the end where the last ones count.
_ABOUT: Final[dict[str, tuple[str, ...]]] = {
    "tasks_created": _CREATES,
    "billed_tasks": _CREATES,
    "create_requests": _CREATES,
    "early_creates": _CREATES,
    "min_throttled_creates": _CREATES,
    "max_throttled_creates": _CREATES,
    "min_over_cap": _CREATES,
    "early_polls": _POLLS,
    "max_polls": _POLLS,
    "downloads": _ASSETS,
    "billing": _CREATES,
    "file": _ASSETS,
    "async_header": _CREATES,
    "create_once": _CREATES,
    "poll_rate": _POLLS,
    "persistence": _POLLS,
    "unknown": _POLLS,
    "download_in_time": _ASSETS,
    "key_stays_home": _ASSETS,
}
# Of these the last requests tell most, whatever they asked for.
_BY_THE_END = frozenset({"ends", "outcome", "deadline", "quiet_after_end", "polls_after_end"})
_LAST = 2


def with_proof(rows: Sequence[Judgement], entries: Sequence[Entry]) -> list[Judgement]:
    """Name lines of the journal for each expectation that was judged and has none.

    Args:
        rows: The expectations, judged.
        entries: The lines that were kept.
    """
    return [row if row.lines or row.verdict == "NOT_EXERCISED" else _proven(row, entries) for row in rows]


def _proven(row: Judgement, entries: Sequence[Entry]) -> Judgement:
    if row.name == "faults_consumed":
        lines = [entry.ordinal for entry in entries if entry.fault][:MOST_LINES_OF_EVIDENCE]
    elif row.name in _BY_THE_END:
        lines = [entry.ordinal for entry in entries[-_LAST:]]
    else:
        about = _ABOUT.get(row.name, ())
        lines = [entry.ordinal for entry in entries if entry.route in about][:MOST_LINES_OF_EVIDENCE]
    return replace(row, lines=tuple(lines))
