"""The client of a command about one task: it tells when a create goes out, and whether the service said anything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from resilient_poll.dashscope.client import DashScope
from resilient_poll.dashscope.client_core import Create
from resilient_poll.http.messages import Answer, ExchangeFailed, HttpRequest
from resilient_poll.machine.commands import Query, Submit
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.submission import Submission
from resilient_poll.transports.exchange import Exchange

__all__ = ["WatchedClient"]

CLOCKS_APART = timedelta(minutes=1)
"""How much later than the service's the clock of this machine may be."""


class WatchedClient(DashScope):
    """A client that tells what it does.

    Args:
        options: See :class:`.DashScope`.

    Attributes:
        on_create: Called before the first create goes out: until then nothing was sent.
        created_after: A moment before that, for the service's list of tasks; None before.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._heard = _Heard(self._exchange)
        self._exchange = cast(Exchange, self._heard)
        self.on_create: Callable[[], None] = lambda: None
        self.created_after: datetime | None = None

    @property
    def can_list(self) -> bool:
        """Whether the service has a list of tasks."""
        return self._core.settings.dialect.can_list

    @property
    def was_answered(self) -> bool:
        """Whether the service answered any question, in whatever way."""
        return self._heard.was_answered

    @property
    def fate_of_cancel(self) -> str:
        """What became of the request to cancel, in a sentence."""
        match self._heard.cancel:
            case None:
                return "The cancel was not sent."
            case ExchangeFailed(surely_not_sent=True):
                return "The cancel was not sent: the service could not be reached."
            case ExchangeFailed():
                return "The cancel was, or may have been, sent, and its answer is lost."
            case Answer(status=status):
                return f"The cancel was sent, and answered with HTTP {status}."

    @property
    def may_have_canceled(self) -> bool:
        """Whether the service may have heard of a cancel."""
        cancel = self._heard.cancel
        return cancel is not None and not (isinstance(cancel, ExchangeFailed) and cancel.surely_not_sent)

    def _send_create(self, submission: Submission, create: Create, command: Submit | Query) -> Observation:
        if self.created_after is None:
            self.created_after = datetime.now(UTC) - CLOCKS_APART
            self.on_create()
        return super()._send_create(submission, create, command)


class _Heard:
    """An exchange that remembers whether anything came back."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.was_answered = False
        self.cancel: Answer | ExchangeFailed | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)

    def query(self, request: HttpRequest, timeout_s: float) -> Answer:
        """Send a question, or a cancel: the only one that is posted."""
        what: Answer | ExchangeFailed
        try:
            what = self._exchange.query(request, timeout_s)
        except ExchangeFailed as failure:
            what = failure
        if request.method == "POST":
            self.cancel = what
        if isinstance(what, ExchangeFailed):
            raise what
        self.was_answered = True
        return what
