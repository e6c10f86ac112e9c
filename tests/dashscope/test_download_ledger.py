"""What is on disk stands in the ledger with its hash, and is not fetched twice."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from resilient_poll import DownloadFailed, ResultAtOnce
from resilient_poll.dashscope.saving import order, saver_async
from resilient_poll.ledger.entry import Entry, SavedFile
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.dashscope.asset_hosts import ASSET_URL, TASK_ID, AssetHost, a_client
from tests.dashscope.ledger_clients import Watched, full, only_entry
from tests.dashscope.scripted import Asked, Reply
from tests.dashscope.scripted import a_client as scripted_client
from tests.dashscope.test_download_resume import a_ledger_with_the_task
from tests.support.colours import COLOURS, INPUT, MODEL, got, run_in

each_colour = pytest.mark.parametrize("colour", COLOURS)
VIDEO = AssetHost().versions[0]
SHA256 = hashlib.sha256(VIDEO).hexdigest()


def download(colour: str, host: AssetHost, ledger: Any, path: Path | str) -> Path:
    """Download with a new client, as after a restart."""

    async def main() -> Path:
        async with a_client(colour, host, ledger=ledger, account="team") as client:
            task = client.task(TASK_ID)
            await got(task.wait())
            saved: Path = await got(task.download(path))
            return saved

    return run_in(colour, main)


def files_of(ledger: Any) -> tuple[SavedFile, ...]:
    entry: Entry = only_entry(ledger)
    return entry.files


@each_colour
def test_what_is_saved_is_written_down(colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger holds where a file is, wherever the next process is started, its size and its hash."""
    monkeypatch.chdir(tmp_path)
    ledger = a_ledger_with_the_task()
    assert download(colour, AssetHost(), ledger, "clip.mp4") == Path("clip.mp4")
    assert files_of(ledger) == (SavedFile(str(tmp_path / "clip.mp4"), len(VIDEO), SHA256),)
    assert not only_entry(ledger).is_paid_and_not_saved


@each_colour
def test_what_is_on_disk_is_not_fetched_again(colour: str, tmp_path: Path) -> None:
    """A file that the ledger knows is checked by its hash and left as it is, also when its URL has expired long ago."""
    ledger = a_ledger_with_the_task()
    download(colour, AssetHost(), ledger, tmp_path / "clip.mp4")
    before = (tmp_path / "clip.mp4").stat()
    host = AssetHost(gone={ASSET_URL: 403})
    assert download(colour, host, ledger, tmp_path / "clip.mp4") == tmp_path / "clip.mp4"
    after = (tmp_path / "clip.mp4").stat()
    assert (host.asked, host.queries) == ([], 1)
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    download(colour, other := AssetHost(), ledger, tmp_path / "elsewhere.mp4")
    assert len(other.asked) == 1
    assert {Path(file.path).name for file in files_of(ledger)} == {"clip.mp4", "elsewhere.mp4"}


CHANGES = {
    "other bytes": lambda file: file.write_bytes(bytes(len(VIDEO))),
    "fewer bytes": lambda file: file.write_bytes(VIDEO[:-1]),
    "more bytes": lambda file: file.write_bytes(VIDEO + b"x"),
    "nothing": lambda file: file.unlink(),
}


@pytest.mark.parametrize("what", CHANGES)
@each_colour
def test_what_is_not_what_was_saved_is_fetched(colour: str, what: str, tmp_path: Path) -> None:
    """A file that is not what the ledger says, though it be of the same size, is fetched again and replaced."""
    ledger = a_ledger_with_the_task()
    file = download(colour, AssetHost(), ledger, tmp_path / "clip.mp4")
    CHANGES[what](file)
    download(colour, host := AssetHost(), ledger, file)
    assert len(host.asked) == 1
    assert file.read_bytes() == VIDEO
    assert files_of(ledger) == (SavedFile(str(file), len(VIDEO), SHA256),)


def test_a_file_of_another_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file whose size is not what it was, gigabytes need not be hashed to know that it is another one."""
    read: list[Path] = []
    monkeypatch.setattr(order, "sha256_of", lambda path: read.append(path) or SHA256)
    (tmp_path / "x").write_bytes(b"x" * 10)
    assert order.is_whole(SavedFile(str(tmp_path / "x"), 10, SHA256), tmp_path / "x")
    assert not order.is_whole(SavedFile(str(tmp_path / "x"), 11, SHA256), tmp_path / "x")
    assert len(read) == 1


@each_colour
def test_without_an_entry_everything_is_fetched(colour: str, tmp_path: Path) -> None:
    """Where the ledger does not know the task, nothing is recorded and each download fetches."""
    host, ledger = AssetHost(), MemoryLedger()
    for _ in range(2):
        download(colour, host, ledger, tmp_path / "clip.mp4")
    assert len(host.asked) == 2
    assert len(ledger.entries()) == 0


@pytest.mark.parametrize("call", ["by_task", "saved"])
@each_colour
def test_a_ledger_that_fails_loses_no_file(
    colour: str, call: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A ledger that cannot be read or written keeps no file from coming: that is logged, and the file is there."""
    ledger = Watched(a_ledger_with_the_task())
    host = AssetHost()

    async def main() -> None:
        async with a_client(colour, host, ledger=ledger, account="team") as client:
            task = client.task(TASK_ID)
            await got(task.wait())
            ledger.before[call] = full
            await got(task.download(tmp_path / "clip.mp4"))

    run_in(colour, main)
    assert (tmp_path / "clip.mp4").read_bytes() == VIDEO
    (said,) = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert "make room" in said
    assert "on disk" in said


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_nothing_that_waits_for_a_disk_runs_on_the_event_loop(
    colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger's calls, the bytes, the hash of a file that is there and the sweep run in other threads."""
    threads: list[int] = []

    def watched(name: str, owner: Any) -> None:
        genuine = getattr(owner, name)

        def call(*values: Any) -> Any:
            threads.append(threading.get_ident())
            return genuine(*values)

        monkeypatch.setattr(owner, name, call)

    for name in ("write", "keep", "start_over"):
        watched(name, saver_async.PartialFile)
    watched("is_whole", saver_async)
    watched("sweep", saver_async.Sweeper)
    ledger = Watched(a_ledger_with_the_task())
    for _ in range(2):
        download(colour, AssetHost(), ledger, tmp_path / "clip.mp4")
    assert len(threads) >= 4
    assert "saved" in ledger.names
    assert threading.get_ident() not in {*threads, *(thread for _, thread in ledger.calls)}


@each_colour
def test_the_ones_that_came_are_written_down(colour: str, tmp_path: Path) -> None:
    """Of several results those that came are recorded, and only the others are fetched when it is tried again."""
    urls = tuple(f"https://assets.test/{number}.png" for number in range(3))
    ledger = a_ledger_with_the_task()
    bad = AssetHost(urls=(urls,), gone={urls[1]: 404})

    async def main(host: AssetHost) -> None:
        async with a_client(colour, host, ledger=ledger, account="team") as client:
            task = client.task(TASK_ID)
            await got(task.wait())
            await got(task.download_all(tmp_path / "{index}.png"))

    with pytest.raises(DownloadFailed):
        run_in(colour, lambda: main(bad))
    assert [Path(file.path).name for file in files_of(ledger)] == ["1.png", "3.png"]
    good = AssetHost(urls=(urls,))
    run_in(colour, lambda: main(good))
    assert [url for url, _, _ in good.asked] == [urls[1]]
    (tmp_path / "2.png").unlink()
    with pytest.raises(DownloadFailed) as caught:
        run_in(colour, lambda: main(bad))
    assert caught.value.saved == (tmp_path / "1.png", tmp_path / "3.png")


@pytest.mark.parametrize(
    "name", ["clip \U0001f3ac.mp4", os.fsdecode(b"clip \xff.mp4"), "new\nline.mp4"], ids=["signs", "bytes", "lines"]
)
@each_colour
def test_odd_names_are_found_again(colour: str, name: str, tmp_path: Path) -> None:
    """A file whose name is no proper text is recorded, in a real ledger, and known again."""
    with SqliteLedger(tmp_path / "ledger.db") as ledger:

        def answers(request: Asked) -> Reply:
            if request.path == "/clip.mp4":
                fetched.append(request.path)
                return Reply(200, VIDEO)
            word = "PENDING" if request.method == "POST" else "SUCCEEDED"
            return Reply(200, {"output": {"task_id": "t-1", "task_status": word, "video_url": ASSET_URL}})

        async def main() -> None:
            async with scripted_client(colour, "httpx", answers, ledger=ledger) as client:
                for _ in range(2):
                    task = await got(client.submit(MODEL, INPUT, idempotency_key="order 7"))
                    await got(task.wait())
                    await got(task.download(tmp_path / name))

        fetched: list[str] = []
        run_in(colour, main)
        assert len(fetched) == 1
        (file,) = files_of(ledger)
        assert file.sha256 == SHA256


@each_colour
def test_a_name_that_no_system_has_is_said(colour: str, tmp_path: Path) -> None:
    """A name that cannot be spelt in the system's bytes is an error of the download, with a ledger, too."""
    with pytest.raises(DownloadFailed, match="no file can have that name"):
        download(colour, AssetHost(), a_ledger_with_the_task(), tmp_path / "\ud800.mp4")


@pytest.mark.parametrize("call", ["generate", "submit"])
@each_colour
def test_what_came_at_once_is_written_down_too(colour: str, call: str, tmp_path: Path) -> None:
    """A result without a task, also one that came where a task was asked for, is recorded, and known later."""
    fetched: list[str] = []

    def answers(request: Asked) -> Reply:
        if request.method == "GET":
            fetched.append(request.path)
            return Reply(200, VIDEO)
        return Reply(200, {"request_id": "r", "output": {"results": [{"url": ASSET_URL}]}, "usage": {"image_count": 1}})

    async def main() -> None:
        async with scripted_client(colour, "httpx", answers, ledger=ledger) as client:
            try:
                made = await got(getattr(client, call)(MODEL, INPUT, idempotency_key="order 7"))
            except ResultAtOnce as error:
                made = error.outcome
            await got(client.download_all(made, tmp_path))

    ledger = MemoryLedger()
    for _ in range(2):
        run_in(colour, main)
    assert len(fetched) == 1
    assert [file.sha256 for file in files_of(ledger)] == [SHA256]
    assert not only_entry(ledger).is_paid_and_not_saved
