"""What happens, as it happens: lines of journals and transitions of tasks, as an event stream (SSE).

A line carries its number among all lines as the event's id, so a reader that comes again with `Last-Event-ID` gets
what it missed from the journals; a transition may then be told a second time. What is told when is decided here
without a clock: the caller waits.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import Response, StreamingResponse

from fake_server.admin import shapes
from fake_server.admin.asking import AdminError, Ask
from fake_server.admin.pages import Page
from fake_server.feed import MOST_READERS, Reader
from fake_server.operating import TaskWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from fake_server.rules.journal import Entry
    from fake_server.worlds import World, Worlds

    Wait = Callable[[float], Awaitable[bool]]

# How often a real clock is looked at while some task may still change: a page draws no faster.
TICK_S = 0.25
# Silence after which a line says that the stream still lives: below the minute after which proxies cut.
HEARTBEAT_S = 15.0
_LARGEST_ID = 10**15
# Just before an instant, as finely as journals tell time.
_BEFORE_S = 1e-5


class _Event(NamedTuple):
    """One event: its place among those of its world, its kind, its data, and its id if it is a line."""

    at_s: float
    rank: int
    kind: str
    data: dict[str, Any]
    sequence: int | None = None

    def text(self) -> str:
        """The event on the wire."""
        lines = [f"event: {self.kind}", f"data: {json.dumps(self.data, separators=(',', ':'))}"]
        if self.sequence is not None:
            lines.insert(0, f"id: {self.sequence}")
        return "\n".join(lines) + "\n\n"


def _in_order(worlds: Iterable[list[_Event]]) -> list[_Event]:
    """The events of several worlds: lines by their numbers, as a reader that breaks off would miss some otherwise; what
    else happened in a world comes behind its last line before.
    """
    placed: list[tuple[int, _Event]] = []
    for events in worlds:
        behind = 0
        for event in sorted(events, key=lambda event: event[:2]):
            behind = event.sequence or behind
            placed.append((behind, event))
    placed.sort(key=lambda place: place[0])
    return [event for _, event in placed]


class Follower:
    """What one reader has been told, and what is new to it.

    Args:
        worlds: Everything that is served.
        name: The world to follow, or None for all.
        after: The number of the last line that the reader knows, or None: then only what happens from now on.
    """

    def __init__(self, worlds: Worlds, name: str | None, after: int | None) -> None:
        self._worlds = worlds
        self._name = name
        self._told = after
        self._watches: dict[str, TaskWatch] = {}
        for world in self._followed():
            if after is None:
                self._watch(world, world.now().monotonic_s)
            else:
                known = [entry.at_s for entry in world.engine.journal.entries if entry.sequence <= after]
                # What came at the instant of the last line may have been told or not: better twice than never.
                self._watch(world, world.engine.started.monotonic_s + (known[-1] if known else 0.0) - _BEFORE_S)

    def missed(self) -> Iterator[str]:
        """What was written since the reader's last line; empty for a reader that knows none."""
        after, self._told = self._told, self._told or 0
        if after is None:
            return
        lines: list[tuple[str, Entry]] = []
        for world in self._followed():
            kept = [entry for entry in world.engine.journal.entries if entry.sequence > after]
            if kept and kept[0] is world.engine.journal.entries[0] and kept[0].ordinal > 1:
                gap = {"world": world.name, "detail": f"lines before number {kept[0].ordinal} are forgotten"}
                yield _Event(0.0, 0, "gap", gap).text()
            lines += [(world.name, entry) for entry in kept]
        lines.sort(key=lambda line: line[1].sequence)
        yield from self.news(lines)

    def news(self, lines: list[tuple[str, Entry]]) -> Iterator[str]:
        """What is to be told now.

        Args:
            lines: The lines that were written since the last call, each with its world.
        """
        by_world: dict[str, list[_Event]] = {}
        for name, entry in lines:
            if entry.sequence > (self._told or 0):
                self._told = entry.sequence
                data = {"world": name, "entry": asdict(entry)}
                by_world.setdefault(name, []).append(_Event(entry.at_s, 1, "request", data, entry.sequence))
        for world in self._followed():
            events = by_world.setdefault(world.name, [])
            watch = self._watches.get(world.name)
            if watch is None or watch.engine is not world.engine:
                if watch is not None:
                    yield _Event(0.0, 0, "reset", {"world": world.name}).text()
                watch = self._watch(world, world.engine.started.monotonic_s - _BEFORE_S)
            for moved in watch.news(world.now()):
                rank = 2 if moved.from_status is None else 0  # A task is told of after the create that made it.
                events.append(_Event(moved.at_s, rank, "task", {"world": world.name, **moved.fields()}))
        yield from (event.text() for event in _in_order(by_world.values()))

    @property
    def rests_s(self) -> float:
        """How long nothing can be new unless somebody says so, in seconds."""
        followed = self._followed()
        is_moving = any(not world.clock.is_manual and self._watches[world.name].has_open for world in followed)
        return TICK_S if is_moving else HEARTBEAT_S

    def _followed(self) -> list[World]:
        names = self._worlds.names() if self._name is None else [self._name]
        return [world for name in names if (world := self._worlds.named(name)) is not None]

    def _watch(self, world: World, after_s: float) -> TaskWatch:
        watch = self._watches[world.name] = TaskWatch(world.engine, after_s)
        return watch


async def stream(follower: Follower, reader: Reader, wait: Wait) -> AsyncIterator[str]:
    """The event stream of one reader, until it leaves or is lost.

    Args:
        follower: What it has been told.
        reader: Its queue, which is joined to the feed already.
        wait: Returns when the reader is woken, or after so many seconds; whether these have passed.
    """
    yield "retry: 1000\nevent: hello\ndata: {}\n\n"
    for text in follower.missed():
        yield text
    silent_s = 0.0
    while True:
        for text in follower.news(reader.take()):
            silent_s = 0.0
            yield text
        if reader.is_lost:
            detail = "this reader was slower than what it follows, and is given up; come again with Last-Event-ID"
            yield _Event(0.0, 0, "lost", {"detail": detail}).text()
            return
        rests_s = follower.rests_s
        if not await wait(rests_s):
            continue
        silent_s += rests_s
        if silent_s >= HEARTBEAT_S:
            silent_s = 0.0
            yield ": alive\n\n"


async def follow_world(ask: Ask) -> Response:
    """One world's events."""
    return _respond(ask, ask.world().name)


async def follow_all(ask: Ask) -> Response:
    """All worlds' events."""
    return _respond(ask, None)


def _respond(ask: Ask, name: str | None) -> Response:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    media_type = "text/event-stream"
    last = ask.request.headers.get("last-event-id", "")
    if last.isascii() and last.isdigit() and len(last) < len(str(_LARGEST_ID)):
        after: int | None = int(last)
    else:
        after = ask.number("after", 0, _LARGEST_ID) if "after" in ask.request.query_params else None
    if ask.request.method == "HEAD":
        return Response(headers=headers, media_type=media_type)
    feed = ask.worlds.feed
    if feed.is_full:
        raise AdminError(503, f"{MOST_READERS} readers follow events already; close one")

    async def told() -> AsyncIterator[str]:
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            if not woken.is_set():
                loop.call_soon_threadsafe(woken.set)

        async def wait(seconds: float) -> bool:
            try:
                async with asyncio.timeout(seconds):
                    await woken.wait()
            except TimeoutError:
                return True
            woken.clear()
            return False

        reader = Reader(name, wake)
        feed.join(reader)
        try:
            async for text in stream(Follower(ask.worlds, name, after), reader, wait):
                yield text
        finally:
            feed.leave(reader)

    return StreamingResponse(told(), headers=headers, media_type=media_type)


_AFTER: shapes.Shape = {"type": "integer", "minimum": 0, "maximum": _LARGEST_ID}

PAGES = (
    Page(
        "GET",
        "/worlds/{world}/events",
        follow_world,
        "an event stream: `request` for each line of the journal, `task` for each transition; `after` is a sequence",
        shapes.TEXT,
        query={"after": _AFTER},
        fails=(404, 503),
        media_type="text/event-stream",
    ),
    Page(
        "GET",
        "/events",
        follow_all,
        "the same for all worlds",
        shapes.TEXT,
        query={"after": _AFTER},
        fails=(503,),
        media_type="text/event-stream",
    ),
)
