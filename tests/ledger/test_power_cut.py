"""What the ledger promised is still there after a power cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.rows import Durability
from resilient_poll.ledger.sqlite import SqliteLedger, SqliteStore
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.ledger.actor import HERE
from tests.ledger.power_cut import MISSING, disk_after, library, watched_disk

LIBRARY = library()
pytestmark = pytest.mark.skipif(LIBRARY is None, reason=MISSING)


@pytest.fixture
def synced() -> Iterator[dict[str, bytes]]:
    """What was last synced of each file."""
    with watched_disk(LIBRARY or "") as disk:
        yield disk


def found_after(synced: dict[str, bytes], path: Path, tmp_path: Path, torn_at: int | None = None) -> Entry | None:
    """Return the entry as it is found after a power cut."""
    number = len(list(tmp_path.iterdir()))
    with SqliteLedger(disk_after(synced, path, tmp_path / f"cut-{number}", torn_at=torn_at)) as ledger:
        return ledger.find(HERE, "key")


def test_what_is_money_survives_a_power_cut(synced: dict[str, bytes], tmp_path: Path) -> None:
    """Intents, licences, doubts, ids, ends and files are on the disk when the call returns."""
    path = tmp_path / "ledger.sqlite3"
    with SqliteLedger(path) as ledger, ledger.open_owner() as owner:
        entry = ledger.begin(HERE, "key", "digest", now_wall_s=1.0)
        assert found_after(synced, path, tmp_path) == entry
        licence = ledger.license(entry, owner, now_wall_s=2.0)
        assert licence is not None
        assert found_after(synced, path, tmp_path) == licence
        back = ledger.give_back(licence, not_before_wall_s=3.0, now_wall_s=2.0)
        assert found_after(synced, path, tmp_path) == back
        licence = ledger.license(back, owner, now_wall_s=3.0)
        assert licence is not None
        doubt = ledger.doubt(licence, "no answer", now_wall_s=4.0)
        assert found_after(synced, path, tmp_path) == doubt
        kept = ledger.accept(licence, "task-1", now_wall_s=5.0)
        assert found_after(synced, path, tmp_path) == kept
        # What comes after is written, and not promised: a cut of it must not harm what was.
        ledger.claim(HERE, "worker", for_s=60.0, now_wall_s=6.0)
        for torn_at in (None, 0, 1, 24, 600, 4119):
            found = found_after(synced, path, tmp_path, torn_at)
            assert found is not None
            assert (found.task_id, found.phase, found.sends) == ("task-1", Phase.QUEUED, 2)
        ended = ledger.observe(kept, phase=Phase.SUCCEEDED, billing=Billing.BILLED, result='{"a": 1}', now_wall_s=7.0)
        assert found_after(synced, path, tmp_path) == ended


def test_a_log_that_began_anew_loses_nothing(synced: dict[str, bytes], tmp_path: Path) -> None:
    """Also after the log was copied into the file and began anew, by the connection that does not sync."""
    path = tmp_path / "ledger.sqlite3"
    with SqliteLedger(path) as ledger, ledger.open_owner() as owner:
        licence = ledger.license(ledger.begin(HERE, "key", "digest", now_wall_s=1.0), owner, now_wall_s=2.0)
        assert licence is not None
        kept = ledger.accept(licence, "task-1", now_wall_s=3.0)
        for number in range(400):  # a few thousand pages: several times the length at which SQLite begins anew
            ledger._store.run(lambda rows, n=number: rows.set_setting(f"x{n}", "y" * 20_000), Durability.QUICK)  # type: ignore[misc]  # a default
        assert len(synced[str(path)]) > 100_000, "the log was copied"
        assert found_after(synced, path, tmp_path) == kept


def test_a_ledger_that_does_not_sync_is_caught(
    synced: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: the connection for money does not wait for the disk; the licence is lost, which a kill does not show."""
    genuine = SqliteStore._connect
    monkeypatch.setattr(SqliteStore, "_connect", lambda self, _: genuine(self, "NORMAL"))
    path = tmp_path / "ledger.sqlite3"
    with SqliteLedger(path) as ledger, ledger.open_owner() as owner:
        licence = ledger.license(ledger.begin(HERE, "key", "digest", now_wall_s=1.0), owner, now_wall_s=2.0)
        assert licence is not None
        found = found_after(synced, path, tmp_path)
        assert found is None or found.phase is Phase.NEW
