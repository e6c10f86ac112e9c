"""The durable record of intents, task ids, phases and bills.

What it promises: one transition of a row is the only licence to send, and is used once; what the
world said is always recorded; a dead sender leaves a doubt and never a second sending. The logic
is written once (:mod:`.logic`) over a small store of rows, so that memory, SQLite and PostgreSQL
differ only in storage, and in how they know that an owner is dead.

Names are imported when they are first used: a database's driver is needed by its own ledger only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resilient_poll.ledger.async_ledger import AsyncLedger
    from resilient_poll.ledger.bill import BillRow
    from resilient_poll.ledger.entry import Charge, Entry, Listing, Namespace, Said, SavedFile, Stray
    from resilient_poll.ledger.errors import (
        ActRefused,
        EntryCorrupt,
        EntryInvalid,
        GuardRefused,
        IdempotencyConflict,
        LedgerError,
        LedgerForked,
        LedgerUnavailable,
        LedgerUnusable,
        NotSaved,
        SlotsTaken,
    )
    from resilient_poll.ledger.guards import Guards, SpendLimit
    from resilient_poll.ledger.memory import MemoryLedger
    from resilient_poll.ledger.places import default_path
    from resilient_poll.ledger.postgres import PostgresLedger
    from resilient_poll.ledger.protocol import Ledger
    from resilient_poll.ledger.reading import Archived, Bill
    from resilient_poll.ledger.rows import Owner
    from resilient_poll.ledger.slots import LedgerSlots
    from resilient_poll.ledger.sqlite import SqliteLedger

_NAMES_OF = {
    "async_ledger": {"AsyncLedger"},
    "bill": {"BillRow"},
    "entry": {"Charge", "Entry", "Listing", "Namespace", "Said", "SavedFile", "Stray"},
    "errors": {
        *("ActRefused", "EntryCorrupt", "EntryInvalid", "GuardRefused", "IdempotencyConflict"),
        *("LedgerError", "LedgerForked", "LedgerUnavailable", "LedgerUnusable", "NotSaved", "SlotsTaken"),
    },
    "guards": {"Guards", "SpendLimit"},
    "memory": {"MemoryLedger"},
    "places": {"default_path"},
    "postgres": {"PostgresLedger"},
    "protocol": {"Ledger"},
    "reading": {"Archived", "Bill"},
    "rows": {"Owner"},
    "slots": {"LedgerSlots"},
    "sqlite": {"SqliteLedger"},
}
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names}

__all__ = [
    "ActRefused",
    "Archived",
    "AsyncLedger",
    "Bill",
    "BillRow",
    "Charge",
    "Entry",
    "EntryCorrupt",
    "EntryInvalid",
    "GuardRefused",
    "Guards",
    "IdempotencyConflict",
    "Ledger",
    "LedgerError",
    "LedgerForked",
    "LedgerSlots",
    "LedgerUnavailable",
    "LedgerUnusable",
    "Listing",
    "MemoryLedger",
    "Namespace",
    "NotSaved",
    "Owner",
    "PostgresLedger",
    "Said",
    "SavedFile",
    "SlotsTaken",
    "SpendLimit",
    "SqliteLedger",
    "Stray",
    "default_path",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
