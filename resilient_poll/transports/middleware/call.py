"""One request on its way through a stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from resilient_poll.errors import ConfigurationError
from resilient_poll.transports.middleware.kit import Kit
from resilient_poll.transports.middleware.watch import Watch
from resilient_poll.transports.rules.deadlines import earlier
from resilient_poll.transports.rules.marks import DEADLINE_S, KEY, REPEAT, Repeat, repeat_mark

__all__ = ["Call", "End", "clone"]

End = Callable[[Exception | None], Callable[[], None] | None]
"""Is told when a response's body is over, and of the error that ended it; returns what is still to do and may block."""


class Call:
    """What the layers of a stack know of one request.

    Attributes:
        original: The request as it came.
        request: The request as it is sent next.
        kit: Its library.
        watch: The clock.
        mark: What it says of being sent again.
        started_s: When it came, in monotonic seconds.
        deadline_s: By when the caller wants to hear; None for whenever.
        attempt_until_s: By when the present attempt must bring something; None for whenever.
        sent_s: When it was last handed to the transport beneath; None if it was not since this was cleared.
        ends: Who wants to hear of the end of the present response's body.
        leftovers: What must still be done after an interruption.
        make_waker: Makes a waker of the shell's colour.
        keeps_timeouts: Whether the transport beneath keeps the request's own time-outs.
        is_last: Whether the transport beneath is the library's own, so that none of ours can lie beneath it.
        was_ever_sent: Whether it was handed to the transport beneath at all.
    """

    # What most calls never set stands on the class: one is made for every request.
    attempt_until_s: float | None = None
    sent_s: float | None = None
    ends: Sequence[End] = ()
    leftovers: Sequence[Callable[[], None]] = ()
    keeps_timeouts: bool = False
    is_last: bool = False
    was_ever_sent: bool = False

    def __init__(self, request: Any, kit: Kit, watch: Watch, make_waker: Callable[[], Any]) -> None:
        extensions = request.extensions
        self.original = self.request = request
        self.kit = kit
        self.watch = watch
        self.make_waker = make_waker
        self.mark = repeat_mark(extensions) if REPEAT in extensions else None
        self.started_s = watch.now_s()
        self.deadline_s: float | None = extensions.get(DEADLINE_S)

    @property
    def is_sent_once(self) -> bool:
        """Whether it must not be repeated, nor cut once it is under way."""
        return self.mark == Repeat.NEVER

    def cut_s(self) -> float | None:
        """Return the instant at which what is under way is cut; None if it is not."""
        if self.mark is not None and self.is_sent_once:
            return None
        return self.deadline_s if self.attempt_until_s is None else earlier(self.deadline_s, self.attempt_until_s)

    def on_end(self, end: End) -> None:
        """Note one more who wants to hear of the end of the present response's body."""
        self.ends = [*self.ends, end]

    def leave_over(self, what: Callable[[], None]) -> None:
        """Note what must still be done after an interruption; it may block."""
        self.leftovers = [*self.leftovers, what]

    def finish(self, error: Exception | None) -> list[Callable[[], None]]:
        """Tell all who want to know that the present response's body is over, once.

        Args:
            error: What ended it, if it was an error.

        Returns:
            What is still to do; it may block.
        """
        if not self.ends and not self.leftovers:
            return []
        ends, self.ends = self.ends, ()
        later, self.leftovers = self.leftovers, ()
        return [*later, *(what for end in ends if (what := end(error)) is not None)]

    def left_s(self, now_s: float) -> float | None:
        """Return how many seconds are left of the total time; None where there is no limit."""
        return None if self.deadline_s is None else self.deadline_s - now_s

    def scope(self, key: Callable[[Any], str] | None) -> tuple[bytes, bytes, int | None, str]:
        """Return what limits and breakers are kept for: the origin, and the caller's key.

        Args:
            key: Names what shares the origin; None takes the request's own :data:`.KEY`.

        Raises:
            ConfigurationError: What it names cannot be told apart from others; nothing was sent.
        """
        request = self.original
        url = request.url
        said = request.extensions.get(KEY, "") if key is None else key(request)
        try:
            hash(said)
        except TypeError:
            raise ConfigurationError(
                f"what shares an origin is named by a text, not by a {type(said).__name__}; nothing was sent"
            ) from None
        return (url.raw_scheme, url.raw_host, url.port, said)


def clone(request: Any, **changes: Any) -> Any:
    """Return a request like another one, with some of its attributes changed.

    Making one by the library's own constructor would encode and sort everything anew, and
    lose what a subclass knows.
    """
    twin = object.__new__(type(request))
    twin.__dict__.update(request.__dict__)
    twin.__dict__.update(changes)
    return twin
