"""Declarations in files: the same meaning as in Python, and one clear line for each fault."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from resilient_poll import (
    Billing,
    ConfigurationError,
    Hint,
    InBody,
    InHeader,
    InHttpStatus,
    Lifecycle,
    OperationSpec,
    Phase,
    QueryCall,
    SubmitCall,
    SubmitUrl,
)
from resilient_poll.specs.ready import READY
from tests.specs.file_forms import as_file
from tests.support.profiles import examples
from tests.support.properties import GENUINE

PAGE = """\
version: 1
name: paint
submit: {url: /pictures, id: id}
query: {url: "/pictures/{id}"}
status: state
states:
  running: [busy]
  succeeded: [done]
"""
words = st.text("abcXYZ019_-.äß ", min_size=1, max_size=8).filter(lambda word: word.strip() == word)
phases = st.sampled_from([Phase.QUEUED, Phase.RUNNING, Phase.FAILED, Phase.CANCELED, Phase.UNRECOGNIZED])
bodies = st.sampled_from(["id", "a.b.c", "items[0].id", "a || b", "done && 'yes' || 'no'"]).map(InBody)
headers = st.sampled_from(["Location", "operation-location", "X-Odd"]).map(InHeader)
places = bodies | headers | st.just(InHttpStatus())
urls = st.lists(bodies | headers | st.just("/x/{id}") | st.just(SubmitUrl()), min_size=1, max_size=3).map(tuple)


@st.composite
def specs(draw: st.DrawFn) -> OperationSpec:
    """Declarations of all kinds."""
    folds = draw(st.booleans())
    named = draw(st.dictionaries(words.map(str.casefold) if folds else words, phases, max_size=4))
    statuses = {word: phase for word, phase in named.items() if word.casefold() != "done"} | {"done": Phase.SUCCEEDED}
    name = draw(words)
    bills = draw(st.dictionaries(phases, st.sampled_from(Billing), max_size=3))
    return OperationSpec(
        name=name,
        lifecycle=Lifecycle(name, statuses, bills, fold_case=folds),
        status=draw(places),
        submit=draw(st.none() | st.builds(SubmitCall, url=st.none() | st.just("/x"), id=st.none() | places)),
        query=draw(st.none() | st.builds(QueryCall, url=urls, headers=st.just({}) | st.just({"X-A": "b: c"}))),
        result=draw(st.none() | places),
        result_url=draw(st.just(()) | urls),
        error_code=draw(st.none() | places),
        retry_after=tuple(draw(st.lists(st.builds(Hint, bodies | headers, st.sampled_from(["s", "ms"])), max_size=2))),
        billing_by_status=draw(st.dictionaries(st.sampled_from(sorted(statuses)), st.sampled_from(Billing))),
        allow_hosts=draw(st.frozensets(st.sampled_from(["a.test", "127.0.0.1"]))),
        interval_s=draw(st.floats(0.001, 1000).map(lambda value: round(value, 3) or 1.0)),
    )


def as_yaml(value: Any) -> str:
    """Return a value as YAML."""
    text, yaml = io.StringIO(), YAML(typ="safe", pure=True)
    yaml.width = 1_000_000  # It breaks lines within keys, too, which is no YAML any more.
    yaml.dump(value, text)
    return text.getvalue()


@settings(GENUINE, max_examples=examples(40))
@given(specs())
def test_a_file_means_what_python_means(spec: OperationSpec) -> None:
    """A declaration written as YAML, as JSON and as indented JSON is read as the one that was made in Python."""
    form = as_file(spec)
    assert OperationSpec.from_text(as_yaml(form)) == spec
    assert OperationSpec.from_text(json.dumps(form)) == spec
    assert OperationSpec.from_text(json.dumps(form, indent="\t", ensure_ascii=False)) == spec


@pytest.mark.parametrize("spec", READY, ids=lambda spec: spec.name)
def test_each_ready_declaration_has_a_file_form(spec: OperationSpec, tmp_path: Path) -> None:
    """Each ready declaration can be written to a file and read from it."""
    for name, text in (("spec.yaml", as_yaml(as_file(spec))), ("spec.json", json.dumps(as_file(spec), indent=2))):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        assert OperationSpec.from_file(path) == spec


def test_acceptors_can_stand_in_a_file() -> None:
    """Acceptors in a file mean what those of a waiter mean."""
    rows = [
        {"state": "success", "matcher": "path", "argument": "render.state", "expected": "done"},
        {"state": "failure", "matcher": "status", "expected": 410},
        {"state": "retry", "matcher": "error", "expected": True},
    ]
    spec = OperationSpec.from_text(as_yaml({"version": 1, "name": "render", "acceptors": rows}))
    waiter = OperationSpec.from_botocore({"operation": "render", "delay": 3, "maxAttempts": 100, "acceptors": rows})
    assert spec.acceptors == waiter.acceptors
    assert spec.lifecycle.statuses == waiter.lifecycle.statuses


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("status: state", "statsu: state", r"5:1: found the key statsu, expected one of .*; did you mean status\?"),
        ("[done]", "done", "8:14: found done, expected a list of words"),
        ("[done]", "[]", "6:1: .*no status means success"),
        ("[busy]", "[done]", "6:1: .*'done' is listed with two phases"),
        ("running:", "runing:", r"7:3: found the key runing, .*did you mean running\?"),
        ("status: state", "status: a..b", "5:9: .*'a..b' is no JMESPath expression"),
        ("status: state", "status: {header: 'a b'}", "5:18: no header can be named 'a b'"),
        ("status: state", "status: {heder: a}", r"5:10: found the key heder, .*did you mean header\?"),
        ("status: state", "status: {header: a, body: b}", "5:9: found a mapping, expected a path in the body"),
        ("/pictures/{id}", "/pictures/{name}", r"4:8: .*only \{id\}"),
        ("/pictures/{id}", "/pictures", r"4:8: .*\{id\} or \{\+id\} must stand"),
        ("version: 1", "version: 2", "1:10: found 2, expected the version 1"),
        ("version: 1\n", "", "1:1: found no version"),
        ("name: paint", "name: [paint]", "2:7: found a list, expected a name"),
        ("name: paint", "name: &x paint", "2:7: found the anchor &x"),
        ("name: paint", "name: !!python/name:os.system paint", "2:7: found the tag"),
        ("name: paint", "name: paint\nname: again", r"3:1: found the key name again, .*\(first on line 2\)"),
        ("name: paint", "name: paint\nbilling: {failed: FREE}", "3:19: found FREE, expected one of NOT_YET"),
        ("name: paint", "name: paint\nbilling: {novel: NONE}", "3:11: found the key novel"),
        ("name: paint", "name: paint\nbilling_by_status: {gone: NONE}", "the bill of the status 'gone' is declared"),
        ("name: paint", "name: paint\ninterval_s: soon", "3:13: found soon, expected a number of seconds"),
        ("name: paint", "name: paint\ninterval_s: 0", "interval_s is a time in seconds"),
        ("name: paint", "name: paint\nallow_hosts: ['a b']", "'a b' in allow_hosts is no host's name"),
        ("name: paint", "name: paint\ncancel: {method: POST}", "3:9: found no url"),
        ("{url: /pictures, id: id}", "{url: /pictures, method: GET}", "3:9: .*the method is among POST"),
        ("{url: /pictures, id: id}", "{url: /pictures, headers: {Host: x}}", "3:9: .*the client's own business"),
        ("{url: /pictures, id: id}", '{url: /pictures, headers: {X-A: "b\\nc"}}', "3:9: .*printable ASCII"),
        ("states:", "states: [", "found broken YAML"),
    ],
)
def test_each_fault_is_one_clear_line(old: str, new: str, said: str) -> None:
    """A fault in a file is told with file, line, column, what was found and what was expected, on one line."""
    with pytest.raises(ConfigurationError) as caught:
        OperationSpec.from_text(PAGE.replace(old, new, 1), name="paint.yaml")
    lines = str(caught.value).splitlines()
    assert all(re.match(r"paint\.yaml:\d+:\d+: ", line) for line in lines)
    assert any(re.search(said, line) for line in lines), lines


def test_all_faults_are_told_at_once() -> None:
    """Several faults are several lines, in the order of the file."""
    text = PAGE.replace("status:", "statsu:").replace("[busy]", "busy")
    with pytest.raises(ConfigurationError) as caught:
        OperationSpec.from_text(text, name="paint.yaml")
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["5", "7"]


@GENUINE
@given(
    st.one_of(
        st.text(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
            max_leaves=8,
        ).map(json.dumps),
        st.tuples(st.sampled_from(PAGE.split()), st.text("{}[]&*!|>%@`'\"\t\n:- abc0", max_size=12)).map(
            lambda change: PAGE.replace(change[0], change[1], 1)
        ),
        st.fixed_dictionaries(
            {"version": st.just(1), "name": st.just("x")},
            optional={
                key: st.none()
                | st.integers()
                | st.text(max_size=4)
                | st.lists(st.text(max_size=3), max_size=2)
                | st.dictionaries(st.sampled_from(["url", "header", "body", "unit", "id", "code"]), st.text(max_size=4))
                for key in ("submit", "query", "cancel", "status", "states", "acceptors", "result_url", "retry_after")
            },
        ).map(json.dumps),
    )
)
def test_no_file_breaks_the_reader(text: str) -> None:
    """Whatever stands in a file, it is a declaration or an error of ours, each line of which names its place."""
    lines: list[str] = []
    try:
        OperationSpec.from_text(text, name="any")
    except ConfigurationError as error:
        lines = str(error).splitlines()
    assert all(re.match(r"any:\d+:\d+: .", line) for line in lines)


@GENUINE
@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    """Whatever bytes a file holds, it is a declaration or an error of ours."""
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(raw)
    with pytest.raises(ConfigurationError):
        OperationSpec.from_file(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a" * 100_001, "more than 100000 bytes"),
        ("[" * 5000, "opening brackets"),
        ("version: 1\nname: " + "{a: " * 30 + "1" + "}" * 30, "nesting"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "anchor"),
    ],
)
def test_what_is_beyond_a_page_is_refused(text: str, said: str, tmp_path: Path) -> None:
    """Size, brackets, depth and aliases are bounded, so that no file takes seconds or memory."""
    path = tmp_path / "large.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        OperationSpec.from_file(path)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """A missing file, a folder and a path that is none are errors of ours."""
    for path in (tmp_path / "none.yaml", tmp_path, "\0"):
        with pytest.raises(ConfigurationError, match="no readable file"):
            OperationSpec.from_file(path)
