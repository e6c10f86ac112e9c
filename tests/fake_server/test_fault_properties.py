"""What holds for all faults: they know nothing of each other, chance is the seed's, and the order is one."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fake_server.engine import Drop, Reply
from fake_server.faults.chance import draw, log_normal
from fake_server.faults.model import ROUTE_KINDS, Fault
from fake_server.faults.selection import Rack
from tests.fake_server.driving import UNTIMED, Hand, content, header
from tests.fake_server.faulty import AT_ONCE, DIALOGS, EFFECTS, fault, faults, hand_with, played

REQUESTS = st.lists(
    st.tuples(st.sampled_from(ROUTE_KINDS), st.integers(0, 30).map(float), st.integers(0, 3)), max_size=25
)


def strikes(rack: Rack, requests: list[tuple[Any, float, int]]) -> dict[str, list[int]]:
    """By rule, on which requests it struck; rules that say the same are told apart by their number."""
    found: dict[str, list[int]] = {armed.rule: [] for armed in rack.armed}
    for place, (route, at_s, number) in enumerate(requests):
        for armed in rack.strike(route, at_s, number, f"id-{number}"):
            found[armed.rule].append(place)
    return found


@UNTIMED
@given(st.lists(faults(), max_size=5), faults(), st.integers(0, 5), REQUESTS, st.integers(0, 3))
def test_a_rule_more_changes_no_other_rule(
    some: list[Fault], one: Fault, place: int, requests: list[tuple[Any, float, int]], seed: int
) -> None:
    """A rule that is put in anywhere moves no strike of any other, and taking one out moves none either."""
    without = strikes(Rack(seed, "w", some), requests)
    with_it = strikes(Rack(seed, "w", [*some[:place], one, *some[place:]]), requests)
    for rule, struck in without.items():
        assert with_it[rule] == struck


def test_rules_that_share_draws_are_caught() -> None:
    """Planted: chance that is drawn by place instead of by rule is not what the rack does."""
    one = fault("status", status=500, probability=0.5)
    other = fault("status", status=503, probability=0.5)
    requests = [("query", 0.0, 1)] * 60
    alone, beside = strikes(Rack(1, "w", [one]), requests), strikes(Rack(1, "w", [other, one]), requests)
    assert alone[one.rule()] == beside[one.rule()]
    assert beside[one.rule()] != beside[other.rule()], "two rules draw apart"
    assert beside[one.rule()] != strikes(Rack(2, "w", [one]), requests)[one.rule()], "another seed draws anew"
    assert beside[one.rule()] != strikes(Rack(1, "v", [one]), requests)[one.rule()], "another world draws anew"
    assert 15 < len(alone[one.rule()]) < 45
    twins = strikes(Rack(1, "w", [one, one]), requests)
    assert len(twins) == 2
    assert len({tuple(places) for places in twins.values()}) == 2, "twins draw for themselves"


@UNTIMED
@given(st.lists(faults(), max_size=4), DIALOGS, st.integers(0, 3))
def test_the_same_seed_and_requests_give_the_same_bytes(
    some: list[Fault], dialog: list[tuple[str, float]], seed: int
) -> None:
    """Same faults, seed and requests: the same answers to the byte, delays and wire included."""
    first = hand_with(*some, draw_seed=seed)
    second = hand_with(*some, draw_seed=seed)
    assert played(first, dialog) == played(second, dialog)
    assert first.engine.journal.entries == second.engine.journal.entries


@UNTIMED
@given(st.lists(st.sampled_from(EFFECTS), max_size=6), DIALOGS)
def test_probability_zero_is_inert(effects: list[dict[str, Any]], dialog: list[tuple[str, float]]) -> None:
    """Faults of probability 0 change no byte, fire never, and need not have."""
    hand = hand_with(*(fault(**_named(effect), probability=0) for effect in effects))
    assert played(hand, dialog) == played(hand_with(), dialog)
    assert hand.engine.journal.counters["faults_fired"] == 0
    assert hand.verdicts()["faults_consumed"] == "PASS"


def _named(effect: dict[str, Any]) -> dict[str, Any]:
    return {"name" if key == "fault" else key: value for key, value in effect.items()}


@UNTIMED
@given(st.lists(faults(), max_size=6), DIALOGS)
def test_faults_break_no_engine(some: list[Fault], dialog: list[tuple[str, float]]) -> None:
    """Whatever faults and requests meet, every answer is whole HTTP: a status, sendable headers, a true length; what
    is not 200 is the doing of a fault or of the request; and every fault that fired stands in the journal."""
    hand = hand_with(*some)
    for reply in played(hand, dialog):
        assert reply.delay_s >= 0
        if isinstance(reply, Drop):
            continue
        assert 200 <= reply.status <= 599
        for name, value in reply.headers:
            assert (name + value).isascii()
            assert not set(name + value) & {"\r", "\n"}
        if reply.body:
            assert header(reply, "content-length") == str(len(reply.body))
    entries = hand.engine.journal.entries
    assert not [entry for entry in entries if entry.status >= 500 and not entry.fault]
    told = [word for entry in entries for word in (entry.fault or "").split("; ") if word and "quota" not in word]
    assert (
        len(told) == sum(armed.fired for armed in hand.engine.armed()) == hand.engine.journal.counters["faults_fired"]
    )
    hand.verdicts()


# A late request is carried out, only later.
BEFORE = [
    effect
    for effect in EFFECTS
    if effect["fault"] != "latency" and (effect.get("when") == "before_commit" or effect["fault"] == "redirect")
]
REFUSING = [effect for effect in EFFECTS if effect["fault"] == "status" and "when" not in effect]
AFTER: list[dict[str, Any]] = [
    {"fault": "lost_create"},
    {"fault": "status", "status": 500, "when": "after_commit"},
    {"fault": "redirect", "when": "after_commit"},
    {"fault": "wire", "kind": "short_body"},
    {"fault": "wire", "kind": "reset", "after_bytes": 0},
    {"fault": "schema_drift", "kind": "missing_output"},
]


@UNTIMED
@given(st.sampled_from([*BEFORE, *REFUSING]), st.sampled_from(["aisa", "dashscope"]))
def test_before_the_commit_there_is_no_task(effect: dict[str, Any], dialect: str) -> None:
    """A fault before the commit of a create leaves no task, and nothing on the bill."""
    hand = hand_with(fault(**_named(effect), on="create", nth=1), life=AT_ONCE, dialect=dialect)
    hand.create()
    assert not hand.engine.tasks
    assert hand.engine.bill(hand.now).billed_tasks == 0
    hand.created()
    assert hand.engine.bill(hand.now).billed_tasks == 1


@UNTIMED
@given(st.sampled_from(AFTER), st.sampled_from(["aisa", "dashscope"]))
def test_after_the_commit_there_is_one_on_the_bill(effect: dict[str, Any], dialect: str) -> None:
    """A fault after the commit of a create leaves a task on the bill, and no id in a readable answer."""
    hand = hand_with(fault(**_named(effect), on="create", nth=1), life=AT_ONCE, dialect=dialect)
    reply = hand.create()
    (task_id,) = hand.engine.tasks
    assert hand.engine.bill(hand.now).billed_tasks == 1
    entry = hand.engine.journal.entries[-1]
    assert entry.task_id == task_id
    assert (entry.fault or "").startswith(str(effect["fault"]))
    if isinstance(reply, Reply) and reply.wire is None:
        assert task_id.encode() not in reply.body


def test_the_order_is_refuse_delay_commit_replace_wire() -> None:
    """A refusal is delayed and spoilt on the wire, nothing is committed or replaced, and the shadowed did not fire."""
    every = {"on": "create", "nth": 1}
    hand = hand_with(
        fault("wire", kind="drip", **every),
        fault("schema_drift", kind="missing_output", **every),
        fault("status", status=500, when="after_commit", **every),
        fault("duplicated_create", **every),
        fault("latency", fixed="2s", **every),
        fault("status", status=503, **every),
        fault("status", status=502, **every),
    )
    reply = hand.create()
    assert isinstance(reply, Reply)
    assert (reply.status, reply.delay_s, reply.wire and reply.wire.kind) == (503, 2.0, "drip")
    assert not hand.engine.tasks
    assert hand.engine.journal.entries[-1].fault == "status 503; latency; wire drip"
    fired = {armed.identity: armed.fired for armed in hand.engine.armed()}
    assert fired == {"s1": 1, "s2": 0, "s3": 0, "s4": 0, "s5": 1, "s6": 1, "s7": 0}
    assert {armed.struck for armed in hand.engine.armed()} == {1}, "each was chosen, whatever the others did"


def test_admission_comes_before_every_fault() -> None:
    """A request that admission refuses is looked at by no fault: key, header, body, rate."""
    hand = hand_with(fault("status", status=503, on="create", nth=1))
    assert hand.ask("POST", "/api/v1/services/aigc/video-generation/video-synthesis", headers=()).status == 401
    assert hand.create(b"{}").status == 400  # type: ignore[union-attr]  # a reply, as nothing is cut
    assert hand.engine.armed()[0].matched == 0
    assert hand.create().status == 503  # type: ignore[union-attr]  # as above


@UNTIMED
@given(st.integers(0, 5), st.text(max_size=20), st.integers(0, 1000))
def test_draws_are_even_and_their_own(seed: int, rule: str, ordinal: int) -> None:
    """Every draw lies between 0 and 1, is the same each time, and differs by its purpose."""
    unit = draw(seed, "w", rule, ordinal)
    assert 0 < unit < 1
    assert unit == draw(seed, "w", rule, ordinal)
    assert unit != draw(seed, "w", rule, ordinal, "delay")
    delay_s = log_normal(unit, 0.2, 0.5, 600.0)
    assert 0 < delay_s <= 600.0


def test_log_normal_delays_have_their_median_and_spread() -> None:
    """Over many draws the median is the one asked for, and the logarithms spread by sigma."""
    found = sorted(log_normal(draw(7, "w", "r", number), 0.2, 0.5, 600.0) for number in range(4000))
    assert math.isclose(found[2000], 0.2, rel_tol=0.05)
    logs = [math.log(each / 0.2) for each in found]
    assert math.isclose(math.sqrt(sum(each * each for each in logs) / len(logs)), 0.5, rel_tol=0.05)


def test_a_hand_sees_what_a_fault_does() -> None:
    """Conditions mean what they say: task, window, nth and times, each on requests that passed admission."""
    hand = hand_with(fault("status", status=503, on="query", task=2, window="5s..20s", every_nth=2, times=1))
    first, second = hand.created(), hand.created()
    seen = []
    for _ in range(6):
        hand.now_s += 3
        hand.status(first)
        seen.append(_status(hand, second))
    # Within the window are the instants 6, 9, 12, 15 and 18; every second of them would be 9 and 15.
    assert seen == [200, 200, 503, 200, 200, 200]


def _status(hand: Hand, task_id: str) -> int:
    reply = hand.poll(task_id)
    assert isinstance(reply, Reply)
    if reply.status == 200:
        assert content(reply)["output"]["task_id"] == task_id
    return reply.status
