"""What a command has to say at its end: lines for people, or one JSON object for machines. Prints nothing itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from resilient_poll.cli.exit_codes import ExitCode, verdict_on_phase
from resilient_poll.cli.made import NOTHING_MADE, Made, made_of
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.error_kinds import advice
from resilient_poll.errors import SafeToSubmitAgain, Standing, TryAgain
from resilient_poll.machine.lifecycle import ENDS, Billing, Phase

__all__ = [
    "ERROR_WORDS",
    "JSON_WORDS",
    "OWED",
    "Report",
    "error_words",
    "makes_nothing",
    "next_lines",
    "printable",
    "report_of_direct",
    "report_of_standing",
]

JSON_WORDS = (
    "outcome",
    "task_id",
    "idempotency_key",
    "status",
    "phase",
    "billing",
    "safe_to_submit_again",
    "polls",
    "time_per_phase",
    "resume_token",
    "request_id",
    "video_url",
    "file",
    "urls",
    "files",
    "failures",
    "result",
    "error",
)
"""The keys of every JSON object, in this order; a value that is not known is null, a list that is empty is []."""

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

OWED: Mapping[Billing, str] = MappingProxyType(
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
        key: What the ledger calls it.
        phase: Where things stand without a task.
        billing: What may be owed without a task.
        request_id: The service's id of the request, where there is no task.
        made: What was made.
        files: Where that is on disk.
        error: What went wrong, for machines.
        result: Lines for stdout.
        notes: Lines for stderr.
    """

    exit_code: ExitCode
    outcome: str
    safe_to_submit_again: SafeToSubmitAgain
    standing: Standing | None = None
    task_id: str | None = None
    key: str | None = None
    phase: Phase | None = None
    billing: Billing | None = None
    request_id: str | None = None
    made: Made = NOTHING_MADE
    files: tuple[Path, ...] = ()
    error: Mapping[str, Any] | None = None
    result: tuple[str, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)

    def as_json(self) -> str:
        """Return the one JSON object, in one line."""
        return json.dumps(self.values())

    def values(self) -> dict[str, Any]:
        """Return the JSON object's keys and values."""
        standing, urls = self.standing, self.made.urls
        values: dict[str, Any] = dict.fromkeys(JSON_WORDS)
        values.update(
            outcome=self.outcome,
            task_id=self.task_id,
            idempotency_key=self.key,
            phase=self.phase,
            billing=self.billing,
            safe_to_submit_again=self.safe_to_submit_again,
            request_id=self.request_id,
            video_url=urls[0] if len(urls) == 1 else None,
            file=str(self.files[0]) if len(self.files) == 1 else None,
            urls=urls,
            files=[str(file) for file in self.files],
            failures=self.made.failures_as_json,
            result=self.made.raw,
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
                request_id=standing.request_id,
            )
        return values


def report_of_standing(
    standing: Standing,
    *,
    verdict: tuple[ExitCode, str] | None = None,
    headline: str | None = None,
    files: tuple[Path, ...] = (),
    problem: str | None = None,
    next_command: str | None = None,
) -> Report:
    """Report where a task stands, as a result.

    Args:
        standing: Where it stands.
        verdict: Exit code and outcome, where they do not follow from the phase.
        headline: The first line; the service's word for where the task stands, unless given.
        files: Where what it made was saved.
        problem: Why this is not what was asked for; the lines then go to stderr.
        next_command: What to type next.
    """
    has_succeeded = standing.phase is Phase.SUCCEEDED
    made = made_of(standing.result) if has_succeeded else NOTHING_MADE
    code, outcome = verdict or (made.verdict if has_succeeded else verdict_on_phase(standing.phase))
    said = ": ".join(part for part in (standing.code, standing.message) if part)
    word = f"{standing.status or standing.phase}{f': {said}' if said else ''}"
    first, *more = _headlines(made, files, word) if problem is None and headline is None else [problem or headline]
    lines = [f"{_MARKS.get(code, '✗')} {first}", *more, f"  task {standing.task_id}", f"  {_story_of(standing)}"]
    if standing.kind is not None:
        lines.append(f"  {advice(standing.kind, standing.try_again, 'submit again')}")
    return Report(
        exit_code=code,
        outcome=outcome,
        safe_to_submit_again=_safe_to_submit_again(standing),
        standing=standing,
        made=made,
        files=files,
        error=(None if problem else _partly(made, next_command))
        or _trouble_of(standing, problem, first or word, next_command),
        result=tuple(lines) if problem is None else (),
        notes=(*(() if problem is None else lines), *next_lines(next_command)),
    )


def report_of_direct(outcome: DirectOutcome, *, files: tuple[Path, ...] = (), problem: str | None = None) -> Report:
    """Report a result that came without a task. There is nothing to come back to, so it shows all there is.

    Args:
        outcome: What came.
        files: Where it was saved.
        problem: Why it is not on disk, in a sentence.
    """
    made = made_of(outcome.result)
    code, word = made.verdict if problem is None else (ExitCode.OTHER, "download_failed")
    safe = SafeToSubmitAgain.YES if outcome.billing is Billing.NONE else SafeToSubmitAgain.NO
    shown = () if files else tuple(made.urls) or (() if made.failures else (json.dumps(made.raw),))
    first, *more = _headlines(made, files, "answered at once")
    about = f"  request {outcome.request_id or 'without an id'}, no task · {OWED[outcome.billing]}"
    return Report(
        exit_code=code,
        outcome=word,
        safe_to_submit_again=safe,
        phase=Phase.SUCCEEDED,
        billing=outcome.billing,
        request_id=outcome.request_id,
        made=made,
        files=files,
        error=_partly(made, None) if problem is None else error_words("NotSaved", problem, try_again=TryAgain.NO),
        result=(f"{_MARKS.get(code, '✗')} {first}", *more, *shown, about) if problem is None else shown,
        notes=() if problem is None else (f"✗ {problem}",),
    )


_MAKING_NOTHING = frozenset(
    {"wait", "status", "cancel", "download", "list", "completion"}
    | {"show", "resume", "reconcile", "bill", "archive", "work"}
)


def makes_nothing(words: list[str]) -> bool:
    """Tell whether a command line would make nothing, whatever becomes of it."""
    return bool(_MAKING_NOTHING & set(words[:1]))


def printable(text: str) -> str:
    """Return text that a terminal only shows: what a service says must not move its cursor or set its title."""
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1] for character in text
    )


_MARKS: Mapping[ExitCode, str] = MappingProxyType(
    {ExitCode.SUCCEEDED: "✓", ExitCode.STILL_GOING: "…", ExitCode.PARTLY: "!"}
)


def _safe_to_submit_again(standing: Standing) -> SafeToSubmitAgain:
    if standing.phase in {Phase.FAILED, Phase.SUCCEEDED} and standing.billing is Billing.NONE:
        return SafeToSubmitAgain.YES
    return SafeToSubmitAgain.UNKNOWN if standing.phase in ENDS - {Phase.SUCCEEDED} else SafeToSubmitAgain.NO


def _headlines(made: Made, files: tuple[Path, ...], word: str) -> list[str]:
    """Return the first line about a task, without its mark, and the lines of its files."""
    told = [f"{file}{_size_of(file)}" for file in files]
    if len(told) == 1 and not made.failures:
        return told
    many = str(made) if made.failures or told else word
    return [many, *(f"  {line}" for line in told)]


def _size_of(file: Path) -> str:
    try:
        return f" ({file.stat().st_size:,} bytes)"
    except OSError:
        return ""  # Moved away already, by whoever waits for it.


def _story_of(standing: Standing) -> str:
    spent = " → ".join(
        f"{phase} {seconds:.1f} s" for phase, seconds in standing.time_per_phase.items() if seconds >= SHORTEST_TOLD_S
    )
    polls = f"{standing.polls} poll{'' if standing.polls == 1 else 's'}"
    return " · ".join(part for part in (spent, polls, OWED[standing.billing]) if part)


def _partly(made: Made, next_command: str | None) -> dict[str, Any] | None:
    """Say for machines what failed inside a success."""
    if not made.failures:
        return None
    first = made.failures[0]
    return error_words(
        "PartlyFailed" if made.assets else "AllFailed",
        str(made),
        try_again=TryAgain.NO if made.assets else TryAgain.UNKNOWN,
        code=first.code,
        message=first.message,
        next_command=next_command,
    )


def _trouble_of(
    standing: Standing, problem: str | None, headline: str, next_command: str | None
) -> dict[str, Any] | None:
    """Say for machines why this is no success: what was asked for cannot be done, or the task failed."""
    if problem is None and standing.phase is not Phase.FAILED:
        return None
    return error_words(
        "TaskFailed" if problem is None else "NotDone",
        headline,
        kind=standing.kind,
        try_again=standing.try_again,
        code=standing.code,
        message=standing.message,
        request_id=standing.request_id,
        next_command=next_command,
    )


def next_lines(next_command: str | None) -> tuple[str, ...]:
    """Return the line that shows what to type next, if there is anything."""
    return () if next_command is None else (f"  $ {next_command}",)


def error_words(name: str, text: str, **more: Any) -> dict[str, Any]:
    """Return the object under ``error``; what is not given is null."""
    values: dict[str, Any] = dict.fromkeys(ERROR_WORDS)
    values.update(type=name, text=text, **more)
    return values
