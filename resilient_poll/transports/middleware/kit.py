"""What the middleware needs of an HTTP library, besides what the exchanges need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from resilient_poll.transports.library import HttpLibrary
from resilient_poll.transports.middleware.problems import TransportProblem

__all__ = ["Kit"]


@dataclass(frozen=True, slots=True)
class Kit:
    """The names of one HTTP library that the middleware uses. Both libraries spell them alike.

    They are ``Any`` because the two libraries' classes share no base.

    Attributes:
        library: What the exchanges use.
        byte_stream: Its class of bodies that are in memory, which can be sent again and again.
        blocking_transport: Its own blocking transport.
        awaiting_transport: Its own awaiting transport.
        read_timeout: What it raises when an answer takes too long.
        blocking_body: Our body of a response, of its stream class; for code that blocks.
        cut_body: The same where nobody wants to hear of its end.
        awaiting_body: The same as the first for code that awaits.
        watched_body: Our body of a request that knows whether it was read.
        problems: Our errors, each as one that is the library's too.
    """

    library: HttpLibrary
    byte_stream: Any
    blocking_transport: Any
    awaiting_transport: Any
    read_timeout: Any
    blocking_body: Callable[..., Any]
    cut_body: Callable[..., Any]
    awaiting_body: Callable[..., Any]
    watched_body: Callable[[Any], Any]
    problems: Mapping[type[TransportProblem], Callable[..., TransportProblem]]

    def problem(self, kind: type[TransportProblem], summary: str, **details: Any) -> TransportProblem:
        """Return one of our errors that is one of the library's too.

        Args:
            kind: Which of ours.
            summary: What happened, in one sentence.
            details: The rest of its arguments.
        """
        return self.problems[kind](summary, **details)
