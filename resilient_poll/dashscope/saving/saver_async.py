"""Fetch assets and put them on disk, in code that awaits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread

from resilient_poll.dashscope.saving.download import (
    CHUNK_TIMEOUT_S,
    PartialFile,
    Saving,
    check_length,
    check_time,
    next_hop,
)
from resilient_poll.dashscope.wire import requests
from resilient_poll.dashscope.wire.results import Asset
from resilient_poll.machine.instant import Instant
from resilient_poll.transports.exchange_async import AsyncExchange, AsyncIncoming

__all__ = ["AsyncSaver"]


class AsyncSaver:
    """:class:`.Saver` for code that awaits; files are written off the event loop.

    Args:
        exchange: Sends.
        now: What time it is.
    """

    def __init__(self, exchange: AsyncExchange, now: Callable[[], Instant]) -> None:
        self._exchange = exchange
        self._now = now

    async def save(self, url: str, target: Path, deadline_s: float) -> Path:
        """Write an asset to a file; see :meth:`.Saver.save`."""
        check_time(self._now().monotonic_s, deadline_s)
        async with self._incoming(url) as incoming:
            with PartialFile(target) as file:
                async for chunk in incoming.chunks():
                    check_time(self._now().monotonic_s, deadline_s)
                    await anyio.to_thread.run_sync(file.write, chunk)
                check_length(incoming.headers, file.size)
                await anyio.to_thread.run_sync(file.keep)
        return target

    async def save_all(self, assets: Sequence[Asset], targets: Sequence[Path], deadline_s: float) -> tuple[Path, ...]:
        """Write assets to files, each for itself: one that fails keeps none from coming.

        Args:
            assets: What to fetch.
            targets: Where to, one for each.
            deadline_s: Until when, in monotonic seconds.

        Raises:
            DownloadProblem: At least one is not on disk; it says which, and which are.
        """
        saving = Saving(assets, targets)
        for asset, target in saving.wanted:
            with saving.one(target):
                await self.save(asset.url, target, deadline_s)
        return saving.finish()

    async def pieces(self, url: str) -> AsyncGenerator[bytes, None]:
        """Yield an asset's bytes as they come; see :meth:`.Saver.pieces`."""
        size = 0
        async with self._incoming(url) as incoming:
            async for chunk in incoming.chunks():
                size += len(chunk)
                yield chunk
            check_length(incoming.headers, size)

    @asynccontextmanager
    async def _incoming(self, url: str) -> AsyncGenerator[AsyncIncoming, None]:
        hops = 0
        while True:
            async with self._exchange.stream(requests.asset_request(url), CHUNK_TIMEOUT_S) as incoming:
                target = next_hop(url, incoming.status, incoming.headers, hops)
                if target is None:
                    yield incoming
                    return
            url, hops = target, hops + 1
