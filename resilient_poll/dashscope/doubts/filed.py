"""The doubts as the ledger holds them, and what settles them there. All of it blocks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.dashscope.doubts.decide import SOLE_SUBMITTER
from resilient_poll.dashscope.keeping.books import Books
from resilient_poll.dashscope.keeping.filing import checked_key, snapshot_text
from resilient_poll.dashscope.wire.dialects import LIFECYCLE
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS
from resilient_poll.dashscope.wire.listing import ListedTask
from resilient_poll.dashscope.wire.results import is_readable
from resilient_poll.drive.telling import logger
from resilient_poll.errors import ConfigurationError
from resilient_poll.ledger.entry import Entry, Listing, Namespace, Said
from resilient_poll.ledger.errors import ActRefused, EntryCorrupt, LedgerError
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import ENDS, OPEN, Phase
from resilient_poll.machine.observations import StatusSeen
from resilient_poll.machine.task_record import TaskRecord, after_status

__all__ = ["Filed", "adopt", "books_of", "doubt_of", "doubts_in", "everything_sent", "latest_of"]

_PAGE = 500
_LOOK_BACK_S = 3 * 24 * 3600.0
"""How long before it was sent an entry may have been written: throttled for days, say. The id of an older one's
task is still looked up when it is adopted."""
_MAY_BE_OUT = frozenset({Phase.SUBMITTING, Phase.IN_DOUBT, Phase.ABANDONED})


@dataclass(frozen=True, slots=True)
class Filed:
    """What the ledger says when it is decided.

    Attributes:
        entries: What was sent to this service in the time that matters, in all accounts of the ledger:
            two of its labels may stand for one account at the service.
        beside: Ids of tasks that it holds beside its entries.
        is_sole_submitter: Whether it is declared the account's only submitter.
        is_damaged: Whether something of that cannot be read.
    """

    entries: tuple[Entry, ...]
    beside: frozenset[str]
    is_sole_submitter: bool
    is_damaged: bool


def books_of(core: ClientCore) -> Books:
    """Return a client's side of its ledger.

    Raises:
        ConfigurationError: It has none.
    """
    if core.books is None:
        raise ConfigurationError("without a ledger nothing is known of earlier doubts: pass ledger=; nothing was sent")
    return core.books


def doubts_in(books: Books, now: Instant) -> tuple[Entry, ...]:
    """Return what is in doubt in this account, newest first, that of owners who died without a word included."""
    _settle(books, now)
    found = _pages(books.ledger, namespace=books.namespace, phases={Phase.IN_DOUBT})
    return tuple(entry for page in found for entry in page)


def latest_of(books: Books, key: str, now: Instant) -> Entry:
    """Return the latest attempt of a key; in doubt, if its owner died while it was out.

    Raises:
        ConfigurationError: The ledger knows nothing of it.
    """
    entry = books.ledger.find(books.namespace, checked_key(key))
    if entry is not None and entry.phase is Phase.SUBMITTING:
        _settle(books, now)
        entry = books.ledger.get(entry.entry_id)
    if entry is None:
        raise ConfigurationError(
            f"the ledger knows nothing of the idempotency key {key!r:.80} in this account; nothing was changed"
        )
    return entry


def doubt_of(books: Books, key: str, now: Instant) -> Entry:
    """Return the entry of a key that is in doubt.

    Raises:
        ActRefused: It is not.
        ConfigurationError: The ledger knows nothing of the key.
    """
    entry = latest_of(books, key, now)
    if entry.phase is not Phase.IN_DOUBT:
        raise ActRefused(f"{entry} is not in doubt, so there is nothing to settle; nothing was changed", entry)
    return entry


def everything_sent(books: Books, since_wall_s: float) -> Filed:
    """Return what the ledger says of everything that was sent to this service since some time.

    Args:
        books: Where.
        since_wall_s: When the first doubt was sent.
    """
    ledger, own = books.ledger, books.namespace
    entries: dict[int, Entry] = {}
    is_damaged = False
    for page in _pages(ledger, since_wall_s=since_wall_s - _LOOK_BACK_S, with_archived=True):
        is_damaged |= bool(page.corrupt)
        entries.update((entry.entry_id, entry) for entry in page)
    for page in _pages(ledger, phases=_MAY_BE_OUT, with_archived=True):
        entries.update((entry.entry_id, entry) for entry in page)
    beside: frozenset[str] = frozenset()
    try:
        beside = frozenset(stray.task_id for stray in ledger.strays() if stray.task_id is not None)
    except EntryCorrupt:
        is_damaged = True
    here = (own.origin, own.dialect)
    theirs = tuple(entry for entry in entries.values() if (entry.namespace.origin, entry.namespace.dialect) == here)
    return Filed(theirs, beside, ledger.setting(SOLE_SUBMITTER) == "yes", is_damaged)


def adopt(books: Books, entry: Entry, task_id: str, said: ListedTask | StatusSeen | None, now: Instant) -> Entry:
    """Write down that a task is what a doubt made, and where it stands.

    Args:
        books: Where.
        entry: The doubt, as it was decided upon.
        task_id: The task.
        said: What the service said of it: its answer, or its row in the list.
        now: When.

    Returns:
        The entry with its task.

    Raises:
        ActRefused: It is not in that doubt any more, or another entry holds the task.
    """
    unknown = record = TaskRecord.known_by_id(task_id, now)
    if isinstance(said, StatusSeen) and not _lacks_its_result(entry, said):
        record, _ = after_status(record, said, LIFECYCLE, now)
    elif isinstance(said, ListedTask) and said.phase in OPEN:
        billing = LIFECYCLE.billing_of(said.phase)
        record = replace(record, phase=said.phase, billing=billing, status=said.status, request_id=said.request_id)
    first = unknown if record.phase in ENDS else record
    taken = books.ledger.adopt(
        entry,
        task_id,
        phase=first.phase,
        billing=first.billing,
        said=Said(status=first.status, request_id=first.request_id, snapshot=snapshot_text(first, now)),
        now_wall_s=now.wall_s,
    )
    logger.info("task %s is what the submit under idempotency key %s made", task_id, entry.key)
    # If this is not written any more, the next look at the task brings it.
    return books.observe(taken, record, now) if record.phase in ENDS else taken


def _lacks_its_result(entry: Entry, seen: StatusSeen) -> bool:
    """Tell whether a success does not show what was made: who waits for the task asks for it again, a few times."""
    endpoint = ENDPOINTS.get(entry.about.get("endpoint", ""))
    must_have_assets = endpoint is not None and bool(endpoint.dialects)
    is_success = LIFECYCLE.phase_of(seen.status) is Phase.SUCCEEDED
    return is_success and not is_readable(seen.result, must_have_assets=must_have_assets)


def _settle(books: Books, now: Instant) -> None:
    try:
        books.ledger.settle_the_dead(now_wall_s=now.wall_s)
    except LedgerError as error:
        # A ledger that can only be read still shows the doubts that it holds.
        logger.warning("whether somebody died while a submit was out could not be written down: %s", error)


def _pages(
    ledger: Ledger,
    *,
    namespace: Namespace | None = None,
    phases: Collection[Phase] | None = None,
    since_wall_s: float | None = None,
    with_archived: bool = False,
) -> Iterator[Listing]:
    before: int | None = None
    while True:
        page = ledger.entries(
            namespace=namespace,
            phases=phases,
            since_wall_s=since_wall_s,
            before_entry_id=before,
            with_archived=with_archived,
            limit=_PAGE,
        )
        yield page
        numbers = [entry.entry_id for entry in page] + [error.entry_id for error in page.corrupt]
        if len(numbers) < _PAGE:
            return
        before = min(numbers)
