"""Which lines of a journal are meant: one grammar for finding, counting and expecting.

A matcher is an object of conditions that all hold; one that is not given holds always. The conditions are pure, and
are read strictly: an unknown key is a mistake, as a condition that is ignored would match too much.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from fake_server.rules.fields import Fields, Mistake
from fake_server.scenario.yaml_nodes import did_you_mean
from fake_server.wire.routes import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fake_server.rules.journal import Entry

# What each key of a matcher means; the documentation derives its table from here.
KEYS: dict[str, str] = {
    "route": "what the request was taken for, or a list: " + ", ".join(get_args(Kind)),
    "method": "the verb, or a list of them",
    "path": "the path; `*` stands for any characters, `?` for one",
    "status": "the HTTP status, a class such as `5xx`, or a list; `0` is a cut connection",
    "task_id": "the task it was about, or a list",
    "fault": "what struck, with `*` and `?`; `true` any fault or quota, `false` none",
    "header": "a header that was sent, or a list of those that all were; names only, values are never kept",
    "without_header": "a header that was not sent, or a list of those that all were not",
    "from": 'seconds since the world began, or a time such as `"1.5s"`; included',
    "to": "the same; excluded",
}
_CLASS = re.compile(r"[1-5]xx")
_LARGEST_STATUS = 999
_MOST_STATUSES = 100
# A glob of many stars takes ages on a long path.
MOST_STARS = 8


@dataclass(frozen=True, slots=True)
class Matcher:
    """Conditions on a line of the journal; None holds always.

    Args:
        routes: What the request was taken for.
        methods: Verbs, in capitals.
        path: A glob over the path.
        statuses: HTTP statuses; 0 for a cut connection.
        task_ids: Tasks.
        fault: A glob over what struck; True for any, False for none.
        headers: Names in small letters that were all sent.
        absent_headers: Names in small letters of which none was sent.
        from_s: Seconds since the world began, included.
        to_s: The same, excluded.
    """

    routes: frozenset[str] | None = None
    methods: frozenset[str] | None = None
    path: str | None = None
    statuses: frozenset[int] | None = None
    task_ids: frozenset[str] | None = None
    fault: str | bool | None = None
    headers: frozenset[str] = frozenset()
    absent_headers: frozenset[str] = frozenset()
    from_s: float | None = None
    to_s: float | None = None

    def matches(self, entry: Entry) -> bool:
        """Whether a line fulfils every condition."""
        return (
            (self.routes is None or entry.route in self.routes)
            and (self.methods is None or entry.method in self.methods)
            and (self.statuses is None or entry.status in self.statuses)
            and (self.task_ids is None or entry.task_id in self.task_ids)
            and (self.from_s is None or entry.at_s >= self.from_s)
            and (self.to_s is None or entry.at_s < self.to_s)
            and (self.path is None or fnmatch.fnmatchcase(entry.path, self.path))
            and self._fits_fault(entry.fault)
            and self.headers.issubset(entry.header_names)
            and self.absent_headers.isdisjoint(entry.header_names)
        )

    def _fits_fault(self, fault: str | None) -> bool:
        if isinstance(self.fault, str):
            return fault is not None and fnmatch.fnmatchcase(fault, self.fault)
        return self.fault is None or self.fault == (fault is not None)


def read_matcher(values: Mapping[str, Any], pointer: str = "") -> Matcher | list[Mistake]:
    """Read a matcher.

    Args:
        values: The object, as JSON or YAML gives it.
        pointer: Where it stands, for complaints.

    Returns:
        The matcher, or every mistake in it.
    """
    fields = Fields(values, KEYS, pointer)
    methods = fields.words("method", "a verb such as POST")
    matcher = Matcher(
        routes=_routes(fields),
        methods=frozenset(word.upper() for word in methods) if methods else None,
        path=_glob(fields, "path", "a path such as /api/v1/tasks/*"),
        statuses=_statuses(fields),
        task_ids=_set(fields.words("task_id", "the id of a task")),
        fault=_fault(fields),
        headers=_names(fields, "header"),
        absent_headers=_names(fields, "without_header"),
        from_s=fields.duration_s("from"),
        to_s=fields.duration_s("to"),
    )
    return fields.mistakes or matcher


def _set(words: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if words is None else frozenset(words)


def _names(fields: Fields, key: str) -> frozenset[str]:
    return frozenset(name.lower() for name in fields.words(key, "the name of a header") or ())


def _routes(fields: Fields) -> frozenset[str] | None:
    words = fields.words("route", "a kind of request")
    for word in words or ():
        if word not in get_args(Kind):
            known = ", ".join(get_args(Kind))
            fields.wrong("route", f"found {word[:60]!r}, expected one of {known}{did_you_mean(word, get_args(Kind))}")
    return _set(words)


def _glob(fields: Fields, key: str, expected: str) -> str | None:
    glob = fields.text(key, expected)
    if glob is not None and glob.count("*") > MOST_STARS:
        fields.wrong(key, f"found {glob.count('*')} stars, expected at most {MOST_STARS}")
        return None
    return glob


def _fault(fields: Fields) -> str | bool | None:
    if isinstance(fields.values.get("fault"), bool):
        return fields.flag("fault")
    return _glob(fields, "fault", "a text such as *drop*, true or false")


def _statuses(fields: Fields) -> frozenset[int] | None:
    if not fields.has("status"):
        return None
    value = fields.values["status"]
    found: set[int] = set()
    items = value if isinstance(value, list) else [value]
    if len(items) > _MOST_STATUSES:
        fields.wrong("status", f"found a list of {len(items)}, expected at most {_MOST_STATUSES}")
        return None
    for given in items:
        item = int(given) if isinstance(given, float) and given.is_integer() else given
        if isinstance(item, str) and _CLASS.fullmatch(item):
            first = int(item[0]) * 100
            found.update(range(first, first + 100))
        elif isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= _LARGEST_STATUS:
            found.add(item)
        else:
            fields.wrong("status", "found no status, expected a number such as 429, a class such as 5xx, or a list")
            return None
    if not found:
        fields.wrong("status", "found an empty list, expected a status")
    return frozenset(found)
