"""A task that came beside its entry, as a stray: what becomes of it is not written over the entry's own task."""

from __future__ import annotations

from resilient_poll.dashscope.keeping.books import Books
from resilient_poll.dashscope.keeping.task_file import TaskFile
from resilient_poll.dashscope.wire.dialects import LIFECYCLE
from resilient_poll.ledger.entry import Namespace
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.machine import Billing, Instant, Phase, Poller, StatusSeen, TaskRecord, WaitPolicy

HERE = Namespace("https://api.test/v1", "dashscope", "main")
NOW = Instant(100.0, 1_750_000_100.0)


def test_the_end_of_a_stray_is_not_its_entrys() -> None:
    """An entry whose second sending failed stays unpaid and untold when the first one's task, come late, succeeds."""
    ledger = MemoryLedger()
    entry = ledger.begin(HERE, "order", "digest", {"model": "m"}, now_wall_s=NOW.wall_s)
    licence = ledger.license(entry, ledger.open_owner(), now_wall_s=NOW.wall_s)
    assert licence is not None
    held = ledger.accept(licence, "second", now_wall_s=NOW.wall_s)
    failed = ledger.observe(held, phase=Phase.FAILED, billing=Billing.NONE, now_wall_s=NOW.wall_s)
    record = TaskRecord.accepted("first", LIFECYCLE, NOW)
    file, poller = TaskFile(Books(ledger, HERE), failed, record), Poller(record, LIFECYCLE, WaitPolicy(), NOW)
    seen = StatusSeen(status="SUCCEEDED", result={"output": {"video_url": "https://assets.test/clip.mp4"}})
    write = file.to_write(poller, seen, NOW, lambda: "token")
    assert write is not None
    write()
    poller.receive(seen, NOW)
    note = file.to_hand_over(poller.record, NOW)
    assert note is not None
    note()
    assert ledger.get(failed.entry_id) == failed
