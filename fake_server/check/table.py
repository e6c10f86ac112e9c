"""What a check found, for people: a line for each run, what failed in it, what proves that, and what to mend first."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Final

from fake_server.check.judging import MEANINGS, OPEN_OR_WORSE
from fake_server.rules.conduct import RULES
from fake_server.scenario.model import COUNTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from rich.text import Text

    from fake_server.check.examine import Report
    from fake_server.rules.expectations import Judgement
    from fake_server.rules.journal import Entry

WORDS: Final = {"PASS": "PASS", "FAIL": "FAIL", "NOT_EXERCISED": "NOT EXERCISED", "INCOMPLETE": "INCOMPLETE"}
_STYLES: Final = {"PASS": "green", "FAIL": "bold red", "NOT_EXERCISED": "yellow", "INCOMPLETE": "bold yellow"}
_FAINT: Final = "dim"
_INDENT: Final = 6
# Texts are wrapped, and never into a column of a few letters.
_NARROWEST: Final = 24
# Of a command that failed, the last lines that it wrote tell why.
_LAST_LINES: Final = 5
_SHOWN_OF_AN_ID: Final = 8
_LONGEST_LINE: Final = 160


def print_table(reports: Sequence[Report], console: Console, *, verbose: bool) -> None:
    """Print what came of the runs.

    Args:
        reports: What came of the runs.
        console: Where to.
        verbose: Show each expectation, not only what failed.
    """
    for line in _table(reports, console.width, verbose=verbose):
        console.print(line, soft_wrap=True, highlight=False)


def explain(row: Judgement) -> str:
    """What was seen and what was expected, and the numbers of the lines that show it."""
    told = f"{row.actual}; expected: {row.expected}" if row.verdict == "FAIL" else row.actual
    return f"{told} ({', '.join(f'#{line}' for line in row.lines)})" if row.lines else told


def evidence(rows: Sequence[Judgement], report: Report) -> list[str]:
    """The lines of the journal that the rows name, each once, and the last words of a command that failed."""
    wanted = {line for row in rows for line in row.lines}
    shown = [_line(entry) for entry in report.entries if entry.ordinal in wanted]
    if report.ended is not None and any(row.name in ("ends", "outcome") and row.verdict == "FAIL" for row in rows):
        shown += [f"| {_printable(line)}".rstrip() for line in report.ended.errors.splitlines()[-_LAST_LINES:]]
    return shown


def _table(reports: Sequence[Report], width: int, *, verbose: bool) -> Iterator[Text]:
    from rich.text import Text  # noqa: PLC0415 - reports for machines need no terminal

    tells_dialect = len({report.planned.dialect for report in reports}) > 1
    ran = [report for report in reports if report.ended is not None]
    titles = {id(report): _title(report, tells_dialect=tells_dialect) for report in reports}
    longest = max((len(titles[id(report)]) for report in ran), default=0)
    column = max((len(WORDS[report.verdict]) for report in ran), default=0)
    for report in ran:
        assert report.ended is not None  # noqa: S101 - chosen above; for the type checker
        mark = (WORDS[report.verdict].ljust(column), _STYLES[report.verdict])
        why = f"  {report.reason}" if report.reason else ""
        yield Text.assemble(mark, f"  {titles[id(report)]:<{longest}}{report.ended.took_s:>6.1f} s{why}")
        yield from _rows(report, width, verbose=verbose)
    yield from _left_out([report for report in reports if report.ended is None], titles, width)
    yield from _most_frequent(ran, width)


def _rows(report: Report, width: int, *, verbose: bool) -> Iterator[Text]:
    """What failed in a run, or everything, with its proof below."""
    from rich.text import Text  # noqa: PLC0415 - as above

    rows = [row for row in report.rows if row.verdict in OPEN_OR_WORSE or (verbose and row.verdict == "PASS")]
    longest = max((len(row.name) for row in rows), default=0)
    for row in rows:
        word = (WORDS[row.verdict], _STYLES[row.verdict])
        mark = Text.assemble(" " * _INDENT, word, f" {row.name:<{longest}}  ")
        yield from _beside(mark, explain(row), width)
    idle = [row for row in report.rows if row.verdict == "NOT_EXERCISED"] if verbose else []
    if idle:
        names = ", ".join(f"{row.name} ({row.actual})" for row in idle)
        mark = Text.assemble(" " * _INDENT, (WORDS["NOT_EXERCISED"], _STYLES["NOT_EXERCISED"]), "  ")
        yield from _beside(mark, names, width)
    for line in evidence([row for row in rows if row.verdict == "FAIL"], report):
        yield Text(" " * (_INDENT + 2) + line, _FAINT)


def _left_out(reports: Sequence[Report], titles: dict[int, str], width: int) -> Iterator[Text]:
    """What was not run, by its reason."""
    from rich.text import Text  # noqa: PLC0415 - as above

    by_reason: dict[str, list[str]] = {}
    for report in reports:
        by_reason.setdefault(report.reason or "not run", []).append(titles[id(report)])
    for reason, names in by_reason.items():
        yield Text.assemble((WORDS["NOT_EXERCISED"], _STYLES["NOT_EXERCISED"]), f"  {reason}:")
        for line in textwrap.wrap(", ".join(names), max(_NARROWEST, width - _INDENT), break_on_hyphens=False):
            yield Text(" " * _INDENT + line)


def _most_frequent(ran: Sequence[Report], width: int) -> Iterator[Text]:
    """Which expectations failed, where more than one run did: one mistake of a client shows in many."""
    from rich.text import Text  # noqa: PLC0415 - as above

    failed = [report for report in ran if report.verdict == "FAIL"]
    if len(failed) < 2:
        return
    counts = Counter(row.name for report in failed for row in report.rows if row.verdict == "FAIL")
    longest = max(map(len, counts))
    yield Text()
    yield Text(f"What failed, and in how many of {len(ran)} runs:", "bold")
    for name, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        mark = Text.assemble(f"{count:>5}  ", (f"{name:<{longest}}", "bold"), "  ")
        yield from _beside(mark, {**COUNTS, **RULES, **MEANINGS}[name], width)


def _beside(mark: Text, text: str, width: int) -> Iterator[Text]:
    """A text beside its mark, its further lines below its first; below the mark where there is too little room."""
    from rich.text import Text  # noqa: PLC0415 - as above

    start = mark.cell_len
    if width - start < _NARROWEST:
        mark.rstrip()
        yield mark
        start = _INDENT + 2
        mark = Text(" " * start)
    lines = textwrap.wrap(text, max(_NARROWEST, width - start), break_on_hyphens=False) or [""]
    yield mark + Text(lines[0])
    for line in lines[1:]:
        yield Text(" " * start + line)


def _printable(line: str) -> str:
    """A line that a command wrote, short, and without what would move the cursor or change colours."""
    shown = "".join(letter if letter.isprintable() else " " for letter in line.expandtabs(4)[:_LONGEST_LINE])
    return f"{shown.rstrip()} …" if len(line) > _LONGEST_LINE else shown.rstrip()


def _title(report: Report, *, tells_dialect: bool) -> str:
    return report.planned.title if tells_dialect else report.planned.scenario.name


def _line(entry: Entry) -> str:
    """A line of the journal, short."""
    answered = str(entry.status) if entry.status else "cut"
    told = f", Retry-After: {entry.retry_after}" if entry.retry_after else ""
    struck = f"  [{entry.fault}]" if entry.fault else ""
    task = (entry.task_id or "")[:_SHOWN_OF_AN_ID]
    asked = f"{entry.method:<4} {entry.route:<6} {task:<8}"
    return f"#{entry.ordinal:<3} {entry.at_s:7.3f} s  {asked}  {answered}{told}{struck}"
