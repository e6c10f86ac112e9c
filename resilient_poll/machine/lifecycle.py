"""Phases, billing words, and the tables that connect a service's statuses to them.

Everything here is data. The moves table is what a task's record, the tests and the
diagram in the README read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from resilient_poll.errors import ConfigurationError

__all__ = ["BILLING_BY_PHASE", "ENDS", "MOVES", "OPEN", "Billing", "Lifecycle", "Phase"]


class Phase(StrEnum):
    """Where a task stands, in the machine's own words. Never sent to a service."""

    NEW = "NEW"
    """Wanted, and nothing was sent that could have been accepted."""
    SUBMITTING = "SUBMITTING"
    """The one licence to send is taken; no answer yet."""
    IN_DOUBT = "IN_DOUBT"
    """Sent, and the answer is lost: there may be a task, and nobody here knows its id."""
    QUEUED = "QUEUED"
    """Accepted, not started."""
    RUNNING = "RUNNING"
    """Being made."""
    UNRECOGNIZED = "UNRECOGNIZED"
    """The service says that it does not know the id: too early, or too late."""
    UNLISTED = "UNLISTED"
    """The service used a word that the lifecycle does not list."""
    SUCCEEDED = "SUCCEEDED"
    """The end that everyone wants."""
    FAILED = "FAILED"
    """The service tried and gave up."""
    CANCELED = "CANCELED"
    """Stopped by the user or by the service's policy."""
    REFUSED = "REFUSED"
    """The service declined to accept the task."""
    EXPIRED = "EXPIRED"
    """The service no longer, or never, knew the id. An answer can reopen it."""
    ABANDONED = "ABANDONED"
    """Given up by a human; the machine never does this by itself."""


class Billing(StrEnum):
    """What is owed for a task, as far as what was observed allows to say."""

    NOT_YET = "NOT_YET"
    """Nothing so far; a task that goes on may change that."""
    ON_SUCCESS = "ON_SUCCESS"
    """Owed if it succeeds."""
    BILLED = "BILLED"
    """Owed."""
    NONE = "NONE"
    """Not owed, and never will be."""
    PARTIAL_POSSIBLE = "PARTIAL_POSSIBLE"
    """A part may be owed."""
    UNDETERMINED = "UNDETERMINED"
    """What was observed does not tell."""


ENDS: frozenset[Phase] = frozenset(
    {Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELED, Phase.REFUSED, Phase.EXPIRED, Phase.ABANDONED}
)
"""The phases after which nothing is scheduled any more."""

OPEN: frozenset[Phase] = frozenset({Phase.QUEUED, Phase.RUNNING, Phase.UNRECOGNIZED, Phase.UNLISTED})
"""The phases of an accepted task that still has to be asked about."""

_TASK_ENDS = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELED, Phase.EXPIRED, Phase.ABANDONED})
_ONCE_ACCEPTED = OPEN | (_TASK_ENDS - {Phase.ABANDONED})

MOVES: Mapping[Phase, frozenset[Phase]] = MappingProxyType(
    {
        Phase.NEW: frozenset({Phase.SUBMITTING, Phase.ABANDONED}),
        # Back to NEW: refused for now, or surely never sent. An end is never believed from an acceptance.
        Phase.SUBMITTING: OPEN | {Phase.NEW, Phase.IN_DOUBT, Phase.REFUSED},
        Phase.IN_DOUBT: _ONCE_ACCEPTED | {Phase.ABANDONED},
        Phase.QUEUED: (OPEN | _TASK_ENDS) - {Phase.QUEUED},
        Phase.RUNNING: (OPEN | _TASK_ENDS) - {Phase.QUEUED, Phase.RUNNING},
        Phase.UNRECOGNIZED: (OPEN | _TASK_ENDS) - {Phase.UNRECOGNIZED},
        Phase.UNLISTED: (OPEN | _TASK_ENDS) - {Phase.UNLISTED},
        Phase.SUCCEEDED: frozenset(),
        Phase.FAILED: frozenset(),
        Phase.CANCELED: frozenset(),
        Phase.REFUSED: frozenset(),
        # "No longer known" is a conclusion of ours, so an answer may overturn it.
        Phase.EXPIRED: _ONCE_ACCEPTED - {Phase.EXPIRED, Phase.UNRECOGNIZED},
        Phase.ABANDONED: frozenset(),
    }
)
"""From each phase, the phases that may follow it. Staying is not a move."""

BILLING_BY_PHASE: Mapping[Phase, Billing] = MappingProxyType(
    {
        Phase.NEW: Billing.NONE,
        Phase.SUBMITTING: Billing.UNDETERMINED,
        Phase.IN_DOUBT: Billing.UNDETERMINED,
        Phase.QUEUED: Billing.NOT_YET,
        Phase.RUNNING: Billing.ON_SUCCESS,
        Phase.UNRECOGNIZED: Billing.UNDETERMINED,
        Phase.UNLISTED: Billing.UNDETERMINED,
        Phase.SUCCEEDED: Billing.BILLED,
        Phase.FAILED: Billing.NONE,
        Phase.CANCELED: Billing.PARTIAL_POSSIBLE,
        Phase.REFUSED: Billing.NONE,
        Phase.EXPIRED: Billing.UNDETERMINED,
        Phase.ABANDONED: Billing.UNDETERMINED,
    }
)
"""What each phase says about the bill where a lifecycle says nothing else.

Source: docs/decisions.md, *Numbers and their sources*."""

_DECLARABLE = frozenset(
    {
        Phase.QUEUED,
        Phase.RUNNING,
        Phase.UNRECOGNIZED,
        Phase.SUCCEEDED,
        Phase.FAILED,
        Phase.CANCELED,
        Phase.EXPIRED,
    }
)


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The table that maps a service's statuses to phases and billing.

    Attributes:
        name: What snapshots and messages call it.
        statuses: The service's words, each with the phase that it stands for.
        billing: What each phase says about the bill; phases left out keep
            ``BILLING_BY_PHASE``.
        fold_case: Whether ``succeeded`` is ``SUCCEEDED``. For tables written by hand;
            some services have words that differ in case only.
        retention_s: How many seconds the service remembers a task, if it says so. It
            only shortens the patience with an id that the service does not know.

    Raises:
        ConfigurationError: A status stands for a phase that no service can report, two
            statuses are the same after folding, or no status is a success.
    """

    name: str
    statuses: Mapping[str, Phase]
    billing: Mapping[Phase, Billing] = field(default_factory=dict)
    fold_case: bool = False
    retention_s: float | None = None

    def __post_init__(self) -> None:
        table: dict[str, Phase] = {}
        for status, phase in self.statuses.items():
            if phase not in _DECLARABLE:
                allowed = ", ".join(sorted(_DECLARABLE))
                raise ConfigurationError(
                    f"lifecycle {self.name!r}: status {status!r} cannot stand for {phase}; one of {allowed} can"
                )
            word = self._fold(status)
            if table.setdefault(word, phase) is not phase:
                raise ConfigurationError(f"lifecycle {self.name!r}: status {status!r} is listed with two phases")
        if Phase.SUCCEEDED not in table.values():
            raise ConfigurationError(f"lifecycle {self.name!r}: no status means success, so no wait could end well")
        object.__setattr__(self, "statuses", MappingProxyType(table))
        object.__setattr__(self, "billing", MappingProxyType({**BILLING_BY_PHASE, **self.billing}))

    @classmethod
    def of(
        cls,
        name: str = "hand-declared",
        *,
        succeeded: Iterable[str],
        failed: Iterable[str] = (),
        canceled: Iterable[str] = (),
        queued: Iterable[str] = (),
        running: Iterable[str] = (),
        unrecognized: Iterable[str] = (),
        expired: Iterable[str] = (),
        billing: Mapping[Phase, Billing] | None = None,
        fold_case: bool = True,
    ) -> Lifecycle:
        """Declare a lifecycle by listing the words for each phase.

        Args:
            name: What messages call it.
            succeeded: Words that mean success; at least one.
            failed: Words that mean failure.
            canceled: Words that mean that someone stopped it.
            queued: Words that mean accepted, not started.
            running: Words that mean being made.
            unrecognized: Words that mean "no such id, for now".
            expired: Words that mean "no such id any more".
            billing: Where a phase is billed otherwise than ``BILLING_BY_PHASE`` says.
            fold_case: Whether letter case is ignored.

        Returns:
            The lifecycle.

        Raises:
            ConfigurationError: See the class; and if a plain string was given where a
                list of words was meant.
        """
        groups = {
            Phase.SUCCEEDED: succeeded,
            Phase.FAILED: failed,
            Phase.CANCELED: canceled,
            Phase.QUEUED: queued,
            Phase.RUNNING: running,
            Phase.UNRECOGNIZED: unrecognized,
            Phase.EXPIRED: expired,
        }
        statuses: dict[str, Phase] = {}
        for phase, words in groups.items():
            if isinstance(words, str):
                raise ConfigurationError(f"the words for {phase} are a list, not the single string {words!r}")
            for word in words:
                if statuses.setdefault(word, phase) is not phase:
                    raise ConfigurationError(f"lifecycle {name!r}: status {word!r} is listed with two phases")
        return cls(name=name, statuses=statuses, billing=dict(billing or {}), fold_case=fold_case)

    def phase_of(self, status: str) -> Phase:
        """Return the phase that a service's word stands for; ``UNLISTED`` if none does."""
        return self.statuses.get(self._fold(status), Phase.UNLISTED)

    def billing_of(self, phase: Phase) -> Billing:
        """Return what a phase says about the bill."""
        return self.billing[phase]

    def _fold(self, status: str) -> str:
        return status.casefold() if self.fold_case else status
