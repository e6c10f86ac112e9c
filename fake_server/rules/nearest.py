"""Why a request fits nothing: the routes nearest to it, and what of each does not fit."""

from __future__ import annotations

import difflib
import functools
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from fake_server.scenario.yaml_nodes import quote
from fake_server.wire.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

# More suggestions than this are a list of everything.
MOST_SUGGESTIONS = 3
# What is compared of a path; the diagnosis must cost little, whatever was asked for.
LONGEST_PATH = 300
MOST_SEGMENTS = 20
# A word is meant if it is as near as `task` is to `tasks`; a verb is changed more easily than a word of the path.
_ALIKE = 0.6
_WRONG_METHOD_COST = 0.4

ASSET_ROUTE = "GET /w/{world}/assets/{task_id}.{mp4,png,glb,json}"
_TEMPLATES = (*ROUTES["dashscope"], *ROUTES["aisa"], ASSET_ROUTE)


class Difference(NamedTuple):
    """One thing about a request that a route does not take.

    Args:
        field: Which part: `method`, `path` or `query`.
        found: What the request had.
        expected: What the route wants.
    """

    field: str
    found: str
    expected: str

    @property
    def text(self) -> str:
        """The difference in words."""
        return f"{self.field}: found {self.found}, expected {self.expected}"


class Suggestion(NamedTuple):
    """A route that a request nearly fits, such as `POST /api/v1/tasks/{task_id}/cancel`, and what differs."""

    route: str
    differences: tuple[Difference, ...]

    @property
    def text(self) -> str:
        """The suggestion in words."""
        return f"{self.route} ({'; '.join(difference.text for difference in self.differences)})"


def nearest_routes(method: str, path: str, query: str = "") -> tuple[Suggestion, ...]:
    """The routes that a request comes nearest to, the nearest first; at most :data:`MOST_SUGGESTIONS`.

    Args:
        method: Its verb.
        path: Its path.
        query: Its query string.
    """
    return _nearest(method[:LONGEST_PATH], path[:LONGEST_PATH], query[:LONGEST_PATH])


@functools.lru_cache(maxsize=256)  # who asks for something wrong asks for it again and again
def _nearest(method: str, path: str, query: str) -> tuple[Suggestion, ...]:
    found = [_compare(template, method, path, query) for template in _TEMPLATES]
    found.sort(key=lambda rated: rated[0])
    return tuple(suggestion for _, suggestion in found[:MOST_SUGGESTIONS])


def _compare(template: str, method: str, path: str, query: str) -> tuple[float, Suggestion]:
    verb, _, target = template.partition(" ")
    wanted_path, _, wanted_query = target.partition("?")
    cost, differences = 0.0, []
    if verb != method and (verb, method) != ("GET", "HEAD"):
        cost += _WRONG_METHOD_COST
        differences.append(Difference("method", quote(method), verb))
    for rating, difference in _path_differences(path, wanted_path):
        cost += rating
        differences.append(difference)
    name = wanted_query.partition("=")[0]
    if name and f"{name}=" not in query:
        cost += _WRONG_METHOD_COST
        differences.append(Difference("query", quote(query) or "nothing", wanted_query))
    return cost, Suggestion(template, tuple(differences))


def _path_differences(path: str, wanted: str) -> Iterator[tuple[float, Difference]]:
    """Per segment that differs, how much, and in words."""
    found = path.strip("/").split("/")[:MOST_SEGMENTS]
    expected = wanted.strip("/").split("/")
    for index, (have, want) in enumerate(zip_longest(found, expected)):
        if have == want or (want is not None and want.startswith("{") and have):
            continue
        place = f"segment {index + 1} of the path"
        if want is None:
            yield float(len(found) - index), Difference(place, quote(have) or "an empty one", "the end")
            return
        if not have:
            yield float(len(expected) - index), Difference(place, "the end", "/".join(expected[index:]))
            return
        likeness = difflib.SequenceMatcher(None, have, want).ratio()
        yield (1.0 - likeness if likeness >= _ALIKE else 1.0), Difference(place, quote(have), want)
