"""One long-running operation, declared: how it is asked for, what its answers mean, and how to wait for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from resilient_poll.errors import ConfigurationError
from resilient_poll.http.retry_after import RetryAfter
from resilient_poll.http.urls import is_host
from resilient_poll.machine.lifecycle import Billing, Lifecycle, Phase
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.schedules import Fixed, Schedule
from resilient_poll.specs.acceptors import Acceptor, Reply, State
from resilient_poll.specs.calls import CancelCall, QueryCall, SubmitCall, UrlSource, url_sources
from resilient_poll.specs.places import Hint, InHeader, Place, place_of
from resilient_poll.specs.reading import hint_of, observe, reply_of

if TYPE_CHECKING:
    import os

__all__ = ["OperationSpec", "acceptor_lifecycle"]

DEFAULT_INTERVAL_S = 3.0
DEFAULT_TIMEOUT_S = 300.0
"""Both as for every other wait; source: docs/decisions.md, *Numbers and their sources*."""
RETRY_AFTER = Hint(InHeader("retry-after"))
_PHASES = {State.SUCCESS: Phase.SUCCEEDED, State.FAILURE: Phase.FAILED, State.RETRY: Phase.RUNNING}
_LONGEST_NAME = 100


def acceptor_lifecycle(name: str, billing: Mapping[Phase, Billing]) -> Lifecycle:
    """Return the table of an acceptor's three words, with their cases as they are."""
    return Lifecycle(name=name, statuses={str(state): phase for state, phase in _PHASES.items()}, billing=billing)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSpec:
    """A long-running operation of any API.

    What an answer means is said by ``status`` and ``lifecycle``, or by ``acceptors``, whose words are ``success``,
    ``failure`` and ``retry``. A place in an answer is a path in its body, :class:`.InHeader` or
    :class:`.InHttpStatus`.

    Attributes:
        name: What messages call it.
        lifecycle: Which of its words mean what, and what they say of the bill.
        status: Where the word is in an answer.
        acceptors: What its answers mean instead; the first that matches decides.
        submit: How it is started.
        query: How it is asked about.
        cancel: How it is cancelled, if it can be.
        result: Where a success has its result; the whole answer, if left out.
        result_url: Where the result is to be fetched once it has succeeded; the first that an answer names is used,
            and a success whose answers name none brings its result itself.
        error_code: Where an answer has the code of its error.
        error_message: Where it has the explanation.
        progress: Where it says how far it is.
        retry_after: Where it says how long to stay away.
        billing_by_status: What single words say of the bill, where that is something else than their phase says.
        allow_hosts: Hosts beside its own that an answer's URL may lead to. They get no credentials.
        interval_s: How many seconds lie between two questions.
        timeout_s: How many seconds a wait may take.

    Raises:
        ConfigurationError: It makes no sense.
    """

    name: str
    lifecycle: Lifecycle
    status: Place | str | None = None
    acceptors: tuple[Acceptor, ...] = ()
    submit: SubmitCall | None = None
    query: QueryCall | None = None
    cancel: CancelCall | None = None
    result: Place | str | None = None
    result_url: UrlSource | tuple[UrlSource, ...] = ()
    error_code: Place | str | None = None
    error_message: Place | str | None = None
    progress: Place | str | None = None
    retry_after: tuple[Hint, ...] = (RETRY_AFTER,)
    billing_by_status: Mapping[str, Billing] = field(default_factory=dict)
    allow_hosts: frozenset[str] = frozenset()
    interval_s: float = DEFAULT_INTERVAL_S
    timeout_s: float = DEFAULT_TIMEOUT_S

    def __post_init__(self) -> None:
        given: object = self.name  # Types are hints at run time: a file holds anything.
        if not isinstance(given, str) or not 0 < len(given) <= _LONGEST_NAME or not given.isprintable():
            raise ConfigurationError(f"an operation's name is a text of at most {_LONGEST_NAME} characters")
        for name in ("status", "result", "error_code", "error_message", "progress"):
            if (place := getattr(self, name)) is not None:
                object.__setattr__(self, name, place_of(place))
        sources = url_sources(self.result_url, "result") if self.result_url != () else ()
        object.__setattr__(self, "result_url", sources)
        object.__setattr__(self, "acceptors", tuple(self.acceptors))
        object.__setattr__(self, "retry_after", tuple(self.retry_after))
        object.__setattr__(self, "allow_hosts", _hosts(self.allow_hosts, self.name))
        self._check_words()
        for name, seconds in (("interval_s", self.interval_s), ("timeout_s", self.timeout_s)):
            if not is_time(seconds):
                raise ConfigurationError(f"operation {self.name!r}: {name} is a time in seconds, not {seconds!r:.80}")

    def _check_words(self) -> None:
        if (self.status is None) is not bool(self.acceptors):
            raise ConfigurationError(
                f"operation {self.name!r}: a status or acceptors say what its answers mean, and not both"
            )
        if self.acceptors and not any(acceptor.state is State.SUCCESS for acceptor in self.acceptors):
            raise ConfigurationError(f"operation {self.name!r}: no acceptor means success, so no wait could end well")
        if self.acceptors and not {str(state) for state in State} <= set(self.lifecycle.statuses):
            raise ConfigurationError(f"operation {self.name!r}: with acceptors its words are {', '.join(State)}")
        for word in self.billing_by_status:
            if self.lifecycle.phase_of(word) is Phase.UNLISTED:
                raise ConfigurationError(
                    f"operation {self.name!r}: the bill of the status {word!r:.80} is declared, and the status is not"
                )
        fold = str.casefold if self.lifecycle.fold_case else str
        bills = {fold(word): Billing(bill) for word, bill in self.billing_by_status.items()}
        object.__setattr__(self, "billing_by_status", MappingProxyType(bills))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> OperationSpec:
        """Read a declaration from a JSON or YAML file; it means the same as in Python.

        Args:
            path: The file.

        Raises:
            ConfigurationError: It cannot be read, or it declares no operation: one line for each fault, with file,
                line and column, what was found and what was expected.
        """
        from resilient_poll.specs.file_form import read_file  # noqa: PLC0415  # needs a package of the extra

        return read_file(path)

    @classmethod
    def from_text(cls, text: str, *, name: str = "(text)") -> OperationSpec:
        """Read a declaration from the text of a JSON or YAML file; see :meth:`from_file`.

        Args:
            text: The text.
            name: What messages call the file.
        """
        from resilient_poll.specs.file_form import read_text  # noqa: PLC0415  # as above

        return read_text(text, name)

    @classmethod
    def from_botocore(cls, waiter: Mapping[str, Any], *, name: str | None = None) -> OperationSpec:
        """Read one waiter of a ``waiters-2.json``, as botocore ships them.

        Its attempts become a time: ``delay`` times ``maxAttempts`` seconds, since a wait here has a deadline.

        Args:
            waiter: The value of one name below ``waiters``.
            name: What messages call it; its operation, if left out.

        Raises:
            ConfigurationError: It is no such waiter.
        """
        given: object = waiter  # Types are hints at run time: a file holds anything.
        if not isinstance(given, Mapping) or not {"delay", "maxAttempts", "acceptors"} <= set(given):
            raise ConfigurationError(f"a waiter has a delay, maxAttempts and acceptors, not {waiter!r:.200}")
        delay_s, attempts = waiter["delay"], waiter["maxAttempts"]
        if not all(
            isinstance(number, int) and not isinstance(number, bool) and number > 0 for number in (delay_s, attempts)
        ):
            raise ConfigurationError("a waiter's delay and maxAttempts are whole numbers above zero")
        called = str(name or waiter.get("operation", "waiter"))
        # Nothing is known of what it costs.
        table = acceptor_lifecycle(called, dict.fromkeys(_PHASES.values(), Billing.UNDETERMINED))
        return cls(
            name=called,
            lifecycle=table,
            acceptors=tuple(Acceptor.of(row) for row in waiter["acceptors"]),
            interval_s=float(delay_s),
            timeout_s=float(delay_s * attempts),
        )

    @property
    def result_urls(self) -> tuple[UrlSource, ...]:
        """Where the URL of the result may come from, in order."""
        return cast("tuple[UrlSource, ...]", self.result_url)

    @property
    def schedule(self) -> Schedule:
        """When to ask."""
        return Fixed(self.interval_s)

    def observe(self, answer: Any, *, now_wall_s: float = 0.0) -> Observation:
        """Return what an answer means, for :func:`.poll`; its ``lifecycle`` goes with it.

        An error that is declared nowhere says nothing of the operation: a 429 slows the wait down, another 4xx
        ends the wait, anything else is a failed question.

        Args:
            answer: A :class:`.Reply`, or a response of httpx, httpx2 or requests whose body was read.
            now_wall_s: The time, in seconds since 1970, for a ``Retry-After`` that is a date in an answer without
                a ``Date``. Such a hint is ignored otherwise.
        """
        reply = answer if isinstance(answer, Reply) else reply_of(answer)
        return observe(self, reply, now_wall_s)

    def hint_of(self, reply: Reply, *, now_wall_s: float = 0.0) -> RetryAfter:
        """Return how long an answer asks to stay away.

        Args:
            reply: The answer.
            now_wall_s: See :meth:`observe`.
        """
        return hint_of(self, reply, now_wall_s)


def _hosts(given: object, name: str) -> frozenset[str]:
    if isinstance(given, str) or not isinstance(given, frozenset | set | list | tuple):
        raise ConfigurationError(f"operation {name!r}: allow_hosts is a list of hosts, not {given!r:.80}")
    for host in given:
        if not isinstance(host, str) or not is_host(host):
            raise ConfigurationError(f"operation {name!r}: {host!r:.80} in allow_hosts is no host's name")
    return frozenset(host.lower().rstrip(".") for host in given)


def is_time(seconds: object) -> bool:
    """Tell whether a value is a time that can be waited for."""
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < math.inf
