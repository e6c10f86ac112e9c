"""What a check found, for machines: JSON, and JUnit's XML."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from fake_server.check.table import WORDS, evidence, explain
from fake_server.version import version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_server.check.examine import Report

REPORT_VERSION = 1


def summary(reports: Sequence[Report]) -> str:
    """How many passed, failed, and were not exercised; and how many are incomplete, where any is."""
    counts = {word: sum(report.verdict == word for report in reports) for word in WORDS}
    told = f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['NOT_EXERCISED']} not exercised"
    return f"{told}, {counts['INCOMPLETE']} incomplete" if counts["INCOMPLETE"] else told


def as_json(reports: Sequence[Report]) -> dict[str, Any]:
    """Everything, as JSON has it; the shape is that of `docs/driver.md`."""
    return {
        "report_version": REPORT_VERSION,
        "fake_version": version(),
        "summary": {word: sum(report.verdict == word for report in reports) for word in WORDS},
        "runs": [_as_json(report) for report in reports],
    }


def as_junit(reports: Sequence[Report]) -> bytes:
    """The runs as test cases of JUnit's XML, which CI systems show."""
    failures = sum(report.verdict == "FAIL" for report in reports)
    skipped = sum(report.verdict == "NOT_EXERCISED" for report in reports)
    errors = sum(report.verdict == "INCOMPLETE" for report in reports)
    took_s = sum(report.ended.took_s for report in reports if report.ended is not None)
    attributes = {"tests": str(len(reports)), "failures": str(failures), "skipped": str(skipped), "errors": str(errors)}
    suite = ET.Element("testsuite", {"name": "fake-dashscope check", "time": f"{took_s:.3f}", **attributes})
    for report in reports:
        seconds = "0" if report.ended is None else f"{report.ended.took_s:.3f}"
        case = ET.SubElement(
            suite,
            "testcase",
            {"classname": report.planned.dialect, "name": report.planned.scenario.name, "time": seconds},
        )
        if report.verdict == "INCOMPLETE":
            ET.SubElement(case, "error", {"message": _clean(report.reason or "incomplete")})
        elif report.verdict == "FAIL":
            failed = [row for row in report.rows if row.verdict == "FAIL"]
            told = [*(f"{row.name}: {explain(row)}" for row in failed), *evidence(failed, report)]
            message = f"{', '.join(row.name for row in failed)}: {explain(failed[0])}"
            ET.SubElement(case, "failure", {"message": _clean(message)}).text = _clean("\n".join(told))
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


def _clean(text: str) -> str:
    """Text without what no XML 1.0 can hold."""
    return "".join(
        letter for letter in text if letter in "\t\n\r" or " " <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd"
    )
