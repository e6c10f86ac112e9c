"""Several results come to disk each on its own: whole, apart from one another, and under names that no server makes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import Asset, ConfigurationError, DirectOutcome, DownloadFailed, TaskError
from resilient_poll.dashscope.direct import file_name_of
from resilient_poll.dashscope.saving.download import target_paths
from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import COLOURS, dashscope_client, got, run_in
from tests.support.properties import Property
from tests.support.raw_server import RawRequest, RawServer, http_answer, json_answer

TASK_ID = "11111111-2222-3333-4444-555555555555"
KEY = "sk-canary-key-0123456789"
PIXELS = bytes(range(256)) * 100
SOME_WAYS = [("sync", "own"), ("sync", "httpx2"), ("asyncio", "own"), ("asyncio", "httpx"), ("trio", "httpx2")]
each_way = pytest.mark.parametrize(("colour", "library"), SOME_WAYS)
each_colour = pytest.mark.parametrize("colour", COLOURS)
Serve = Callable[[RawRequest], bytes]


def good(request: RawRequest) -> bytes:
    return http_answer(200, request.path.encode() + PIXELS)


@contextlib.contextmanager
def studio(count: int, serve: Serve = good, *, extension: str = ".png", request_id: str = "r-1") -> Iterator[Any]:
    """Yield an API that makes some images, as a task and at once, and the host of the images."""
    with RawServer.answering(serve) as assets:
        urls = [f"{assets.url}/{number}{extension}" for number in range(1, count + 1)]

        def api_answer(request: RawRequest) -> bytes:
            output: dict[str, Any] = {"task_id": TASK_ID, "task_status": "SUCCEEDED"}
            output["results"] = [{"url": url} for url in urls]
            if request.method == "POST" and "x-dashscope-async" in request.headers:
                output = {"task_id": TASK_ID, "task_status": "PENDING"}
            elif request.method == "POST":
                output = {"choices": [{"message": {"content": [{"image": url}]}} for url in urls]}
            return json_answer(200, {"request_id": request_id, "output": output, "usage": {"image_count": count}})

        with RawServer.answering(api_answer) as api:
            yield api, assets


@contextlib.asynccontextmanager
async def a_client(colour: str, library: str, api: RawServer) -> AsyncIterator[Any]:
    clock = VirtualClock()
    options = {"clock": clock if colour == "sync" else clock.for_async()}
    async with dashscope_client(colour, library, api.url, **options) as client:
        yield client


async def finished(client: Any, endpoint: str = "text-to-image") -> Any:
    task = await got(client.submit("wanx", {"prompt": "a cat"}, endpoint=endpoint))
    await got(task.wait())
    return task


async def saver(client: Any, way: str) -> Callable[..., Any]:
    """Return what saves: a task's own method, or the client's for a result that came at once."""
    if way == "task":
        save: Callable[..., Any] = (await finished(client)).download_all
        return save
    outcome = await got(client.generate("qwen-image", {"messages": []}))
    return lambda path, **options: client.download_all(outcome, path, **options)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


both = pytest.mark.parametrize("way", ["task", "at once"])


@both
@each_way
def test_all_of_them_are_files(colour: str, library: str, way: str, tmp_path: Path) -> None:
    """Every result is a file of exactly its bytes, numbered in the order of the answer, and no host is told the key."""

    async def main() -> tuple[Path, ...]:
        async with a_client(colour, library, api) as client:
            saved: tuple[Path, ...] = await got((await saver(client, way))(tmp_path))
            return saved

    with studio(3) as (api, assets):
        saved = run_in(colour, main)
    stem = TASK_ID if way == "task" else "r-1"
    assert saved == tuple(tmp_path / f"{stem}-{number}.png" for number in (1, 2, 3))
    assert [file.read_bytes() for file in saved] == [f"/{n}.png".encode() + PIXELS for n in (1, 2, 3)]
    assert names(tmp_path) == sorted(file.name for file in saved)
    assert KEY.encode() not in b"".join(request.everything for request in assets.requests)


BROKEN: dict[str, tuple[bytes, str]] = {
    "gone": (http_answer(404), "HTTP 404"),
    "broken off": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\nzz\r\n", "RemoteProtocolError"),
    "a web page": (http_answer(200, b"<p>", {"content-type": "text/html"}), "a web page"),
    "empty": (http_answer(200), "is empty"),
    "a loop": (http_answer(302, b"", {"location": "/round-and-round.png"}), "redirects more than"),
}


@pytest.mark.thorough(plain=12)
@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("broken", [1, 2, 3])
@both
@each_colour
def test_one_that_fails_keeps_none_from_coming(colour: str, way: str, broken: int, what: str, tmp_path: Path) -> None:
    """One result that does not come leaves the others on disk, and the error says which, and why."""
    data, why = BROKEN[what]
    loop = "/round-and-round.png" if what == "a loop" else None

    def serve(request: RawRequest) -> bytes:
        return data if request.path in {f"/{broken}.png", loop} else good(request)

    async def main() -> DownloadFailed:
        async with a_client(colour, "own", api) as client:
            save = await saver(client, way)
            with pytest.raises(DownloadFailed) as caught:
                await got(save(tmp_path / "cat.{extension}"))
            return caught.value

    (tmp_path / f"cat-{broken}.png").write_bytes(b"an older cat")
    with studio(3, serve) as (api, _):
        error = run_in(colour, main)
    assert f"not all of what it made is saved: 1 of 3 are missing: cat-{broken}.png (" in str(error)
    assert why in str(error)
    there = [number for number in (1, 2, 3) if number != broken]
    assert "on disk: " + ", ".join(f"cat-{number}.png" for number in there) in str(error)
    for number in there:
        assert (tmp_path / f"cat-{number}.png").read_bytes() == f"/{number}.png".encode() + PIXELS
    assert (tmp_path / f"cat-{broken}.png").read_bytes() == b"an older cat"
    assert names(tmp_path) == ["cat-1.png", "cat-2.png", "cat-3.png"]
    assert str(error.billing) == "BILLED"
    assert not error.safe_to_submit_again


@each_colour
def test_many_that_fail_make_a_short_error(colour: str, tmp_path: Path) -> None:
    """Where a hundred results do not come, the first few are named and the others counted."""

    async def main() -> DownloadFailed:
        async with a_client(colour, "own", api) as client:
            with pytest.raises(DownloadFailed) as caught:
                await got((await saver(client, "task"))(tmp_path))
            return caught.value

    with studio(40, lambda _: http_answer(404)) as (api, _):
        error = run_in(colour, main)
    assert "40 of 40 are missing" in str(error)
    assert "and 35 more; on disk: none" in str(error)
    assert names(tmp_path) == []


@both
@each_colour
def test_when_the_time_is_up_no_other_is_begun(colour: str, way: str, tmp_path: Path) -> None:
    """Once the time for all of them is up, no connection is opened for the rest, and what came stays."""
    clock = VirtualClock()

    def serve(request: RawRequest) -> bytes:
        if request.path == "/2.png":
            clock.advance(100.0)
        return good(request)

    async def main() -> DownloadFailed:
        options = {"clock": clock if colour == "sync" else clock.for_async()}
        async with dashscope_client(colour, "own", api.url, **options) as client:
            save = await saver(client, way)
            with pytest.raises(DownloadFailed, match=r"3 of 4 are missing.*its time was up") as caught:
                await got(save(tmp_path / "cat.png", timeout=50.0))
            return caught.value

    with studio(4, serve) as (api, assets):
        run_in(colour, main)
    assert [request.path for request in assets.requests] == ["/1.png", "/2.png"]
    assert names(tmp_path) == ["cat-1.png"]


@each_colour
def test_one_download_is_of_one_result(colour: str, tmp_path: Path) -> None:
    """A download of one file is refused where several were made, before a host is asked, and says what does it."""

    async def main() -> None:
        async with a_client(colour, "own", api) as client:
            task = await finished(client)
            with pytest.raises(TaskError, match=r"made 3 results: download_all\(\) saves them"):
                await got(task.download(tmp_path))

    with studio(3) as (api, assets):
        run_in(colour, main)
        assert assets.requests == []


@each_colour
def test_a_folder_with_braces_is_that_folder(colour: str, tmp_path: Path) -> None:
    """A folder that is there is taken by its name, braces and all."""
    folder = tmp_path / "{task_id} {index} {extension}"
    folder.mkdir()

    async def main() -> None:
        async with a_client(colour, "own", api) as client:
            await got((await saver(client, "task"))(folder))

    with studio(2) as (api, _):
        run_in(colour, main)
    assert names(folder) == [f"{TASK_ID}-1.png", f"{TASK_ID}-2.png"]


@pytest.mark.thorough(plain=9)
@pytest.mark.parametrize(
    "hostile", ["../../evil", "/etc/evil", "..", ".", "a/b", "C:\\evil", "\u202egnp.exe", "x\ny", ""]
)
@each_colour
def test_a_server_makes_no_part_of_a_path(colour: str, hostile: str, tmp_path: Path) -> None:
    """A request's id that would lead out of the folder names a harmless file in it."""
    folder = tmp_path / "folder"
    folder.mkdir()

    async def main() -> tuple[Path, ...]:
        async with a_client(colour, "own", api) as client:
            saved: tuple[Path, ...] = await got((await saver(client, "at once"))(folder))
            return saved

    with studio(1, request_id=hostile) as (api, _):
        (saved,) = run_in(colour, main)
    assert saved.parent == folder
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.png", saved.name)
    assert names(tmp_path) == ["folder"]
    assert names(folder) == [saved.name]


@each_colour
def test_results_without_an_id_do_not_replace_one_another(colour: str, tmp_path: Path) -> None:
    """Two results whose requests have no id get two names in one folder."""

    async def main() -> None:
        async with a_client(colour, "own", api) as client:
            await got((await saver(client, "at once"))(tmp_path))

    for extension in (".png", "-other.png"):
        with studio(1, request_id="", extension=extension) as (api, _):
            run_in(colour, main)
    assert len(names(tmp_path)) == 2


@pytest.mark.thorough(plain=13)
@pytest.mark.parametrize("wrong", [None, 5, b"folder", 1.5, ["x"], object()], ids=lambda value: type(value).__name__)
@both
@each_colour
def test_what_is_no_path_is_refused(colour: str, way: str, wrong: Any) -> None:
    """What is no path is a usage error in one sentence, and no host is asked."""

    async def main() -> None:
        async with a_client(colour, "own", api) as client:
            save = await saver(client, way)
            with pytest.raises(ConfigurationError, match=r"the path must be.*nothing was sent"):
                await got(save(wrong))

    with studio(1) as (api, assets):
        run_in(colour, main)
        assert assets.requests == []


@pytest.mark.thorough(plain=13)
@pytest.mark.parametrize(
    "wrong", [None, "60", float("nan"), float("inf"), -1, 10**5000], ids=lambda v: type(v).__name__
)
@both
@each_colour
def test_a_time_that_makes_no_sense_is_refused(colour: str, way: str, wrong: Any, tmp_path: Path) -> None:
    """A time that never ends, or is none, is a usage error, and no host is asked."""

    async def main() -> None:
        async with a_client(colour, "own", api) as client:
            save = await saver(client, way)
            with pytest.raises(ConfigurationError, match=r"timeout must be.*nothing was sent"):
                await got(save(tmp_path, timeout=wrong))

    with studio(1) as (api, assets):
        run_in(colour, main)
        assert assets.requests == []


@pytest.mark.parametrize("wrong", [None, "r-1", {}, 5], ids=lambda value: type(value).__name__)
@each_colour
def test_only_what_was_made_at_once_is_saved_by_the_client(colour: str, wrong: Any, tmp_path: Path) -> None:
    """What ``generate()`` did not return is refused in one sentence."""

    async def main() -> None:
        async with a_client(colour, "own", api) as client:
            with pytest.raises(ConfigurationError, match=r"what generate\(\) returned"):
                await got(client.download_all(wrong, tmp_path))

    with studio(1) as (api, _):
        run_in(colour, main)


# Names, as a pure matter.

hostile = st.text(max_size=30) | st.sampled_from(
    ["..", "../x", "/etc/passwd", "a/b", "a\\b", "\x00", "{index}", "\ud800"]
)
assets_made = st.lists(
    st.builds(
        Asset,
        url=st.just("https://assets.test/x"),
        place=st.sampled_from(["output.video_url", "output.results[0].url", "output.results[1].transcription_url"]),
        extension=st.sampled_from([None, "png", "mp4"]),
    ),
    min_size=1,
    max_size=12,
)
templates = st.sampled_from(
    [
        *("cat", "cat.png", "cat.{extension}", "{task_id}.{extension}", "{index}", "{index}.png", "{task_id}"),
        *(
            "{extension}",
            "a/{index}/b.png",
            "{task_id}/{index}.x",
            ".hidden",
            "a.tar.gz",
            "{index}{index}",
            "x/../y.png",
        ),
    ]
)


def keeps_them_apart(task_id: str, made: list[Asset], template: str | None, default: str | None, folder: Path) -> None:
    path = folder if template is None else folder / "new" / template
    targets = target_paths(path, task_id, made, default)
    assert len(targets) == len(made)
    assert len(set(targets)) == len(made), "two results would get one name"
    for target in targets:
        assert str(target).startswith(str(folder))
        if template is None:
            assert target.parent == folder
        else:
            assert len(target.parts) == len(path.parts)
            assert ".." not in target.parts or "x/../y" in template
        assert "\x00" not in str(target)
        assert target.name not in {"", ".", ".."}


def test_no_two_results_get_one_name(tmp_path: Path) -> None:
    """Whatever the id, the template and the results, each gets a name of its own where the caller wants it."""
    prop(tmp_path).holds()


def prop(folder: Path) -> Property:
    return Property(
        keeps_them_apart,
        task_id=hostile,
        made=assets_made,
        template=st.none() | templates,
        default=st.sampled_from(["png", None]),
        folder=st.just(folder),
        examples=300,
    )


def test_names_that_a_server_makes_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the id gets into a name as it is."""
    monkeypatch.setattr("resilient_poll.dashscope.saving.download._NO_FILE_NAME", re.compile(r"(?!)"))
    prop(tmp_path).catches_the_planted_fault()


@pytest.mark.parametrize(
    ("place", "extension", "default", "expected"),
    [
        ("output.video_url", None, None, "mp4"),
        ("output.choices[0].message.content[0].image", None, None, "png"),
        ("output.results[0].transcription_url", None, None, "json"),
        ("output.results[0].url", None, None, "bin"),
        ("output.results[0].url", None, "png", "png"),
        ("output.results[0].url", "webp", "png", "webp"),
    ],
)
def test_the_extension_is_the_best_that_is_known(
    place: str, extension: str | None, default: str | None, expected: str, tmp_path: Path
) -> None:
    """The URL's extension goes before the endpoint's, and without either the answer's field tells, or nothing does."""
    (target,) = target_paths(tmp_path, "t", (Asset("https://x/y", place, extension),), default)
    assert target.name == f"t.{expected}"


@given(st.lists(st.sampled_from(["https://x/1", "https://x/2", "https://x/3"]), max_size=3))
def test_a_result_without_an_id_is_named_by_what_it_is(urls: list[str]) -> None:
    """Without a request's id, the name tells one result from another and is the same each time."""
    from resilient_poll import Billing  # noqa: PLC0415  # only here

    def outcome(these: list[str]) -> DirectOutcome:
        result = {"output": {"results": [{"url": url} for url in these]}}
        return DirectOutcome(request_id=None, billing=Billing.BILLED, attempts=1, result=result)

    assert file_name_of(outcome(urls)) == file_name_of(outcome(urls))
    assert file_name_of(outcome(urls)) != file_name_of(outcome([*urls, "https://x/4"]))
