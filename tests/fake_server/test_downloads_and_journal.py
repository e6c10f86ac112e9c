"""Assets are served as object stores do, and nothing secret stays behind."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.engine import Reply, Request
from fake_server.rules.downloads import make_asset, sample, serve
from fake_server.rules.journal import MOST_CHARACTERS, Journal
from fake_server.scenario import Expect, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from tests.fake_server.driving import KEY, UNTIMED, Hand, header, lifecycle_scenario

if TYPE_CHECKING:
    from pathlib import Path

SIZE = len(sample("mp4").content)
DATE = "Sun, 15 Jun 2025 15:06:40 GMT"


def fetched(*headers: tuple[str, str], method: str = "GET") -> Reply:
    """The sample, asked for with headers."""
    return serve(sample("mp4"), Request(method, "/", "", headers, b"", ""), DATE)


def test_the_samples_are_real_media() -> None:
    """The mp4 starts with its index (so it plays while it loads), the png is a png; both are a few KB."""
    mp4, png = sample("mp4").content, sample("png").content
    assert mp4[4:8] == b"ftyp"
    assert mp4.index(b"moov") < mp4.index(b"mdat")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(png[16:20]) >= 64
    assert int.from_bytes(png[20:24]) >= 64
    assert max(len(mp4), len(png)) < 20_000


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed here")
def test_the_sample_plays() -> None:
    """ffprobe decodes the mp4: H.264, yuv420p, at least 64 by 64, at least a second."""
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height,pix_fmt,duration"]
    command += ["-of", "csv=p=0", "-"]
    run = subprocess.run(  # noqa: S603 - a fixed command
        command, input=sample("mp4").content, capture_output=True, check=True
    )
    codec, width, height, pixels, duration = run.stdout.decode().strip().split(",")
    assert (codec, pixels) == ("h264", "yuv420p")
    assert min(int(width), int(height)) >= 64
    assert float(duration) >= 1


@UNTIMED
@given(st.integers(0, SIZE - 1), st.integers(0, SIZE * 2))
def test_a_range_gives_those_bytes(first: int, last: int) -> None:
    """A satisfiable range gives 206 with exactly its bytes; the pieces of a file make the file."""
    content = sample("mp4").content
    reply = fetched(("range", f"bytes={first}-{last}"))
    if last < first:
        assert (reply.status, reply.body) == (200, content)
        return
    assert reply.status == 206
    assert reply.body == content[first : last + 1]
    assert header(reply, "content-range") == f"bytes {first}-{min(last, SIZE - 1)}/{SIZE}"
    rest = fetched(("range", f"bytes={min(last, SIZE - 1) + 1}-"))
    assert content[:first] + reply.body + rest.body == content
    assert rest.status == (206 if last < SIZE - 1 else 416)


@pytest.mark.parametrize(
    ("value", "status", "length"),
    [
        ("bytes=-10", 206, 10),
        (f"bytes=-{SIZE * 2}", 206, SIZE),
        ("bytes=-0", 416, 0),
        (f"bytes={SIZE}-", 416, 0),
        ("bytes=-", 200, SIZE),
        ("bytes=0-1,3-4", 200, SIZE),
        ("bites=0-1", 200, SIZE),
        ("bytes=a-b", 200, SIZE),
        ("bytes=0-" + "9" * 18, 206, SIZE),
        ("bytes=0-" + "9" * 100, 200, SIZE),
    ],
)
def test_ranges_of_every_kind(value: str, status: int, length: int) -> None:
    """Suffixes, open ends, unsatisfiable and unreadable ranges are answered as RFC 9110 says."""
    reply = fetched(("Range", value))
    assert (reply.status, len(reply.body)) == (status, length)
    assert header(reply, "content-length") == str(length)
    assert (header(reply, "content-range") == f"bytes */{SIZE}") == (status == 416)


@pytest.mark.parametrize(
    ("value", "body", "told"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=3-5", b"345", "bytes 3-5/10"),
        ("bytes=8-9", b"89", "bytes 8-9/10"),
        ("bytes=8-10", b"89", "bytes 8-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=9-", b"9", "bytes 9-9/10"),
        ("bytes=-1", b"9", "bytes 9-9/10"),
        ("bytes=-10", b"0123456789", "bytes 0-9/10"),
        ("bytes=-11", b"0123456789", "bytes 0-9/10"),
        ("BYTES=1-1", b"1", "bytes 1-1/10"),
        (" bytes=1-1 ", b"1", "bytes 1-1/10"),
        ("bytes=10-", b"", "bytes */10"),
        ("bytes=10-99", b"", "bytes */10"),
        ("bytes=5-4", b"0123456789", None),
    ],
)
def test_a_range_tells_the_first_and_the_last_byte_that_it_has(value: str, body: bytes, told: str | None) -> None:
    """`Content-Range` names the bytes that are sent, counted from zero, both included, and the size of the whole."""
    asset = make_asset(b"0123456789", "text/plain")
    reply = serve(asset, Request("GET", "/", "", (("range", value),), b"", ""), DATE)
    assert (reply.body, header(reply, "content-range")) == (body, told)
    assert header(reply, "content-length") == str(len(body))
    assert header(reply, "content-type") == "text/plain"


@pytest.mark.parametrize(
    ("extension", "media_type", "begins"),
    [("mp4", "video/mp4", b"\x00\x00\x00"), ("png", "image/png", b"\x89PNG"), ("glb", "model/gltf-binary", b"glTF")],
)
def test_each_sample_is_of_its_kind(extension: str, media_type: str, begins: bytes) -> None:
    """The sample of an extension has its media type and its first bytes, and no two of them the same validator."""
    asset = sample(extension)
    assert (asset.media_type, asset.content[: len(begins)]) == (media_type, begins)
    assert header(serve(asset, Request("GET", "/", "", (), b"", ""), DATE), "content-type") == media_type
    assert len({sample(other).etag for other in ("mp4", "png", "glb")}) == 3


def test_the_validator_is_the_digest_of_the_bytes() -> None:
    """An `ETag` is the MD5 of the content in capitals between quotes, as object stores have it."""
    reply = serve(make_asset(b"0123456789", "text/plain"), Request("GET", "/", "", (), b"", ""), DATE)
    assert header(reply, "etag") == '"781E5E245D69B566979B86E28D23F2C7"'


def test_validators_and_heads() -> None:
    """`If-Range` with another version gives everything; HEAD gives the headers of a GET and no body."""
    etag = header(fetched(), "etag")
    assert etag is not None
    assert fetched(("range", "bytes=0-0"), ("if-range", etag)).status == 206
    assert fetched(("range", "bytes=0-0"), ("if-range", '"other"')).status == 200
    head = fetched(method="HEAD")
    assert head.headers == fetched().headers
    assert head.body == b""
    assert header(head, "content-type") == "video/mp4"


def test_only_finished_tasks_of_this_world_have_assets(tmp_path: Path) -> None:
    """Unknown ids, unfinished tasks and other worlds are NoSuchKey; a picture is there beside the clip."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED", "RUNNING"))
    done, running = hand.created(), hand.created()
    for path in (f"/w/w1/assets/{running}.mp4", f"/w/w2/assets/{done}.mp4", "/w/w1/assets/x.mp4"):
        reply = hand.ask("GET", path, headers=())
        assert reply.status == 404
        assert b"<Code>NoSuchKey</Code>" in reply.body
    assert header(hand.ask("GET", f"/w/w1/assets/{done}.png", headers=()), "content-type") == "image/png"
    assert hand.ask("GET", f"/w/w1/assets/{done}.exe", headers=()).status == 404
    assert hand.ask("POST", f"/w/w1/assets/{done}.mp4", headers=()).status == 404


SECRET = "sk-0123456789abcdef0123456789abcdef"
OTHER_SECRET = "0123456789abcdef0123456789abcdef"


def test_the_journal_knows_what_happened_and_no_secret(tmp_path: Path) -> None:
    """A line has route, path, task, status and header names; no key, cookie or unknown query value."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    hand.headers = (("Authorization", f"Bearer {SECRET}"),)
    task_id = hand.created()
    hand.now_s = 1.5
    carried = (("Cookie", SECRET), ("X-Canary", SECRET), *hand.headers)
    hand.ask("GET", f"/w/w1/assets/{task_id}.mp4", f"token={SECRET}&api_key={SECRET}", headers=carried)
    hand.ask("GET", "/api/v1/tasks", f"task_id={SECRET}&page_no=1", headers=hand.headers)
    hand.ask("GET", f"/{SECRET}/x", headers=())
    hand.ask("GET", "/x", "&".join(["a=1"] * 200), headers=())
    create, asset, listed, stray, many = hand.engine.journal.entries
    assert (create.route, create.task_id, create.status, create.at_s) == ("create", task_id, 200, 0.0)
    assert create.carried_secret
    assert (asset.route, asset.task_id, asset.status, asset.at_s) == ("asset", task_id, 200, 1.5)
    assert asset.header_names == ("cookie", "x-canary", "authorization")
    assert asset.carried_secret
    assert asset.query == "token=***&api_key=***"
    assert listed.query == "task_id=***&page_no=1"
    assert stray.path == "/***/x"
    assert not stray.carried_secret
    assert many.query == "***"
    hand.headers = (("Authorization", f"Bearer {OTHER_SECRET}"),)
    hand.ask("GET", f"/api/v1/tasks/{OTHER_SECRET}", f"x{OTHER_SECRET}=1&status={OTHER_SECRET}")
    hand.ask("POST", f"/api/v1/tasks/{SECRET}/cancel")
    told = f"{hand.engine.journal.entries} {hand.engine.journal.counters} {hand.engine.bill(hand.now)}"
    assert SECRET[3:] not in told
    assert OTHER_SECRET not in told


@UNTIMED
@given(st.lists(st.tuples(st.text(max_size=400), st.text(max_size=400)), max_size=100), st.text(max_size=2000))
def test_a_line_of_the_journal_is_bounded(headers: list[tuple[str, str]], text: str) -> None:
    """However long a request's names, path and query are, its line stays short."""
    hand = Hand.on(lifecycle_scenario_once())
    hand.ask("GET", "/" + text, text, headers=(KEY, *headers))
    entry = hand.engine.journal.entries[0]
    assert max(len(entry.path), len(entry.query), *map(len, entry.header_names)) <= 300
    assert len(entry.header_names) <= 64


def lifecycle_scenario_once() -> Scenario:
    """A scenario without a file."""
    return Scenario("drawn", "Drawn.", (Lifecycle((Step("SUCCEEDED"),)),), Expect(("SUCCEEDED",)))


def test_the_text_of_a_journal_is_bounded() -> None:
    """Whatever long names a client invents, the lines of a world hold so much text and no more, the latest ones."""
    journal = Journal()
    for number in range(200):
        headers = tuple((f"{number}-{name}-" + "x" * 300, "") for name in range(64))
        request = Request("GET", "/" + "y" * 300, "", headers, b"", "")
        journal.add(request, at_s=0, route="query", task_id=None, status=200, fault=None, retry_after=None)
    text = sum(len(entry.path) + sum(map(len, entry.header_names)) for entry in journal.entries)
    assert 400_000 < text <= MOST_CHARACTERS
    assert journal.entries[-1].ordinal == 200
    assert journal.forgotten == 200 - len(journal.entries)
