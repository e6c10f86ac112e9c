"""Fetch assets and put them on disk, in code that blocks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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
from resilient_poll.transports.exchange import Exchange, Incoming

__all__ = ["Saver"]


class Saver:
    """Fetches assets without anything of the account.

    Args:
        exchange: Sends.
        now: What time it is.
    """

    def __init__(self, exchange: Exchange, now: Callable[[], Instant]) -> None:
        self._exchange = exchange
        self._now = now

    def save(self, url: str, target: Path, deadline_s: float) -> Path:
        """Write an asset to a file, which appears under its name only when it is whole.

        Args:
            url: Where it is.
            target: The file.
            deadline_s: Until when, in monotonic seconds.

        Raises:
            DownloadProblem: It is not what it should be.
            ExchangeFailed: It broke off.
            OSError: The disk says no.
        """
        check_time(self._now().monotonic_s, deadline_s)
        with self._incoming(url) as incoming, PartialFile(target) as file:
            for chunk in incoming.chunks():
                check_time(self._now().monotonic_s, deadline_s)
                file.write(chunk)
            check_length(incoming.headers, file.size)
            file.keep()
        return target

    def save_all(self, assets: Sequence[Asset], targets: Sequence[Path], deadline_s: float) -> tuple[Path, ...]:
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
                self.save(asset.url, target, deadline_s)
        return saving.finish()

    def pieces(self, url: str) -> Iterator[bytes]:
        """Yield an asset's bytes as they come; raises like :meth:`save`."""
        size = 0
        with self._incoming(url) as incoming:
            for chunk in incoming.chunks():
                size += len(chunk)
                yield chunk
            check_length(incoming.headers, size)

    @contextmanager
    def _incoming(self, url: str) -> Generator[Incoming, None, None]:
        hops = 0
        while True:
            with self._exchange.stream(requests.asset_request(url), CHUNK_TIMEOUT_S) as incoming:
                target = next_hop(url, incoming.status, incoming.headers, hops)
                if target is None:
                    yield incoming
                    return
            url, hops = target, hops + 1
