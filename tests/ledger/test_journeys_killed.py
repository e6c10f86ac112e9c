"""Ledgers go the journeys that are written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.ledger.journeys.journeys import HERE, JOURNEYS, journey
from tests.support.written import must_be_as_written

HOW = "python -m tests.ledger.journeys"


@pytest.mark.parametrize("number", JOURNEYS)
def test_memory_goes_the_journeys_that_are_written_down(number: int) -> None:
    """The same acts bring the same entries, refusals, bills and lists in memory as when they were written down."""
    must_be_as_written(HERE / "told" / f"{number}.txt", journey(number, MemoryLedger()), HOW)


@pytest.mark.parametrize("number", JOURNEYS[::2])
def test_a_file_goes_the_journeys_that_are_written_down(number: int, tmp_path: Path) -> None:
    """The same acts bring the same entries, refusals, bills and lists in a file as in memory."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger:
        must_be_as_written(HERE / "told" / f"{number}.txt", journey(number, ledger), HOW)
