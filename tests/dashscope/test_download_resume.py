"""What broke off is gone on with only where it surely is the same asset, and what is on disk is one asset, whole."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from resilient_poll import DownloadFailed
from resilient_poll.dashscope.saving import fetch
from resilient_poll.dashscope.saving.fetch import CHUNK_TIMEOUT_S, MOST_RESUMPTIONS, Fetch
from resilient_poll.dashscope.saving.rules import AssetRules, DownloadProblem
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.entry import Namespace
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.dashscope.asset_hosts import ASSET_URL, TASK_ID, AssetHost, Fault, a_client
from tests.support.colours import COLOURS, got, run_in
from tests.support.profiles import USUAL
from tests.support.properties import Property

each_colour = pytest.mark.parametrize("colour", COLOURS)
VERSIONS = tuple(random.Random(seed).randbytes(1200) for seed in range(3))  # noqa: S311  # no secret
CUT = Fault(cut_after=700)
STRONG = '"v0"'


class Downloaded:
    """What one download came to.

    Attributes:
        content: What is on disk; None for a failure.
        error: The failure.
        left: The names in the folder.
        sha256: What the ledger holds, if anything.
        slept_s: The pauses.
    """

    def __init__(self, folder: Path, error: DownloadFailed | None, ledger: MemoryLedger, clock: VirtualClock) -> None:
        self.error = error
        self.left = sorted(entry.name for entry in folder.iterdir())
        file = folder / "clip.mp4"
        self.content = file.read_bytes() if file.exists() else None
        self.slept_s = clock.slept_s
        (entry,) = ledger.entries()
        self.sha256 = [file.sha256 for file in entry.files]


def a_ledger_with_the_task() -> MemoryLedger:
    """Return a ledger that holds the task that hosts speak of."""
    ledger = MemoryLedger()
    namespace = Namespace("https://api.test:443/v1", "dashscope", "team")
    entry = ledger.begin(namespace, "order 7", "d" * 64, {}, now_wall_s=1.0)
    licence = ledger.license(entry, ledger.open_owner(), now_wall_s=1.0)
    assert licence is not None
    ledger.accept(licence, TASK_ID, phase=Phase.QUEUED, billing=Billing.NOT_YET, now_wall_s=1.0)
    return ledger


def download(colour: str, host: AssetHost, folder: Path, *, timeout: float = 1000.0, **options: Any) -> Downloaded:
    """Download the host's asset to ``clip.mp4`` of a folder."""
    ledger, clock = a_ledger_with_the_task(), VirtualClock()

    async def main() -> DownloadFailed | None:
        async with a_client(colour, host, clock, ledger=ledger, account="team", **options) as client:
            task = client.task(TASK_ID)
            await got(task.wait())
            try:
                await got(task.download(folder / "clip.mp4", timeout=timeout))
            except DownloadFailed as error:
                return error
            return None

    error = run_in(colour, main)
    return Downloaded(folder, error, ledger, clock)


PARTS = ["whole", "early", "short", "other total", "other version", "unsaid", "none"]
faults = st.one_of(
    st.builds(Fault, cut_after=st.integers(1, 1199)),
    st.builds(Fault, part=st.sampled_from(PARTS), cut_after=st.none() | st.integers(0, 1300)),
    st.builds(
        Fault,
        cut_after=st.none() | st.integers(0, 1300),
        breaks_before=st.sampled_from([False, False, False, True]),
        status=st.sampled_from([None, None, 500, 503, 429, 404, 206]),
        etag=st.sampled_from(["strong", "weak", "none"]),
        is_new_version=st.booleans(),
        says_length=st.booleans(),
        encoding=st.sampled_from([None, None, "gzip"]),
    ),
)


def one_asset_or_none(script: list[Fault], colours: tuple[str, ...]) -> None:
    said: list[Any] = []
    for colour in colours:
        with tempfile.TemporaryDirectory() as name:
            host = AssetHost(tuple(script), VERSIONS)
            done = download(colour, host, Path(name))
        if done.content is None:
            assert done.error is not None
            assert done.left == []
            assert done.sha256 == []
        else:
            assert done.error is None
            assert done.content in VERSIONS, "what is on disk is no asset that there ever was"
            assert done.left == ["clip.mp4"]
            assert done.sha256 == [hashlib.sha256(done.content).hexdigest()]
        for _, wanted, condition in host.asked:
            assert (wanted is None) == (condition is None), "a range without a condition"
            assert condition is None or condition.startswith('"v'), "a condition that is no strong validator"
        assert len(host.asked) <= 2 * (MOST_RESUMPTIONS + 1), "for ever"
        said.append((done.content, str(done.error), host.asked, done.slept_s))
    assert all(one == said[0] for one in said)


def test_what_is_on_disk_is_one_asset() -> None:
    """Whatever a host answers, the file is one version of the asset, whole, in every colour alike, or there is none."""
    prop(examples=150).holds()


def prop(examples: int = USUAL, colours: tuple[str, ...] = ("sync", "asyncio")) -> Property:
    return Property(one_asset_or_none, script=st.lists(faults, max_size=6), colours=st.just(colours), examples=examples)


PLANTED = {
    "any part is taken": ("_rest", "is_ours = first", "is_ours = True or first"),
    "a part of any version is taken": ("_rest", "== self._validator\n", "!= ''\n"),
    "the length is not checked": ("check_whole", "self.size != self._total", "False"),
    "weak validators do": ("_whole", "_STRONG_VALIDATOR.fullmatch(validator)", "validator"),
    "what is in hand is kept": ("_whole", "Step.START_OVER if starts_over else", ""),
}


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize("what", PLANTED)
def test_a_careless_resumption_is_caught(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: each rule of resumption is left out in turn."""
    name, genuine, fault = PLANTED[what]
    source = inspect.cleandoc("\n" + inspect.getsource(getattr(Fetch, name)))
    assert source.count(genuine) == 1
    scope = dict(vars(fetch))
    exec(source.replace(genuine, fault), scope)  # noqa: S102  # our own source
    monkeypatch.setattr(Fetch, name, scope[name])
    prop(colours=("sync",)).catches_the_planted_fault()


@each_colour
def test_the_rest_is_asked_for(colour: str, tmp_path: Path) -> None:
    """Under a strong validator only the missing bytes are asked for, on the condition that it is the same asset."""
    host = AssetHost((CUT, Fault(cut_after=100)), VERSIONS)
    done = download(colour, host, tmp_path)
    assert done.content == VERSIONS[0]
    ranges = [(None, None), ("bytes=700-", STRONG), ("bytes=800-", STRONG)]
    assert [(wanted, condition) for _, wanted, condition in host.asked] == ranges
    assert done.slept_s == [0.5, 1.0]


@pytest.mark.parametrize("etag", ["weak", "none"])
@each_colour
def test_without_a_strong_validator_it_starts_over(colour: str, etag: str, tmp_path: Path) -> None:
    """Where no strong validator names the version, everything is asked for again, and no range."""
    host = AssetHost((Fault(cut_after=700, etag=etag),) * 2, VERSIONS)
    done = download(colour, host, tmp_path)
    assert done.content == VERSIONS[0]
    assert [wanted for _, wanted, _ in host.asked] == [None] * 3


@pytest.mark.parametrize("part", [part for part in PARTS if part != "short"])
@each_colour
def test_another_part_is_not_taken(colour: str, part: str, tmp_path: Path) -> None:
    """An answer that is not just the missing part of the same asset makes it start over, and ends as one asset."""
    host = AssetHost((CUT, Fault(part=part)), VERSIONS)
    done = download(colour, host, tmp_path)
    assert done.content == VERSIONS[0]
    assert host.asked[1][1] == "bytes=700-"
    assert len(host.asked) == (2 if part == "whole" else 3)
    assert part == "whole" or host.asked[2][1] is None


@each_colour
def test_another_version_is_another_asset(colour: str, tmp_path: Path) -> None:
    """Where the asset was replaced in between, all of the new one is saved, and nothing of the old."""
    host = AssetHost((CUT, Fault(is_new_version=True)), VERSIONS)
    assert download(colour, host, tmp_path).content == VERSIONS[1]
    assert host.asked[1][1:] == ("bytes=700-", STRONG)


@each_colour
def test_what_came_packed_starts_over(colour: str, tmp_path: Path) -> None:
    """Where a content encoding was applied all the same, a place in it means nothing, and no range is asked for."""
    host = AssetHost((Fault(cut_after=700, encoding="gzip"), Fault(encoding="gzip")), VERSIONS)
    assert download(colour, host, tmp_path).content == VERSIONS[0]
    assert [wanted for _, wanted, _ in host.asked] == [None, None]


@each_colour
def test_a_part_that_is_packed_is_not_taken(colour: str, tmp_path: Path) -> None:
    """The rest of the packed form is not the rest of the asset."""
    host = AssetHost((CUT, Fault(encoding="gzip")), VERSIONS)
    assert download(colour, host, tmp_path).content == VERSIONS[0]
    assert [wanted for _, wanted, _ in host.asked] == [None, "bytes=700-", None]


@each_colour
def test_what_cannot_be_unpacked_is_not_asked_for_again(colour: str, tmp_path: Path) -> None:
    """An encoding that nobody asked for and that is not undone ends the download at once."""
    host = AssetHost((Fault(encoding="br"),) * 9, VERSIONS)
    assert "packs it as 'br', which was not asked for" in str(download(colour, host, tmp_path).error)
    assert len(host.asked) == 1


@each_colour
def test_a_resumption_begins_where_the_asset_was_said_to_be(colour: str, tmp_path: Path) -> None:
    """A resumption follows the redirects anew from the first URL, and counts them anew."""
    hops = [ASSET_URL, *(f"https://assets.test/{number}" for number in range(5))]
    redirects = dict(itertools.pairwise(hops))
    host = AssetHost((*(Fault(),) * 5, CUT), VERSIONS, redirects=redirects)
    assert download(colour, host, tmp_path).content == VERSIONS[0]
    assert [url for url, _, _ in host.asked] == hops * 2


@pytest.mark.parametrize("fault", [CUT, Fault(status=503), Fault(breaks_before=True)])
@each_colour
def test_it_is_given_up_in_the_end(colour: str, fault: Fault, tmp_path: Path) -> None:
    """A host that never brings anything new is asked a bounded number of times, with growing pauses, and told of."""
    host = AssetHost((fault if fault is not CUT else Fault(cut_after=0),) * 20, VERSIONS)
    done = download(colour, host, tmp_path)
    assert done.left == []
    assert f"asked for {MOST_RESUMPTIONS + 1} times in a row" in str(done.error)
    assert len(host.asked) == MOST_RESUMPTIONS + 1
    assert done.slept_s == [0.5, 1.0, 2.0, 4.0, 8.0]


@each_colour
def test_what_brings_something_new_goes_on(colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as each resumption brings a good piece, it goes on, however often the line breaks."""
    monkeypatch.setattr(fetch, "NEW_BYTES", 100)
    host = AssetHost((Fault(cut_after=100),) * 11, VERSIONS)
    assert download(colour, host, tmp_path).content == VERSIONS[0]
    assert len(host.asked) == 12


@each_colour
def test_no_pause_goes_beyond_its_time(colour: str, tmp_path: Path) -> None:
    """A resumption whose pause would end after the time for it is not waited for."""
    host = AssetHost((Fault(cut_after=0),) * 20, VERSIONS)
    done = download(colour, host, tmp_path, timeout=3.0)
    assert "cannot be asked for again in time" in str(done.error)
    assert sum(done.slept_s) == 1.5


@pytest.mark.parametrize(("hint", "pauses"), [("7", [7.0]), ("0", [0.5]), ("301", []), ("soon", [0.5])])
@each_colour
def test_the_hosts_own_hint_is_kept(colour: str, hint: str, pauses: list[float], tmp_path: Path) -> None:
    """A ``Retry-After`` makes the pause longer, never shorter, and one of more than some minutes ends the download."""
    host = AssetHost((Fault(status=503, retry_after=hint),), VERSIONS)
    done = download(colour, host, tmp_path)
    assert done.slept_s == pauses
    assert (done.content is None) == (not pauses)


@each_colour
def test_bytes_that_were_handed_out_are_gone_on_with_or_not(colour: str) -> None:
    """Bytes go on where they broke off under a strong validator, and where that cannot be, an error ends them."""

    async def read(*script: Fault) -> tuple[bytes, bool]:
        received = b""
        async with a_client(colour, AssetHost(script, VERSIONS)) as client:
            task = client.task(TASK_ID)
            await got(task.wait())
            pieces = task.iter_bytes()
            try:
                if colour == "sync":
                    for piece in pieces:
                        received += piece
                else:
                    async for piece in pieces:
                        received += piece
            except DownloadFailed as error:
                return received, bool(error.saved or error.missing)
        return received, True

    assert run_in(colour, lambda: read(CUT)) == (VERSIONS[0], True)
    assert run_in(colour, lambda: read(CUT, Fault(is_new_version=True))) == (VERSIONS[0][:700], False)
    assert run_in(colour, lambda: read(Fault(cut_after=700, etag="weak"))) == (VERSIONS[0][:700], False)
    assert run_in(colour, lambda: read(Fault(cut_after=0, etag="weak"))) == (VERSIONS[0], True)


@each_colour
def test_an_asset_may_not_be_larger_than_the_limit(colour: str, tmp_path: Path) -> None:
    """An asset of the largest size is saved, and one byte more is refused: before its body where that is announced."""
    for says_length in (True, False):
        host = AssetHost((Fault(says_length=says_length),), VERSIONS)
        done = download(colour, host, tmp_path, largest_asset_bytes=1199)
        assert done.left == []
        assert "larger than 1199 bytes; largest_asset_bytes= allows more" in str(done.error)
        assert host.sent_bytes == (0 if says_length else 1200)
    assert download(colour, AssetHost((), VERSIONS), tmp_path, largest_asset_bytes=1200).content == VERSIONS[0]


@pytest.mark.parametrize(("left_s", "patience_s"), [(1000.0, CHUNK_TIMEOUT_S), (7.0, 7.0)])
def test_patience_ends_with_the_time(left_s: float, patience_s: float) -> None:
    """The next bytes are waited for as long as a named limit says, and no longer than there is time."""
    _, timeout_s = Fetch(ASSET_URL, AssetRules(), 1.0 + left_s).request(Instant(1.0, 0.0))
    assert timeout_s == patience_s


def test_a_rest_that_makes_it_too_large_is_refused() -> None:
    """The limit holds for what a resumption announces, too."""
    now = Instant(0.0, 0.0)
    one = Fetch(ASSET_URL, AssetRules(largest_bytes=100), 10.0)
    one.request(now)
    one.answer(200, {"etag": STRONG}, now)
    one.add(50, now)
    request, _ = one.request(now)
    assert ("range", "bytes=50-") in request.headers
    with pytest.raises(DownloadProblem, match="larger than 100 bytes"):
        one.answer(206, {"content-range": "bytes 50-100/101", "etag": STRONG}, now)
