"""Matchers of journal lines, and the routes nearest to a request: pure, strict, and never in trouble."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.rules.journal import Journal
from fake_server.rules.matching import KEYS, Matcher, read_matcher
from fake_server.rules.nearest import MOST_SUGGESTIONS, nearest_routes
from fake_server.wire.messages import Request
from fake_server.wire.routes import ROUTES, route
from tests.fake_server.driving import UNTIMED


def entry(**changes: Any) -> Any:
    """A line of a journal."""
    request = Request("POST", "/api/v1/tasks/t1/cancel", "", (("X-One", "1"), ("Authorization", "k")), b"", "")
    given = {"at_s": 2.0, "route": "cancel", "task_id": "t1", "status": 400, "fault": None, "retry_after": None}
    return Journal().add(request, **{**given, **changes})


@pytest.mark.parametrize(
    ("matcher", "matches"),
    [
        ({}, True),
        ({"route": "cancel"}, True),
        ({"route": ["create", "query"]}, False),
        ({"method": ["get", "post"]}, True),
        ({"path": "/api/v1/tasks/*/cancel"}, True),
        ({"path": "/api/v1/tasks/??/cancel"}, True),
        ({"path": "/api/v1/tasks"}, False),
        ({"status": 400}, True),
        ({"status": ["2xx", 400]}, True),
        ({"status": "4xx"}, True),
        ({"status": [0, "5xx"]}, False),
        ({"task_id": ["t1", "t2"]}, True),
        ({"fault": False}, True),
        ({"fault": True}, False),
        ({"fault": "*"}, False),
        ({"header": "x-one"}, True),
        ({"header": ["X-One", "x-two"]}, False),
        ({"without_header": ["x-two", "x-three"]}, True),
        ({"without_header": "authorization"}, False),
        ({"from": 2, "to": "2001ms"}, True),
        ({"from": "1.5s", "to": 2}, False),
        ({"route": "cancel", "status": 200}, False),
    ],
)
def test_a_line_is_meant_if_every_condition_holds(matcher: dict[str, Any], matches: bool) -> None:
    """Each condition means what its line in the documentation says, and all of them must hold."""
    read = read_matcher(matcher)
    assert isinstance(read, Matcher), read
    assert read.matches(entry()) is matches


@pytest.mark.parametrize(
    ("matcher", "pointer", "sentence"),
    [
        ({"rout": "create"}, "/rout", "did you mean route?"),
        ({"route": "creat"}, "/route", "did you mean create?"),
        ({"route": []}, "/route", "found a list of 0"),
        ({"status": "6xx"}, "/status", "found no status"),
        ({"status": True}, "/status", "found no status"),
        ({"status": []}, "/status", "found an empty list"),
        ({"path": "*" * 9}, "/path", "found 9 stars"),
        ({"path": None}, "/path", "found null"),
        ({"header": [1]}, "/header", "expected the name of a header"),
        ({"from": "2 s"}, "/from", "expected seconds"),
        ({"to": -1}, "/to", "expected seconds"),
        ({"fault": 1}, "/fault", "found 1"),
    ],
)
def test_a_mistake_in_a_matcher_is_told(matcher: dict[str, Any], pointer: str, sentence: str) -> None:
    """What a matcher cannot mean is a mistake with its pointer: a condition passed over would match too much."""
    (mistake,) = read_matcher(matcher)  # type: ignore[misc]  # a list of mistakes
    assert mistake.pointer == pointer
    assert sentence in mistake.detail


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@UNTIMED
@given(st.dictionaries(st.sampled_from(sorted(KEYS)) | st.text(max_size=10), VALUES, max_size=5))
def test_anything_is_a_matcher_or_a_list_of_mistakes(values: dict[str, Any]) -> None:
    """Whatever an object holds, it is read as a matcher that can be applied, or each of its mistakes is told."""
    read = read_matcher(values, "/expect")
    if isinstance(read, Matcher):
        assert read.matches(entry()) in (True, False)
        assert set(values) <= set(KEYS)
    else:
        assert read
        assert all(mistake.pointer.startswith("/expect/") and mistake.detail for mistake in read)


@UNTIMED
@given(st.text("ab*?[", max_size=8), st.text("ab", max_size=8))
def test_a_path_is_matched_as_a_glob(glob: str, path: str) -> None:
    """The path of a matcher is a glob over the whole path."""
    read = read_matcher({"path": glob}) if glob else Matcher()
    assert isinstance(read, Matcher)
    line = entry()
    line.path = path
    assert read.matches(line) == (not glob or fnmatch.fnmatchcase(path, glob))


ALL_ROUTES = [one.partition("?")[0].replace("{task_id}", "t1") for routes in ROUTES.values() for one in routes]


@pytest.mark.parametrize("target", ALL_ROUTES)
def test_one_slip_leads_to_the_route_that_was_meant(target: str) -> None:
    """Another verb, or a letter too few in the path, and the route that was meant is the first suggestion."""
    verb, _, path = target.partition(" ")
    meant = [nearest_routes("DELETE", path)[0].route]
    words = path.split("/")
    for number, word in enumerate(words):
        if len(word) > 4:
            meant.append(nearest_routes(verb, "/".join([*words[:number], word[:-1], *words[number + 1 :]]))[0].route)
    assert {one.partition("?")[0].replace("{task_id}", "t1") for one in meant} == {target}


@UNTIMED
@given(st.sampled_from(["GET", "POST", "HEAD", "X"]), st.text(max_size=60) | st.from_regex(r"(/[a-z0-9]{0,9}){0,8}"))
def test_the_diagnosis_never_fails(method: str, path: str) -> None:
    """Whatever fits no route is told a few routes, each with a difference at least and a sentence of bounded length."""
    if route(method, path, "").kind != "unmatched":
        return
    suggestions = nearest_routes(method, path)
    assert len(suggestions) == MOST_SUGGESTIONS
    for suggestion in suggestions:
        assert suggestion.differences
        assert len(suggestion.text) < 2_000
        assert suggestion.text.isprintable()
