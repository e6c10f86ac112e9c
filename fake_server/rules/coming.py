"""Requests that have passed admission and are still on their way: a fault lets them come late."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, NamedTuple

from fake_server.moment import Moment
from fake_server.wire.messages import Drop, Late

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_server.rules.answers import Answer, Call
    from fake_server.rules.room import Room
    from fake_server.rules.striker import Postponed
    from fake_server.wire.messages import Reply

    Commit = Callable[[Call], Answer]


class _Awaited(NamedTuple):
    """A request, when it comes, and what is done then."""

    due: Moment
    call: Call
    commit: Commit


class Coming:
    """The requests of one world that are on their way; each comes once, or never where the world is given up before.

    Args:
        carry_out: Carries one out at an instant, and answers it.
        room: What all worlds hold together; bodies that are on their way are a part of it.
    """

    def __init__(self, carry_out: Callable[[Call, Commit, Moment], Reply | Drop], room: Room) -> None:
        self._carry_out = carry_out
        self._room = room
        self._awaited: dict[int, _Awaited] = {}
        self._numbers = itertools.count()

    @property
    def creates(self) -> int:
        """How many of them would make a task."""
        return sum(one.call.route.kind == "create" for one in self._awaited.values())

    def add(self, call: Call, postponed: Postponed) -> Late | None:
        """A request is on its way; who waits for it carries it out when its time has come. None if there is no room."""
        size = len(call.request.body)
        if not self._room.has_place(size):
            return None
        self._room.take(size)
        number, late_s = next(self._numbers), postponed.delay_s
        due = Moment(call.now.monotonic_s + late_s, call.now.wall_s + late_s)
        self._awaited[number] = _Awaited(due, call, postponed.commit)
        return Late(late_s, functools.partial(self._come, number))

    def come_all(self) -> None:
        """Carry all of them out, each at its time, as if there was nothing else to wait for."""
        for number, one in sorted(self._awaited.items(), key=lambda item: item[1].due):
            self._come(number, one.due)

    def forget(self) -> None:
        """None of them comes any more; who waits for one is left without an answer."""
        for number in list(self._awaited):
            self._take(number)

    def _come(self, number: int, now: Moment) -> Reply | Drop:
        one = self._take(number)
        return self._carry_out(one.call, one.commit, now) if one else Drop("before_commit", "close")

    def _take(self, number: int) -> _Awaited | None:
        one = self._awaited.pop(number, None)
        if one is not None:
            self._room.give_back(1, len(one.call.request.body))
        return one
