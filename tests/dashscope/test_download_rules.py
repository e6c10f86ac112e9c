"""Where assets may come from, who is asked on the way, and what an expired URL leads to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import AsyncDashScope, ConfigurationError, DashScope, DownloadFailed
from resilient_poll.dashscope.saving.rules import LARGEST_ASSET_BYTES, AssetRules, DownloadProblem, asset_rules
from tests.dashscope.asset_hosts import ASSET_URL, TASK_ID, AssetHost, Fault, a_client
from tests.dashscope.scripted import Asked, Reply
from tests.dashscope.scripted import a_client as scripted_client
from tests.support.colours import COLOURS, got, run_in

each_colour = pytest.mark.parametrize("colour", COLOURS)
KEY = "sk-canary-key-0123456789"
FRESH = "https://assets.test/fresh.mp4?Signature=new"


def saved_or_not(colour: str, host: AssetHost, path: Path, **options: Any) -> tuple[Path, ...] | DownloadFailed:
    """Wait for the host's task, and download what it made."""

    async def main() -> tuple[Path, ...] | DownloadFailed:
        async with a_client(colour, host, **options) as client:
            task = client.task(TASK_ID)
            await got(task.wait())
            try:
                files: tuple[Path, ...] = await got(task.download_all(path))
            except DownloadFailed as error:
                return error
            return files

    return run_in(colour, main)


# Without TLS.


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://anywhere.test/x", True),
        ("HTTPS://anywhere.test/x", True),
        ("http://127.0.0.1:8080/x", True),
        ("http://127.9.9.9/x", True),
        ("http://[::1]:8080/x", True),
        ("http://[::ffff:127.0.0.1]/x", True),
        ("http://localhost/x", True),
        ("http://LOCALHOST./x", True),
        ("http://named.test/x", True),
        ("http://NAMED.test.:81/x", True),
        ("http://10.0.0.1/x", True),
        ("http://[fd00::1]/x", True),
        ("http://anywhere.test/x", False),
        ("http://sub.named.test/x", False),
        ("http://named.test.evil.test/x", False),
        ("http://localhost.evil.test/x", False),
        ("http://127.0.0.1.evil.test/x", False),
        ("http://10.0.0.2/x", False),
        ("http://0.0.0.0/x", False),
        ("https://user:secret@anywhere.test/x", False),
        ("https://user@anywhere.test/x", False),
        ("http://127.0.0.1@anywhere.test/x", False),
    ],
)
def test_only_named_hosts_are_asked_without_tls(url: str, is_allowed: bool) -> None:
    """An asset comes over TLS, from this machine, or from a host that was named; and nobody's name goes with it."""
    rules = asset_rules("https://api.test/v1", 10, ["named.test", "10.0.0.1", "fd00::1"])
    if is_allowed:
        rules.check_url(url)
    else:
        with pytest.raises(DownloadProblem) as caught:
            rules.check_url(url)
        assert "secret" not in str(caught.value)


@given(st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z][a-z0-9]{0,5}){0,2}", fullmatch=True))
def test_without_a_name_no_host_is_asked_without_tls(host: str) -> None:
    """No host name but ``localhost`` is allowed by itself, and each is where it was named."""
    if host != "localhost":
        with pytest.raises(DownloadProblem, match="anybody on the way"):
            AssetRules().check_url(f"http://{host}/x")
    asset_rules("https://api.test/v1", 10, [host.upper()]).check_url(f"http://{host}/x")


def test_a_service_without_tls_has_named_its_host() -> None:
    """Whoever sends the key to a host without TLS fetches assets from it, and from no other host."""
    rules = asset_rules("http://Fake.test:8080/api/v1", 10, [])
    rules.check_url("http://fake.test/w/x.mp4")
    with pytest.raises(DownloadProblem, match=r'insecure_asset_hosts=\["assets.test"\] allows that'):
        rules.check_url("http://assets.test/x.mp4")


@pytest.mark.parametrize("hosts", ["named.test", b"x", 5, None, {"a": "b"}, [5], ["http://x"], ["x:80"], [""], ["x/y"]])
def test_hosts_that_make_no_sense_are_refused(hosts: Any) -> None:
    """What is no list of host names is refused when the client is made, also a single text, which is one of letters."""
    for kind in (DashScope, AsyncDashScope):
        with pytest.raises(ConfigurationError, match="insecure_asset_hosts must"):
            kind(dialect="aisa", api_key=KEY, insecure_asset_hosts=hosts)


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "1", None])
def test_a_limit_that_makes_no_sense_is_refused(most: Any) -> None:
    """What is no number of bytes is refused when the client is made."""
    for kind in (DashScope, AsyncDashScope):
        with pytest.raises(ConfigurationError, match="largest_asset_bytes must"):
            kind(dialect="aisa", api_key=KEY, largest_asset_bytes=most)


@each_colour
def test_a_url_without_tls_is_not_asked(colour: str, tmp_path: Path) -> None:
    """An asset without TLS is refused before its host is asked, with the setting that allows it, and then is saved."""
    urls = (("http://assets.test/clip.mp4?Signature=hidden",),)
    host = AssetHost(urls=urls)
    error = saved_or_not(colour, host, tmp_path)
    assert isinstance(error, DownloadFailed)
    assert 'insecure_asset_hosts=["assets.test"]' in str(error)
    assert "hidden" not in str(error)
    assert (host.asked, list(tmp_path.iterdir())) == ([], [])
    assert saved_or_not(colour, AssetHost(urls=urls), tmp_path, insecure_asset_hosts={"assets.test"}) == (
        tmp_path / f"{TASK_ID}.mp4",
    )


@pytest.mark.parametrize(
    ("hops", "why"),
    [
        (["https://other.test/y", "http://other.test/x"], "redirects from https to http"),
        (["https://other.test/y", "https://me:word@other.test/x"], "a user's name"),
        (["https://other.test/y", "ftp://other.test/x"], "no URL"),
        (["http://127.0.0.1/x"], "redirects from https to http"),
    ],
)
@each_colour
def test_each_hop_is_checked(colour: str, hops: list[str], why: str, tmp_path: Path) -> None:
    """Each redirect is held to the rules that hold for the first URL, and who is not allowed is not asked."""
    asked: list[str] = []

    def answers(request: Asked) -> Reply:
        if request.path.startswith("/v1/"):
            return Reply(200, {"output": {"task_id": TASK_ID, "task_status": "SUCCEEDED", "video_url": ASSET_URL}})
        asked.append(request.path)
        assert "authorization" not in request.headers
        return Reply(302, b"", {"location": hops[len(asked) - 1]})

    async def main() -> DownloadFailed:
        async with scripted_client(colour, "httpx", answers) as client:
            task = client.task(TASK_ID)
            await got(task.wait())
            with pytest.raises(DownloadFailed, match=why) as caught:
                await got(task.download(tmp_path))
            return caught.value

    assert "word" not in str(run_in(colour, main))
    assert len(asked) == len(hops)
    assert list(tmp_path.iterdir()) == []


# An expired URL.


@pytest.mark.parametrize("status", [403, 404, 410])
@each_colour
def test_an_expired_url_is_asked_for_anew(colour: str, status: int, tmp_path: Path) -> None:
    """Where a URL leads nowhere any more, the task is asked once where its asset is by now, and that is fetched."""
    host = AssetHost(urls=((ASSET_URL,), (FRESH,)), gone={ASSET_URL: status})
    assert saved_or_not(colour, host, tmp_path) == (tmp_path / f"{TASK_ID}.mp4",)
    assert [url for url, _, _ in host.asked] == [ASSET_URL, FRESH]
    assert host.queries == 2


@each_colour
def test_a_url_that_expires_in_the_middle_is_gone_on_with(colour: str, tmp_path: Path) -> None:
    """Where the URL expires between a break and its resumption, the rest comes from the new one."""
    host = AssetHost((Fault(cut_after=100), Fault(status=403)), urls=((ASSET_URL,), (FRESH,)))
    (file,) = saved_or_not(colour, host, tmp_path) or ()  # type: ignore[misc]  # an error fails here
    assert file.read_bytes() == host.versions[0]
    assert host.asked[2] == (FRESH, "bytes=100-", '"v0"')


@each_colour
def test_it_is_asked_once(colour: str, tmp_path: Path) -> None:
    """Where the new URL leads nowhere either, that is said, and the task is not asked again and again."""
    host = AssetHost(urls=((ASSET_URL,), (FRESH,)), gone={ASSET_URL: 403, FRESH: 404})
    error = saved_or_not(colour, host, tmp_path)
    assert "HTTP 404" in str(error)
    assert "also after the task was asked anew" in str(error)
    assert (host.queries, len(host.asked), list(tmp_path.iterdir())) == (2, 2, [])


@each_colour
def test_one_question_serves_all_results(colour: str, tmp_path: Path) -> None:
    """Where several URLs expired, one question renews all of them; fewer results in its answer are not guessed at."""
    old = tuple(f"https://assets.test/{number}.png?old" for number in range(3))
    new = tuple(f"https://assets.test/{number}.png?new" for number in range(3))
    host = AssetHost(urls=(old, new), gone=dict.fromkeys(old, 403))
    assert len(saved_or_not(colour, host, tmp_path / "{index}.png")) == 3  # type: ignore[arg-type]  # an error fails here
    assert [url for url, _, _ in host.asked] == [old[0], *new]
    assert host.queries == 2
    fewer = AssetHost(urls=(old, new[:2]), gone=dict.fromkeys(old, 403))
    error = saved_or_not(colour, fewer, tmp_path / "other-{index}.png")
    assert "asked anew, names 2 results" in str(error)
    assert len(fewer.asked) == 3


@pytest.mark.parametrize("status", ["UNKNOWN", "RUNNING"])
@each_colour
def test_a_task_that_is_forgotten_keeps_its_answer(colour: str, status: str, tmp_path: Path) -> None:
    """Where the service knows the task no more, the error says what the old URL came to, and it stays paid."""
    host = AssetHost(gone={ASSET_URL: 403}, statuses=("SUCCEEDED", status))
    error = saved_or_not(colour, host, tmp_path)
    assert isinstance(error, DownloadFailed)
    assert "HTTP 403" in str(error)
    assert str(error.billing) == "BILLED"
    assert str(error.phase) == "SUCCEEDED"


@each_colour
def test_a_service_that_does_not_answer_is_said(colour: str, tmp_path: Path) -> None:
    """Where the service does not say where the asset is, the error says what its URL came to, and what was tried."""
    queries = 0

    def answers(request: Asked) -> Reply:
        nonlocal queries
        if not request.path.startswith("/v1/"):
            return Reply(403, b"<Error/>")
        queries += 1
        output = {"task_id": TASK_ID, "task_status": "SUCCEEDED", "video_url": ASSET_URL}
        return (
            Reply(200, {"output": output}) if queries == 1 else Reply(401, {"code": "InvalidApiKey", "message": "no"})
        )

    async def main() -> None:
        async with scripted_client(colour, "httpx", answers) as client:
            task = client.task(TASK_ID)
            await got(task.wait())
            with pytest.raises(DownloadFailed, match=r"HTTP 403.*also after the task was asked anew"):
                await got(task.download(tmp_path))

    run_in(colour, main)


@each_colour
def test_a_client_that_cannot_ask_is_said(colour: str, tmp_path: Path) -> None:
    """Where asking the task ends in an error of its own, the download's error names it."""

    def ask() -> None:
        raise ConfigurationError("the client is closed")

    async def ask_awaited() -> None:
        ask()

    async def main() -> None:
        async with a_client(colour, AssetHost(gone={ASSET_URL: 403})) as client:
            task = client.task(TASK_ID)
            await got(task.wait())
            task.refresh = ask if colour == "sync" else ask_awaited
            with pytest.raises(DownloadFailed, match=r"HTTP 403.*not be asked for another one \(ConfigurationError\)"):
                await got(task.download(tmp_path))

    run_in(colour, main)


@each_colour
def test_what_came_at_once_cannot_be_asked_for(colour: str, tmp_path: Path) -> None:
    """Of a result without a task nobody can ask for another URL, and the error says so."""

    def answers(request: Asked) -> Reply:
        if not request.path.startswith("/v1/"):
            return Reply(403, b"<Error/>")
        return Reply(200, {"request_id": "r", "output": {"results": [{"url": ASSET_URL}]}})

    async def main() -> None:
        async with scripted_client(colour, "httpx", answers) as client:
            made = await got(client.generate("qwen-image", {"messages": []}))
            with pytest.raises(DownloadFailed, match="without a task that could be asked for a new one") as caught:
                await got(client.download_all(made, tmp_path))
            assert caught.value.missing == (tmp_path / "r.mp4",)

    run_in(colour, main)


@each_colour
def test_a_failure_names_its_files(colour: str, tmp_path: Path) -> None:
    """The error holds the files that are on disk and those that are not, as paths."""
    urls = tuple(f"https://assets.test/{number}.png" for number in range(4))
    host = AssetHost(urls=(urls,), gone={urls[1]: 404, urls[3]: 404})
    error = saved_or_not(colour, host, tmp_path / "{index}.png")
    assert isinstance(error, DownloadFailed)
    assert error.saved == (tmp_path / "1.png", tmp_path / "3.png")
    assert error.missing == (tmp_path / "2.png", tmp_path / "4.png")
    assert sorted(tmp_path.iterdir()) == list(error.saved)


def test_the_default_limit_is_what_it_says() -> None:
    """Without a limit of the caller's, an asset may have four GiB."""
    assert LARGEST_ASSET_BYTES == 4 * 1024**3
    assert AssetRules().largest_bytes == LARGEST_ASSET_BYTES
