"""A download appears under its name only when it is whole, and goes to an asset host as a stranger."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import os
import resource
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from resilient_poll import DownloadFailed, TaskError
from resilient_poll.dashscope.saving.download import PartialFile, target_paths
from resilient_poll.dashscope.saving.rules import DownloadProblem, next_hop
from resilient_poll.dashscope.wire.results import Asset
from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import COLOURS, WAYS, dashscope_client, got, run_in
from tests.support.raw_server import Connection, RawServer, http_answer, json_answer

TASK_ID = "11111111-2222-3333-4444-555555555555"
KEY = "sk-canary-key-0123456789"
VIDEO = bytes(range(256)) * 4000
Script = Callable[[Connection], None]

# Every colour and every library, without every pair of them: what breaks here is decided in one place.
SOME_WAYS = [("sync", "own"), ("sync", "httpx2"), ("asyncio", "httpx"), ("trio", "own"), ("trio", "httpx2")]
each_way = pytest.mark.parametrize(("colour", "library"), WAYS)
each_colour = pytest.mark.parametrize("colour", COLOURS)


def sends(data: bytes) -> Script:
    def script(connection: Connection) -> None:
        while connection.read_request():
            connection.send(data)
            if b"content-length: 9999999" in data or b"transfer-encoding" in data:
                return

    return script


@contextlib.contextmanager
def asset_host(script: Script, path: str = "/clip.mp4") -> Iterator[tuple[RawServer, RawServer]]:
    """Yield an API whose task has succeeded, and the host of its asset."""
    with RawServer(script) as assets:
        output = {"task_id": TASK_ID, "task_status": "SUCCEEDED", "video_url": assets.url + path}
        with RawServer.answering(lambda _: json_answer(200, {"output": output})) as api:
            yield api, assets


@contextlib.asynccontextmanager
async def finished_task(colour: str, library: str, api: RawServer) -> AsyncIterator[Any]:
    clock = VirtualClock()
    async with dashscope_client(
        colour, library, api.url, clock=clock if colour == "sync" else clock.for_async()
    ) as client:
        task = client.task(TASK_ID)
        await got(task.wait(timeout=5.0))
        yield task


def download(colour: str, library: str, api: RawServer, path: Path | str) -> Path:
    async def main() -> Path:
        async with finished_task(colour, library, api) as task:
            saved: Path = await got(task.download(path))
            return saved

    return run_in(colour, main)


def refusal(colour: str, library: str, api: RawServer, path: Path) -> DownloadFailed:
    """Return how a download fails, after checking what every failure promises."""
    before = {entry.name: entry.read_bytes() for entry in path.parent.iterdir()} if path.parent.is_dir() else None
    with pytest.raises(DownloadFailed) as caught:
        download(colour, library, api, path)
    after = {entry.name: entry.read_bytes() for entry in path.parent.iterdir()} if path.parent.is_dir() else None
    assert after == before, "something half-written was left, or an existing file was touched"
    error = caught.value
    assert error.safe_to_submit_again == "no"
    assert error.task_id == TASK_ID
    assert TASK_ID in str(error)
    assert str(error.billing) == "BILLED"
    assert error.resume_token is not None
    return error


@each_way
def test_a_whole_asset_is_a_file(colour: str, library: str, tmp_path: Path) -> None:
    """A whole asset is a file of exactly its bytes, with an ordinary file's mode, and nothing lies beside it."""
    with asset_host(sends(http_answer(200, VIDEO))) as (api, assets):
        saved = download(colour, library, api, tmp_path / "clip.mp4")
    assert saved == tmp_path / "clip.mp4"
    assert saved.read_bytes() == VIDEO
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert saved.stat().st_mode == ordinary.stat().st_mode
    assert KEY.encode() not in b"".join(request.everything for request in assets.requests)


@each_colour
def test_a_folder_gets_a_file_of_the_tasks_name(colour: str, tmp_path: Path) -> None:
    """A folder as the target gets a file that is named after the task."""
    with asset_host(sends(http_answer(200, VIDEO))) as (api, _):
        saved = download(colour, "own", api, tmp_path)
    assert saved == tmp_path / f"{TASK_ID}.mp4"


@each_colour
def test_an_existing_file_is_replaced_by_a_whole_one(colour: str, tmp_path: Path) -> None:
    """A file of that name is replaced once the new one is whole."""
    (tmp_path / "clip.mp4").write_bytes(b"an older clip")
    with asset_host(sends(http_answer(200, VIDEO))) as (api, _):
        download(colour, "own", api, tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes() == VIDEO


BROKEN: dict[str, tuple[bytes, str]] = {
    "short": (http_answer(200, VIDEO[:100], {"content-length": "9999999"}), "RemoteProtocolError"),
    "short by chunks": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\nff\r\nxy",
        "RemoteProtocolError",
    ),
    "truncated gzip": (http_answer(200, gzip.compress(VIDEO)[:-9], {"content-encoding": "gzip"}), "broke off"),
    "bad gzip": (http_answer(200, VIDEO, {"content-encoding": "gzip"}), "gzip cannot be read"),
    "unasked encoding": (http_answer(200, VIDEO, {"content-encoding": "br"}), "not asked for"),
    "gone": (http_answer(403, b"<Error>Request has expired</Error>"), "may have expired"),
    "not found": (http_answer(404, b""), "may have expired"),
    "server error": (http_answer(500, b""), "HTTP 500"),
    "a part": (http_answer(206, VIDEO[:9], {"content-range": "bytes 0-8/100"}), "HTTP 206"),
    "nothing": (http_answer(204, b""), "HTTP 204"),
    "empty": (http_answer(200, b""), "is empty"),
    "a web page": (http_answer(200, b"<p>log in</p>", {"content-type": "Text/HTML; charset=utf-8"}), "a web page"),
    "nonsense": (b"FTP READY\r\n\r\n", "RemoteProtocolError"),
    "redirect to nowhere": (http_answer(302, b""), "no URL"),
    "redirect to a file": (http_answer(302, b"", {"location": "file:///etc/passwd"}), "no URL"),
    "redirect to an odd host": (http_answer(302, b"", {"location": "http://1.2.3.999/x"}), "URL"),
    "redirect to itself": (http_answer(302, b"", {"location": "/clip.mp4"}), "more than 5 times"),
}


@pytest.mark.thorough(plain=42)
@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize(("colour", "library"), SOME_WAYS)
def test_a_broken_asset_leaves_nothing(colour: str, library: str, what: str, tmp_path: Path) -> None:
    """Whatever is wrong with an asset, an existing file is kept, nothing is left beside it, and the error says why."""
    data, why = BROKEN[what]
    (tmp_path / "clip.mp4").write_bytes(b"an older clip")
    with asset_host(sends(data)) as (api, _):
        error = refusal(colour, library, api, tmp_path / "clip.mp4")
    assert why in str(error)


@each_way
def test_a_redirect_is_followed_without_credentials(colour: str, library: str, tmp_path: Path) -> None:
    """A redirect, also a relative one, is followed, and no host on the way is told the key."""
    hosts: list[RawServer] = []

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            if request.path == "/clip.mp4":
                connection.send(http_answer(307, b"", {"location": "relative/next"}))
            elif request.path == "/relative/next":
                connection.send(http_answer(301, b"", {"location": f"{hosts[0].url}/final"}))
            else:
                connection.send(http_answer(200, VIDEO))

    with RawServer(script) as last:
        hosts.append(last)
        with asset_host(script) as (api, assets):
            saved = download(colour, library, api, tmp_path / "clip.mp4")
    assert saved.read_bytes() == VIDEO
    assert [request.path for request in assets.requests + last.requests] == ["/clip.mp4", "/relative/next", "/final"]
    for request in assets.requests + last.requests:
        assert KEY.encode() not in request.everything
        assert "authorization" not in request.headers


@each_colour
def test_a_folder_that_does_not_exist_is_said(colour: str, tmp_path: Path) -> None:
    """A path that cannot be written is an error with the task's id, since the task is paid."""
    with asset_host(sends(http_answer(200, VIDEO))) as (api, _):
        error = refusal(colour, "own", api, tmp_path / "no such folder" / "clip.mp4")
    assert "No such file or directory" in str(error)


@pytest.mark.parametrize("name", ["n" * 300, "clip\x00.mp4"], ids=["too long", "a zero byte"])
@each_colour
def test_a_name_that_no_file_can_have_is_said(colour: str, name: str, tmp_path: Path) -> None:
    """A file name that the system refuses is an error of the download like any other."""
    with asset_host(sends(http_answer(200, VIDEO))) as (api, _):
        refusal(colour, "own", api, tmp_path / name)


@contextlib.contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Make the kernel refuse to write files beyond a size: as real as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 100_000, len(VIDEO) - 1])
@each_colour
def test_a_full_disk_leaves_nothing(colour: str, room: int, tmp_path: Path) -> None:
    """A disk that says no, at the first byte or the last, leaves the old file and nothing half-written."""
    (tmp_path / "clip.mp4").write_bytes(b"an older clip")
    with asset_host(sends(http_answer(200, VIDEO))) as (api, _), files_no_longer_than(room):
        error = refusal(colour, "own", api, tmp_path / "clip.mp4")
    assert "File too large" in str(error)


@each_colour
def test_nothing_to_download_is_no_request(colour: str, tmp_path: Path) -> None:
    """A task that has not been waited for has nothing to download, and no host is asked."""

    async def main() -> None:
        with asset_host(sends(http_answer(200, VIDEO))) as (api, assets):
            async with dashscope_client(colour, "own", api.url) as client:
                with pytest.raises(TaskError, match="nothing to download"):
                    await got(client.task(TASK_ID).download(tmp_path / "clip.mp4"))
            assert assets.requests == api.requests == []

    run_in(colour, main)


@each_way
def test_bytes_come_as_they_are_and_a_break_is_an_error(colour: str, library: str) -> None:
    """``iter_bytes`` yields the asset's bytes, and an asset that breaks off is an error after them, never an end."""

    async def main(data: bytes) -> bytes:
        received = b""
        with asset_host(sends(data)) as (api, _):
            async with finished_task(colour, library, api) as task:
                chunks = task.iter_bytes()
                try:
                    if colour == "sync":
                        for chunk in chunks:
                            received += chunk
                    else:
                        async for chunk in chunks:
                            received += chunk
                except DownloadFailed:
                    return received + b"BROKEN"
        return received

    assert run_in(colour, lambda: main(http_answer(200, VIDEO))) == VIDEO
    short = http_answer(200, VIDEO[:100], {"content-length": "9999999"})
    assert run_in(colour, lambda: main(short)) == VIDEO[:100] + b"BROKEN"


@each_way
def test_leaving_the_bytes_early_is_clean(colour: str, library: str) -> None:
    """Whoever stops reading in the middle leaves no connection, generator or warning behind."""

    async def main() -> None:
        with asset_host(sends(http_answer(200, VIDEO))) as (api, _):
            async with finished_task(colour, library, api) as task:
                if colour == "sync":
                    with contextlib.closing(task.iter_bytes()) as blocking:
                        assert next(iter(blocking))
                else:
                    async with contextlib.aclosing(task.iter_bytes()) as chunks:
                        assert await anext(chunks)

    run_in(colour, main)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_download_leaves_nothing(colour: str, tmp_path: Path) -> None:
    """A download whose waiting is cancelled in the middle leaves the old file and nothing half-written."""
    (tmp_path / "clip.mp4").write_bytes(b"an older clip")

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(http_answer(200, VIDEO, {"content-length": "9999999"}))
        connection.hang()

    async def main() -> None:
        with asset_host(script) as (api, _):
            async with finished_task(colour, "own", api) as task:
                # real: a download that hangs is cancelled after a moment
                if colour == "trio":
                    with trio.move_on_after(0.3) as scope:
                        await task.download(tmp_path / "clip.mp4")
                    assert scope.cancelled_caught
                else:
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(task.download(tmp_path / "clip.mp4"), 0.3)

    run_in(colour, main)
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]
    assert (tmp_path / "clip.mp4").read_bytes() == b"an older clip"


# What is pure is tested without a wire.


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("http://a/x/y", "z", "http://a/x/z"),
        ("http://a/x/y", "/z", "http://a/z"),
        ("http://a/x", "//b/z", "http://b/z"),
        ("https://a/x", "//b/z", "https://b/z"),
        ("https://a/x", "https://b/", "https://b/"),
    ],
)
def test_a_redirect_leads_where_a_browser_would_go(url: str, location: str, target: str) -> None:
    """Absolute, rooted and relative targets are resolved against the URL that sent them."""
    assert next_hop(url, 302, {"location": location}, 0) == target


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("url", "location"),
    [
        *(("https://a/x", location) for location in ("http://a/x", "http://b/x", "HTTP://b/x")),
        *(("http://a/x", location) for location in ("https://a/x", "https://b/x")),
    ],
)
def test_a_redirect_to_another_scheme_is_refused(status: int, url: str, location: str) -> None:
    """An asset that began under one scheme is not fetched under another, whatever the redirect's kind."""
    with pytest.raises(DownloadProblem, match=r"redirects from https? to https?"):
        next_hop(url, status, {"location": location}, 0)


@pytest.mark.parametrize("location", ["", "ftp://b/", "javascript:alert(1)", "http://", "http://[::1/", "data:,x"])
def test_a_redirect_to_no_url_is_refused(location: str) -> None:
    """What is no URL of the web is not followed."""
    with pytest.raises(DownloadProblem, match="no URL"):
        next_hop("https://a/x", 302, {"location": location}, 0)


def test_a_redirect_chain_ends() -> None:
    """Five redirects are followed and a sixth is not."""
    assert next_hop("http://a/x", 302, {"location": "/y"}, 4) == "http://a/y"
    with pytest.raises(DownloadProblem, match="more than 5"):
        next_hop("http://a/x", 302, {"location": "/y"}, 5)


def test_a_name_of_a_task_is_a_name_of_a_file(tmp_path: Path) -> None:
    """A task's id with a colon makes a file name that every system takes."""
    assert target_paths(tmp_path, "a:b", (Asset("https://x/y", "", None),), "mp4") == (tmp_path / "a_b.mp4",)


def test_a_file_that_was_not_opened_takes_nothing(tmp_path: Path) -> None:
    """Writing to, or keeping, a file outside its block is an error of the program."""
    file = PartialFile(tmp_path / "x")
    with pytest.raises(ValueError, match="not open"):
        file.write(b"")
    with pytest.raises(ValueError, match="not open"):
        file.start_over()
    with pytest.raises(ValueError, match="not open"):
        file.keep()


@each_colour
def test_what_is_no_file_is_not_replaced(colour: str, tmp_path: Path) -> None:
    """A pipe or a folder in the place of the file is refused before a byte comes, and stays."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "folder" / f"{TASK_ID}.mp4").mkdir(parents=True)
    with asset_host(sends(http_answer(200, VIDEO))) as (api, _):
        for target in (pipe, tmp_path / "folder"):
            with pytest.raises(DownloadFailed, match="no file that could be replaced"):
                download(colour, "own", api, target)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [entry.name for entry in (tmp_path / "folder").iterdir()] == [f"{TASK_ID}.mp4"]


@pytest.mark.parametrize("exists", [True, False])
@each_colour
def test_a_link_leads_to_the_file(colour: str, exists: bool, tmp_path: Path) -> None:
    """A symbolic link as the target stays one, and what it leads to gets the video, through another folder too."""
    (tmp_path / "elsewhere").mkdir()
    file, link = tmp_path / "elsewhere" / "clip.mp4", tmp_path / "link.mp4"
    if exists:
        file.write_bytes(b"an older clip")
    link.symlink_to("elsewhere/clip.mp4")
    with asset_host(sends(http_answer(200, VIDEO))) as (api, _):
        download(colour, "own", api, link)
    assert link.is_symlink()
    assert file.read_bytes() == VIDEO
    assert [entry.name for entry in (tmp_path / "elsewhere").iterdir()] == ["clip.mp4"]


def test_the_longest_legal_name_can_be_written(tmp_path: Path) -> None:
    """A name as long as names can be is one to save to: what lies beside it meanwhile is no longer."""
    target = tmp_path / ("n" * 251 + ".mp4")
    with PartialFile(target) as file:
        file.write(b"x")
        file.keep()
    assert target.read_bytes() == b"x"


def test_a_folder_that_cannot_be_made_durable_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that refuses to sync a folder is no failure: the video has its name by then."""
    real = os.fsync

    def refuses_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", refuses_folders)
    with PartialFile(tmp_path / "x") as file:
        file.write(b"x")
        file.keep()
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


@each_colour
def test_a_download_has_its_time(colour: str, tmp_path: Path) -> None:
    """A download that is not done in its time is given up, and nothing half-made is left."""

    async def main() -> None:
        with asset_host(sends(http_answer(200, VIDEO))) as (api, _):
            async with finished_task(colour, "own", api) as task:
                with pytest.raises(DownloadFailed, match="its time was up"):
                    await got(task.download(tmp_path / "clip.mp4", timeout=0.0))

    run_in(colour, main)
    assert list(tmp_path.iterdir()) == []


@each_colour
def test_a_path_that_ends_with_a_separator_is_a_folder(colour: str, tmp_path: Path) -> None:
    """A path that ends with a separator is made as a folder, and those around it; the file gets the task's name."""
    with asset_host(sends(http_answer(200, VIDEO))) as (api, _):
        saved = download(colour, "own", api, f"{tmp_path}/new/er/")
    assert saved == tmp_path / "new" / "er" / f"{TASK_ID}.mp4"
    assert saved.read_bytes() == VIDEO


@each_colour
def test_a_folder_that_cannot_be_made_is_said(colour: str, tmp_path: Path) -> None:
    """Where a folder cannot be made, the error names the paid task, and what stood in the way stays."""
    (tmp_path / "clips").write_bytes(b"an older clip")
    with asset_host(sends(http_answer(200, VIDEO))) as (api, _):
        for path in (f"{tmp_path}/clips/", f"{tmp_path}/clips/more/"):
            with pytest.raises(DownloadFailed, match="Not a directory"):
                download(colour, "own", api, path)
    assert (tmp_path / "clips").read_bytes() == b"an older clip"


def test_several_in_a_new_folder_get_numbers(tmp_path: Path) -> None:
    """In a folder that is made, several results are numbered, and a folder's name may hold the task's."""
    two = (Asset("https://x/y", "", None),) * 2
    assert target_paths(f"{tmp_path}/new/", "t", two, "png") == tuple(tmp_path / "new" / f"t-{n}.png" for n in (1, 2))
    targets = target_paths(f"{tmp_path}/of-{{task_id}}/", "t", two, "png")
    assert targets == tuple(tmp_path / "of-t" / f"t-{n}.png" for n in (1, 2))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["new", "of-t"]
    assert target_paths("a\x00b/", "t", two[:1], "png") == (Path("a\x00b/t.png"),)
