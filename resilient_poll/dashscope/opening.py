"""From what a caller passes to what a client is made of."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from resilient_poll.dashscope.cancelling import checked_on_timeout
from resilient_poll.dashscope.checking import checked_options
from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.dashscope.keeping.books import Books, warn_once
from resilient_poll.dashscope.keeping.filing import namespace_of
from resilient_poll.dashscope.keeping.header import IdempotencyHeader
from resilient_poll.dashscope.keeping.prices import PriceTable
from resilient_poll.dashscope.limits import Limits
from resilient_poll.dashscope.settings import Settings, resolve_settings
from resilient_poll.events import Event
from resilient_poll.ledger.guards import Guards
from resilient_poll.machine.policy import SubmitPolicy, WaitPolicy

if TYPE_CHECKING:
    from resilient_poll.ledger.protocol import Ledger

__all__ = ["open_core"]


def open_core(
    *,
    dialect: str | None,
    api_key: str | None,
    base_url: str | None,
    headers: Mapping[str, str] | None,
    wait_policy: WaitPolicy | None,
    submit_policy: SubmitPolicy | None,
    limits: Limits | None,
    clock: object,
    on_event: Callable[[Event], None] | None,
    make_seed: Callable[[], str] | None,
    ledger: Ledger | None,
    account: str | None,
    guards: Guards | None,
    prices: PriceTable | None,
    idempotency_header: IdempotencyHeader | None,
    is_async: bool,
) -> ClientCore:
    """Return what one account's tasks share; the arguments are those of :class:`.DashScope`.

    Raises:
        ConfigurationError: Something is missing or makes no sense; nothing was sent.
    """
    checked_options(
        dialect=dialect,
        headers=headers,
        wait_policy=wait_policy,
        submit_policy=submit_policy,
        clock=clock,
        on_event=on_event,
        is_async=is_async,
    )
    settings = resolve_settings(
        dialect=dialect,
        api_key=api_key,
        base_url=base_url,
        headers=headers,
        environ=os.environ,
        account=account,
        idempotency_header=idempotency_header,
    )
    waits = wait_policy or WaitPolicy()
    checked_on_timeout(waits.on_timeout, settings.dialect)
    core = ClientCore(
        settings,
        waits,
        submit_policy or SubmitPolicy(),
        on_event,
        limits=limits or Limits(),
        books=_books_for(settings, ledger, account, guards, prices, (limits or Limits()).concurrent_tasks),
    )
    if make_seed is not None:
        core.make_seed = make_seed
    return core


def _books_for(
    settings: Settings,
    ledger: Ledger | None,
    account: str | None,
    guards: Guards | None,
    prices: PriceTable | None,
    slots: int | None,
) -> Books | None:
    """Return the books of a client; None where nothing asks for any.

    Raises:
        ConfigurationError: The account's label is none.
    """
    namespace = namespace_of(settings, account)
    if ledger is None and guards is None and prices is None:
        return None
    from resilient_poll.ledger.memory import MemoryLedger  # noqa: PLC0415  # who has no ledger needs none of it

    if ledger is None:
        warn_once()
    return Books(
        MemoryLedger() if ledger is None else ledger,
        namespace,
        guards,
        prices,
        is_instant=ledger is None or isinstance(ledger, MemoryLedger),
        # Where nobody keeps a ledger, nobody may ever see the end of what is submitted here.
        slots=None if ledger is None else slots,
    )
