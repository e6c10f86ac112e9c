"""What strikes a request and what does not: the task, the time, the order, and what the journal says of it."""

from __future__ import annotations

from typing import Any

import pytest

from fake_server.engine import Engine, Reply
from fake_server.moment import Moment
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.wire.messages import Late, Request
from tests.fake_server.driving import ASYNC, BODY, KEY, VIDEO, WALL_S, Hand, content, header
from tests.fake_server.faulty import AT_ONCE, fault, hand_with
from tests.fake_server.test_endpoints import create_at

STAYS = Lifecycle((Step("RUNNING"),))


def replied(hand: Hand) -> Reply:
    """The answer to a create that is not cut."""
    reply = hand.create()
    assert isinstance(reply, Reply)
    return reply


def polled(hand: Hand, task_id: str) -> int:
    """The HTTP status of a query."""
    return hand.ask("GET", f"/api/v1/tasks/{task_id}").status


def last_hint(hand: Hand) -> str | None:
    """The `Retry-After` that the journal's last line tells."""
    return hand.engine.journal.entries[-1].retry_after


def test_a_fault_of_the_first_task_strikes_nothing_that_is_about_none() -> None:
    """A list, and a query for what nobody knows, have no task, and so not the first."""
    hand = hand_with(fault("status", status=503, on=["query", "list"], task=1), life=STAYS)
    first = hand.created()
    assert polled(hand, "nobody") == 200
    assert hand.ask("GET", "/api/v1/tasks/").status == 200
    assert polled(hand, first) == 503


def test_a_fault_may_name_a_task_by_its_identifier() -> None:
    """What is asked about that task is struck, and nothing about another."""
    before = hand_with(life=STAYS)
    ids = [before.created() for _ in range(2)]
    hand = hand_with(fault("status", status=503, on="query", task=ids[1]), life=STAYS)
    assert [hand.created() for _ in range(2)] == ids
    assert [polled(hand, task_id) for task_id in ids] == [200, 503]


@pytest.mark.parametrize(("at_s", "status"), [(0.0, 200), (4.9, 200), (5.0, 503), (8.9, 503), (9.0, 200)])
def test_a_window_counts_from_the_beginning_of_its_world(at_s: float, status: int) -> None:
    """Whatever the clock showed when the world began, a window opens and closes so many seconds after it."""
    scenario = hand_with(fault("status", status=503, on="create", window="5s..9s")).engine.scenario
    hand = Hand(Engine(scenario, world="w1", started=Moment(1_000.0, WALL_S)), now_s=1_000.0 + at_s)
    assert replied(hand).status == status


def test_what_is_said_of_a_late_request_is_said_when_it_comes() -> None:
    """A create that took half a minute, or half a second, begins its task then, and the answer that another fault puts
    in its place has the date of then."""
    other = fault("status", status=500, when="after_commit", on="create")
    hand = hand_with(fault("latency", fixed="30s", when="before_commit", on="create"), other, life=AT_ONCE)
    reply = replied(hand)
    assert (reply.status, header(reply, "date")) == (500, "Sun, 15 Jun 2025 15:07:10 GMT")
    assert [task.submitted_s for task in hand.engine.tasks.values()] == [30.0]
    hand = hand_with(fault("latency", fixed="500ms", when="before_commit", on="create"), life=AT_ONCE)
    asked = Request("POST", f"/api/v1{VIDEO}", "", (KEY, ASYNC), BODY, "http://fake.test")
    on_its_way = hand.engine.receive(asked, hand.now)
    assert isinstance(on_its_way, Late)
    assert on_its_way.delay_s == 0.5
    assert not hand.engine.tasks


def test_a_fault_that_changed_nothing_is_not_told() -> None:
    """A doubled create that made nothing, a drift of an answer that is no success, and one that found nothing to drift
    took no effect: the answer is the true one, the journal names no fault, and none has fired."""
    failing = hand_with(fault("duplicated_create"), life=Lifecycle((Step("FAILED"),)))
    create_at(failing, "image-synchronous")
    refused = hand_with(fault("schema_drift", kind="extra_fields", on="cancel"), life=STAYS)
    task_id = refused.created()
    assert content(refused.cancel(task_id))["code"] == "UnsupportedOperation"
    assert set(content(refused.cancel(task_id))) == {"code", "message", "request_id"}
    empty = hand_with(fault("schema_drift", kind="unknown_status", on="list"))
    assert empty.listed()["data"] == []
    for hand in (failing, refused, empty):
        assert hand.engine.journal.entries[-1].fault is None
        assert hand.engine.journal.counters["faults_fired"] == 0
        assert [armed.fired for armed in hand.engine.armed()] == [0]


@pytest.mark.parametrize(("after_s", "status"), [(0.0, "UNKNOWN"), (3.9, "UNKNOWN"), (4.0, "RUNNING")])
def test_a_new_task_is_unknown_until_its_time_is_over(after_s: float, status: str) -> None:
    """Unknown for four seconds from its own submission, a task is known at four."""
    hand = hand_with(fault("unknown_after_create", for_="4s"), life=STAYS)
    hand.now_s = 100.0
    task_id = hand.created()
    hand.now_s = 100.0 + after_s
    assert hand.status(task_id) == status


def test_what_nobody_knows_is_unknown_without_a_fault() -> None:
    """An id that no create made is not struck by what new tasks are struck by, and uses up nothing of it."""
    hand = hand_with(fault("unknown_after_create", polls=2), life=STAYS)
    assert hand.status("nobody") == "UNKNOWN"
    assert hand.engine.journal.entries[-1].fault is None
    assert [armed.fired for armed in hand.engine.armed()] == [0]


def test_what_cannot_be_counted_is_not_unknown_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task is unknown for so many queries of its own; where no more tasks can be counted further ones are known at
    once, and those that are counted become known in time."""
    monkeypatch.setattr("fake_server.rules.striker.MOST_COUNTED_TASKS", 2)
    hand = hand_with(fault("unknown_after_create", polls=2), life=STAYS)
    ids = [hand.created() for _ in range(3)]
    seen = [[hand.status(task_id) for task_id in ids] for _ in range(3)]
    assert seen == [["UNKNOWN", "UNKNOWN", "RUNNING"]] * 2 + [["RUNNING"] * 3]


def test_delays_add_up_in_any_order() -> None:
    """Delays before and after the commit, of every kind, add up for a request that is refused."""
    delays: tuple[dict[str, Any], ...] = (
        {"fixed": "5s"},
        {"fixed": "2s", "when": "before_commit"},
        {"fixed": "1s"},
        {"log_normal": {"median": "4s", "sigma": 0}},
        {"fixed": "500ms", "when": "before_commit"},
    )
    faults = [fault("latency", on="create", **keys) for keys in delays]
    reply = replied(hand_with(*faults, fault("status", status=503, on="create")))
    assert (reply.status, reply.delay_s) == (503, 12.5)


def test_no_answer_is_held_back_for_more_than_ten_minutes() -> None:
    """The tail of a log-normal delay has no end, and is cut at ten minutes."""
    hand = hand_with(fault("latency", log_normal={"median": "500s", "sigma": 2}, on="list"))
    delays = [hand.ask("GET", "/api/v1/tasks/").delay_s for _ in range(20)]
    assert max(delays) == 600.0
    assert min(delays) < 599.0


def test_a_delay_is_a_number_of_microseconds() -> None:
    """Drawn delays are told to the microsecond, as replays show them."""
    hand = hand_with(fault("latency", uniform={"from": "1s", "to": "2s"}, on="list"))
    for _ in range(20):
        delay_s = hand.ask("GET", "/api/v1/tasks/").delay_s
        assert 1.0 <= delay_s <= 2.0
        assert delay_s == round(delay_s, 6)


@pytest.mark.parametrize("name", ["headers", "status"])
@pytest.mark.parametrize(
    ("keys", "sent", "noted"),
    [
        ({"retry_after": "9s"}, ["9"], "9"),
        (
            {"retry_after": "9s", "form": "http-date"},
            ["Sun, 15 Jun 2025 15:06:49 GMT"],
            "Sun, 15 Jun 2025 15:06:49 GMT",
        ),
        ({"retry_after": "9s", "form": "twice"}, ["9", "18"], "9, 18"),
        ({"retry_after": "9s", "form": "none"}, [], None),
    ],
)
def test_a_hint_is_sent_and_noted(name: str, keys: dict[str, Any], sent: list[str], noted: str | None) -> None:
    """Whatever its form, on a true answer as on a refusal, the journal has the `Retry-After` as it was sent, and what
    was not sent it has not; it stands beside all other headers that were asked for."""
    rate = {"limit": 60, "remaining": 0, "reset": "12s", "form": "epoch"}
    more: dict[str, Any] = {"rate_headers": rate, "headers": {"X-Trace": "7"}, "content_type": "text/plain"}
    status = {"status": 429} if name == "status" else {}
    hand = hand_with(fault(name, on="create", **status, **keys, **more))
    reply = replied(hand)
    assert reply.status == (429 if name == "status" else 200)
    assert [value for each, value in reply.headers if each == "retry-after"] == sent
    assert last_hint(hand) == noted
    names = ("content-type", "x-trace", "x-ratelimit-limit-requests", "x-ratelimit-reset-requests")
    assert [header(reply, each) for each in names] == ["text/plain", "7", "60", "1750000012"]
