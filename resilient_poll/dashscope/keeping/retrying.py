"""Trying a key again, and its bill: what both clients share of the calls about keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from resilient_poll.dashscope.checking import checked_moment
from resilient_poll.dashscope.keeping.books import Books
from resilient_poll.dashscope.keeping.filing import Create, Filing, doubt_about
from resilient_poll.errors import ConfigurationError, SafeToSubmitAgain
from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.errors import IdempotencyConflict
from resilient_poll.machine.lifecycle import Phase

if TYPE_CHECKING:
    from resilient_poll.ledger.reading import Bill

__all__ = ["bill_of", "entry_to_retry", "next_create"]


def entry_to_retry(books: Books, filing: Filing) -> Entry:
    """Return the latest attempt of a key, of which it is sure what it came to. It blocks.

    Raises:
        ConfigurationError: Nothing of the key is known, or it was not sent yet.
        IdempotencyConflict: The key stands for another request.
        SubmitInDoubt: Whether there is a task is in doubt.
    """
    entry = books.ledger.find(books.namespace, filing.key)
    if entry is None:
        raise ConfigurationError(
            f"the ledger knows nothing of the idempotency key {filing.key!r:.80} in this account, so there is nothing "
            "to try again: submit() it; nothing was sent",
            safe_to_submit_again=SafeToSubmitAgain.YES,
        )
    if entry.digest != filing.digest:
        raise IdempotencyConflict(entry)
    if (doubt := doubt_about(entry)) is not None:
        raise doubt
    if entry.phase is Phase.NEW and entry.attempt == 1:
        raise ConfigurationError(
            f"nothing of the idempotency key {filing.key!r:.80} was accepted or refused so far, so there is nothing to "
            "try again: submit() it; nothing was sent",
            safe_to_submit_again=SafeToSubmitAgain.YES,
        )
    filing.entry = entry
    return entry


def next_create(create: Create, ended: Entry, accept_second_charge: bool) -> Create:
    """Return what the attempt after one without a task is called; or that one itself, if it was not sent yet."""
    if create.filing is None:
        return create
    if ended.phase is Phase.NEW:
        # Somebody tried the key again, and is about to send it or was killed before: there is one attempt of both.
        return replace(create, filing=replace(create.filing, entry=None))
    filing = replace(create.filing, entry=None, after=ended, accept_second_charge=accept_second_charge)
    return replace(create, filing=filing)


def bill_of(books: Books | None, since: datetime | None, until: datetime | None) -> Callable[[], Bill]:
    """Return what reads a bill. It blocks.

    Raises:
        ConfigurationError: There is no ledger, or a time makes no sense.
    """
    if books is None:
        raise ConfigurationError("without a ledger, nothing is known of what was billed: pass ledger=")
    ledger, namespace = books.ledger, books.namespace
    since_s = None if since is None else checked_moment("since", since).timestamp()
    until_s = None if until is None else checked_moment("until", until).timestamp()
    if since_s is not None and until_s is not None and since_s > until_s:
        raise ConfigurationError("since must be before until")
    return lambda: ledger.bill(namespace, since_wall_s=since_s, until_wall_s=until_s)
