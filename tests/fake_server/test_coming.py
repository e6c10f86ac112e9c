"""Requests on their way: each comes once, at its time, in the order of their times, or never."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fake_server.moment import Moment
from fake_server.rules.answers import Answer, Call, plain_reply
from fake_server.rules.coming import Coming
from fake_server.rules.room import Room
from fake_server.rules.striker import Postponed
from fake_server.wire.messages import Drop, Late, Reply, Request
from fake_server.wire.routes import route

if TYPE_CHECKING:
    from fake_server.rules.coming import Commit

WALL_S = 1_750_000_000.0
CUT = Drop("before_commit", "close")
CREATE = ("POST", "/api/v1/services/aigc/video-generation/video-synthesis")
QUERY = ("GET", "/api/v1/tasks/t1")


class Road:
    """Requests that come late, and what was carried out of them when."""

    def __init__(self, most_characters: int = 1_000) -> None:
        self.room = Room(most_tasks=3, most_characters=most_characters)
        self.carried_out: list[tuple[str, Moment]] = []
        self.coming = Coming(self._carry_out, self.room)

    def _carry_out(self, call: Call, commit: Commit, now: Moment) -> Reply | Drop:
        self.carried_out.append((call.request_id, now))
        return commit(call).reply

    def send(self, name: str, late_s: float, *, sent_s: float = 0.0, asks: tuple[str, str] = CREATE) -> Late | None:
        """A request of ten bytes."""
        call = Call(Request(*asks, "", (), b"0123456789", ""), route(*asks, ""), Moment(sent_s, WALL_S + sent_s), name)
        return self.coming.add(call, Postponed(late_s, lambda call: Answer(plain_reply(call, 200, b"fine", []))))


def instant(seconds: float) -> Moment:
    """An instant of both clocks."""
    return Moment(seconds, WALL_S + seconds)


def test_a_request_comes_when_whoever_waits_for_it_says_so_and_once() -> None:
    """It is carried out at the instant that it is given, with its own answer, and is cut when it comes again."""
    road = Road()
    late = road.send("a", 30.0, sent_s=4.0)
    assert late is not None
    assert (late.delay_s, road.carried_out, road.coming.creates) == (30.0, [], 1)
    reply = late.carry_out(instant(35.0))
    assert isinstance(reply, Reply)
    assert reply.body == b"fine"
    assert (road.carried_out, road.coming.creates) == ([("a", instant(35.0))], 0)
    assert late.carry_out(instant(36.0)) == CUT
    assert len(road.carried_out) == 1


def test_all_come_at_their_own_times_and_in_the_order_of_those() -> None:
    """Played out, each request comes at the instant of its sending and its delay together, the soonest first."""
    road = Road()
    lates = [
        road.send(name, late_s, sent_s=sent_s) for name, late_s, sent_s in (("a", 30, 1), ("b", 5, 2), ("c", 9, 0))
    ]
    road.coming.come_all()
    assert road.carried_out == [("b", instant(7)), ("c", instant(9)), ("a", instant(31))]
    assert [late.carry_out(instant(40)) for late in lates if late is not None] == [CUT, CUT, CUT]
    road.coming.come_all()
    assert len(road.carried_out) == 3


def test_those_of_one_instant_come_in_the_order_in_which_they_were_sent() -> None:
    """Of requests that come at the same instant the one sent first comes first."""
    road = Road()
    for name in "abc":
        road.send(name, 3.0)
    road.coming.come_all()
    assert [name for name, _ in road.carried_out] == ["a", "b", "c"]


def test_only_creates_can_make_tasks() -> None:
    """Of what is on its way only creates count as tasks to come."""
    road = Road()
    for asks in (CREATE, QUERY, CREATE):
        road.send("x", 3.0, asks=asks)
    assert road.coming.creates == 2


@pytest.mark.parametrize("ends", ["forget", "come_all"])
def test_bodies_on_their_way_take_room_until_they_have_come_or_never_will(ends: str) -> None:
    """Each body takes its length of the common room, beyond which nothing is taken in; coming and giving up free it,
    and what was given up never comes."""
    road = Road(most_characters=25)
    lates = [road.send(name, 3.0) for name in "abc"]
    assert [late is not None for late in lates] == [True, True, False]
    assert (road.coming.creates, road.room.has_place(6)) == (2, False)
    assert road.room.has_place(5)
    getattr(road.coming, ends)()
    assert road.room.has_place(25)
    assert road.coming.creates == 0
    assert len(road.carried_out) == (2 if ends == "come_all" else 0)
    assert lates[0] is not None
    assert lates[0].carry_out(instant(9)) == CUT
    assert road.room.has_place(25)
    assert not road.room.has_place(26)
    for _ in range(3):
        assert road.room.has_place(1), "those who came or were given up hold no places either"
        road.room.take(1)
    assert not road.room.has_place(1)
