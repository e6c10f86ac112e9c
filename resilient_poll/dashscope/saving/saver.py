"""Fetch assets and put them on disk, in code that blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from resilient_poll.dashscope.saving.fetch import BrokeOff, Fetch, Step
from resilient_poll.dashscope.saving.order import Order, is_whole, name_in_ledger
from resilient_poll.dashscope.saving.partial import PartialFile
from resilient_poll.dashscope.saving.rules import AssetRules, Gone
from resilient_poll.dashscope.saving.sweeping import Sweeper
from resilient_poll.drive.clocks import Clock
from resilient_poll.errors import ResilientPollError
from resilient_poll.http.messages import ExchangeFailed
from resilient_poll.transports.exchange import Exchange

__all__ = ["Saver"]


class Saver:
    """Fetches assets without anything of the account.

    Args:
        exchange: Sends.
        clock: What time it is, and how to pause.
        rules: What the caller allows.
    """

    def __init__(self, exchange: Exchange, clock: Clock, rules: AssetRules) -> None:
        self._exchange = exchange
        self._clock = clock
        self._rules = rules
        self._sweeper = Sweeper()

    def save_all(self, order: Order, ask_anew: Callable[[], object] | None = None) -> tuple[Path, ...]:
        """Write assets to files, each for itself: one that fails keeps none from coming.

        A file that the ledger knows and that is still what it was is not fetched again.

        Args:
            order: What to fetch, and where to.
            ask_anew: Asks the task where its assets are by now; None where there is no task.

        Returns:
            The files, in the order of the results.

        Raises:
            NotAllSaved: At least one is not on disk; it says which, and which are.
        """
        known = order.known_files()
        for index, target in enumerate(order.targets):
            with order.saving.one(target):
                if is_whole(known.get(name_in_ledger(target)), target):
                    continue
                self._sweeper.sweep(target.parent, self._clock.now().wall_s)
                self._save(order, index, target, ask_anew)
        return order.saving.finish()

    def _save(self, order: Order, index: int, target: Path, ask_anew: Callable[[], object] | None) -> None:
        fetch = Fetch(order.assets[index].url, self._rules, order.deadline_s)
        with PartialFile(target) as file:
            for piece in self._wherever(fetch, order, index, ask_anew):
                if piece is None:
                    file.start_over()
                else:
                    file.write(piece)
            file.keep()
        order.note(target, file, self._clock.now())

    def pieces(self, order: Order, ask_anew: Callable[[], object]) -> Iterator[bytes]:
        """Yield the bytes of an order's one asset as they come; raises what :meth:`save_all` notes."""
        fetch = Fetch(order.assets[0].url, self._rules, order.deadline_s, may_start_over=False)
        for piece in self._wherever(fetch, order, 0, ask_anew):
            if piece is not None:
                yield piece

    def _wherever(
        self, fetch: Fetch, order: Order, index: int, ask_anew: Callable[[], object] | None
    ) -> Iterator[bytes | None]:
        """Yield an asset's pieces, from another URL if its own leads there no more; None where they begin anew."""
        while True:
            try:
                yield from self._coming(fetch)
                return
            except Gone as gone:
                order.may_ask_anew(gone)
                try:
                    if ask_anew is not None:
                        ask_anew()
                    fetch.move_to(order.url_of(index, gone))
                except ResilientPollError as error:
                    raise order.not_asked_anew(gone, error) from gone

    def _coming(self, fetch: Fetch) -> Iterator[bytes | None]:
        while True:
            try:
                with self._exchange.stream(*fetch.request(self._clock.now())) as incoming:
                    step = fetch.answer(incoming.status, incoming.headers, self._clock.now())
                    if step is Step.FOLLOW:
                        continue
                    if step is Step.START_OVER:
                        yield None
                    for chunk in incoming.chunks():
                        fetch.add(len(chunk), self._clock.now())
                        yield chunk
                    fetch.check_whole()
                    return
            except (BrokeOff, ExchangeFailed) as problem:
                pause_s = fetch.pause_s(problem, self._clock.now())
            self._clock.sleep(pause_s)
