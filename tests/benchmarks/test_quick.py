"""The benchmarks run, and their table has its shape; what the figures are is not judged here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.figures import COLUMNS, Row, Scale, Spread, beside, table

ROOT = Path(__file__).parents[2]
RATIO = re.compile(r"\*\*\d+\.\d\d\*\* \(\d+\.\d\d to \d+\.\d\d\)")
# What one thing costs more than another may come out below zero where a machine is busy.
FIGURE = re.compile(r"-?[\d,.]+ (µs|ms|/s|KiB|MB|s|B|tasks|times)( \(-?[\d,.]+ to -?[\d,.]+\))?|\d+")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603  # our own


# It fetches a server from npm, and tests need no network; `python -m benchmarks fake-wrk --quick` is typed by hand.
@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize("name", sorted(set(BENCHMARKS) - {"fake-wrk"}))
def test_a_quick_run_makes_a_whole_table(name: str) -> None:
    """Each benchmark runs for real, and says where, with what, and a table of full rows with readable figures."""
    done = run("--quick", name)
    assert done.returncode == 0, done.stderr[-2000:]
    about, _, shown = done.stdout.partition("\n\n")
    assert "processors" in about
    assert "httpx 0." in about
    assert "quick run" in about
    head, line, *rows = [row.strip("|").split(" | ") for row in shown.strip().splitlines()]
    assert [cell.strip() for cell in head] == list(COLUMNS)
    assert len(line) == len(COLUMNS)
    assert rows or (name in {"fake-memory", "soak"} and sys.platform != "linux")
    for row in rows:
        what, ratio, ours, other, goal = (cell.strip() for cell in row)
        assert what
        assert FIGURE.fullmatch(ours), ours
        assert not other or FIGURE.fullmatch(other), other
        assert not ratio or RATIO.fullmatch(ratio), ratio
        assert not goal or goal.endswith((", reached", ", missed")), goal


def test_a_name_that_is_none_is_a_usage_error() -> None:
    """A mistyped benchmark is refused before anything is measured, with the names that there are."""
    done = run("per-pol")
    assert done.returncode == 2
    assert "there is no benchmark 'per-pol'; there are per-poll, " in done.stderr
    assert "measuring" not in done.stderr


def test_a_ratio_is_that_of_neighbours() -> None:
    """A machine that is ten times slower for a while changes neither the ratio nor its range."""
    row = beside("x / y", [1.1, 11.0, 1.1], [1.0, 10.0, 1.0], "µs", at_most=1.10)
    assert row.ratio is not None
    assert (row.ratio.low, row.ratio.high) == (pytest.approx(1.1), pytest.approx(1.1))
    assert beside("x / y", [2.0], [1.0], "/s", more_is_better=True).ratio == Spread(0.5, 0.5, 0.5)


@pytest.mark.parametrize(("ours", "is_reached"), [(1.09, True), (1.11, False)])
def test_a_goal_is_said_to_be_reached_or_missed(ours: float, is_reached: bool) -> None:
    """A row with a goal says whether its median reaches it."""
    row = beside("x", [ours], [1.0], "µs", at_most=1.10)
    assert row.is_reached is is_reached
    assert row.cells()[-1].endswith("reached" if is_reached else "missed")


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (0.01234, "0.0123"), (9.876, "9.88"), (123.4, "123"), (21_345.0, "21,300")]
)
def test_figures_have_three_digits(value: float, shown: str) -> None:
    """A figure shows three digits, as more are noise."""
    assert Spread(value, value, value).told() == shown


def test_a_table_is_markdown() -> None:
    """Every line of the table has as many cells as the head."""
    lines = table([Row("a", Spread(1.0, 0.5, 2.0), "s"), beside("b", [1.0], [2.0], "s", at_most=1.0)]).splitlines()
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 1}


def test_a_quick_run_is_a_small_one() -> None:
    """The quick scale takes the small number, the other one the large."""
    assert (Scale(is_quick=True).of(100, 1), Scale(is_quick=False).of(100, 1)) == (1, 100)
