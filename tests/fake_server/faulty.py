"""Scenarios and hands for faults."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fake_server.engine import Drop, Reply
from fake_server.faults.model import Fault
from fake_server.scenario import Expect, Scenario, read_fault
from fake_server.scenario.lifecycles import Lifecycle, Step
from tests.fake_server.driving import Hand

LIFE = Lifecycle((Step("PENDING", lasts_s=2), Step("RUNNING", lasts_polls=3), Step("SUCCEEDED")))
AT_ONCE = Lifecycle((Step("SUCCEEDED"),))


def fault(name: str, **keys: Any) -> Fault:
    """A fault of a scenario, written as in a file; `for_` and the like are `for`."""
    return read_fault({"fault": name, **{key.rstrip("_"): value for key, value in keys.items()}}, origin="")


def hand_with(*faults: Fault, life: Lifecycle = LIFE, dialect: str = "dashscope", **options: Any) -> Hand:
    """A hand on an engine whose scenario has faults."""
    scenario = Scenario("drawn", "Drawn.", (life,), Expect(("SUCCEEDED",)), faults=faults)
    return Hand.on(scenario, dialect, **options)


def counted() -> st.SearchStrategy[dict[str, Any]]:
    """Conditions of a selection: which requests, how often, how likely, when."""
    ordinal = st.integers(1, 6)
    return st.tuples(
        st.one_of(
            st.just({}),
            st.lists(ordinal, min_size=1, max_size=3).map(lambda numbers: {"nth": numbers}),
            ordinal.map(lambda number: {"first": number}),
            ordinal.map(lambda number: {"every_nth": number}),
        ),
        st.one_of(st.just({}), st.sampled_from([0, 0.3, 0.5, 1]).map(lambda chance: {"probability": chance})),
        st.one_of(st.just({}), ordinal.map(lambda times: {"times": times})),
        st.one_of(st.just({}), st.sampled_from([{"window": "0s..9s"}, {"window": "5s.."}])),
    ).map(lambda parts: {key: value for part in parts for key, value in part.items()})


EFFECTS: tuple[dict[str, Any], ...] = (
    {"fault": "status", "status": 503},
    {"fault": "status", "status": 429, "retry_after": "3s", "form": "http-date"},
    {"fault": "status", "status": 500, "when": "after_commit"},
    {"fault": "status", "status": 200, "body": "html"},
    {"fault": "status", "status": 200, "body": "malformed"},
    {"fault": "redirect", "to": "itself"},
    {"fault": "latency", "log_normal": {"median": "200ms", "sigma": 0.5}},
    {"fault": "latency", "fixed": "3s", "when": "before_commit"},
    {"fault": "headers", "content_type": "text/plain", "rate_headers": {"remaining": 0}},
    {"fault": "schema_drift", "kind": "missing_output"},
    {"fault": "schema_drift", "kind": "extra_fields"},
    {"fault": "wire", "kind": "drip"},
    {"fault": "wire", "kind": "close", "when": "before_commit"},
    {"fault": "lost_create"},
    {"fault": "duplicated_create"},
    {"fault": "stale_read", "age": "4s"},
    {"fault": "unknown_after_create", "for": "4s"},
    {"fault": "unknown_after_create", "polls": 2},
    {"fault": "clock_skew", "behind": "90s"},
    {"fault": "expired_asset"},
    {"fault": "asset_cut"},
)


def faults() -> st.SearchStrategy[Fault]:
    """Any fault with any conditions."""
    return st.builds(
        lambda effect, conditions: read_fault({**effect, **conditions}, origin=""), st.sampled_from(EFFECTS), counted()
    )


# What a client does, and how many seconds later: `poll 1` is about the second task.
DIALOGS = st.lists(
    st.tuples(
        st.sampled_from(["create", "create", "poll 0", "poll 0", "poll 1", "list", "cancel 1", "asset 0", "quotas"]),
        st.sampled_from([0.0, 1.0, 3.0]),
    ),
    min_size=1,
    max_size=15,
).map(lambda steps: [("create", 0.0), *steps])


def played(hand: Hand, dialog: list[tuple[str, float]]) -> list[Reply | Drop]:
    """Every answer to a dialog."""
    for step, wait_s in dialog:
        hand.now_s += wait_s
        what, _, number = step.partition(" ")
        ids = list(hand.engine.tasks)
        task_id = ids[int(number)] if number and int(number) < len(ids) else "no-such-task"
        if what == "create":
            hand.create()
        elif what == "poll":
            hand.poll(task_id)
        elif what == "asset":
            hand.send("GET", f"/w/w1/assets/{task_id}.mp4", headers=())
        elif what == "cancel":
            hand.send("POST", f"/api/v1/tasks/{task_id}/cancel")
        else:
            hand.send("GET", {"list": "/api/v1/tasks/", "quotas": "/api/v1/quotas"}[what])
    return hand.seen
