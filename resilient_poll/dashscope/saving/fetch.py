"""One asset on its way: what to ask for next, what an answer means, and when to ask again. No network, no clock.

What broke off is gone on with only where the host names the version of the asset by a strong validator, and asked
for the rest of just that version (RFC 9110, 13.1.5 and 14). Everything else starts over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, auto

from resilient_poll.dashscope.saving.rules import AssetRules, DownloadProblem, next_hop, problem_with
from resilient_poll.dashscope.wire import requests
from resilient_poll.http.messages import ExchangeFailed, HttpRequest
from resilient_poll.http.retry_after import read_retry_after
from resilient_poll.machine.instant import Instant

__all__ = ["CHUNK_TIMEOUT_S", "BrokeOff", "Fetch", "Step"]

CHUNK_TIMEOUT_S = 30.0
"""How long a download waits for its next bytes."""
MOST_RESUMPTIONS = 5
"""How often in a row a download that brings nothing new is gone on with: some 15 s of pauses, so that a host that is
restarted is outlasted, and one that is gone is told soon."""
FIRST_PAUSE_S = 0.5
"""The pause before the first resumption; it doubles. A cut connection is mostly good again at once."""
LONGEST_HINT_S = 300.0
"""A host that wants to be left alone for longer is given up: who waits for a file wants to hear of that."""
NEW_BYTES = 1024 * 1024
"""What a resumption must bring not to be counted: over a bad line a large asset may need hundreds, and still ends."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNPACKED = frozenset({"", "identity"})
_ENCODINGS = _UNPACKED | {"gzip", "x-gzip"}
"""What is undone, though it was not asked for."""
_STRONG_VALIDATOR = re.compile(r'"[\x21\x23-\x7e]+"')
_PART = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class Step(Enum):
    """What an answer means."""

    FOLLOW = auto()
    """It leads elsewhere: send the next request."""
    GO_ON = auto()
    """Its body goes on where the last one ended."""
    START_OVER = auto()
    """Its body begins anew: what is in hand is worth nothing any more."""


class BrokeOff(DownloadProblem):
    """It did not come whole, and may when it is asked for again.

    Args:
        said: Why, in one clause.
        later_s: For how long the host asked to be left alone.
    """

    def __init__(self, said: str, later_s: float | None = None) -> None:
        self.later_s = later_s
        super().__init__(said)


class Fetch:
    """One asset on its way.

    Args:
        url: Where it is.
        rules: What the caller allows.
        deadline_s: Until when it must be there, in monotonic seconds.
        may_start_over: Whether bytes that were handed on can be taken back.

    Attributes:
        size: The bytes in hand.
    """

    def __init__(self, url: str, rules: AssetRules, deadline_s: float, *, may_start_over: bool = True) -> None:
        self._rules = rules
        self._deadline_s = deadline_s
        self._may_start_over = may_start_over
        self.size = 0
        self._validator: str | None = None
        self._total: int | None = None
        self._setbacks = 0
        self._asked_from = 0
        self.move_to(url)

    def move_to(self, url: str) -> None:
        """Go on from another URL of the same asset."""
        self._url = self._next_url = url
        self._hops = 0

    def request(self, now: Instant) -> tuple[HttpRequest, float]:
        """Return what to send next, and for how many seconds its answer, and each piece of that, is waited for.

        Raises:
            DownloadProblem: It must not be asked for there, or the time is up.
        """
        self.check_time(now)
        self._rules.check_url(self._next_url)
        timeout_s = min(CHUNK_TIMEOUT_S, self._deadline_s - now.monotonic_s)
        request = requests.asset_request(self._next_url)
        self._asked_from = 0
        if self.size and self._validator is not None:
            self._asked_from = self.size
            rest = (("range", f"bytes={self.size}-"), ("if-range", self._validator))
            request = replace(request, headers=(*request.headers, *rest))
        return request, timeout_s

    def answer(self, status: int, headers: Mapping[str, str], now: Instant) -> Step:
        """Take in the head of an answer.

        Args:
            status: Its HTTP status.
            headers: Names in lower case and values.
            now: When it came.

        Raises:
            DownloadProblem: It is neither the asset nor leads to it.
        """
        if (target := next_hop(self._next_url, status, headers, self._hops)) is not None:
            self._next_url, self._hops = target, self._hops + 1
            return Step.FOLLOW
        if status == 206 and self._asked_from:
            return self._rest(headers)
        if status == 416 and self._asked_from:
            self._validator = None
            raise BrokeOff("the asset's host has no rest of what it began to send")
        if status in _PASSING:
            dates = [headers["date"]] if "date" in headers else []
            hints = [headers["retry-after"]] if "retry-after" in headers else []
            later_s = read_retry_after(hints, dates, now.wall_s).seconds
            raise BrokeOff(f"the asset's host answered HTTP {status}", later_s)
        if status != 200:
            raise problem_with(status)
        return self._whole(headers)

    def _whole(self, headers: Mapping[str, str]) -> Step:
        if headers.get("content-type", "").strip().lower().startswith("text/html"):
            # A proxy's login page, say: whole, and no video.
            raise DownloadProblem("the asset's host answered with a web page")
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in _ENCODINGS:
            raise DownloadProblem(f"the asset's host packs it as {encoding!r:.40}, which was not asked for")
        starts_over = self.size > 0
        if starts_over and not self._may_start_over:
            raise DownloadProblem("the asset broke off, and its host sends it from the beginning only")
        self.size = 0
        is_packed = encoding not in _UNPACKED
        length = headers.get("content-length", "")
        is_known = length.isascii() and length.isdigit() and not is_packed
        self._total = int(length) if is_known else None
        # Where it comes packed, nobody can say at which byte of the packed form it broke off.
        validator = headers.get("etag", "").strip()
        self._validator = validator if _STRONG_VALIDATOR.fullmatch(validator) and not is_packed else None
        self._check_size(self._total or 0)
        return Step.START_OVER if starts_over else Step.GO_ON

    def _rest(self, headers: Mapping[str, str]) -> Step:
        part = _PART.fullmatch(headers.get("content-range", "").strip())
        first, last, total = (int(number) for number in part.groups()) if part else (-1, -1, -1)
        is_ours = first == self.size <= last < total and self._total in {None, total}
        is_same = headers.get("etag", self._validator or "").strip() == self._validator
        is_packed = headers.get("content-encoding", "identity").strip().lower() not in _UNPACKED
        if not is_ours or not is_same or is_packed:
            self._validator = None
            raise BrokeOff("the asset's host sends another part than the one that is missing")
        self._total = total
        self._check_size(total)
        return Step.GO_ON

    def add(self, count: int, now: Instant) -> None:
        """Count bytes that came.

        Raises:
            DownloadProblem: They are too many, or too late.
        """
        self.size += count
        self._check_size(self.size)
        self.check_time(now)

    def check_whole(self) -> None:
        """Check that the body that just ended makes the asset whole.

        Raises:
            DownloadProblem: It is empty.
            BrokeOff: It is shorter or longer than announced.
        """
        if self._total is not None and self.size != self._total:
            raise BrokeOff(f"the asset broke off: {self.size} of {self._total} bytes came")
        if self.size == 0:
            raise DownloadProblem("the asset is empty")

    def pause_s(self, problem: BrokeOff | ExchangeFailed, now: Instant) -> float:
        """Return how many seconds to wait before it is asked for again.

        Args:
            problem: What broke it off.
            now: When.

        Raises:
            DownloadProblem: It is not asked for again.
        """
        if self.size - self._asked_from >= NEW_BYTES and self._validator is not None:
            self._setbacks = 0
        self._setbacks += 1
        if self.size and self._validator is None and not self._may_start_over:
            raise DownloadProblem(str(problem)) from problem
        if self._setbacks > MOST_RESUMPTIONS:
            raise DownloadProblem(f"{problem}; it was asked for {self._setbacks} times in a row") from problem
        hint_s = getattr(problem, "later_s", None) or 0.0
        pause_s = max(FIRST_PAUSE_S * 2.0 ** (self._setbacks - 1), hint_s)
        if hint_s > LONGEST_HINT_S or now.monotonic_s + pause_s >= self._deadline_s:
            raise DownloadProblem(f"{problem}; it cannot be asked for again in time") from problem
        self._next_url, self._hops = self._url, 0
        return pause_s

    def check_time(self, now: Instant) -> None:
        """Check that there is time left; each piece is waited for at most ``CHUNK_TIMEOUT_S``.

        Raises:
            DownloadProblem: There is none.
        """
        if now.monotonic_s >= self._deadline_s:
            raise DownloadProblem("its time was up before the asset was whole")

    def _check_size(self, size: int) -> None:
        if size > self._rules.largest_bytes:
            raise DownloadProblem(
                f"the asset is larger than {self._rules.largest_bytes} bytes; largest_asset_bytes= allows more"
            )
