"""The client of a command about one task: it tells when a create goes out, and whether the service said anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from resilient_poll.cli.plan import Wanted
from resilient_poll.dashscope.client import DashScope
from resilient_poll.dashscope.client_core import Create
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.errors import ConfigurationError
from resilient_poll.http.messages import Answer, ExchangeFailed, HttpRequest
from resilient_poll.ledger.entry import Entry, Namespace
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.machine.commands import Query, Submit
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.submission import Submission
from resilient_poll.transports.exchange import Exchange

__all__ = ["LONGEST_OUTPUT", "OUTPUT", "WatchedClient", "outcome_of_entry"]

OUTPUT = "output"
"""Under what name the ledger keeps, beside the model, where a result is to go."""
LONGEST_OUTPUT = 1_000
"""Characters that a ledger keeps of it; ``resume`` of a longer one needs ``-o``."""

CLOCKS_APART = timedelta(minutes=1)
"""How much later than the service's the clock of this machine may be."""


class WatchedClient(DashScope):
    """A client that tells what it does.

    Args:
        ledger: Its own ledger, which is closed with it.
        options: See :class:`.DashScope`.

    Attributes:
        ledger: The same.
        output: Where a result is to go, for the ledger; None if nothing is saved.
        key: What the ledger calls what was sent last; None before, and without one.
        on_create: Called before the first create goes out: until then nothing was sent.
        created_after: A moment before that, for the service's list of tasks; None before.
    """

    def __init__(self, *, ledger: Ledger | None = None, **options: Any) -> None:
        super().__init__(ledger=ledger, **options)
        self.ledger = ledger
        self.output: str | None = None
        self.key: str | None = None
        self._heard = _Heard(self._exchange)
        self._exchange = cast(Exchange, self._heard)
        self.on_create: Callable[[], None] = lambda: None
        self.created_after: datetime | None = None

    def close(self) -> None:
        """Close the connections and the ledger."""
        try:
            super().close()
        finally:
            if self.ledger is not None:
                self.ledger.close()

    @property
    def namespace(self) -> Namespace:
        """Within what keys and ids mean something.

        Raises:
            ConfigurationError: There is no ledger.
        """
        if self.ledger is None or self._core.books is None:
            raise ConfigurationError("without a ledger there are no idempotency keys; nothing was sent")
        return self._core.books.namespace

    def digest_of(self, wanted: Wanted, *, is_synchronous: bool) -> str:
        """Return what tells a request from another one.

        Raises:
            ConfigurationError: It makes no sense; nothing was sent.
        """
        create = self._core.new_create(
            wanted.endpoint,
            wanted.model,
            wanted.what,
            wanted.how,
            is_synchronous=is_synchronous,
            idempotency_key="of nobody yet",
        )
        assert create.filing is not None  # noqa: S101  # it has a key
        return create.filing.digest

    def is_token(self, name: str) -> bool:
        """Tell a resume token from a task's id and from a key."""
        return self._core.is_token(name)

    @property
    def has_created(self) -> bool:
        """Whether a create of its own went out: what the ledger had already needs none."""
        return self._heard.has_created

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
        if create.filing is not None and self.ledger is not None:
            self.key = create.filing.key
        if create.filing is not None and self.output is not None and len(self.output) <= LONGEST_OUTPUT:
            create.filing.about = {**create.filing.about, OUTPUT: self.output}
        return super()._send_create(submission, create, command)


def outcome_of_entry(entry: Entry) -> DirectOutcome:
    """Return a result that came without a task, as the ledger has it."""
    return DirectOutcome(
        request_id=entry.request_id,
        billing=entry.billing,
        attempts=entry.sends,
        result=None if entry.result is None else json.loads(entry.result),
    )


class _Heard:
    """An exchange that remembers whether anything came back."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.was_answered = self.has_created = False
        self.cancel: Answer | ExchangeFailed | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)

    def create(self, *arguments: Any, **options: Any) -> Answer:
        """Send a create; see :meth:`.Exchange.create`."""
        self.has_created = True
        return self._exchange.create(*arguments, **options)

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
