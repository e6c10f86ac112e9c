"""A ledger for code that awaits: the same calls, each in a thread, and none of them cut.

A call that waits for a disk on the event loop would stop every task of the program. And a write that
began, or that a cancelled caller makes on its way out, must be finished: what it writes is money.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from types import TracebackType
from typing import Protocol, Self, TypeVar

import anyio
import anyio.to_thread

from resilient_poll.ledger.entry import Charge, Entry, Listing, Namespace, Said, SavedFile, Stray
from resilient_poll.ledger.guards import Guards
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.reading import Archived, Bill
from resilient_poll.ledger.rows import Owner
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["AsyncLedger", "RunBlocking"]

Result = TypeVar("Result")
_NOTHING = Said()


class RunBlocking(Protocol):
    """Runs a blocking function elsewhere and waits for it, as ``anyio.to_thread.run_sync`` does."""

    def __call__(self, function: Callable[[], Result], /) -> Awaitable[Result]:
        """Return what the function returns, or raise what it raises."""
        ...


async def _in_a_thread(function: Callable[[], Result], /) -> Result:
    return await anyio.to_thread.run_sync(function)


class AsyncLedger:
    """A ledger whose calls are awaited. Each means what the call of the same name means in :class:`.Ledger`.

    Args:
        ledger: What does the work. It is closed with this one.
        run_blocking: Where it is done; anyio's threads unless given.

    Attributes:
        ledger: The same.
    """

    def __init__(self, ledger: Ledger, run_blocking: RunBlocking = _in_a_thread) -> None:
        self.ledger = ledger
        self._run_blocking = run_blocking

    async def _run(self, function: Callable[[], Result]) -> Result:
        # Shielded even before it starts: a caller that was cancelled still has to say what it knows.
        with anyio.CancelScope(shield=True):
            return await self._run_blocking(function)
        raise AssertionError("a scope that nobody cancels swallows nothing")

    async def open_owner(self) -> Owner:
        """See :meth:`.Ledger.open_owner`."""
        return await self._run(self.ledger.open_owner)

    async def begin(
        self,
        namespace: Namespace,
        key: str,
        digest: str,
        about: Mapping[str, str] | None = None,
        *,
        guards: Guards | None = None,
        charge: Charge | None = None,
        now_wall_s: float,
    ) -> Entry:
        """See :meth:`.Ledger.begin`."""
        return await self._run(
            partial(
                self.ledger.begin, namespace, key, digest, about, guards=guards, charge=charge, now_wall_s=now_wall_s
            )
        )

    async def begin_attempt(
        self,
        entry: Entry,
        *,
        accept_second_charge: bool = False,
        guards: Guards | None = None,
        charge: Charge | None = None,
        now_wall_s: float,
    ) -> Entry:
        """See :meth:`.Ledger.begin_attempt`."""
        return await self._run(
            partial(
                self.ledger.begin_attempt,
                entry,
                accept_second_charge=accept_second_charge,
                guards=guards,
                charge=charge,
                now_wall_s=now_wall_s,
            )
        )

    async def license(
        self,
        entry: Entry,
        owner: Owner,
        *,
        guards: Guards | None = None,
        slots: int | None = None,
        now_wall_s: float,
    ) -> Entry | None:
        """See :meth:`.Ledger.license`."""
        return await self._run(
            partial(self.ledger.license, entry, owner, guards=guards, slots=slots, now_wall_s=now_wall_s)
        )

    async def give_back(
        self, entry: Entry, *, not_before_wall_s: float | None = None, said: Said = _NOTHING, now_wall_s: float
    ) -> Entry:
        """See :meth:`.Ledger.give_back`."""
        return await self._run(
            partial(self.ledger.give_back, entry, not_before_wall_s=not_before_wall_s, said=said, now_wall_s=now_wall_s)
        )

    async def refuse(self, entry: Entry, *, said: Said = _NOTHING, now_wall_s: float) -> Entry:
        """See :meth:`.Ledger.refuse`."""
        return await self._run(partial(self.ledger.refuse, entry, said=said, now_wall_s=now_wall_s))

    async def doubt(self, entry: Entry, reason: str, *, said: Said = _NOTHING, now_wall_s: float) -> Entry:
        """See :meth:`.Ledger.doubt`."""
        return await self._run(partial(self.ledger.doubt, entry, reason, said=said, now_wall_s=now_wall_s))

    async def accept(
        self,
        entry: Entry,
        task_id: str,
        *,
        phase: Phase = Phase.QUEUED,
        billing: Billing = Billing.NOT_YET,
        said: Said = _NOTHING,
        now_wall_s: float,
    ) -> Entry:
        """See :meth:`.Ledger.accept`."""
        return await self._run(
            partial(self.ledger.accept, entry, task_id, phase=phase, billing=billing, said=said, now_wall_s=now_wall_s)
        )

    async def answered(
        self,
        entry: Entry,
        result: str,
        *,
        billing: Billing = Billing.BILLED,
        charge: Charge | None = None,
        said: Said = _NOTHING,
        now_wall_s: float,
    ) -> Entry:
        """See :meth:`.Ledger.answered`."""
        return await self._run(
            partial(
                self.ledger.answered, entry, result, billing=billing, charge=charge, said=said, now_wall_s=now_wall_s
            )
        )

    async def settle_the_dead(self, *, now_wall_s: float) -> tuple[int, ...]:
        """See :meth:`.Ledger.settle_the_dead`."""
        return await self._run(partial(self.ledger.settle_the_dead, now_wall_s=now_wall_s))

    async def adopt(
        self,
        entry: Entry,
        task_id: str,
        *,
        phase: Phase = Phase.UNRECOGNIZED,
        billing: Billing = Billing.UNDETERMINED,
        said: Said = _NOTHING,
        now_wall_s: float,
    ) -> Entry:
        """See :meth:`.Ledger.adopt`."""
        return await self._run(
            partial(self.ledger.adopt, entry, task_id, phase=phase, billing=billing, said=said, now_wall_s=now_wall_s)
        )

    async def abandon(self, entry: Entry, reason: str = "", *, now_wall_s: float) -> Entry:
        """See :meth:`.Ledger.abandon`."""
        return await self._run(partial(self.ledger.abandon, entry, reason, now_wall_s=now_wall_s))

    async def license_resubmit(self, entry: Entry, *, now_wall_s: float) -> Entry:
        """See :meth:`.Ledger.license_resubmit`."""
        return await self._run(partial(self.ledger.license_resubmit, entry, now_wall_s=now_wall_s))

    async def dismiss_stray(self, stray: Stray) -> None:
        """See :meth:`.Ledger.dismiss_stray`."""
        await self._run(partial(self.ledger.dismiss_stray, stray))

    async def observe(
        self,
        entry: Entry,
        *,
        phase: Phase,
        billing: Billing,
        said: Said = _NOTHING,
        result: str | None = None,
        charge: Charge | None = None,
        now_wall_s: float,
    ) -> Entry:
        """See :meth:`.Ledger.observe`."""
        return await self._run(
            partial(
                self.ledger.observe,
                entry,
                phase=phase,
                billing=billing,
                said=said,
                result=result,
                charge=charge,
                now_wall_s=now_wall_s,
            )
        )

    async def claim(
        self, namespace: Namespace | None, worker: str, *, for_s: float, limit: int = 100, now_wall_s: float
    ) -> Listing:
        """See :meth:`.Ledger.claim`."""
        return await self._run(
            partial(self.ledger.claim, namespace, worker, for_s=for_s, limit=limit, now_wall_s=now_wall_s)
        )

    async def claim_ends(
        self, namespace: Namespace | None, worker: str, *, for_s: float, limit: int = 100, now_wall_s: float
    ) -> Listing:
        """See :meth:`.Ledger.claim_ends`."""
        return await self._run(
            partial(self.ledger.claim_ends, namespace, worker, for_s=for_s, limit=limit, now_wall_s=now_wall_s)
        )

    async def renew(self, entry: Entry, worker: str, *, for_s: float, now_wall_s: float) -> bool:
        """See :meth:`.Ledger.renew`."""
        return await self._run(partial(self.ledger.renew, entry, worker, for_s=for_s, now_wall_s=now_wall_s))

    async def release(self, entry: Entry, worker: str, *, now_wall_s: float) -> None:
        """See :meth:`.Ledger.release`."""
        await self._run(partial(self.ledger.release, entry, worker, now_wall_s=now_wall_s))

    async def undelivered(self, namespace: Namespace | None = None, *, limit: int = 100) -> Listing:
        """See :meth:`.Ledger.undelivered`."""
        return await self._run(partial(self.ledger.undelivered, namespace, limit=limit))

    async def delivered(self, entry: Entry, *, now_wall_s: float) -> Entry:
        """See :meth:`.Ledger.delivered`."""
        return await self._run(partial(self.ledger.delivered, entry, now_wall_s=now_wall_s))

    async def saved(self, entry: Entry, file: SavedFile, *, now_wall_s: float) -> Entry:
        """See :meth:`.Ledger.saved`."""
        return await self._run(partial(self.ledger.saved, entry, file, now_wall_s=now_wall_s))

    async def get(self, entry_id: int) -> Entry:
        """See :meth:`.Ledger.get`."""
        return await self._run(partial(self.ledger.get, entry_id))

    async def find(self, namespace: Namespace, key: str) -> Entry | None:
        """See :meth:`.Ledger.find`."""
        return await self._run(partial(self.ledger.find, namespace, key))

    async def by_task(self, namespace: Namespace, task_id: str) -> Entry | None:
        """See :meth:`.Ledger.by_task`."""
        return await self._run(partial(self.ledger.by_task, namespace, task_id))

    async def entries(
        self,
        *,
        namespace: Namespace | None = None,
        phases: Collection[Phase] | None = None,
        key: str | None = None,
        since_wall_s: float | None = None,
        until_wall_s: float | None = None,
        before_entry_id: int | None = None,
        with_archived: bool = False,
        limit: int = 100,
    ) -> Listing:
        """See :meth:`.Ledger.entries`."""
        return await self._run(
            partial(
                self.ledger.entries,
                namespace=namespace,
                phases=phases,
                key=key,
                since_wall_s=since_wall_s,
                until_wall_s=until_wall_s,
                before_entry_id=before_entry_id,
                with_archived=with_archived,
                limit=limit,
            )
        )

    async def strays(self, namespace: Namespace | None = None) -> tuple[Stray, ...]:
        """See :meth:`.Ledger.strays`."""
        return await self._run(partial(self.ledger.strays, namespace))

    async def counts(self, namespace: Namespace | None = None) -> Mapping[Phase, int]:
        """See :meth:`.Ledger.counts`."""
        return await self._run(partial(self.ledger.counts, namespace))

    async def bill(
        self,
        namespace: Namespace | None = None,
        *,
        since_wall_s: float | None = None,
        until_wall_s: float | None = None,
    ) -> Bill:
        """See :meth:`.Ledger.bill`."""
        return await self._run(
            partial(self.ledger.bill, namespace, since_wall_s=since_wall_s, until_wall_s=until_wall_s)
        )

    async def setting(self, name: str) -> str | None:
        """See :meth:`.Ledger.setting`."""
        return await self._run(partial(self.ledger.setting, name))

    async def set_setting(self, name: str, value: str) -> None:
        """See :meth:`.Ledger.set_setting`."""
        await self._run(partial(self.ledger.set_setting, name, value))

    async def archive(
        self,
        before_wall_s: float,
        *,
        namespace: Namespace | None = None,
        including_not_downloaded: bool = False,
        now_wall_s: float,
    ) -> Archived:
        """See :meth:`.Ledger.archive`."""
        return await self._run(
            partial(
                self.ledger.archive,
                before_wall_s,
                namespace=namespace,
                including_not_downloaded=including_not_downloaded,
                now_wall_s=now_wall_s,
            )
        )

    async def vacuum(self, archived_before_wall_s: float) -> Archived:
        """See :meth:`.Ledger.vacuum`."""
        return await self._run(partial(self.ledger.vacuum, archived_before_wall_s))

    async def close(self) -> None:
        """See :meth:`.Ledger.close`."""
        await self._run(self.ledger.close)

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()
