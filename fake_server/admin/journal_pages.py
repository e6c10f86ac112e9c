"""Pages about what was asked: the journal, what of it is meant, and why a request fitted nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

from fake_server.admin import shapes
from fake_server.admin.asking import AdminError, Ask, refuse_mistakes
from fake_server.admin.pages import Body, Page
from fake_server.rules.fields import Fields
from fake_server.rules.matching import KEYS, MOST_STARS, Matcher, read_matcher
from fake_server.rules.nearest import nearest_routes
from fake_server.wire.routes import Kind

if TYPE_CHECKING:
    from fake_server.rules.journal import Journal

# More lines than this no journal keeps.
MOST_LINES = 10_000
_MOST_UNMATCHED = 200


async def read_journal(ask: Ask) -> dict[str, Any]:
    """The latest lines, and the counters."""
    journal = ask.world().engine.journal
    after = ask.number("after", 0, 10**15)
    limit = ask.number("limit", MOST_LINES, MOST_LINES)
    entries = [entry for entry in journal.entries if entry.ordinal > after][:limit]
    return {
        "entries": [asdict(entry) for entry in entries],
        "counters": dict(journal.counters),
        "forgotten": journal.forgotten,
    }


async def find_lines(ask: Ask) -> dict[str, Any]:
    """The lines that a matcher means."""
    journal = ask.world().engine.journal
    values = await ask.object()
    fields = Fields({"limit": values.pop("limit", MOST_LINES)}, ("limit",))
    limit = fields.integer("limit", 0, MOST_LINES)
    refuse_mistakes(fields)
    matcher = _matcher(values)
    found = [entry for entry in journal.entries if matcher.matches(entry)]
    told = [asdict(entry) for entry in found[:limit]]
    left_out = len(found) - len(told)
    return {"count": len(found), "complete": _is_complete(journal), "entries": told, "left_out": left_out}


async def count_lines(ask: Ask) -> dict[str, Any]:
    """How many lines a matcher means."""
    journal = ask.world().engine.journal
    matcher = _matcher(await ask.object())
    count = sum(matcher.matches(entry) for entry in journal.entries)
    return {"count": count, "complete": _is_complete(journal)}


async def explain_unmatched(ask: Ask) -> dict[str, Any]:
    """The requests that fitted nothing, each with the routes that it came nearest to."""
    journal = ask.world().engine.journal
    entries = [entry for entry in journal.entries if entry.route == "unmatched"][-_MOST_UNMATCHED:]
    requests = [
        {
            "entry": asdict(entry),
            "nearest": [
                {"route": near.route, "differences": [difference._asdict() for difference in near.differences]}
                for near in nearest_routes(entry.method, entry.path, entry.query)
            ],
        }
        for entry in entries
    ]
    return {"requests": requests, "forgotten": journal.forgotten}


def _matcher(values: dict[str, Any]) -> Matcher:
    matcher = read_matcher(values)
    if isinstance(matcher, list):
        raise AdminError(400, matcher)
    return matcher


def _is_complete(journal: Journal) -> bool:
    """Whether the answer is about every line that there ever was."""
    return journal.forgotten == 0


_STATUS: shapes.Shape = {
    "oneOf": [
        {"type": "integer", "minimum": 0, "maximum": 999},
        {"type": "string", "pattern": "^[1-5]xx$"},
    ]
}
_WORD: shapes.Shape = {"type": "string", "minLength": 1}
_WORDS = shapes.one_or_more(_WORD)
_GLOB: shapes.Shape = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1_000,
    "pattern": f"^[^*]*([*][^*]*){{0,{MOST_STARS}}}$",
}
_CONDITIONS: shapes.Shape = {
    "route": shapes.one_or_more({"enum": list(get_args(Kind))}),
    "method": _WORDS,
    "path": _GLOB,
    "status": shapes.one_or_more(_STATUS),
    "task_id": _WORDS,
    "fault": {"oneOf": [shapes.FLAG, _GLOB]},
    "header": _WORDS,
    "without_header": _WORDS,
    "from": shapes.DURATION,
    "to": shapes.DURATION,
}
assert set(_CONDITIONS) == set(KEYS)  # noqa: S101 - one grammar, told twice
_MATCHER = shapes.record({}, _CONDITIONS)
_FIND = shapes.record({}, {**_CONDITIONS, "limit": {"type": "integer", "minimum": 0, "maximum": MOST_LINES}})
_ORDINAL: shapes.Shape = {"type": "integer", "minimum": 0, "maximum": 10**15}

PAGES = (
    Page(
        "GET",
        "/worlds/{world}/journal",
        read_journal,
        "the latest requests and answers, and counters; `after` a line's ordinal, at most `limit`",
        shapes.JOURNAL,
        query={"after": _ORDINAL, "limit": {"type": "integer", "minimum": 0, "maximum": MOST_LINES}},
        example_query="?after=0&limit=100",
        fails=(404,),
    ),
    Page(
        "POST",
        "/worlds/{world}/journal/find",
        find_lines,
        "the lines that fulfil every condition; `complete` is false once the journal has forgotten lines",
        shapes.FOUND,
        body=Body(_FIND, {"route": "create", "status": ["4xx", "5xx"], "limit": 10}, required=False),
        fails=(404,),
    ),
    Page(
        "POST",
        "/worlds/{world}/journal/count",
        count_lines,
        "how many these are",
        shapes.COUNTED,
        body=Body(_MATCHER, {"route": "query", "from": "2s", "fault": False}, required=False),
        fails=(404,),
    ),
    Page(
        "GET",
        "/worlds/{world}/unmatched",
        explain_unmatched,
        "requests that fitted nothing, each with the nearest routes and what differs; `~lobby` has those without a key",
        shapes.UNMATCHED,
        fails=(404,),
    ),
)
