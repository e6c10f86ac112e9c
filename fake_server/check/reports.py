"""What a check found, for people and for machines: a table, JSON, and JUnit's XML."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from fake_server.version import version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from fake_server.check.examine import Report
    from fake_server.rules.expectations import Judgement
    from fake_server.rules.journal import Entry

REPORT_VERSION = 1
_MARKS = {"PASS": "[green]PASS[/]", "FAIL": "[bold red]FAIL[/]", "NOT_EXERCISED": "[yellow]NOT EXERCISED[/]"}
# Of a command that failed, the last lines that it wrote tell why.
_LAST_LINES = 6


def print_table(reports: Sequence[Report], console: Console, *, verbose: bool) -> None:
    """Print a line for each run, and below it what failed, with the lines of the journal that prove it.

    Args:
        reports: What came of the runs.
        console: Where to.
        verbose: Show each expectation, not only what failed.
    """
    from rich.markup import escape  # noqa: PLC0415 - reports for machines need no terminal
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for report in reports:
        took = "" if report.ended is None else f"{report.ended.took_s:.1f} s"
        table.add_row(_MARKS[report.verdict], escape(report.planned.title), escape(report.reason or took))
        for row in report.rows:
            if verbose or row.verdict == "FAIL":
                table.add_row("", f"  {_MARKS[row.verdict]} {row.name}", escape(_explain(row, report)))
    console.print(table)


def summary(reports: Sequence[Report]) -> str:
    """How many passed, failed, and were not exercised."""
    counts = {word: sum(report.verdict == word for report in reports) for word in ("PASS", "FAIL", "NOT_EXERCISED")}
    return f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['NOT_EXERCISED']} not exercised"


def as_json(reports: Sequence[Report]) -> dict[str, Any]:
    """Everything, as JSON has it; the shape is that of `docs/driver.md`."""
    return {
        "report_version": REPORT_VERSION,
        "fake_version": version(),
        "summary": {word: sum(report.verdict == word for report in reports) for word in _MARKS},
        "runs": [_as_json(report) for report in reports],
    }


def as_junit(reports: Sequence[Report]) -> bytes:
    """The runs as test cases of JUnit's XML, which CI systems show."""
    failures = sum(report.verdict == "FAIL" for report in reports)
    skipped = sum(report.verdict == "NOT_EXERCISED" for report in reports)
    took_s = sum(report.ended.took_s for report in reports if report.ended is not None)
    attributes = {"tests": str(len(reports)), "failures": str(failures), "skipped": str(skipped), "errors": "0"}
    suite = ET.Element("testsuite", {"name": "fake-dashscope check", "time": f"{took_s:.3f}", **attributes})
    for report in reports:
        seconds = "0" if report.ended is None else f"{report.ended.took_s:.3f}"
        case = ET.SubElement(
            suite,
            "testcase",
            {"classname": report.planned.dialect, "name": report.planned.scenario.name, "time": seconds},
        )
        if report.verdict == "FAIL":
            failed = [f"{row.name}: {_explain(row, report)}" for row in report.rows if row.verdict == "FAIL"]
            ET.SubElement(case, "failure", {"message": _clean(failed[0])}).text = _clean("\n".join(failed))
        elif report.verdict == "NOT_EXERCISED":
            ET.SubElement(case, "skipped", {"message": _clean(report.reason or "not exercised")})
        if report.ended is not None:
            ET.SubElement(case, "system-out").text = _clean(report.ended.output)
            ET.SubElement(case, "system-err").text = _clean(report.ended.errors)
    ET.indent(suite)
    text: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return text


def _as_json(report: Report) -> dict[str, Any]:
    ended = report.ended
    return {
        "scenario": report.planned.scenario.name,
        "dialect": report.planned.dialect,
        "verdict": report.verdict,
        "reason": report.reason,
        "exit_code": None if ended is None else ended.exit_code,
        "took_s": None if ended is None else round(ended.took_s, 3),
        "bill": report.total,
        "expectations": [asdict(row) for row in report.rows],
        "journal": [asdict(entry) for entry in report.entries],
        "journal_lines_forgotten": report.forgotten,
        "output": "" if ended is None else ended.output,
        "errors": "" if ended is None else ended.errors,
    }


def _explain(row: Judgement, report: Report) -> str:
    """What was seen and expected, and the lines of the journal that show it; of a failed ending, its last words."""
    text = f"{row.actual}; expected {row.expected}"
    shown = [_line(entry) for entry in report.entries if entry.ordinal in row.lines]
    if row.verdict == "FAIL" and row.name in ("ends", "outcome") and report.ended is not None:
        shown += [f"| {line}" for line in report.ended.errors.splitlines()[-_LAST_LINES:]]
    return "\n".join([text, *shown])


def _line(entry: Entry) -> str:
    """A line of the journal, short."""
    answered = str(entry.status) if entry.status else "cut"
    struck = f" [{entry.fault}]" if entry.fault else ""
    return (
        f"{entry.ordinal}. {entry.at_s:.3f} s {entry.method} {entry.route} {entry.task_id or ''} -> {answered}{struck}"
    )


def _clean(text: str) -> str:
    """Text without what no XML 1.0 can hold."""
    return "".join(
        letter for letter in text if letter in "\t\n\r" or " " <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd"
    )
