"""Every ledger keeps what :mod:`resilient_poll.ledger.protocol` promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.ledger.testing import CHECKS, Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_memory_conforms(check: Check) -> None:
    """A ledger in memory does what any ledger must do."""
    check(MemoryLedger())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_sqlite_conforms(check: Check, tmp_path: Path) -> None:
    """A ledger in a file does what any ledger must do."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger:
        check(ledger)
