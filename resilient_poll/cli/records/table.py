"""The list of the ledger, as people read it: no id is cut, on 80 columns neither."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from resilient_poll.cli.records.durations import short_duration
from resilient_poll.cli.records.values import BILLING_WORDS, PHASE_STYLES, amount_of, file_of, warning_of
from resilient_poll.cli.report import printable
from resilient_poll.ledger.entry import Entry

__all__ = ["NARROWEST_TABLE", "lines_of", "table_of_entries"]

NARROWEST_TABLE = 150
"""Columns from which on an entry is one line: key, task and file have their full length there."""
_HEADINGS = ("KEY", "PHASE", "BILLING", "AMOUNT", "AGE")
_GAP = "  "
_WIDEST_KEY = 38
"""As wide as a task's id below it: a longer key is shown whole, and does not push the others' phases away."""


def table_of_entries(entries: Iterable[Entry], now_wall_s: float) -> Table:
    """Return a table of one line an entry, for wide terminals and for files.

    Args:
        entries: In the order in which they are shown.
        now_wall_s: When, in seconds since 1970.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("KEY", "TASK", "MODEL", "PHASE", "BILLING"):
        table.add_column(name, overflow="fold")
    table.add_column("AMOUNT", no_wrap=True, justify="right")
    table.add_column("AGE", no_wrap=True, justify="right")
    table.add_column("FILE", overflow="fold")
    for entry in entries:
        key, phase, billing, amount, age = _cells(entry, now_wall_s)
        task, model = Text(_shown(entry.task_id or "-")), Text(_shown(entry.about.get("model", "?")))
        warning = warning_of(entry, now_wall_s)
        last = Text(_shown(file_of(entry)))
        if warning is not None:
            last.append(f"{'  ' if last else ''}! {_shown(warning)}", style="yellow")
        table.add_row(key, task, model, phase, billing, amount, age, last)
    return table


def lines_of(entries: Iterable[Entry], now_wall_s: float, width: int) -> Iterator[Text]:
    """Yield the lines of a list for a narrow terminal: an entry has two, and a third if something is to be done.

    Args:
        entries: In the order in which they are shown.
        now_wall_s: When, in seconds since 1970.
        width: The columns of the terminal.
    """
    rows = [(entry, _cells(entry, now_wall_s)) for entry in entries]
    widths = [max([len(heading), *(cells[at].cell_len for _, cells in rows)]) for at, heading in enumerate(_HEADINGS)]
    # The key has what the others leave; a longer one has a line of its own.
    room = width - sum(widths[1:]) - len(_GAP) * (len(widths) - 1)
    widths[0] = max(len("KEY"), min(widths[0], room, _WIDEST_KEY))
    yield _line([Text(heading) for heading in _HEADINGS], widths, style="bold")
    for entry, cells in rows:
        if cells[0].cell_len > widths[0]:
            yield cells[0]
            cells = (Text(""), *cells[1:])  # noqa: PLW2901  # the key was shown
        yield _line(cells, widths)
        yield from _about(entry, width)
        if (warning := warning_of(entry, now_wall_s)) is not None:
            yield from _folded([f"! {word}" if not at else word for at, word in enumerate(warning.split(" "))], width)


def _shown(text: str) -> str:
    """Return text as a cell of one line."""
    return printable(text).replace("\n", "\\n")


def _cells(entry: Entry, now_wall_s: float) -> tuple[Text, Text, Text, Text, Text]:
    return (
        Text(_shown(entry.key) + (f" ({entry.attempt})" if entry.attempt > 1 else "")),
        Text(entry.phase, style=PHASE_STYLES.get(entry.phase, "bold red" if entry.is_ended else "")),
        Text(BILLING_WORDS[entry.billing]),
        Text(amount_of(entry.charge, entry.billing)),
        Text(short_duration(now_wall_s - entry.created_wall_s), style="dim"),
    )


def _line(cells: Sequence[Text], widths: Sequence[int], style: str = "") -> Text:
    line = Text(style=style)
    for at, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        padding = " " * max(0, width - cell.cell_len)
        is_number = _HEADINGS[at] in {"AMOUNT", "AGE"}
        line.append(_GAP if at else "")
        line.append(padding if is_number else "")
        line.append_text(cell)
        line.append("" if is_number else padding)
    line.rstrip()
    return line


def _about(entry: Entry, width: int) -> Iterator[Text]:
    parts = [entry.task_id or "no task id", entry.about.get("model", ""), file_of(entry)]
    words = [part for part in parts if part]
    pieces = [f"{'· ' if at else ''}{word}" for at, word in enumerate(words)]
    for line in _folded(pieces, width):
        line.stylize("dim")
        yield line


def _folded(pieces: Iterable[str], width: int) -> Iterator[Text]:
    """Yield lines of whole pieces, each line indented; a piece that is longer than a line has one to itself."""
    line = ""
    for piece in pieces:
        text = _shown(piece)
        if line and cell_len(line) + 1 + cell_len(text) > width:
            yield _styled(line)
            line = f"    {text}"
        else:
            line = f"{line} {text}" if line else f"  {text}"
    if line:
        yield _styled(line)


def _styled(line: str) -> Text:
    return Text(line, style="yellow" if line.startswith("  ! ") else "")
