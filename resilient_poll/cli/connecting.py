"""From what the options say to a client, with its ledger."""

from __future__ import annotations

import os
from collections.abc import Callable

from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.cli.plan import Plan
from resilient_poll.cli.progress import Progress
from resilient_poll.cli.watched_client import WatchedClient
from resilient_poll.dashscope.keeping.prices import PriceTable
from resilient_poll.dashscope.settings import resolve_settings
from resilient_poll.drive.clocks import Clock, RealClock
from resilient_poll.errors import ConfigurationError
from resilient_poll.events import Event
from resilient_poll.ledger.errors import LedgerError
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.machine.policy import WaitPolicy
from resilient_poll.machine.schedules import Fixed

__all__ = ["WatchedClock", "connect"]


def connect(plan: Plan, clock: Clock, on_event: Callable[[Event], None], tell: Callable[[str], None]) -> WatchedClient:
    """Return the client that the options name.

    Args:
        plan: What the options say.
        clock: Waits.
        on_event: Is told every event.
        tell: Is told what the user should know of the ledger.

    Raises:
        ConfigurationError: The options make no sense; nothing was sent.
        LedgerError: The ledger that is needed cannot be used; nothing was sent.
    """
    # Before a ledger is made: a call that makes no sense leaves nothing behind.
    resolve_settings(dialect=plan.dialect, api_key=None, base_url=plan.base_url, headers=None, environ=os.environ)
    prices = plan.ledger.price_table() if plan.creates else None
    ledger = _ledger_for(plan, tell)
    try:
        if ledger is not None and not plan.creates:
            prices = _prices_for(plan, tell)
        return WatchedClient(
            dialect=plan.dialect,
            base_url=plan.base_url,
            wait_policy=WaitPolicy() if plan.interval_s is None else WaitPolicy(schedule=Fixed(plan.interval_s)),
            clock=clock,
            on_event=on_event,
            ledger=ledger,
            account=plan.ledger.account,
            prices=prices,
        )
    except BaseException:
        if ledger is not None:
            ledger.close()
        raise


def _prices_for(plan: Plan, tell: Callable[[str], None]) -> PriceTable | None:
    """Return the prices for who only waits: what was submitted without any is priced when it is made."""
    try:
        return plan.ledger.price_table()
    except ConfigurationError as error:
        tell(f"! {error}; this goes on without it")  # What is paid can be fetched all the same.
        return None


def _ledger_for(plan: Plan, tell: Callable[[str], None]) -> Ledger | None:
    if plan.creates:
        return plan.ledger.open()
    try:
        return plan.ledger.open_if_there()
    except LedgerError as error:
        if plan.needs_ledger or plan.ledger.path is not None:
            raise
        # The task is known by its id: what the ledger has of it can wait, the task cannot.
        tell(f"! {error}; this goes on without it")
        return None


class WatchedClock(RealClock):
    """The real clock, whose sleeps are told and are where a submit may be interrupted: nothing is out then.

    Args:
        interrupts: Who hears signals.
        progress: Is told.
    """

    def __init__(self, interrupts: Interrupts, progress: Progress) -> None:
        self._interrupts = interrupts
        self._progress = progress

    def sleep(self, seconds: float) -> None:
        """Block for some seconds."""
        self._progress.on_sleep(seconds)
        with self._interrupts.allowed():
            super().sleep(seconds)
        self._progress.on_wake()
