"""What always holds for the engine, whatever the script and whoever asks."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fake_server.engine import Drop, Engine, Reply, Request
from fake_server.moment import Moment
from fake_server.scenario import Expect, Quotas, Scenario, ScriptedAnswer
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.wire.endpoints import ENDPOINTS
from tests.fake_server.driving import ASYNC, BASES, KEY, TASKS, UNTIMED, VIDEO, WALL_S, Hand, content

WORDS = st.sampled_from(["PENDING", "RUNNING", "UNKNOWN", "SUSPENDED"])
LAST = st.sampled_from(
    [Step("SUCCEEDED"), Step("FAILED", code="InternalError.Algo"), Step("CANCELED"), Step("RUNNING"), Step("UNKNOWN")]
)
SECONDS = st.integers(1, 400).map(lambda tenths: tenths / 10)
TIMED = st.builds(Step, WORDS, lasts_s=SECONDS)
POLLED = st.builds(Step, WORDS, lasts_polls=st.integers(1, 4))


def lifecycles(middle: st.SearchStrategy[Step]) -> st.SearchStrategy[Lifecycle]:
    """Any legal life whose inner steps come from a strategy."""
    return st.builds(
        lambda steps, last, share: Lifecycle((*steps, last), billed_share=share),
        st.lists(middle, max_size=5),
        LAST,
        st.sampled_from([Decimal(0), Decimal("0.25")]),
    )


def scenarios(middle: st.SearchStrategy[Step], **fields: Any) -> st.SearchStrategy[Scenario]:
    """A scenario of one to three lives."""
    return st.builds(
        lambda lives, cap: Scenario(
            "drawn", "Drawn.", tuple(lives), Expect(("SUCCEEDED",)), quotas=Quotas(concurrent_tasks=cap), **fields
        ),
        st.lists(lifecycles(middle), min_size=1, max_size=3),
        st.integers(1, 3),
    )


INSTANTS = st.lists(st.integers(0, 900).map(lambda tenths: tenths / 10), max_size=12).map(sorted)


def statuses(engine: Engine, now_s: float) -> list[tuple[str, Decimal]]:
    """The true state of every task, and what it costs."""
    bill = engine.bill(Moment(now_s, WALL_S + now_s))
    return [(row.status, row.amount) for row in bill.tasks]


@UNTIMED
@given(scenarios(TIMED | POLLED), INSTANTS, st.data())
def test_what_is_told_never_goes_back_in_the_script(
    scenario: Scenario, polls: list[float], data: st.DataObject
) -> None:
    """The words told of one task are a walk through its script, in order, whatever the instants."""
    hand = Hand.on(scenario)
    task_id = hand.created()
    script = [step.status for step in scenario.tasks[0].steps]
    place = 0
    for now_s in polls:
        hand.now_s = max(hand.now_s, now_s)
        for _ in range(data.draw(st.integers(1, 2))):
            reply = hand.poll(task_id)
            if isinstance(reply, Reply) and reply.status == 200:
                place = script.index(content(reply)["output"]["task_status"], place)


@UNTIMED
@given(st.integers(1, 6), st.integers(0, 4))
def test_a_step_counted_in_polls_lasts_exactly_that_many_answers(polls: int, faults: int) -> None:
    """Exactly N answered polls show a step of N polls; polls that were spoilt do not count."""
    life = Lifecycle((Step("RUNNING", lasts_polls=polls), Step("SUCCEEDED")))
    spoilt = tuple(ScriptedAnswer("status", 1, status=502) for _ in range(faults))
    hand = Hand.on(Scenario("drawn", "Drawn.", (life,), Expect(("SUCCEEDED",)), poll=spoilt), "aisa")
    task_id = hand.created()
    seen = []
    for _ in range(polls + faults + 1):
        reply = hand.poll(task_id)
        assert isinstance(reply, Reply)
        seen.append(content(reply)["output"]["task_status"] if reply.status == 200 else "fault")
    assert seen == ["fault"] * faults + ["RUNNING"] * polls + ["SUCCEEDED"]


@UNTIMED
@given(scenarios(TIMED), st.integers(2, 8))
def test_never_more_than_the_cap_at_once(scenario: Scenario, tasks: int) -> None:
    """In `dashscope` further tasks queue as PENDING and run in order of submission; in `aisa` they are refused."""
    hand = Hand.on(scenario)
    for _ in range(tasks):
        hand.created()
    cap = scenario.quotas.concurrent_tasks
    for tenth in range(0, 2000, 25):
        now_s = tenth / 10
        running = [status for status, _ in statuses(hand.engine, now_s) if status in ("RUNNING", "SUSPENDED")]
        assert len(running) <= cap


ANYTHING = (
    st.sampled_from([None, "", " ", "x", True, 0, 1, 4, -1, 10**400, float("inf"), {}, [], ["x"], [None]])
    | st.sampled_from([[{"content": [{"text": "x"}]}], [{"content": "x"}], [{"content": [{"text": 1}, "x"]}], [[]]])
    | st.text(max_size=5)
)


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[float, Request]]:
    """Requests of every kind, sane and mad, with the instants at which they come."""
    ids = ["no-such-task", "a" * 250, "b" * 10_000, "ü", "../x", "..%2f", "a\nb: c", "a\0", ""]
    requests: list[tuple[float, Request]] = []
    now_s = 0.0
    for _ in range(draw(st.integers(1, 15))):
        now_s += draw(st.sampled_from([0.0, 0.01, 1.0, 30.0]))
        dialect = draw(st.sampled_from(["aisa", "dashscope"]))
        base, tasks = BASES[dialect], TASKS[dialect]
        path = draw(
            st.sampled_from(
                [base + VIDEO, tasks, tasks + "/", "/api/v1/quotas", "/", "/w/w1/x", "/w/w1/assets/x/7.json"]
            )
            | st.sampled_from(ENDPOINTS).map(lambda endpoint, base=base: base + endpoint.path)
            | st.sampled_from(ids).map(lambda text, tasks=tasks: f"{tasks}/{text}")
            | st.sampled_from(ids).map(lambda text, tasks=tasks: f"{tasks}/{text}/cancel")
            | st.text(max_size=20).map(lambda text: "/" + text)
        )
        body = draw(
            st.just(b'{"model": "m", "input": {"prompt": "\\ud83d"}}')
            | st.sampled_from([b"[" * 100_000, b'{"model": "m", "input": ' + b'{"a":' * 100_000])
            | st.builds(
                lambda prompt, messages, urls, n: json.dumps(
                    {
                        "model": "m",
                        "input": {"prompt": prompt, "messages": messages, "file_urls": urls},
                        "parameters": {"n": n, "duration": n, "resolution": n, "prompt_extend": n},
                    }
                ).encode(),
                ANYTHING,
                ANYTHING,
                ANYTHING,
                ANYTHING,
            )
            | st.binary(max_size=30)
            | st.recursive(
                st.none() | st.booleans() | st.floats() | st.text(max_size=5),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["model", "input"]), inner),
                max_leaves=6,
            ).map(lambda value: json.dumps(value).encode())
        )
        query = draw(
            st.sampled_from(
                ["", "task_id=x", "page_no=0", "page_size=9999999999999", "start_time=20250101000000", "a=%ff"]
            )
            | st.text(max_size=20)
        )
        headers = draw(st.sampled_from([(), (KEY,), (KEY,), (KEY, ASYNC), (("Authorization", "Bearer sk-invalid"),)]))
        headers += draw(st.sampled_from([(), (("Accept-Encoding", "br, gzip;q=0.5"),), (("Range", "bytes=9-3"),)]))
        method = draw(st.sampled_from(["GET", "POST", "HEAD", "DELETE"]))
        requests.append((now_s, Request(method, path, query, headers, body, "http://fake.test")))
    return requests


def play(engine: Engine, requests: list[tuple[float, Request]]) -> list[Reply | Drop]:
    """Every answer to a conversation."""
    return [engine.handle(request, Moment(now_s, WALL_S + now_s)) for now_s, request in requests]


@UNTIMED
@given(st.lists(st.floats(-100, 100), max_size=20))
def test_time_does_not_go_back(instants: list[float]) -> None:
    """An instant before the last is taken as the last: dates never fall, whatever order instants come in."""
    life = Lifecycle((Step("PENDING", lasts_s=10), Step("SUCCEEDED")))
    hand = Hand.on(Scenario("drawn", "Drawn.", (life,), Expect(("SUCCEEDED",))), "aisa")
    task_id = hand.created()
    ended = False
    for now_s in instants:
        hand.now_s = now_s
        word = hand.status(task_id)
        assert word == "SUCCEEDED" or not ended
        ended = word == "SUCCEEDED"
    times = [entry.at_s for entry in hand.engine.journal.entries]
    assert times == sorted(times)
