"""Fetch assets and put them on disk, in code that awaits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from resilient_poll.dashscope.saving.fetch import BrokeOff, Fetch, Step
from resilient_poll.dashscope.saving.order import Order, is_whole, name_in_ledger
from resilient_poll.dashscope.saving.partial import PartialFile
from resilient_poll.dashscope.saving.rules import AssetRules, Gone
from resilient_poll.dashscope.saving.sweeping import Sweeper
from resilient_poll.drive.clocks import AsyncClock
from resilient_poll.errors import ResilientPollError
from resilient_poll.http.messages import ExchangeFailed
from resilient_poll.transports.exchange_async import AsyncExchange

__all__ = ["AsyncSaver"]

Elsewhere = Callable[[Callable[[], Any]], Awaitable[Any]]
AskAnew = Callable[[], Awaitable[object]]


class AsyncSaver:
    """:class:`.Saver` for code that awaits; files and the ledger are written off the event loop.

    Args:
        exchange: Sends.
        clock: What time it is, and how to pause.
        rules: What the caller allows.
        run_blocking: Runs what waits for a disk elsewhere.
        off_the_loop: The same for the ledger; what it began it finishes, also if its caller is gone.
    """

    def __init__(
        self,
        exchange: AsyncExchange,
        clock: AsyncClock,
        rules: AssetRules,
        run_blocking: Elsewhere,
        off_the_loop: Elsewhere,
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._rules = rules
        self._run_blocking = run_blocking
        self._off_the_loop = off_the_loop
        self._sweeper = Sweeper()

    async def save_all(self, order: Order, ask_anew: AskAnew | None = None) -> tuple[Path, ...]:
        """Write assets to files; see :meth:`.Saver.save_all`."""
        known = {} if order.books is None else await self._off_the_loop(order.known_files)
        for index, target in enumerate(order.targets):
            with order.saving.one(target):
                file = known.get(name_in_ledger(target))
                if file is not None and await self._run_blocking(partial(is_whole, file, target)):
                    continue
                if self._sweeper.is_due(target.parent, now_s := self._clock.now().wall_s):
                    await self._run_blocking(partial(self._sweeper.sweep, target.parent, now_s))
                await self._save(order, index, target, ask_anew)
        return order.saving.finish()

    async def _save(self, order: Order, index: int, target: Path, ask_anew: AskAnew | None) -> None:
        fetch = Fetch(order.assets[index].url, self._rules, order.deadline_s)
        with PartialFile(target) as file:
            async with aclosing(self._wherever(fetch, order, index, ask_anew)) as pieces:
                async for piece in pieces:
                    await self._run_blocking(file.start_over if piece is None else partial(file.write, piece))
            await self._run_blocking(file.keep)
        if order.books is not None:
            await self._off_the_loop(partial(order.note, target, file, self._clock.now()))

    async def pieces(self, order: Order, ask_anew: AskAnew) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of an order's one asset as they come; see :meth:`.Saver.pieces`."""
        fetch = Fetch(order.assets[0].url, self._rules, order.deadline_s, may_start_over=False)
        async with aclosing(self._wherever(fetch, order, 0, ask_anew)) as pieces:
            async for piece in pieces:
                if piece is not None:
                    yield piece

    async def _wherever(
        self, fetch: Fetch, order: Order, index: int, ask_anew: AskAnew | None
    ) -> AsyncGenerator[bytes | None, None]:
        while True:
            try:
                # A generator that is left early does not close those inside it.
                async with aclosing(self._coming(fetch)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except Gone as gone:
                order.may_ask_anew(gone)
                try:
                    if ask_anew is not None:
                        await ask_anew()
                    fetch.move_to(order.url_of(index, gone))
                except ResilientPollError as error:
                    raise order.not_asked_anew(gone, error) from gone

    async def _coming(self, fetch: Fetch) -> AsyncGenerator[bytes | None, None]:
        while True:
            try:
                async with self._exchange.stream(*fetch.request(self._clock.now())) as incoming:
                    step = fetch.answer(incoming.status, incoming.headers, self._clock.now())
                    if step is Step.FOLLOW:
                        continue
                    if step is Step.START_OVER:
                        yield None
                    async for chunk in incoming.chunks():
                        fetch.add(len(chunk), self._clock.now())
                        yield chunk
                    fetch.check_whole()
                    return
            except (BrokeOff, ExchangeFailed) as problem:
                pause_s = fetch.pause_s(problem, self._clock.now())
            await self._clock.sleep(pause_s)
