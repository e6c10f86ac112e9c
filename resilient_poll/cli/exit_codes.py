"""What the exit codes mean, as a table: the help, the reports and the tests read it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from resilient_poll.errors import (
    CancelRefused,
    ConfigurationError,
    DownloadFailed,
    ListingFailed,
    PollRefused,
    ResilientPollError,
    ResultAtOnce,
    ResultUnreadable,
    RetryRefused,
    SnapshotError,
    StillGoing,
    SubmitInDoubt,
    SubmitNotSent,
    SubmitRefused,
    SubmitThrottled,
    TaskCanceled,
    TaskExpired,
    TaskFailed,
)
from resilient_poll.ledger.errors import (
    EntryCorrupt,
    GuardRefused,
    LedgerError,
    LedgerForked,
    LedgerUnavailable,
    LedgerUnusable,
    NotSaved,
)
from resilient_poll.machine.lifecycle import Phase

__all__ = ["MEANINGS", "ExitCode", "exit_code_help", "verdict_on_error", "verdict_on_phase"]


class ExitCode(IntEnum):
    """What a shell script gets to see."""

    SUCCEEDED = 0
    OTHER = 1
    USAGE = 2
    FAILED = 3
    STILL_GOING = 4
    IN_DOUBT = 5
    REFUSED = 6
    THROTTLED = 7
    PARTLY = 8


MEANINGS: Mapping[ExitCode, str] = MappingProxyType(
    {
        ExitCode.SUCCEEDED: "succeeded: what was asked for is done",
        ExitCode.OTHER: "anything else: a paid result is not on disk, or a signal came first",
        ExitCode.USAGE: "usage: the call or its configuration makes no sense; nothing was sent",
        ExitCode.FAILED: "failed: the task ended without a result (FAILED, CANCELED, EXPIRED)",
        ExitCode.STILL_GOING: "still going: do not submit again, wait for it",
        ExitCode.IN_DOUBT: "in doubt: a task may exist and be billed; look before submitting again",
        ExitCode.REFUSED: "refused: the service said no to the submit, the question or the cancel",
        ExitCode.THROTTLED: "throttled or not reached: nothing was accepted, come back later",
        ExitCode.PARTLY: "partly: what was made is there, and a part of it failed and is not billed",
    }
)

_ERRORS: tuple[tuple[type[ResilientPollError], ExitCode, str], ...] = (
    (ConfigurationError, ExitCode.USAGE, "usage"),
    (SnapshotError, ExitCode.USAGE, "usage"),
    (SubmitRefused, ExitCode.REFUSED, "refused"),
    (SubmitThrottled, ExitCode.THROTTLED, "throttled"),
    (SubmitNotSent, ExitCode.THROTTLED, "not_sent"),
    (ResultAtOnce, ExitCode.OTHER, "answered_at_once"),
    (ListingFailed, ExitCode.THROTTLED, "list_failed"),
    (SubmitInDoubt, ExitCode.IN_DOUBT, "in_doubt"),
    (StillGoing, ExitCode.STILL_GOING, "still_going"),
    (TaskFailed, ExitCode.FAILED, "failed"),
    (TaskCanceled, ExitCode.FAILED, "canceled"),
    (TaskExpired, ExitCode.FAILED, "expired"),
    (PollRefused, ExitCode.REFUSED, "poll_refused"),
    (CancelRefused, ExitCode.REFUSED, "cancel_refused"),
    (RetryRefused, ExitCode.REFUSED, "retry_refused"),
    (ResultUnreadable, ExitCode.OTHER, "unreadable"),
    (DownloadFailed, ExitCode.OTHER, "download_failed"),
    (GuardRefused, ExitCode.REFUSED, "guard_refused"),
    (LedgerUnusable, ExitCode.USAGE, "ledger_unusable"),
    (LedgerForked, ExitCode.USAGE, "ledger_unusable"),
    (LedgerUnavailable, ExitCode.THROTTLED, "ledger_unavailable"),
    (EntryCorrupt, ExitCode.OTHER, "entry_damaged"),
    (LedgerError, ExitCode.OTHER, "ledger_failed"),
)

_ENDS: Mapping[Phase, tuple[ExitCode, str]] = MappingProxyType(
    {
        Phase.SUCCEEDED: (ExitCode.SUCCEEDED, "succeeded"),
        Phase.FAILED: (ExitCode.FAILED, "failed"),
        Phase.CANCELED: (ExitCode.FAILED, "canceled"),
        Phase.EXPIRED: (ExitCode.FAILED, "expired"),
        Phase.ABANDONED: (ExitCode.FAILED, "canceled"),
    }
)


def verdict_on_error(error: ResilientPollError) -> tuple[ExitCode, str]:
    """Return the exit code and the machine's word for an error."""
    if isinstance(error, ListingFailed) and error.http_status is not None:
        return ExitCode.REFUSED, "list_refused"
    if isinstance(error, NotSaved):
        # With an id it goes on, whoever has written it down.
        return (ExitCode.OTHER if error.task_id is None else ExitCode.STILL_GOING), "not_saved"
    for kind, code, outcome in _ERRORS:
        if isinstance(error, kind):
            return code, outcome
    return ExitCode.OTHER, "error"


def verdict_on_phase(phase: Phase) -> tuple[ExitCode, str]:
    """Return the exit code and the machine's word for where a task stands."""
    return _ENDS.get(phase, (ExitCode.STILL_GOING, "still_going"))


def exit_code_help() -> str:
    """Return the table as the help shows it."""
    lines = (f"  {code.value}  {meaning}" for code, meaning in MEANINGS.items())
    # \b keeps click from joining the lines.
    return "\b\nExit codes:\n" + "\n".join(lines)
