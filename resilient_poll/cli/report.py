"""What a command has to say at its end: lines for people, or one JSON object for machines. Prints nothing itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from resilient_poll.cli.exit_codes import ExitCode, verdict_on_error, verdict_on_phase
from resilient_poll.dashscope.results import assets_of
from resilient_poll.error_kinds import advice
from resilient_poll.errors import (
    ResilientPollError,
    SafeToSubmitAgain,
    Standing,
    SubmitError,
    SubmitInDoubt,
    TaskError,
    TryAgain,
)
from resilient_poll.machine.lifecycle import ENDS, Billing, Phase

__all__ = [
    "ERROR_WORDS",
    "JSON_WORDS",
    "Report",
    "asks_about_a_task",
    "printable",
    "report_of_early_end",
    "report_of_error",
    "report_of_interruption",
    "report_of_standing",
    "report_of_surprise",
]

JSON_WORDS = (
    "outcome",
    "task_id",
    "status",
    "phase",
    "billing",
    "safe_to_submit_again",
    "polls",
    "time_per_phase",
    "resume_token",
    "video_url",
    "file",
    "error",
)
"""The keys of every JSON object, in this order; a value that is not known is null."""

ERROR_WORDS = (
    "type",
    "text",
    "kind",
    "try_again",
    "code",
    "message",
    "request_id",
    "come_back_in_s",
    "next_command",
)
"""The keys of the object under ``error``, in this order; a value that is not known is null."""

SHORTEST_TOLD_S = 0.05
"""A phase that would be told as 0.0 s is left out for people."""

_OWED: Mapping[Billing, str] = MappingProxyType(
    {
        Billing.NOT_YET: "not billed so far, may still be billed",
        Billing.ON_SUCCESS: "billed if it succeeds",
        Billing.BILLED: "billed",
        Billing.NONE: "not billed",
        Billing.PARTIAL_POSSIBLE: "a part of it may be billed",
        Billing.UNDETERMINED: "not known whether it is billed",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a command.

    Attributes:
        exit_code: For the shell.
        outcome: What happened, in a word for machines.
        safe_to_submit_again: Whether the same submit can be sent again without paying twice.
        standing: Where the task stood, if there is one.
        task_id: Its id, if only that is known.
        phase: Where things stand without a task.
        billing: What may be owed without a task.
        file: Where the video is on disk.
        error: What went wrong, for machines.
        result: Lines for stdout.
        notes: Lines for stderr.
    """

    exit_code: ExitCode
    outcome: str
    safe_to_submit_again: SafeToSubmitAgain
    standing: Standing | None = None
    task_id: str | None = None
    phase: Phase | None = None
    billing: Billing | None = None
    file: Path | None = None
    error: Mapping[str, Any] | None = None
    result: tuple[str, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)

    def as_json(self) -> str:
        """Return the one JSON object, in one line."""
        standing = self.standing
        values: dict[str, Any] = dict.fromkeys(JSON_WORDS)
        values.update(
            outcome=self.outcome,
            task_id=self.task_id,
            phase=self.phase,
            billing=self.billing,
            safe_to_submit_again=self.safe_to_submit_again,
            file=None if self.file is None else str(self.file),
            error=self.error,
        )
        if standing is not None:
            values.update(
                task_id=standing.task_id,
                status=standing.status,
                phase=standing.phase,
                billing=standing.billing,
                polls=standing.polls,
                time_per_phase={phase: round(seconds, 3) for phase, seconds in standing.time_per_phase.items()},
                resume_token=standing.resume_token,
                video_url=_single_url(standing),
            )
        return json.dumps(values)


def report_of_standing(
    standing: Standing,
    *,
    verdict: tuple[ExitCode, str] | None = None,
    headline: str | None = None,
    file: Path | None = None,
    problem: str | None = None,
    next_command: str | None = None,
) -> Report:
    """Report where a task stands, as a result.

    Args:
        standing: Where it stands.
        verdict: Exit code and outcome, where they do not follow from the phase.
        headline: The first line; the service's word for where the task stands, unless given.
        file: Where its video was saved.
        problem: Why this is not what was asked for; the lines then go to stderr.
        next_command: What to type next.
    """
    code, outcome = verdict or verdict_on_phase(standing.phase)
    said = ": ".join(part for part in (standing.code, standing.message) if part)
    first = problem or headline or f"{standing.status or standing.phase}{f': {said}' if said else ''}"
    lines = [f"{_MARKS.get(code, '✗')} {first}", f"  task {standing.task_id}", f"  {_story_of(standing)}"]
    if standing.kind is not None:
        lines.append(f"  {advice(standing.kind, standing.try_again, 'submit again')}")
    return Report(
        exit_code=code,
        outcome=outcome,
        safe_to_submit_again=_safe_to_submit_again(standing),
        standing=standing,
        file=file,
        error=_trouble_of(standing, problem, first, next_command),
        result=tuple(lines) if problem is None else (),
        notes=(*(() if problem is None else lines), *_next_lines(next_command)),
    )


def report_of_error(
    error: ResilientPollError, *, task_id: str | None, creates: bool, next_command: str | None
) -> Report:
    """Report what an error says.

    Args:
        error: What went wrong.
        task_id: The task that the command is about, where the error does not name one.
        creates: Whether the command would have made a task.
        next_command: What to type next, if anything helps.
    """
    code, outcome = verdict_on_error(error)
    safe, phase, billing = error.safe_to_submit_again, None, None
    match error:
        case TaskError():
            pass
        case SubmitInDoubt():
            phase, billing = Phase.IN_DOUBT, Billing.UNDETERMINED
        case _ if creates:
            phase, billing = Phase.REFUSED if code is ExitCode.REFUSED else Phase.NEW, Billing.NONE
            if code is ExitCode.USAGE:
                safe = SafeToSubmitAgain.YES  # Whatever is wrong with the call: it has sent nothing.
        case _:
            # The mistake is in how an existing task was asked about; that task is no less there.
            safe = SafeToSubmitAgain.NO
    text = _without_token(error)
    return Report(
        exit_code=code,
        outcome=outcome,
        safe_to_submit_again=safe,
        standing=error.standing if isinstance(error, TaskError) else None,
        task_id=task_id,
        phase=phase,
        billing=billing,
        error=_error(
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
        notes=(f"✗ {text}", *_next_lines(next_command)),
    )


def report_of_interruption(
    signal_name: str,
    verdict: tuple[ExitCode, str],
    what_it_means: str,
    *,
    standing: Standing | None = None,
    task_id: str | None = None,
    next_command: str | None = None,
) -> Report:
    """Report that a signal ended the command.

    Args:
        signal_name: Which one.
        verdict: Exit code and outcome.
        what_it_means: What is known of the task, and what to do, in a sentence.
        standing: Where the task stands.
        task_id: Its id, if only that is known.
        next_command: What to type to go on.
    """
    code, _ = verdict
    text = f"interrupted ({signal_name}): {what_it_means}"
    has_task = standing is not None or task_id is not None
    phase, billing, safe = (None, None, SafeToSubmitAgain.NO) if has_task else _WITHOUT_TASK[code]
    return Report(
        exit_code=code,
        outcome=verdict[1],
        safe_to_submit_again=safe,
        standing=standing,
        task_id=task_id,
        phase=phase,
        billing=billing,
        error=_error("Interrupted", text, try_again=TryAgain(safe.value), next_command=next_command),
        notes=(f"✗ {text}", *_next_lines(next_command)),
    )


def report_of_early_end(signal_name: str, words: list[str]) -> Report:
    """Report that a signal came before the command had begun."""
    report = report_of_interruption(signal_name, (ExitCode.OTHER, "interrupted"), "nothing was sent.")
    if asks_about_a_task(words):
        return replace(report, phase=None, billing=None, safe_to_submit_again=SafeToSubmitAgain.NO)
    return report


def report_of_surprise(
    error: Exception, *, standing: Standing | None, task_id: str | None, may_have_sent: bool, next_command: str | None
) -> Report:
    """Report what nobody thought of, by its kind alone: its text could hold anything.

    Args:
        error: What was raised.
        standing: Where the task stands.
        task_id: Its id, if only that is known.
        may_have_sent: Whether a create may be out whose task is not known.
        next_command: What to type to go on.
    """
    phase, billing, safe = _WITHOUT_TASK[ExitCode.IN_DOUBT if may_have_sent else ExitCode.OTHER]
    if standing is not None:
        what = f"task {standing.task_id} exists ({_OWED[standing.billing] or 'nothing is known of its price'})"
    elif task_id is not None:
        what = f"task {task_id} is not affected"
    else:
        what = "a task may exist and be billed; look before you submit again" if may_have_sent else "nothing was sent"
    if standing is not None or task_id is not None:
        phase, billing, safe = None, None, SafeToSubmitAgain.NO
    text = f"unexpected {type(error).__name__} (RESILIENT_POLL_TRACEBACK=1 shows more): {what}"
    return Report(
        exit_code=ExitCode.OTHER,
        outcome="error",
        safe_to_submit_again=safe,
        standing=standing,
        task_id=task_id,
        phase=phase,
        billing=billing,
        error=_error(type(error).__name__, text, try_again=TryAgain(safe.value), next_command=next_command),
        notes=(f"✗ {text}", *_next_lines(next_command)),
    )


def asks_about_a_task(words: list[str]) -> bool:
    """Tell whether a command line is about a task that exists, and would make none."""
    return bool({"wait", "status", "cancel", "download"} & set(words[:1]))


def printable(text: str) -> str:
    """Return text that a terminal only shows: what a service says must not move its cursor or set its title."""
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1] for character in text
    )


_MARKS: Mapping[ExitCode, str] = MappingProxyType({ExitCode.SUCCEEDED: "✓", ExitCode.STILL_GOING: "…"})

_WITHOUT_TASK: Mapping[ExitCode, tuple[Phase | None, Billing | None, SafeToSubmitAgain]] = MappingProxyType(
    {
        ExitCode.IN_DOUBT: (Phase.IN_DOUBT, Billing.UNDETERMINED, SafeToSubmitAgain.UNKNOWN),
        ExitCode.OTHER: (Phase.NEW, Billing.NONE, SafeToSubmitAgain.YES),
    }
)
"""What an interruption leaves where no task was accepted."""


def _safe_to_submit_again(standing: Standing) -> SafeToSubmitAgain:
    if standing.phase is Phase.FAILED and standing.billing is Billing.NONE:
        return SafeToSubmitAgain.YES
    return SafeToSubmitAgain.UNKNOWN if standing.phase in ENDS - {Phase.SUCCEEDED} else SafeToSubmitAgain.NO


def _single_url(standing: Standing) -> str | None:
    urls = [asset.url for asset in assets_of(standing.result)] if standing.phase is Phase.SUCCEEDED else []
    return urls[0] if len(urls) == 1 else None


def _story_of(standing: Standing) -> str:
    spent = " → ".join(
        f"{phase} {seconds:.1f} s" for phase, seconds in standing.time_per_phase.items() if seconds >= SHORTEST_TOLD_S
    )
    polls = f"{standing.polls} poll{'' if standing.polls == 1 else 's'}"
    return " · ".join(part for part in (spent, polls, _OWED[standing.billing]) if part)


def _trouble_of(
    standing: Standing, problem: str | None, headline: str, next_command: str | None
) -> dict[str, Any] | None:
    """Say for machines why this is no success: what was asked for cannot be done, or the task failed."""
    if problem is None and standing.phase is not Phase.FAILED:
        return None
    return _error(
        "TaskFailed" if problem is None else "NotDone",
        headline,
        kind=standing.kind,
        try_again=standing.try_again,
        code=standing.code,
        message=standing.message,
        request_id=standing.request_id,
        next_command=next_command,
    )


def _without_token(error: ResilientPollError) -> str:
    # The token is six hundred characters; people get the command to type instead, machines their own field.
    token = error.resume_token if isinstance(error, TaskError) else None
    return str(error).replace(f" [resume token {token}]", "")


def _next_lines(next_command: str | None) -> tuple[str, ...]:
    return () if next_command is None else (f"  $ {next_command}",)


def _error(name: str, text: str, **more: Any) -> dict[str, Any]:
    values = dict.fromkeys(ERROR_WORDS)
    values.update(type=name, text=text, **more)
    return values
