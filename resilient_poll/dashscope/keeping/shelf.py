"""What the client reads in a ledger, and what it writes of tasks that are accepted already.

Everything here blocks. Code that awaits has it run elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resilient_poll.dashscope.keeping.filing import checked_key, doubt_about, result_text, snapshot_text
from resilient_poll.dashscope.keeping.prices import PriceTable, prices_of
from resilient_poll.drive.telling import logger
from resilient_poll.errors import ConfigurationError, ResilientPollError
from resilient_poll.ledger.entry import Charge, Entry, Namespace, Said
from resilient_poll.ledger.guards import Guards
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.task_record import TaskRecord

if TYPE_CHECKING:
    from resilient_poll.ledger.protocol import Ledger

__all__ = ["Shelf"]


@dataclass(slots=True)
class Shelf:
    """One client's view of a ledger.

    Attributes:
        ledger: Where it is written.
        namespace: Of whom.
        guards: The caller's own limits.
        prices: What things cost, if that is known.
        slots: How many tasks of the account may be open together, over all who share the ledger.
        looked_s: When it was last looked at the tasks that hold slots, in monotonic seconds.
        is_instant: Whether its calls never wait for a disk or a network.
    """

    ledger: Ledger
    namespace: Namespace
    guards: Guards | None = None
    prices: PriceTable | None = None
    is_instant: bool = False
    slots: int | None = None
    looked_s: float = -math.inf

    def observe(self, entry: Entry, record: TaskRecord, now: Instant) -> Entry:
        """Record where a task was seen.

        Raises:
            LedgerError: It could not be written down.
        """
        is_made = record.phase is Phase.SUCCEEDED and record.result_readable
        return self.ledger.observe(
            entry,
            phase=record.phase,
            billing=record.billing,
            said=Said(
                status=record.status,
                request_id=record.request_id,
                code=record.code,
                message=record.message,
                snapshot=snapshot_text(record, now),
            ),
            result=result_text(record.result) if is_made else None,
            charge=self._charged(entry, record.result) if is_made else None,
            now_wall_s=now.wall_s,
        )

    def hand_over(self, entry: Entry, now: Instant) -> None:
        """Record that an end was handed to the caller. A fault is only logged: an end told twice does no harm."""
        try:
            self.ledger.delivered(entry, now_wall_s=now.wall_s)
        except ResilientPollError as error:
            logger.warning("that the end of %s was handed over could not be written down: %s", entry, error)

    def entry_of_task(self, task_id: str) -> Entry | None:
        """Return the entry that holds a task, if there is one."""
        return self.ledger.by_task(self.namespace, task_id)

    def entry_of_key(self, key: str) -> Entry:
        """Return the entry of a key that stands for a task.

        Raises:
            ConfigurationError: There is none.
            SubmitInDoubt: It is in doubt whether there is a task.
        """
        entry = self.ledger.find(self.namespace, checked_key(key))
        if entry is None:
            raise ConfigurationError(
                f"the ledger knows nothing of the idempotency key {key!r:.80} in this account; task() takes an id"
            )
        if (doubt := doubt_about(entry)) is not None:
            raise doubt
        if entry.task_id is None:
            raise ConfigurationError(
                f"the idempotency key {key!r:.80} has no task ({entry.phase}); nothing of it goes on at the service"
            )
        return entry

    def _charged(self, entry: Entry, result: object) -> Charge | None:
        """Return what an answer costs at the price of its submit, whatever prices this client has."""
        model = entry.about.get("model", "")
        prices = self.prices if entry.charge is None else prices_of(model, entry.charge)
        return None if prices is None else prices.charged(model, result)
