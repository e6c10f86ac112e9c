"""Ctrl-C at any line and cancellation at any checkpoint leave the truth in the ledger: id, doubt, or nothing sent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio
from hypothesis import strategies as st

from resilient_poll import AsyncDashScope, DashScope, Event, Phase, ResilientPollError, Task
from resilient_poll.dashscope.client_async import AsyncDashScope as Client
from resilient_poll.dashscope.keeping import books
from resilient_poll.dashscope.keeping.books import Books
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.events import PhaseChanged
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.transports.once_body import BodyReadTwice, Departure
from tests.dashscope.ledger_clients import Watched
from tests.support.colours import INPUT, MODEL
from tests.support.honest_service import Fate, HonestService
from tests.support.properties import Property

BASE: dict[str, Any] = {"dialect": "aisa", "api_key": "sk-test", "base_url": "http://api.test/v1"}
FATES = [Fate.ACCEPTED, Fate.ACCEPTED, Fate.ACCEPTED_LOST, Fate.THROTTLED, Fate.NOT_CONNECTED, Fate.REFUSED]


class Counting(HonestService):
    """Counts the creates whose body has left, too."""

    def __init__(self, fates: Sequence[Fate]) -> None:
        super().__init__(fates)
        self.left: list[Fate] = []

    def answer(self, fate: Fate | None, request: Any) -> Any:
        if fate is not None:
            self.left.append(fate)
        return super().answer(fate, request)


@contextmanager
def interrupted_at(line: int) -> Iterator[list[str]]:
    """Raise KeyboardInterrupt at the n-th line that the package runs, once; yield the functions it struck in."""
    left, struck = line, []  # Innermost first.
    before = sys.gettrace()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001  # the interpreter's signature
        nonlocal left
        file = frame.f_code.co_filename
        if "/resilient_poll/" not in file or file.endswith("/ledger/checks.py"):
            return None  # Checks are pure and long: to strike in one is to strike where it was called.
        if event == "line":
            left -= 1
            if left == 0:
                at: FrameType | None = frame
                while at is not None:
                    struck.append(f"{Path(at.f_code.co_filename).stem}.{at.f_code.co_name}")
                    at = at.f_back
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        yield struck
    finally:
        sys.settrace(before)


def had_the_body(struck: Sequence[str]) -> bool:
    """Tell whether it struck in what hands the body to a library: nobody can say there whether it was taken."""
    return any(place.startswith("once_body.") for place in struck)


def true_afterwards(
    ledger: MemoryLedger, service: Counting, *, may_doubt_unsent: bool = False, is_heard: bool = False
) -> None:
    """Fail unless the ledger, once its client is gone, says what the service knows.

    Args:
        ledger: The ledger.
        service: The service.
        may_doubt_unsent: Whether a doubt is allowed also where nothing left.
        is_heard: Whether an answer that came must have been heard.
    """
    ledger.settle_the_dead(now_wall_s=2e9)
    entries = ledger.entries().entries
    assert len(entries) <= 1
    phase, task_id = (entries[0].phase, entries[0].task_id) if entries else (Phase.NEW, None)
    assert service.accepted <= 1
    refused = {Fate.THROTTLED, Fate.REFUSED}
    if task_id is not None:
        assert (task_id, service.accepted) == ("task-1", 1)
    elif is_heard and Fate.ACCEPTED in service.left:
        raise AssertionError(f"it was answered, and the ledger says {phase}")
    elif service.accepted or any(fate not in refused for fate in service.left):
        assert phase is Phase.IN_DOUBT, f"it left, and the ledger says {phase}"
    elif not service.left and not may_doubt_unsent:
        assert phase is Phase.NEW, f"it surely never left, and the ledger says {phase}"
    else:
        assert phase in {Phase.NEW, Phase.IN_DOUBT, Phase.REFUSED}


def true_at_any_line(fates: Sequence[Fate], line: int) -> None:
    ledger, service = MemoryLedger(), Counting(fates)
    with httpx.Client(transport=service.transport()) as http_client:
        client = DashScope(**BASE, http_client=http_client, clock=VirtualClock(), ledger=ledger)
        with interrupted_at(line) as struck:
            try:
                result: Any = client.submit(MODEL, INPUT, timeout=60, idempotency_key="k")
            except (ResilientPollError, KeyboardInterrupt) as stopped:
                result = stopped
        client.close()
    if isinstance(result, Task):
        assert ledger.by_task(client._core.books.namespace, result.id) is not None  # type: ignore[union-attr]  # it has
    true_afterwards(ledger, service, may_doubt_unsent=had_the_body(struck))


AT_ANY_LINE = Property(
    true_at_any_line,
    examples=400,
    fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=3),
    line=st.integers(1, 1200) | st.integers(440, 640),  # Where it is out, most of all.
)


def test_ctrl_c_at_any_line_leaves_the_truth() -> None:
    """After Ctrl-C at any line of a submit the ledger has the id, or the doubt, or that nothing was sent."""
    AT_ANY_LINE.holds()


@pytest.mark.thorough
def test_every_line_of_a_plain_submit(caplog: pytest.LogCaptureFixture) -> None:
    """For a submit that is accepted at once the same is tried at every line of it, and the log knows it as well."""
    strikes, line = set(), 0
    while True:
        line += 1
        ledger, service = MemoryLedger(), Counting([Fate.ACCEPTED])
        with httpx.Client(transport=service.transport()) as http_client:
            client = DashScope(**BASE, http_client=http_client, clock=VirtualClock(), ledger=ledger)
            with interrupted_at(line) as struck:
                try:
                    client.submit(MODEL, INPUT, idempotency_key="k")
                except KeyboardInterrupt:
                    strikes.add((service.accepted, len(ledger.entries())))
            client.close()
        true_afterwards(ledger, service, may_doubt_unsent=had_the_body(struck))
        assert service.left or had_the_body(struck) or "there may be a task" not in caplog.text, struck
        assert not service.left or not struck or "task" in caplog.text, f"it left, and the log says nothing: {struck}"
        caplog.clear()
        if not struck:
            break
    assert strikes == {(0, 0), (0, 1), (1, 1)}, "it struck before, between and after"


def test_planted_a_licence_that_is_never_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: what came of a submit that is broken off is not written, so that one that never left is a doubt."""
    monkeypatch.setattr(Books, "break_off", lambda *parts: None)  # noqa: ARG005
    AT_ANY_LINE.catches_the_planted_fault()


def test_planted_everything_broken_off_counts_as_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a submit that is broken off while it was out is given back as if it had not left."""
    monkeypatch.setattr(books, "BROKEN_OFF", books.UNSENT)
    AT_ANY_LINE.catches_the_planted_fault()


def test_planted_nothing_is_surely_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: what was broken off before its body was taken counts as if it might have left."""
    monkeypatch.setattr(Departure, "prevent", lambda _: False)
    AT_ANY_LINE.catches_the_planted_fault()


def test_planted_a_body_that_was_taken_counts_as_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: what was broken off after its body was taken counts as if it had not left."""
    monkeypatch.setattr(Departure, "prevent", lambda _: True)
    AT_ANY_LINE.catches_the_planted_fault()


@pytest.mark.parametrize("ledger", [None, MemoryLedger()], ids=["without a ledger", "with one"])
def test_what_never_left_is_no_doubt_in_the_log(ledger: MemoryLedger | None, caplog: pytest.LogCaptureFixture) -> None:
    """Ctrl-C before the body is taken is told of as no doubt, and nobody can take the body afterwards."""
    kept: list[Any] = []

    class Hesitant(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            kept.append(request)
            raise KeyboardInterrupt

    with httpx.Client(transport=Hesitant()) as http_client:
        client = DashScope(**BASE, http_client=http_client, clock=VirtualClock(), ledger=ledger)
        with pytest.raises(KeyboardInterrupt):
            client.submit(MODEL, INPUT)
        client.close()
    assert not [line for line in caplog.messages if "broken off" in line]
    with pytest.raises(BodyReadTwice):
        kept[0].read()
    if ledger is not None:
        assert [entry.phase for entry in ledger.entries()] == [Phase.NEW]


@pytest.mark.parametrize("ledger", [None, MemoryLedger()], ids=["without a ledger", "with one"])
def test_ctrl_c_before_another_sending_is_no_doubt(
    ledger: MemoryLedger | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Ctrl-C in a listener that is told of a second sending is no doubt: the second never began."""
    started: list[Event] = []

    def listen(event: Event) -> None:
        if isinstance(event, PhaseChanged) and event.after is Phase.SUBMITTING:
            started.append(event)
            if len(started) == 2:
                raise KeyboardInterrupt

    service = Counting([Fate.THROTTLED, Fate.ACCEPTED])
    with httpx.Client(transport=service.transport()) as http_client:
        options: dict[str, Any] = {"http_client": http_client, "clock": VirtualClock(), "ledger": ledger}
        with DashScope(**BASE, **options, on_event=listen) as client, pytest.raises(KeyboardInterrupt):
            client.submit(MODEL, INPUT)
    assert service.creates == 1
    assert "there may be a task" not in caplog.text


async def slowly(work: Callable[[], Any]) -> Any:
    """Stand in for a thread: the loop goes around before and after the work, which a cancellation may use."""
    done: list[Any] = []

    async def carry_out() -> None:
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        done.append(work())
        await anyio.lowlevel.checkpoint()

    await carry_out()
    return done[0]


@asynccontextmanager
async def awaiting_client(ledger: Any, service: Counting) -> Any:
    """Yield a client that awaits, whose service takes its time to answer."""
    inner = service.transport()

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            for _ in range(2):
                await anyio.lowlevel.checkpoint()
            response = await inner.handle_async_request(request)
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            return response

    async with httpx.AsyncClient(transport=Slow()) as http_client:
        options = {"http_client": http_client, "ledger": ledger, "run_blocking": slowly}
        async with AsyncDashScope(**BASE, clock=VirtualClock().for_async(), **options) as client:
            yield client


async def submit(client: Any) -> Any:
    try:
        return await client.submit(MODEL, INPUT, timeout=60, idempotency_key="k")
    except ResilientPollError as error:
        return error


def natively_cancelled_at(step: int, fates: Sequence[Fate]) -> bool:
    """Cancel a submit as asyncio does, after so many turns of the loop; return whether it had not ended by then."""
    ledger, service = MemoryLedger(), Counting(fates)

    async def main() -> bool:
        async with awaiting_client(Watched(ledger), service) as client:
            submitting = asyncio.ensure_future(submit(client))
            for _ in range(step):
                await asyncio.sleep(0)  # real: a turn of the loop, takes no time
            struck = submitting.cancel()
            await asyncio.wait([submitting])
            return struck

    struck = asyncio.run(main())
    true_afterwards(ledger, service, is_heard=True)
    return struck


def cancelled_by_scope_at(step: int, fates: Sequence[Fate]) -> bool:
    """Cancel a submit as trio does, after so many turns of the loop; return whether it had not ended by then."""
    ledger, service = MemoryLedger(), Counting(fates)

    async def main() -> bool:
        ended: list[bool] = []

        async def run(client: Any, scope: anyio.CancelScope) -> None:
            with scope:
                await submit(client)
                ended.append(True)

        async with awaiting_client(Watched(ledger), service) as client, anyio.create_task_group() as group:
            scope = anyio.CancelScope()
            group.start_soon(run, client, scope)
            for _ in range(step):
                await anyio.lowlevel.checkpoint()
            struck = not ended
            scope.cancel()
        return struck

    struck: bool = trio.run(main)
    true_afterwards(ledger, service, is_heard=True)
    return struck


@pytest.mark.parametrize("cancel", [natively_cancelled_at, cancelled_by_scope_at], ids=["asyncio", "trio"])
@pytest.mark.parametrize("fate", FATES[1:], ids=lambda fate: fate.name)
def test_a_cancellation_at_any_checkpoint_leaves_the_truth(
    cancel: Callable[[int, Sequence[Fate]], bool], fate: Fate, caplog: pytest.LogCaptureFixture
) -> None:
    """After a cancellation at any turn of the loop ledger and log have the id, or the doubt, or that nothing left."""
    step, strikes, doubts = 0, 0, []
    while cancel(step, [fate, Fate.ACCEPTED]) and step < 500:
        doubts += [step] if "there may be a task" in caplog.text else []
        caplog.clear()
        step += 1
        strikes += 1
    assert bool(doubts) is (fate is Fate.ACCEPTED_LOST), "nobody is told of a doubt that there is not"
    assert strikes > 10
    assert step < 500


def test_planted_writes_that_a_cancellation_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a ledger's call that asyncio's own cancellation reaches loses an id that was answered."""

    async def cut(self: Client, work: Callable[[], Any]) -> Any:  # noqa: ARG001  # the method's own signature
        return await slowly(work)

    monkeypatch.setattr(Client, "_off_the_loop", cut)

    def any_checkpoint() -> None:
        for step in range(100):
            natively_cancelled_at(step, [Fate.ACCEPTED])

    with pytest.raises(AssertionError):
        any_checkpoint()
