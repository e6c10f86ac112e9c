"""The whole logic of a ledger, written once over a store of rows and somebody who knows who is alive."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from resilient_poll.ledger.reading import Reading
from resilient_poll.ledger.slots import LOOK_AGAIN_S, LedgerSlots
from resilient_poll.ledger.submitting import Submitting
from resilient_poll.ledger.tasks import Tasks

__all__ = ["LedgerLogic"]


class LedgerLogic(Submitting, Tasks, Reading):
    """A ledger over a store. It is a :class:`.Ledger`; :class:`.SqliteLedger` and the others only bring the store."""

    def slots(self, places: int, *, look_again_s: float = LOOK_AGAIN_S) -> LedgerSlots:
        """Return so many slots for each key, shared by all processes that have this ledger open.

        They are for ``ConcurrencyTransport(places=…, slots=…)``; close them before the ledger. Tasks that are
        open together are counted by :meth:`.Ledger.license` itself.

        Args:
            places: How many; the same number in each process.
            look_again_s: After how many seconds who found none asks again.

        Raises:
            ConfigurationError: A number makes no sense.
        """
        return LedgerSlots(self._store, self._liveness, places, look_again_s=look_again_s)

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
