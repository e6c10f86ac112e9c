"""What a batch prints of each job, and what its exit code is in the end. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from resilient_poll.cli.batch.jobs import Line
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.report import Report, printable

__all__ = ["Result", "exit_code_of", "result_of", "result_of_earlier_run", "summary_of"]

_MARKS = {ExitCode.SUCCEEDED: "✓", ExitCode.PARTLY: "!", ExitCode.STILL_GOING: "…"}
_FIRST = (ExitCode.IN_DOUBT, ExitCode.STILL_GOING, ExitCode.OTHER, ExitCode.THROTTLED)
"""If one of these is true of any job, somebody has to come back: in this order they are the exit code."""
_WORDS: Mapping[ExitCode, str] = {
    ExitCode.SUCCEEDED: "succeeded",
    ExitCode.PARTLY: "partly",
    ExitCode.FAILED: "failed",
    ExitCode.REFUSED: "refused",
    ExitCode.USAGE: "refused here",
    ExitCode.THROTTLED: "throttled or not reached",
    ExitCode.STILL_GOING: "still going",
    ExitCode.IN_DOUBT: "in doubt",
    ExitCode.OTHER: "unfinished",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one job.

    Attributes:
        line: The job.
        exit_code: What a command for it alone would have ended with.
        values: The JSON object's keys and values, but for the first three.
        is_resumed: Whether it is what an earlier run printed.
        headline: The same for people, in a line without the job's name.
    """

    line: Line
    exit_code: ExitCode
    values: Mapping[str, Any] = field(repr=False)
    is_resumed: bool = False
    headline: str = ""

    def as_json(self) -> str:
        """Return the line for machines."""
        first = {"id": self.line.id, "line": self.line.number, "resumed": self.is_resumed}
        return json.dumps({**first, **self.values})

    def for_people(self) -> str:
        """Return the line for people."""
        earlier = " (earlier run)" if self.is_resumed else ""
        return f"{_MARKS.get(self.exit_code, '✗')} {printable(self.line.label)}{earlier}: {self.headline}"


def result_of(line: Line, report: Report) -> Result:
    """Return what a report says of a job."""
    told = (*report.result, *report.notes, report.outcome)[0]
    # The mark is put before the job's name instead.
    headline = told[2:] if told[:2] in {"✓ ", "✗ ", "… ", "! "} else told
    if len(report.files) > 1:
        headline = f"{headline} in {', '.join(str(file) for file in report.files)}"
    return Result(line=line, exit_code=report.exit_code, values=report.values(), headline=headline)


def result_of_earlier_run(line: Line, values: Mapping[str, Any], exit_code: int) -> Result:
    """Return what an earlier run said of a job."""
    files = values.get("files") or []
    error = values.get("error") or {}
    said = ", ".join(map(str, files)) or str(error.get("text") or values.get("outcome"))
    return Result(line=line, exit_code=ExitCode(exit_code), values=values, is_resumed=True, headline=said)


def exit_code_of(codes: Mapping[ExitCode, int]) -> ExitCode:
    """Return the exit code of a batch.

    Args:
        codes: How many jobs ended with each.
    """
    found = {code for code, count in codes.items() if count}
    if found <= {ExitCode.SUCCEEDED}:
        return ExitCode.SUCCEEDED
    for code in _FIRST:
        if code in found:
            return code
    if found & {ExitCode.SUCCEEDED, ExitCode.PARTLY}:
        return ExitCode.PARTLY
    return ExitCode.FAILED if ExitCode.FAILED in found else ExitCode.REFUSED


def summary_of(codes: Mapping[ExitCode, int], total: int) -> str:
    """Return how many jobs ended in which way, in a line for people.

    Args:
        codes: How many jobs ended with each.
        total: How many there are.
    """
    counts = Counter({_WORDS[code]: count for code, count in codes.items() if count})
    told = [f"{counts[word]} {word}" for word in _WORDS.values() if counts[word]]
    if left := total - sum(codes.values()):
        told.append(f"{left} not over")
    return f"{total} job{'' if total == 1 else 's'}: {', '.join(told)}"
