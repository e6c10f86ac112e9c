"""Send like :mod:`.exchange`, and tell of each request, where somebody listens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from resilient_poll.events import Event
from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.http.sent import describe
from resilient_poll.transports.exchange import Exchange
from resilient_poll.transports.middleware.notices import AttemptEnded, address_of
from resilient_poll.transports.once_body import OnceBytes
from resilient_poll.transports.rules.marks import SUBMIT_ID, TASK_ID, TOLD, Attempt

__all__ = ["Telling", "TellingExchange"]


@dataclass(frozen=True, slots=True)
class Telling:
    """How an exchange tells of its requests.

    Attributes:
        now_s: Returns monotonic seconds.
        publish: Is told of each request that is over.
        scrub: Takes secrets out of a text.
    """

    now_s: Callable[[], float]
    publish: Callable[[Event], None]
    scrub: Callable[[str], str]

    def tell(self, built: Any, began_s: float, came: Answer | BaseException) -> None:
        """Tell that a request is over, unless a transport beneath told of its attempts.

        Args:
            built: The library's request.
            began_s: When it was sent, in monotonic seconds.
            came: What came of it.
        """
        marks, now_s = built.extensions, self.now_s()
        if TOLD in marks:
            return
        status = came.status if isinstance(came, Answer) else None
        failure = None
        if isinstance(came, ExchangeFailed):
            failure = self.scrub(came.reason)
        elif isinstance(came, BaseException):
            failure = self.scrub(describe(came))
        attempt = Attempt(1, began_s, max(0.0, now_s - began_s), status, failure, 0.0)
        where = (built.method, address_of(built.url))
        self.publish(AttemptEnded(marks.get(TASK_ID), now_s, *where, attempt, submit_id=marks.get(SUBMIT_ID)))


class TellingExchange(Exchange):
    """An exchange that tells of each request when its answer was read, or did not come.

    Args:
        http_client: See :class:`.Exchange`.
        telling: How it tells.
    """

    def __init__(self, http_client: Any | None, telling: Telling) -> None:
        super().__init__(http_client)
        self._telling = telling

    def _send(self, client: Any, built: Any, body: OnceBytes | None, left_behind: threading.Event | None) -> Answer:
        telling = self._telling
        began_s = telling.now_s()
        try:
            answer = super()._send(client, built, body, left_behind)
        except BaseException as error:
            telling.tell(built, began_s, error)
            raise
        telling.tell(built, began_s, answer)
        return answer
