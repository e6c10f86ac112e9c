"""The whole logic of a ledger, written once over a store of rows and somebody who knows who is alive."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from resilient_poll.ledger.reading import Reading
from resilient_poll.ledger.submitting import Submitting
from resilient_poll.ledger.tasks import Tasks

__all__ = ["LedgerLogic"]


class LedgerLogic(Submitting, Tasks, Reading):
    """A ledger over a store. It is a :class:`.Ledger`; :class:`.SqliteLedger` and the others only bring the store."""

    def close(self) -> None:
        """See :meth:`.Ledger.close`."""
        self._store.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
