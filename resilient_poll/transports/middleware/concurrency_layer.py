"""At most so many requests at the same time; who comes too many waits in a fair line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from resilient_poll.transports.middleware.call import Call
from resilient_poll.transports.middleware.effects import Below, Flow, Off, Sleep, Wait
from resilient_poll.transports.middleware.notices import HeldBack, Teller
from resilient_poll.transports.middleware.problems import NoSlot
from resilient_poll.transports.rules.checks import check_seconds
from resilient_poll.transports.rules.line import Line, Ticket
from resilient_poll.transports.rules.origins import PerOrigin
from resilient_poll.transports.slots import Slots

__all__ = ["ConcurrencyLayer"]


class ConcurrencyLayer:
    """One line for each origin and key. A place is held until the answer's body is over.

    Args:
        places: How many may be under way at the same time.
        longest_line: How many may wait.
        max_wait_s: Nobody waits longer than this, in seconds.
        slots: What other processes share; taken after a place of our own, so that of ours one asks at a time.
        key: Names what shares an origin, given the library's request.
        teller: Is told who is held back.

    Raises:
        ConfigurationError: The settings make no sense.
    """

    def __init__(
        self,
        places: int,
        longest_line: int,
        max_wait_s: float,
        slots: Slots | None,
        key: Callable[[Any], str] | None,
        teller: Teller,
    ) -> None:
        check_seconds("max_wait_s", max_wait_s, is_zero_allowed=True)
        Line(places, longest_line)
        self._places = places
        self._max_wait_s = max_wait_s
        self._slots = slots
        self._key = key
        self._teller = teller
        self._lock = threading.Lock()
        self._lines = PerOrigin(lambda: Line(places, longest_line), lambda line: line.is_idle)

    def flow(self, call: Call, below: Below) -> Flow:
        """Carry a call through; see :class:`.Layer`."""
        scope = call.scope(self._key)
        until_s = call.watch.now_s() + self._max_wait_s
        if call.deadline_s is not None:
            until_s = min(until_s, call.deadline_s)
        ticket = Ticket()
        with self._lock:
            line = self._lines.of(scope)
            is_in = line.join(ticket)
        if not is_in:
            raise call.kit.problem(
                NoSlot, f"all {self._places} places are taken and the line before them is full; nothing was sent"
            )
        held = None
        try:
            if not ticket.has_place:
                yield from self._wait(call, line, ticket, until_s)
            if self._slots is not None:
                held = yield from self._take_slot(call, self._slots, _name(scope), until_s)
            response = yield from below(call)
        except Exception:
            if self._slots is not None and held is not None:
                yield Off(partial(self._slots.give_back, held))
            self._leave(line, ticket)
            raise
        except BaseException:
            # Nothing can be waited for any more: the shell does the rest.
            if self._slots is not None and held is not None:
                call.leave_over(partial(self._slots.give_back, held))
            self._leave(line, ticket)
            raise
        call.on_end(lambda _: self._ended(line, ticket, held))
        return response

    def _wait(self, call: Call, line: Line, ticket: Ticket, until_s: float) -> Generator[Any, Any, None]:
        now_s = call.watch.now_s()
        self._teller.tell(HeldBack, now_s, call.original, "concurrency", None)
        waker = call.make_waker()
        with self._lock:
            ticket.wake = waker.wake
            has_place = ticket.has_place
        if not has_place:
            yield Wait(waker, max(0.0, until_s - now_s))
        if not ticket.has_place:
            waited_s = call.watch.now_s() - now_s
            raise call.kit.problem(
                NoSlot,
                f"none of the {self._places} places came free within {waited_s:.2f} s, {line.waiting} wait for one; "
                "nothing was sent",
            )

    def _take_slot(self, call: Call, slots: Slots, name: str, until_s: float) -> Generator[Any, Any, Any]:
        while (held := (yield from self._ask(call, slots, name))) is None:
            now_s = call.watch.now_s()
            if now_s + slots.look_again_s > until_s:
                raise call.kit.problem(
                    NoSlot,
                    "no slot that is shared with other processes came free in time; nothing was sent",
                    come_back_in_s=slots.look_again_s,
                )
            yield Sleep(slots.look_again_s)
        return held

    def _ask(self, call: Call, slots: Slots, name: str) -> Generator[Any, Any, Any]:
        asking = _Asking(slots, name)
        try:
            return (yield Off(asking))
        except BaseException:
            # The thread that asks cannot be stopped, and may be given a slot that nobody waits for any more.
            call.leave_over(asking.give_up)
            raise

    def _ended(self, line: Line, ticket: Ticket, held: Any) -> Callable[[], None] | None:
        if self._slots is None or held is None:
            self._leave(line, ticket)
            return None
        slots = self._slots

        def give_back() -> None:
            try:
                slots.give_back(held)
            finally:
                self._leave(line, ticket)

        return give_back

    def _leave(self, line: Line, ticket: Ticket) -> None:
        leaving: Ticket | None = ticket
        while leaving is not None:
            with self._lock:
                following = line.leave(leaving)
                wake = None if following is None else following.wake
            # One who waited on an event loop that is over will never leave by itself.
            leaving = following if wake is not None and not wake() else None


class _Asking:
    """One question for a slot, of one who may be gone when the answer comes."""

    def __init__(self, slots: Slots, name: str) -> None:
        self._slots = slots
        self._name = name
        self._lock = threading.Lock()
        self._held: Any = None
        self._is_given_up = False

    def __call__(self) -> Any:
        held = self._slots.take(self._name)
        with self._lock:
            self._held = held
            is_given_up = self._is_given_up
        if is_given_up and held is not None:
            self._slots.give_back(held)
        return held

    def give_up(self) -> None:
        """Give back what was got; what is got from now on is given back at once."""
        with self._lock:
            self._is_given_up = True
            held = self._held
        if held is not None:
            self._slots.give_back(held)


def _name(scope: tuple[bytes, bytes, int | None, str]) -> str:
    scheme, host, port, key = scope
    return f"{scheme.decode('ascii')}://{host.decode('ascii')}{'' if port is None else f':{port}'}|{key}"
