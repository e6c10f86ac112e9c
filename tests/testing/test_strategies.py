"""What the strategies draw is what the loader takes, all of it, and it shrinks to what can be read."""

from __future__ import annotations

import contextlib
import email.utils
import json
from typing import Any

import httpx
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from fake_server.scenario import load_scenario_text, read_fault
from fake_server.scenario.fault_forms import FAULT_FORMS
from fake_server.strategies import _VALUES, faults, lifecycles, retry_after_values, scenarios
from fake_server.testing import InProcessDashScope
from resilient_poll import DashScope, ResilientPollError, WaitPolicy
from resilient_poll.machine.schedules import Fixed
from tests.support.profiles import examples

MODEL, INPUT = "wan2.5-t2v-preview", {"prompt": "a cat"}


def loaded(document: dict[str, Any]) -> Any:
    """Return the scenario of a document."""
    return load_scenario_text("drawn", json.dumps(document, ensure_ascii=False).encode())


@given(lifecycles(ends=False))
def test_every_life_is_accepted(life: str) -> None:
    """The loader takes every life that is drawn, step by step."""
    document = {"version": 1, "summary": "Drawn.", "tasks": [life], "expect": {"outcome": "SUCCEEDED"}}
    assert len(loaded(document).tasks[0].steps) == life.count("->") + 1


@given(lifecycles())
def test_lives_that_end_end(life: str) -> None:
    """A life that is asked to end has an end as its last step."""
    assert life.rpartition("-> ")[2].split()[0] in ("SUCCEEDED", "FAILED", "CANCELED")


@settings(max_examples=examples(200))
@given(faults())
def test_every_fault_is_accepted(entry: dict[str, Any]) -> None:
    """The reader of single faults takes every fault that is drawn, under its own name."""
    assert read_fault(entry).name == entry["fault"]


@given(faults(sockets=False))
def test_faults_without_sockets_need_none(entry: dict[str, Any]) -> None:
    """No fault that is drawn for use without a socket needs one."""
    assert not read_fault(entry).needs_socket


@settings(max_examples=examples(80))
@given(scenarios(ends=False))
def test_every_scenario_is_accepted(document: dict[str, Any]) -> None:
    """The loader takes every scenario that is drawn, with all of its parts."""
    scenario = loaded(document)
    assert len(scenario.faults) == len(document.get("faults", []))
    assert len(scenario.poll) == len(document.get("poll", []))


@given(retry_after_values())
def test_every_retry_after_is_accepted(value: str) -> None:
    """A fault and a scripted answer take every value that is drawn as it is."""
    fault: Any = read_fault({"fault": "status", "status": 429, "header": value})
    assert fault.effect.hint.text == value
    throttle = {"throttle": {"header": value}}
    document = {"version": 1, "summary": "Drawn.", "tasks": ["SUCCEEDED"], "poll": [throttle]}
    assert loaded({**document, "expect": {"outcome": "SUCCEEDED"}}).poll[0].retry_after_text == value


@given(retry_after_values(valid=True))
def test_right_values_are_right(value: str) -> None:
    """What is called valid is a whole number of seconds or a date that the standard library reads."""
    assert value.isdigit() or email.utils.parsedate_to_datetime(value).year >= 1970


@given(retry_after_values(valid=False))
def test_wrong_values_are_no_whole_number(value: str) -> None:
    """What is called invalid is no whole number of seconds, and no date of the three forms."""
    assert not value.isdigit()
    assert not value.endswith(" GMT")


def test_every_key_of_every_fault_can_be_drawn() -> None:
    """A fault that gets a further key has values to draw for it, or this fails."""
    missing = [
        (name, key)
        for name, form in FAULT_FORMS.items()
        for key in form.fields
        if (name, key) not in _VALUES and ("", key) not in _VALUES
    ]
    assert not missing


@pytest.mark.thorough
def test_they_shrink_to_what_goes_well() -> None:
    """The smallest of each is the simplest: one task that succeeds at once, one plain fault, no wait."""
    quick = settings(database=None, derandomize=True, max_examples=200)
    plain = {"version": 1, "summary": "Drawn.", "tasks": ["SUCCEEDED"], "expect": {"outcome": "SUCCEEDED"}}
    assert find(lifecycles(), lambda _: True, settings=quick) == "SUCCEEDED"
    assert find(retry_after_values(), lambda _: True, settings=quick) == "0"
    assert find(scenarios(), lambda _: True, settings=quick) == plain


@settings(max_examples=examples(40), deadline=None)
@given(scenarios(ends=False, sockets=False), st.sampled_from(["dashscope", "aisa"]))
def test_our_client_comes_to_an_end_in_every_one(document: dict[str, Any], dialect: Any) -> None:
    """Whatever is played, our client ends in its time, with a result or an error of its own, and is polite."""
    fake = InProcessDashScope(document)
    policy = WaitPolicy(schedule=Fixed(3.0))
    where: dict[str, Any] = {"dialect": dialect, "base_url": fake.base_url(dialect), "api_key": fake.key}
    with (
        httpx.Client(transport=fake.httpx_transport()) as http,
        DashScope(**where, http_client=http, clock=fake.clock, wait_policy=policy) as client,
        contextlib.suppress(ResilientPollError),
    ):
        client.submit(MODEL, INPUT, timeout=60).wait(timeout=120)
    assert fake.now_s <= 60 + 60 + 120 + 60
    for rule in ("async_header", "create_once", "poll_rate", "quiet_after_end"):
        assert fake.verdict().of(rule) != "FAIL", str(fake.verdict())
