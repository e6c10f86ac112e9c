"""Faults as they are written: what an entry means, and one placed complaint for each slip, in YAML and in JSON."""

# ruff: noqa: E501, ISC004 - a table of mistakes reads best with one mistake a line

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.faults.model import ROUTE_KINDS, Fault, Latency, Selection, Status, Wire
from fake_server.scenario import FaultErrors, load_scenario_text, read_fault
from fake_server.scenario.fault_forms import FAULT_FORMS, keys_of_form
from fake_server.wire.messages import WireFault
from tests.fake_server.driving import UNTIMED
from tests.fake_server.faulty import EFFECTS, faults
from tests.fake_server.test_scenario_errors import GOOD, complaints

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TABLE: list[tuple[str, str]] = [
    ("{}", "6:12: found nothing, expected a key fault with one of " + ", ".join(FAULT_FORMS)),
    ("drip", "6:12: found drip, expected a fault such as {fault: lost_create, nth: 1}"),
    ("{fault: lost_craete}", f"6:20: found lost_craete, expected one of {', '.join(FAULT_FORMS)}; did you mean lost_create?"),
    (
        "{fault: lost_create, nht: 1}",
        "6:33: found the key nht, expected one of how, name, on, nth, first, every_nth, probability, window, task, times, "
        "must_fire beside fault; did you mean nth?",
    ),
    ("{fault: lost_create, on: query}", "6:37: found query, expected create"),
    ("{fault: status}", "6:12: found no status, expected it beside fault: status"),
    ("{fault: status, status: 99}", "6:36: found 99, expected a whole number from 200 to 599"),
    (
        "{fault: status, status: 500, body: htlm}",
        "6:47: found htlm, expected one of dialect, alien, empty, html, malformed; did you mean html?",
    ),
    ("{fault: status, status: 500, body: html, text: x}", "6:53: found body and text, expected one of them"),
    ("{fault: status, status: 500, when: now}", "6:47: found now, expected one of before_commit, after_commit"),
    ("{fault: latency}", "6:12: found none of them, expected exactly one of fixed, uniform, log_normal"),
    (
        "{fault: latency, fixed: 1s, uniform: {to: 2s}}",
        "6:12: found fixed and uniform, expected exactly one of fixed, uniform, log_normal",
    ),
    ("{fault: latency, uniform: {from: 3s, to: 2s}}", "6:38: found a delay that ends before it begins, expected from below to"),
    ("{fault: latency, uniform: {from: 3s}}", "6:38: found no to, expected a mapping such as {from: 100ms, to: 2s}"),
    ("{fault: latency, fixed: -1s}", "6:36: found -1s, expected a time such as 20s, 500ms, 5m or 24h"),
    ("{fault: wire, kind: drop}", "6:32: found drop, expected one of reset, close, stall, drip, short_body, missing_last_chunk, "
     "bad_chunk, garbage_status_line, two_lengths, huge_header, bad_gzip, invalid_utf8, extra_bytes, continue_storm; "
     "did you mean drip?"),
    ("{fault: wire, kind: drip, count: 3}", "6:38: found count beside kind: drip, expected it beside continue_storm only"),
    ("{fault: wire, kind: drip, every: 0s}", "6:45: found 0s, expected a time such as 20s, 500ms, 5m or 24h, above 0"),
    ("{fault: schema_drift, kind: extra_fields, word: X}", "6:54: found word beside kind: extra_fields, expected it beside "
     "unknown_status only"),
    ("{fault: clock_skew}", "6:12: found none of them, expected exactly one of ahead, behind"),
    ("{fault: clock_skew, ahead: 0s}", "6:39: found 0s, expected a time such as 20s, 500ms, 5m or 24h, above 0"),
    ("{fault: stale_read, nth: 0}", "6:37: found 0, expected a whole number from 1 to 1000000"),
    ("{fault: stale_read, nth: []}", "6:37: found 0 numbers, expected 1 to 100"),
    ("{fault: stale_read, nth: 1, first: 2}", "6:40: found nth and first, expected at most one of nth, first, every_nth"),
    ("{fault: stale_read, probability: 1.5}", "6:45: found 1.5, expected a decimal number from 0 to 1"),
    ("{fault: stale_read, window: 9s..3s}", "6:40: found 9s..3s, expected a stretch of time such as 0s..60s, or 10s.. without "
     "an end"),
    ("{fault: stale_read, task: first}", "6:38: found first, expected the number of a task, from 1, or its id"),
    ("{fault: stale_read, must_fire: maybe}", "6:43: found maybe, expected true or false"),
    ("{fault: stale_read, name: A b}", "6:38: found A b, expected a name of small letters, digits, - and _"),
    ("{fault: stale_read, on: []}", "6:36: found an empty list, expected one of query"),
    (
        "{fault: stale_read, name: x}, {fault: lost_create, name: x}",
        "6:42: found the name x again, expected it once (first on line 6)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_a_slip_is_told_with_its_place(tmp_path: Path, entry: str, expected: str) -> None:
    """Each slip in a fault gives one line with its place, what was found and what was expected."""
    assert complaints(tmp_path, f"{GOOD}faults:   [{entry}]\n") == [expected]


def test_too_many_faults_are_no_scenario(tmp_path: Path) -> None:
    """A list that nobody wrote by hand is refused."""
    entries = ", ".join(["{fault: lost_create}"] * 201)
    assert complaints(tmp_path, f"{GOOD}faults: [{entries}]\n") == ["6:9: found 201 faults, expected at most 200"]


@pytest.mark.parametrize(
    ("value", "pointer", "text"),
    [
        ([], "", "found a list, expected a fault such as {fault: lost_create, nth: 1}"),
        ({"fault": "status", "status": "503"}, "/status", "found 503, expected a whole number from 200 to 599"),
        ({"fault": "lost_create", "a/b~": 1}, "/a~1b~0", "found the key a/b~, expected one of how, name, on, nth, first, "
         "every_nth, probability, window, task, times, must_fire beside fault"),
        ({"fault": "stale_read", "nth": [1, -1]}, "/nth/1", "found -1, expected a whole number from 1 to 1000000"),
        ({"fault": "latency", "uniform": {"to": None}}, "/uniform/to", "found nothing, expected a time such as 20s, 500ms, "
         "5m or 24h"),
        ({"fault": "stale_read", "probability": 1e400}, "/probability", "found inf, expected a decimal number from 0 to 1"),
    ],
)  # fmt: skip
def test_a_slip_in_json_is_told_by_its_pointer(value: Any, pointer: str, text: str) -> None:
    """A fault that comes as JSON is read by the same rules, and complained of by pointers."""
    with pytest.raises(FaultErrors) as caught:
        read_fault(value)
    assert list(caught.value.problems) == [(pointer, text)]


def test_deep_json_is_no_fault() -> None:
    """Nesting beyond reason is one complaint and no recursion."""
    value: Any = 1
    for _ in range(2000):
        value = [value]
    with pytest.raises(FaultErrors, match="nesting deeper than 20"):
        read_fault({"fault": "status", "status": 500, "body": value})


def test_an_entry_means_what_it_says() -> None:
    """The examples of the page, read."""
    raw = f"""{GOOD}faults:
  - {{fault: lost_create, on: create, nth: 1}}
  - {{fault: latency, on: query, log_normal: {{median: 200ms, sigma: 0.5}}}}
  - {{fault: status, status: 503, body: html, on: [list, query], probability: 0.2, times: 3, window: 0s..60s}}
  - {{fault: wire, kind: drip, on: any, every_nth: 3, task: 2, name: slow}}
"""
    lost, late, page, drip = load_scenario_text("drawn", raw.encode()).faults
    assert (lost.line, lost.describe(), lost.needs_socket, lost.must_fire) == (7, "lost_create (line 7)", True, True)
    assert lost.selection == Selection(on=("create",), nth=(1,))
    assert late.effect == Latency(median_s=0.2, sigma=0.5)
    assert page.effect == Status(503, "html")
    assert page.selection == Selection(("query", "list"), probability=0.2, until_s=60.0, times=3)
    assert (page.must_fire, page.describe(), page.when) == (False, "status 503 (line 9)", "before_commit")
    assert drip.effect == Wire(WireFault("drip"))
    assert (drip.describe(), drip.selection.on, drip.rule()) == ("slow (line 10)", ROUTE_KINDS, "slow")
    assert drip.selection.until_s == math.inf


@UNTIMED
@given(faults())
def test_where_a_fault_stands_moves_no_draw(one: Fault) -> None:
    """The rule that chance hangs on is the same on another line and from another file, and says all of the effect."""
    moved = Fault(one.name, one.effect, one.selection, one.when, not one.must_fire, one.label, 99, "chaos light")
    assert moved.rule() == one.rule()
    assert Fault(one.name, one.effect, Selection(times=77), one.when).rule() != one.rule()


def test_no_two_effects_share_a_rule() -> None:
    """What differs draws apart."""
    assert len({read_fault(effect).rule() for effect in EFFECTS}) == len(EFFECTS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["20s", "query"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@UNTIMED
@given(
    st.sampled_from(sorted(FAULT_FORMS)).flatmap(
        lambda name: st.dictionaries(st.sampled_from(sorted(keys_of_form(FAULT_FORMS[name]))), JSON, max_size=4).map(
            lambda keys: {"fault": name, **keys}
        )
    )
    | JSON
)
def test_no_json_whatever_gives_a_traceback(value: Any) -> None:
    """Any JSON at all is a fault or a list of complaints, each one line with a pointer into it."""
    for pointer, text in problems_of(value):
        assert "\n" not in text
        assert text.startswith("found ")
        place: Any = value
        for step in pointer.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            place = place[int(key)] if isinstance(place, list) else place[key]


def problems_of(value: Any) -> Sequence[tuple[str, str]]:
    """The complaints about a JSON value; none if it is a fault."""
    try:
        read_fault(value)
    except FaultErrors as errors:
        return errors.problems or [("", "complained of nothing")]
    return []


def test_a_fault_goes_through_json_and_back() -> None:
    """What is armed over the wire is what stands in a file."""
    for effect in EFFECTS:
        raw = f"{GOOD}faults: {json.dumps([effect])}\n"
        (written,) = load_scenario_text("drawn", raw.encode()).faults
        sent = read_fault(json.loads(json.dumps(effect)), origin="")
        assert (sent.effect, sent.selection, sent.when, sent.must_fire) == (
            *(written.effect, written.selection),
            *(written.when, written.must_fire),
        )
