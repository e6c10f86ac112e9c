"""What an answer says of the account's quota is shown, and an empty one keeps requests back, within bounds."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import strategies as st

from resilient_poll import CancelRefused, ListingFailed, RateLimit, StillGoing, SubmitThrottled
from resilient_poll.dashscope import client_core
from resilient_poll.drive.clocks import VirtualClock
from tests.dashscope.scripted import EACH, Asked, Reply, a_client, said
from tests.support.colours import INPUT, MODEL, got, run_in
from tests.support.properties import Property

in_each_way = pytest.mark.parametrize(("colour", "library"), EACH)
WALL_S = VirtualClock().now().wall_s
LONGEST_S = 120.0


def quota(remaining: Any, resets_in_s: float | None = None, now_s: float = 0.0, limit: Any = 60) -> dict[str, str]:
    headers = {"x-ratelimit-limit-requests": str(limit), "x-ratelimit-remaining-requests": str(remaining)}
    if resets_in_s is not None:
        headers["x-ratelimit-reset-requests"] = repr(WALL_S + now_s + resets_in_s)
    return headers


class Service:
    """Accepts a create, and answers queries with success after some; each answer carries headers that a test gives."""

    def __init__(self, *headers: dict[str, str], running: int = 3) -> None:
        self._headers = list(headers)
        self._running = running
        self.asked: list[Asked] = []

    def __call__(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        headers = self._headers.pop(0) if self._headers else {}
        if asked.path == "/v1/tasks/":
            return Reply(200, {"data": [], "page_no": 1, "total_page": 1}, headers)
        if asked.method == "POST":
            return Reply(200, said("task-1", "PENDING").body, headers)
        self._running -= 1
        word = "RUNNING" if self._running >= 0 else "SUCCEEDED"
        return Reply(200, said("task-1", word, video_url="https://assets.test/x.mp4").body, headers)

    @property
    def at_s(self) -> list[float]:
        return [asked.at_s for asked in self.asked]


@in_each_way
def test_what_the_service_says_is_shown(colour: str, library: str) -> None:
    """The client shows what the last answer said of the quota, and nothing before one said anything."""
    service = Service({}, quota(41, 30.0))

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            task = await got(client.submit(MODEL, INPUT))
            assert client.rate_limit is None
            await got(task.refresh())
            assert client.rate_limit == RateLimit(60, 41, pytest.approx(30.0, abs=4.0))
            await got(task.refresh())
            assert client.rate_limit.remaining == 41

    run_in(colour, main)


@in_each_way
def test_an_empty_quota_keeps_every_request_back(colour: str, library: str) -> None:
    """Where the quota is empty, neither poll, create nor list goes out before its reset."""
    service = Service(quota(0, 30.0), {}, {}, quota(0, 20.0, now_s=30.0), running=0)

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            await got((await got(client.submit(MODEL, INPUT))).wait())
            await got(client.submit(MODEL, INPUT))
            if colour == "sync":
                assert list(client.list_remote()) == []
            else:
                assert [row async for row in client.list_remote()] == []
            await got(client.submit(MODEL, INPUT))

    run_in(colour, main)
    assert service.at_s[0] == 0.0
    assert all(30.0 <= at_s < 31.0 for at_s in service.at_s[1:4])
    assert service.at_s[4] == pytest.approx(50.0)


@in_each_way
def test_a_cancels_answer_counts_too(colour: str, library: str) -> None:
    """What the answer to a cancel says of the quota holds for the look that follows it."""
    service = Service({}, quota(0, 12.0))

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            task = await got(client.submit(MODEL, INPUT))
            await got(task.cancel())

    run_in(colour, main)
    assert [asked.method for asked in service.asked] == ["POST", "POST", "GET"]
    assert service.at_s[2] == pytest.approx(12.0)


@pytest.mark.parametrize(
    "headers",
    [
        quota(0),
        quota(0, LONGEST_S + 20),
        quota(0, 3600.0),
        quota(0, -5.0),
        quota(0, math.nan),
        quota(0, math.inf),
        quota(1, 30.0),
        quota(-1, 30.0),
        quota("zero", 30.0),
        quota("0.0", 30.0),
        {"x-ratelimit-remaining-requests": "0"},
        {"x-ratelimit-reset-requests": repr(WALL_S + 30)},
        {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": repr(WALL_S + 30)},
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "30"},
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": repr(1000 * WALL_S)},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
@in_each_way
def test_what_is_not_an_empty_quota_keeps_nothing_back(colour: str, library: str, headers: dict[str, str]) -> None:
    """A quota that is not empty, or whose reset is not told readably within the bound, keeps nothing back."""
    service = Service(headers, *[headers] * 5)

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            await got((await got(client.submit(MODEL, INPUT))).wait())

    run_in(colour, main)
    assert service.at_s == pytest.approx([0.0, 3.0, 6.0, 9.0, 12.0])


@in_each_way
def test_a_deadline_holds_against_an_empty_quota(colour: str, library: str) -> None:
    """Wait, submit and cancel end in their time although the quota is empty for longer, and say when to come back."""
    service, clock = Service(quota(0, 100.0), running=99), VirtualClock()

    async def main() -> None:
        async with a_client(colour, library, service, clock) as client:
            task = await got(client.submit(MODEL, INPUT))
            with pytest.raises(StillGoing) as waited:
                await got(task.wait(timeout=20.0))
            with pytest.raises(SubmitThrottled) as submitted:
                await got(client.submit(MODEL, INPUT, timeout=20.0))
            with pytest.raises(CancelRefused) as cancelled:
                await got(task.cancel())
            for caught in (waited, submitted, cancelled):
                assert caught.value.come_back_in_s == pytest.approx(100.0, abs=20.0)

    run_in(colour, main)
    assert clock.now().monotonic_s <= 20.25
    assert len(service.asked) == 1


@in_each_way
def test_a_retry_after_and_a_reset_are_both_obeyed(colour: str, library: str) -> None:
    """Where a throttle names both a Retry-After and an empty quota's reset, the later of the two holds."""
    for retry_after_s, resets_in_s in ((5, 40.0), (40, 5.0)):
        at_s: list[float] = []

        def answers(asked: Asked, hint_s: int = retry_after_s, reset_s: float = resets_in_s, seen: Any = at_s) -> Reply:
            seen.append(asked.at_s)
            if len(seen) > 1:
                return said("task-1", "PENDING")
            body = {"code": "Throttling", "message": "slow"}
            return Reply(429, body, {"retry-after": str(hint_s), **quota(0, reset_s)})

        async def main(answers: Any = answers) -> None:
            async with a_client(colour, library, answers) as client:
                await got(client.submit(MODEL, INPUT))

        run_in(colour, main)
        assert at_s == pytest.approx([0.0, 40.0])


headers = st.builds(
    quota,
    remaining=st.sampled_from([0, 0, 0, 1, 59, -1, "nan", "", "0 0", "9" * 40]),
    resets_in_s=st.none() | st.floats(-100, 4000) | st.sampled_from([0.0, 119.0, 120.0, 121.0, math.nan, math.inf]),
    now_s=st.sampled_from([0.0, 0.0, 10.0]),
    limit=st.sampled_from([60, 0, -1, "", "x"]),
)


def is_gentle_and_in_time(said_of: list[dict[str, str]], timeout_s: float) -> None:
    service, clock = Service(*said_of, running=10), VirtualClock()

    async def main() -> float:
        async with a_client("sync", "httpx", service, clock) as client:
            task = client.submit(MODEL, INPUT)
            began_s = clock.now().monotonic_s
            with contextlib.suppress(StillGoing):
                task.wait(timeout=timeout_s)
            return began_s

    began_s = run_in("sync", main)
    assert clock.now().monotonic_s <= began_s + timeout_s + 0.25, "later than its time"
    for number, (asked, told) in enumerate(zip(service.asked, said_of, strict=False)):
        reset = told.get("x-ratelimit-reset-requests", "")
        if told["x-ratelimit-remaining-requests"] == "0" and reset.replace(".", "", 1).isdigit():
            held_s = float(reset) - WALL_S - asked.at_s
            if held_s <= LONGEST_S:
                after = service.at_s[number + 1 :]
                assert all(at_s >= asked.at_s + held_s - 1e-3 for at_s in after), "asked although the quota was empty"
    pauses = [after - before for before, after in zip(service.at_s, service.at_s[1:], strict=False)]
    assert all(0.0 <= pause_s <= LONGEST_S + 1.0 for pause_s in pauses), "held back beyond the bound"


GENTLE = Property(
    is_gentle_and_in_time,
    said_of=st.lists(headers, min_size=1, max_size=8),
    timeout_s=st.sampled_from([1.0, 20.0, 300.0]),
    examples=200,
)


def test_whatever_is_said_of_the_quota_is_obeyed_within_bounds() -> None:
    """Whatever the headers say, an empty quota is waited out up to the bound, and every wait ends in its time."""
    GENTLE.holds()


def test_an_empty_quota_that_is_not_heard_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: an empty quota keeps nothing back."""
    monkeypatch.setattr(client_core, "_LONGEST_OWN_FLOOR_S", -1.0)
    GENTLE.catches_the_planted_fault()


def test_a_bound_that_is_not_kept_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a reset is believed however far ahead it lies."""
    monkeypatch.setattr(client_core, "_LONGEST_OWN_FLOOR_S", 1e9)
    GENTLE.catches_the_planted_fault()


def test_a_list_says_when_to_come_back() -> None:
    """A list that the empty quota keeps back for longer than its time is refused at once with the time to come back."""
    service, clock = Service(quota(0, 100.0)), VirtualClock()

    async def main() -> None:
        async with a_client("sync", "httpx", service, clock) as client:
            client.submit(MODEL, INPUT)
            with pytest.raises(ListingFailed) as caught:
                list(client.list_remote(timeout=50.0))
            assert caught.value.come_back_in_s == pytest.approx(100.0)

    run_in("sync", main)
    assert clock.now().monotonic_s == 0.0
