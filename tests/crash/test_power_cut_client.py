"""What a client promised of a submit is still there after a power cut, at each moment that matters to its caller."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from resilient_poll import Phase
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.sqlite import SqliteLedger, SqliteStore
from tests.ledger.power_cut import MISSING, disk_after, library, watched_disk
from tests.support.colours import COLOURS, INPUT, MODEL, dashscope_client, got, run_in
from tests.support.raw_server import RawRequest, RawServer, http_answer, json_answer

LIBRARY = library()
pytestmark = pytest.mark.skipif(LIBRARY is None, reason=MISSING)
in_each_colour = pytest.mark.parametrize("colour", COLOURS)
VIDEO = b"not a video, but whole"


@dataclass
class Cuts:
    """A service that cuts the power, so to speak, whenever a request comes; and so may the caller.

    Attributes:
        path: The ledger.
        folder: Where what is left after each cut is laid out.
        synced: What was last synced of each file.
        found: By moment, the entry as it is found after a cut at that moment.
    """

    path: Path
    folder: Path
    synced: dict[str, bytes]
    found: dict[str, Entry | None] = field(default_factory=dict)
    server: RawServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = RawServer.answering(self._answer)

    def cut(self, moment: str) -> None:
        """Look what is left if the power fails at this moment, the first time that it comes."""
        if moment in self.found:
            return
        left = disk_after(dict(self.synced), self.path, self.folder / f"cut-{len(self.found)}")
        with SqliteLedger(left) as ledger:
            entries = ledger.entries().entries
            self.found[moment] = ledger.get(entries[0].entry_id) if entries else None

    def _answer(self, request: RawRequest) -> bytes:
        if request.method == "POST":
            self.cut("the create has come")
            return json_answer(200, {"output": {"task_id": "task-1", "task_status": "RUNNING"}, "request_id": "r"})
        if "/tasks/" in request.path:
            self.cut("a query has come")
            made = {"task_id": "task-1", "task_status": "SUCCEEDED", "video_url": f"{self.server.url}/clip.mp4"}
            return json_answer(200, {"output": made, "request_id": "r"})
        self.cut("the download has come")
        return http_answer(200, VIDEO, {"content-type": "video/mp4"})


@pytest.fixture
def cuts(tmp_path: Path) -> Iterator[Cuts]:
    """A service and a ledger on a watched disk."""
    (tmp_path / "left").mkdir()
    with watched_disk(LIBRARY or "") as synced:
        cuts = Cuts(tmp_path / "ledger.sqlite3", tmp_path / "left", synced)
        with cuts.server:
            yield cuts


async def submit_and_hand_over(colour: str, cuts: Cuts) -> None:
    """Submit, and have a worker hand the end over to a handler that downloads."""
    clock = VirtualClock()
    options: dict[str, Any] = {"clock": clock if colour == "sync" else clock.for_async()}
    with SqliteLedger(cuts.path) as ledger:
        async with dashscope_client(colour, "own", cuts.server.url, ledger=ledger, **options) as client:
            await got(client.submit(MODEL, INPUT, idempotency_key="order 7"))
            cuts.cut("the caller has the id")

            def handle(handed: Any) -> Any:
                cuts.cut("the handler is called")
                assert handed.task is not None

            await got(client.worker(on_outcome=handle).run_until_idle())
            task = client.task("task-1")
            await got(task.wait())
            await got(task.download(cuts.path.parent / "clip.mp4"))
            cuts.cut("the file is there")


@in_each_colour
def test_what_a_caller_may_rely_on_survives_a_power_cut(colour: str, cuts: Cuts) -> None:
    """A create that left has its licence on the disk; an id, an end and a file that were told of are there, too."""
    run_in(colour, lambda: submit_and_hand_over(colour, cuts))
    found = cuts.found
    sent, known, ended, saved = (
        found[moment]
        for moment in ("the create has come", "the caller has the id", "the handler is called", "the file is there")
    )
    assert sent is not None
    assert (sent.phase, sent.sends, sent.key) == (Phase.SUBMITTING, 1, "order 7")
    assert known is not None
    assert (known.phase, known.task_id) == (Phase.RUNNING, "task-1")
    assert found["a query has come"] == known
    assert ended is not None
    assert (ended.phase, ended.task_id) == (Phase.SUCCEEDED, "task-1")
    assert ended.result is not None
    assert saved is not None
    assert [(file.sha256, file.size_bytes) for file in saved.files] == [(hashlib.sha256(VIDEO).hexdigest(), len(VIDEO))]


def test_a_ledger_that_does_not_sync_is_found_guilty(cuts: Cuts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: commits do not wait for the disk, and of a create that left, and may be billed, nothing is left."""
    genuine = SqliteStore._connect
    monkeypatch.setattr(SqliteStore, "_connect", lambda self, _: genuine(self, "NORMAL"))
    run_in("sync", lambda: submit_and_hand_over("sync", cuts))
    sent = cuts.found["the create has come"]
    assert sent is None or sent.phase is Phase.NEW
