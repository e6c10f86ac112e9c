"""What a command has to say of an error. Prints nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from resilient_poll.cli.exit_codes import ExitCode, verdict_on_error
from resilient_poll.cli.made import NOTHING_MADE, made_of
from resilient_poll.cli.report import Report, error_words, next_lines
from resilient_poll.errors import ResilientPollError, SafeToSubmitAgain, SubmitError, SubmitInDoubt, TaskError
from resilient_poll.ledger.errors import NotSaved
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["report_of_error"]

_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        " or pass api_key": "",
        ": pass dialect, or set": ": give --dialect, or set",
        "start must be before end, ": "--since must be before --until, ",
    }
)
"""What errors of the library call arguments, and what that is at the command line."""


def report_of_error(
    error: ResilientPollError,
    *,
    task_id: str | None,
    creates: bool,
    next_command: str | None,
    verdict: tuple[ExitCode, str] | None = None,
    aside: str | None = None,
) -> Report:
    """Report what an error says.

    Args:
        error: What went wrong.
        task_id: The task that the command is about, where the error does not name one.
        creates: Whether the command would have made a task.
        next_command: What to type next, if anything helps.
        verdict: Exit code and outcome, where they do not follow from the error.
        aside: A sentence that the command knows better than the error.
    """
    code, outcome = verdict or verdict_on_error(error)
    safe, phase, billing = error.safe_to_submit_again, None, None
    match error:
        case TaskError():
            pass
        case SubmitInDoubt():
            phase, billing = Phase.IN_DOUBT, Billing.UNDETERMINED
        case NotSaved():
            task_id = error.task_id or task_id
            phase, billing = (
                (Phase.SUCCEEDED, Billing.BILLED) if error.task_id is None else (Phase.QUEUED, Billing.NOT_YET)
            )
        case _ if creates:
            phase, billing = Phase.REFUSED if code is ExitCode.REFUSED else Phase.NEW, Billing.NONE
            if code is ExitCode.USAGE:
                safe = SafeToSubmitAgain.YES  # Whatever is wrong with the call: it has sent nothing.
        case _:
            # The mistake is in how an existing task was asked about; that task is no less there.
            safe = SafeToSubmitAgain.NO
    text = " ".join(filter(None, (_for_the_shell(error), aside)))
    standing = error.standing if isinstance(error, TaskError) else None
    return Report(
        exit_code=code,
        outcome=outcome,
        safe_to_submit_again=safe,
        standing=standing,
        task_id=task_id,
        phase=phase,
        billing=billing,
        made=made_of(standing.result) if standing and standing.phase is Phase.SUCCEEDED else NOTHING_MADE,
        error=error_words(
            type(error).__name__,
            text,
            kind=error.kind,
            try_again=error.try_again,
            code=getattr(error, "code", None),
            message=getattr(error, "message", None),
            request_id=getattr(error, "request_id", None),
            come_back_in_s=error.come_back_in_s if isinstance(error, SubmitError | TaskError) else None,
            next_command=next_command,
        ),
        notes=(f"✗ {text}", *next_lines(next_command)),
    )


def _for_the_shell(error: ResilientPollError) -> str:
    """Return an error's text for whoever typed options and passed no arguments."""
    # The token is six hundred characters; people get the command to type instead, machines their own field.
    token = error.resume_token if isinstance(error, TaskError) else None
    text = str(error).replace(f" [resume token {token}]", "")
    for argument, option in _OPTIONS.items():
        text = text.replace(argument, option)
    return text
