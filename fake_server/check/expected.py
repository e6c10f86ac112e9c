"""Failures that are known: a file of them, so that only a new one, or one that is mended, is news."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from fake_server.check.examine import Report

# A line for each expectation of each scenario, several times over.
MOST_LINES = 10_000
LONGEST_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Known:
    """One failure that is known.

    Args:
        scenario: The scenario's name.
        expectation: What fails in it.
        dialect: In which dialect only, or None.
        line: Where it stands in the file, from 1.
    """

    scenario: str
    expectation: str
    dialect: str | None
    line: int

    def covers(self, report: Report, expectation: str) -> bool:
        """Whether this is that failure."""
        return (
            self.scenario == report.planned.scenario.name
            and self.expectation == expectation
            and self.dialect in (None, report.planned.dialect)
        )


class KnownFailuresError(ValueError):
    """The file cannot be read; the text says where and why."""


def read_known(path: Path) -> list[Known]:
    """Read a file of known failures: `scenario[/dialect] expectation  # reason`, one a line.

    Raises:
        KnownFailuresError: It cannot be read.
    """
    try:
        raw = path.read_bytes()[: LONGEST_FILE_BYTES + 1]
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise KnownFailuresError(f"cannot read {path}: {error}") from None
    if len(raw) > LONGEST_FILE_BYTES:
        raise KnownFailuresError(f"{path} is larger than {LONGEST_FILE_BYTES} bytes")
    known: list[Known] = []
    for number, line in enumerate(text.splitlines()[:MOST_LINES], 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2:
            raise KnownFailuresError(
                f"{path}:{number}: found {len(words)} words, expected a scenario and an expectation, such as "
                "'create-answer-lost create_once  # our client repeats it'"
            )
        scenario, _, dialect = words[0].partition("/")
        known.append(Known(scenario, words[1], dialect or None, number))
    return known


def news(reports: Iterable[Report], known: Sequence[Known]) -> tuple[list[str], list[str]]:
    """Compare what failed with what is known to fail.

    Args:
        reports: What came of the runs.
        known: The known failures.

    Returns:
        What failed and is not known, and what is known and did not fail, each in words. A known failure of a
        scenario that was not run is neither.
    """
    new: list[str] = []
    stale = {entry.line: entry for entry in known}
    ran: set[tuple[str, str | None]] = set()
    for report in reports:
        if report.ended is not None:
            ran |= {(report.planned.scenario.name, report.planned.dialect), (report.planned.scenario.name, None)}
        for row in report.rows:
            if row.verdict != "FAIL":
                continue
            covering = [entry for entry in known if entry.covers(report, row.name)]
            if not covering:
                new.append(f"{report.planned.title}: {row.name}")
            for entry in covering:
                stale.pop(entry.line, None)
    gone = [entry for entry in stale.values() if (entry.scenario, entry.dialect) in ran]
    return new, [f"line {entry.line}: {entry.scenario} {entry.expectation}" for entry in gone]
