"""What killed downloads leave behind is removed, and nothing else ever is."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resilient_poll.dashscope.saving import partial, sweeping
from resilient_poll.dashscope.saving.partial import STALE_S, PartialFile, sweep
from resilient_poll.dashscope.saving.sweeping import Sweeper
from resilient_poll.drive.clocks import VirtualClock
from tests.dashscope.asset_hosts import TASK_ID, AssetHost, a_client
from tests.support.colours import COLOURS, dashscope_client, got, run_in
from tests.support.raw_server import Connection, RawServer, http_answer, json_answer

ROOT = Path(__file__).parents[2]
LONG_AGO_S, NOW_S = 1_000_000.0, 1_000_000.0 + STALE_S + 1
A_WRITER = """
import sys
from pathlib import Path
from resilient_poll.dashscope.saving.partial import PartialFile
with PartialFile(Path(sys.argv[1])) as file:
    file.write(b"half a clip")
    print("writing", flush=True)
    sys.stdin.readline()
    file.keep()
    print("kept", flush=True)
"""


@contextmanager
def a_writer(target: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that is in the middle of writing a file."""
    command = [sys.executable, "-c", A_WRITER, str(target)]
    with subprocess.Popen(  # noqa: S603  # our own
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "writing\n"
            yield process
        finally:
            process.kill()


def part_in(folder: Path) -> Path:
    (part,) = (entry for entry in folder.iterdir() if entry.name.endswith(".part"))
    os.utime(part, (LONG_AGO_S, LONG_AGO_S))
    return part


def test_a_killed_writers_file_is_removed(tmp_path: Path) -> None:
    """What a killed process was writing is left under a name of its own, and removed once it was left for long."""
    with a_writer(tmp_path / "clip.mp4") as process:
        process.kill()
        process.wait()
    assert [entry.name for entry in tmp_path.iterdir()] == [part_in(tmp_path).name]
    assert sweep(tmp_path, LONG_AGO_S + STALE_S) == 0
    assert sweep(tmp_path, NOW_S) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_living_writers_file_stays(tmp_path: Path) -> None:
    """What a process is writing, also one that is stopped for long, is left to it, and it ends well."""
    with a_writer(tmp_path / "clip.mp4") as process:
        part_in(tmp_path)
        assert sweep(tmp_path, NOW_S) == 0
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        assert sweep(tmp_path, NOW_S + 1e9) == 0
        process.send_signal(signal.SIGCONT)
        said, _ = process.communicate("go on\n", timeout=60)
        assert said == "kept\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]
    assert (tmp_path / "clip.mp4").read_bytes() == b"half a clip"


def test_a_sweep_that_forgets_the_lock_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: without asking for the lock, a living writer's file is removed."""
    with PartialFile(tmp_path / "clip.mp4") as file:
        file.write(b"x")
        part_in(tmp_path)
        assert sweep(tmp_path, NOW_S) == 0
        monkeypatch.setattr(partial, "_lock", lambda _: True)
        assert sweep(tmp_path, NOW_S) == 1
        with pytest.raises(FileNotFoundError):
            file.keep()


def test_a_file_is_locked_until_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes a whole file for left behind in the moment before it has its name."""
    genuine, swept = Path.replace, []

    def replace(part: Path, target: Path) -> Path:
        part_in(tmp_path)
        swept.append(sweep(tmp_path, NOW_S))
        return genuine(part, target)

    monkeypatch.setattr(Path, "replace", replace)
    with PartialFile(tmp_path / "clip.mp4") as file:
        file.write(b"x")
        file.keep()
    assert swept == [0]
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]


def test_only_what_is_ours_is_removed(tmp_path: Path) -> None:
    """No other name, no folder, link or pipe of such a name, and nothing that was just written is ever removed."""
    ours = ".resilient-poll-{}.part"
    kept = ["clip.mp4", ".part", "x.part", ours.format("0" * 15), ours.format("g" * 16), "0" * 16 + ".part"]
    kept += [ours.format("0" * 16) + ".mp4", "x" + ours.format("1" * 16)]
    for name in kept:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ours.format("a" * 16)).mkdir()
    (tmp_path / ours.format("b" * 16)).symlink_to("clip.mp4")
    os.mkfifo(tmp_path / ours.format("c" * 16))
    for entry in tmp_path.iterdir():
        os.utime(entry, (LONG_AGO_S, LONG_AGO_S), follow_symlinks=False)
    (tmp_path / ours.format("d" * 16)).write_bytes(b"just now")
    before = sorted(tmp_path.iterdir())
    assert sweep(tmp_path, NOW_S) == 0
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "clip.mp4").read_bytes() == b"x"


def test_another_users_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another user is left alone, also by who might remove it."""
    with PartialFile(tmp_path / "clip.mp4"):
        left = part_in(tmp_path).name
    (tmp_path / left).write_bytes(b"")
    part_in(tmp_path)
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    assert sweep(tmp_path, NOW_S) == 0
    monkeypatch.setattr(os, "geteuid", lambda: mine)
    assert sweep(tmp_path, NOW_S) == 1


def test_where_files_cannot_be_locked_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without locks a file is written and named as ever, and none is ever removed."""

    def refuses(*_: object) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(partial.fcntl, "flock", refuses)
    with PartialFile(tmp_path / "clip.mp4") as file:
        file.write(b"x")
        part_in(tmp_path)
        assert sweep(tmp_path, NOW_S) == 0
        file.keep()
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_folder_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    """A folder that is not there, or is none, has nothing to remove."""
    (tmp_path / "file").touch()
    assert sweep(tmp_path / "none", NOW_S) == sweep(tmp_path / "file", NOW_S) == 0


def test_a_folder_is_looked_through_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client looks through a folder before its first download into it and hourly after, and not for ever."""
    looked: list[Path] = []
    monkeypatch.setattr(sweeping, "sweep", lambda folder, _: looked.append(folder) or 0)
    sweeper = Sweeper()
    for at_s in (0.0, 1.0, STALE_S - 1, STALE_S, STALE_S + 1):
        sweeper.sweep(tmp_path, at_s)
    assert looked == [tmp_path] * 2
    sweeper.sweep(tmp_path, 5.0)  # The clock was set back.
    assert len(looked) == 3
    for number in range(1000):
        sweeper.sweep(tmp_path / str(number), 5.0)
    assert len(sweeper._swept_wall_s) <= 256


@pytest.mark.parametrize("colour", COLOURS)
def test_a_download_removes_what_a_killed_one_left(
    colour: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The next download into the folder removes what was left there, and says so."""
    with a_writer(tmp_path / "clip.mp4") as process:
        process.kill()
        process.wait()
    part_in(tmp_path)

    async def main() -> None:
        async with a_client(colour, AssetHost()) as client:
            task = client.task(TASK_ID)
            await got(task.wait())
            await got(task.download(tmp_path / "clip.mp4"))

    with caplog.at_level(logging.INFO):
        run_in(colour, main)
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]
    assert "removed what 1 killed" in caplog.text


@pytest.mark.parametrize("colour", COLOURS)
def test_a_broken_line_is_gone_on_with_over_a_socket(colour: str, tmp_path: Path) -> None:
    """On a real socket, too, a connection that is reset in the middle costs only the rest that is asked for."""
    video, lock, asked = bytes(range(256)) * 4000, threading.Lock(), []

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            with lock:
                asked.append(request.headers.get("range"))
            if "range" not in request.headers:
                head = http_answer(200, b"", {"content-length": str(len(video)), "etag": '"v1"'})
                connection.send(head + video[:300_000])
                connection.socket.shutdown(1)
                return
            first = int(request.headers["range"].removeprefix("bytes=").removesuffix("-"))
            rest = {"content-range": f"bytes {first}-{len(video) - 1}/{len(video)}", "etag": '"v1"'}
            connection.send(http_answer(206, video[first:], rest))

    async def main() -> None:
        clock = VirtualClock()
        async with dashscope_client(
            colour, "own", api.url, clock=clock if colour == "sync" else clock.for_async()
        ) as client:
            task = client.task(TASK_ID)
            await got(task.wait())
            await got(task.download(tmp_path / "clip.mp4"))

    with RawServer(script) as assets:
        output = {"task_id": TASK_ID, "task_status": "SUCCEEDED", "video_url": f"{assets.url}/clip.mp4"}
        with RawServer.answering(lambda _: json_answer(200, {"output": output})) as api:
            run_in(colour, main)
    assert (tmp_path / "clip.mp4").read_bytes() == video
    assert asked == [None, "bytes=300000-"]
