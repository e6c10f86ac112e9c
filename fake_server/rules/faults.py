"""Scripted answers: which of them strikes the next request, and which never did."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_server.wire.bodies import http_date

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_server.scenario.model import RetryAfterForm, ScriptedAnswer


class Script:
    """The answers of one list, used up in order, one request at a time; afterwards everything passes.

    Args:
        route: The list's name, `create` or `poll`.
        answers: Its entries.
    """

    def __init__(self, route: str, answers: Sequence[ScriptedAnswer]) -> None:
        self.route = route
        self._answers = answers
        self._index = 0
        self._used = 0

    def next(self) -> ScriptedAnswer | None:
        """What strikes the next request, or None if it passes."""
        if self._index >= len(self._answers):
            return None
        answer = self._answers[self._index]
        self._used += 1
        if self._used >= answer.times:
            self._index, self._used = self._index + 1, 0
        return answer if answer.is_fault else None

    @property
    def scripted(self) -> int:
        """How many entries are faults."""
        return sum(answer.is_fault for answer in self._answers)

    @property
    def unfired(self) -> list[str]:
        """The faults that were not used up, in words."""
        return [answer.describe(self.route) for answer in self._answers[self._index :] if answer.is_fault]


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """A `Retry-After` as sent, and from when on a client that obeys it may come again.

    Args:
        text: The header's value, or None for no header.
        wait_s: Seconds from now that an obedient client stays away, or None where none can be read.
    """

    text: str | None
    wait_s: float | None


def retry_after(wait_s: float | None, form: RetryAfterForm, text: str | None, wall_s: float) -> RetryAfter:
    """Spell a `Retry-After`.

    Args:
        wait_s: The wait in the client's own seconds, or None.
        form: `seconds`, `http-date` or `none`.
        text: A value spelt out, instead of the form; with `wait_s` it is still judged by that.
        wall_s: The present in wall seconds; a date is counted from its whole second, as `Date` tells it.
    """
    if text is not None:
        return RetryAfter(text, wait_s)
    if wait_s is None or form == "none":
        return RetryAfter(None, None)
    if form == "http-date":
        # Dates have whole seconds: the wait is rounded up, and over when that second begins.
        until_s = math.floor(wall_s) + math.ceil(wait_s)
        return RetryAfter(http_date(until_s), until_s - wall_s)
    return RetryAfter(f"{wait_s:g}" if wait_s != int(wait_s) else str(int(wait_s)), wait_s)
