"""From an intent to a task id: where money can be paid twice, and must not be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from resilient_poll.ledger import moves
from resilient_poll.ledger.checks import fitting, row_of
from resilient_poll.ledger.core import LedgerCore, within
from resilient_poll.ledger.entry import Charge, Entry, Namespace, Said, Stray
from resilient_poll.ledger.errors import (
    ActRefused,
    EntryCorrupt,
    EntryInvalid,
    IdempotencyConflict,
    LedgerError,
    LedgerUnavailable,
    NotSaved,
    SlotsTaken,
)
from resilient_poll.ledger.guards import Guards
from resilient_poll.ledger.rows import ENTRIES, STRAYS, Durability, Owner, Rows, Where
from resilient_poll.ledger.slots import may_go, scope_of, tasks_out
from resilient_poll.machine.lifecycle import ENDS, OPEN, Billing, Phase

__all__ = ["Submitting"]

_NOTHING = Said()


class Submitting(LedgerCore):
    """The part of a ledger that is about sending. What each method promises stands in :class:`.Ledger`."""

    def open_owner(self) -> Owner:
        """See :meth:`.Ledger.open_owner`."""
        return self._liveness.open_owner()

    def begin(
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
        wanted = _intent(namespace, key, 1, digest, about, charge, now_wall_s)
        row = row_of(wanted)  # What must not be kept is refused before anything is looked up by it.

        def work(rows: Rows) -> Entry:
            latest = self._latest(rows, namespace, key)
            if latest is None:
                self._guard(rows, guards, namespace, charge, now_wall_s)
                return self._add(rows, wanted, row)
            if latest.digest != digest:
                raise IdempotencyConflict(latest)
            if latest.phase is not Phase.NEW:
                return latest
            priced = replace(latest, charge=charge or latest.charge)
            self._guard(rows, guards, namespace, priced.charge, now_wall_s, asking=latest)
            return self._save(rows, latest, priced, now_wall_s)

        return self._store.run(work, Durability.SYNCED)

    def begin_attempt(
        self,
        entry: Entry,
        *,
        accept_second_charge: bool = False,
        guards: Guards | None = None,
        charge: Charge | None = None,
        now_wall_s: float,
    ) -> Entry:
        """See :meth:`.Ledger.begin_attempt`."""

        def work(rows: Rows) -> Entry:
            latest = self._latest(rows, entry.namespace, entry.key)
            if latest is None:
                raise ActRefused(f"this ledger has no entry for key {entry.key!r}; nothing was sent")
            if latest.attempt > entry.attempt:
                return latest
            if not latest.is_ended:
                raise ActRefused(
                    f"{latest} is not at its end, so there is no further attempt; nothing was sent", latest
                )
            if latest.billing is not Billing.NONE and not accept_second_charge:
                raise ActRefused(
                    f"{latest} is billed or may be ({latest.billing}), so both attempts may be charged; nothing was "
                    "sent: accept_second_charge=True does it",
                    latest,
                )
            price = charge or latest.charge
            self._guard(rows, guards, latest.namespace, price, now_wall_s)
            number = latest.attempt + 1
            wanted = _intent(latest.namespace, latest.key, number, latest.digest, latest.about, price, now_wall_s)
            return self._add(rows, wanted, row_of(wanted))

        return self._store.run(work, Durability.SYNCED)

    def license(
        self,
        entry: Entry,
        owner: Owner,
        *,
        guards: Guards | None = None,
        slots: int | None = None,
        now_wall_s: float,
    ) -> Entry | None:
        """See :meth:`.Ledger.license`."""
        owner.hold()

        def work(rows: Rows) -> Entry | SlotsTaken | None:
            stands = self._load(rows, entry.entry_id)
            given = moves.licensed(stands, owner.name, now_wall_s)
            if given is None:
                return None
            self._guard(rows, guards, stands.namespace, stands.charge, now_wall_s, are_intents_counted=False)
            if slots is not None:
                taken = tasks_out(rows, within(stands.namespace), now_wall_s)
                scope = scope_of(stands.namespace)
                if not may_go(rows, scope, owner.name, places=slots, taken=taken, now_wall_s=now_wall_s):
                    return SlotsTaken(slots, taken)  # Not raised here: the place in the line is to be kept.
            return self._save(rows, stands, given, now_wall_s)

        came = self._store.run(work, Durability.SYNCED)
        if isinstance(came, SlotsTaken):
            raise came
        return came

    def give_back(
        self, entry: Entry, *, not_before_wall_s: float | None = None, said: Said = _NOTHING, now_wall_s: float
    ) -> Entry:
        """See :meth:`.Ledger.give_back`."""

        def work(rows: Rows) -> Entry:
            stands = self._load(rows, entry.entry_id)
            after = moves.given_back(stands, entry, not_before_wall_s, said, now_wall_s)
            return self._save(rows, stands, after, now_wall_s)

        return self._store.run(work, Durability.SYNCED)

    def refuse(self, entry: Entry, *, said: Said = _NOTHING, now_wall_s: float) -> Entry:
        """See :meth:`.Ledger.refuse`."""

        def work(rows: Rows) -> Entry:
            stands = self._load(rows, entry.entry_id)
            return self._save(rows, stands, moves.refused(stands, entry, said, now_wall_s), now_wall_s)

        return self._store.run(work, Durability.SYNCED)

    def doubt(self, entry: Entry, reason: str, *, said: Said = _NOTHING, now_wall_s: float) -> Entry:
        """See :meth:`.Ledger.doubt`."""

        def work(rows: Rows) -> Entry:
            stands = self._load(rows, entry.entry_id)
            return self._save(rows, stands, moves.doubted(stands, entry, reason, said), now_wall_s)

        return self._store.run(work, Durability.SYNCED)

    def accept(
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
        if phase not in OPEN:
            raise EntryInvalid([f"an accepted task should be in an open phase, not {phase}"])

        def work(rows: Rows) -> Entry:
            stands = self._standing(rows, entry)
            if stands is not None and stands.task_id == task_id:
                return stands
            holder = self._holder(rows, entry.namespace, task_id)
            if holder is not None:
                beside = f"entry {holder} holds this task id already"
                if stands is not None and moves.holds_licence(stands, entry):
                    doubt = moves.doubted(
                        stands, entry, f"the service answered with task {task_id}, and {beside}", said
                    )
                    stands = self._save(rows, stands, doubt, now_wall_s)
            elif stands is not None and moves.takes_what_came(stands, entry):
                own = [*within(entry.namespace), Where("task_id", "=", task_id), Where("entry_id", "=", entry.entry_id)]
                rows.delete(STRAYS, [int(row["row_id"] or 0) for row in rows.select(STRAYS, own, columns=("row_id",))])
                taken = moves.accepted(stands, entry, task_id, phase, billing, said)
                return self._save(rows, stands, taken, now_wall_s)
            else:
                beside = "its entry cannot be read" if stands is None else f"its entry had moved on to {stands.phase}"
            return self._put_beside(rows, stands or entry, entry, task_id, None, said, beside, now_wall_s)

        return self._keeping(work, entry, task_id, None)

    def answered(
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

        def work(rows: Rows) -> Entry:
            stands = self._standing(rows, entry)
            if stands is not None and stands.phase is Phase.SUCCEEDED and stands.sends == entry.sends:
                return stands
            if stands is not None and moves.takes_what_came(stands, entry):
                taken = moves.answered(stands, entry, result, billing, said, now_wall_s)
                return self._save(rows, stands, replace(taken, charge=charge or taken.charge), now_wall_s)
            why = "its entry cannot be read" if stands is None else f"its entry had moved on to {stands.phase}"
            return self._put_beside(rows, stands or entry, entry, None, result, said, why, now_wall_s)

        return self._keeping(work, entry, None, result)

    def settle_the_dead(self, *, now_wall_s: float) -> tuple[int, ...]:
        """See :meth:`.Ledger.settle_the_dead`."""
        out = [Where("phase", "=", Phase.SUBMITTING.value)]

        def names(rows: Rows) -> set[str]:
            return {str(row["owner"]) for row in rows.select(ENTRIES, out, columns=("row_id", "owner"))}

        dead = tuple(sorted(name for name in self._store.read(names) if self._liveness.is_dead(name)))
        settled: tuple[int, ...] = ()
        if dead:
            settled = self._store.run(lambda rows: self._settle(rows, dead, now_wall_s), Durability.SYNCED)
        self._liveness.forget_the_dead()
        return settled

    def _settle(self, rows: Rows, dead: tuple[str, ...], now_wall_s: float) -> tuple[int, ...]:
        theirs = [Where("phase", "=", Phase.SUBMITTING.value), Where("owner", "in", dead)]
        settled = []
        for row in rows.select(ENTRIES, theirs, columns=("row_id",)):
            entry_id = int(row["row_id"] or 0)
            try:
                stands = self._load(rows, entry_id)
            except EntryCorrupt:
                continue  # It is reported where it is listed, and must not keep the others from being settled.
            self._save(rows, stands, moves.settled(stands), now_wall_s)
            settled.append(entry_id)
        return tuple(settled)

    def adopt(
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
        if phase not in OPEN:
            raise EntryInvalid([f"an adopted task should be in an open phase, not {phase}: it is asked about first"])

        def work(rows: Rows) -> Entry:
            stands = self._load(rows, entry.entry_id)
            if stands.task_id == task_id:
                return stands
            if stands.phase is not Phase.IN_DOUBT or stands.sends != entry.sends:
                raise ActRefused(f"{stands} is not in the doubt that a task could settle; nothing was changed", stands)
            holder = self._holder(rows, stands.namespace, task_id)
            beside = rows.select(STRAYS, [*within(stands.namespace), Where("task_id", "=", task_id)])
            if holder is not None or any(row["entry_id"] != stands.entry_id for row in beside):
                whose = holder if holder is not None else beside[0]["entry_id"]
                raise ActRefused(f"task {task_id} belongs to entry {whose}; {stands} was not changed", stands)
            rows.delete(STRAYS, [int(row["row_id"] or 0) for row in beside])
            taken = moves.accepted(stands, stands, task_id, phase, billing, said)
            return self._save(rows, stands, taken, now_wall_s)

        return self._store.run(work, Durability.SYNCED)

    def abandon(self, entry: Entry, reason: str = "", *, now_wall_s: float) -> Entry:
        """See :meth:`.Ledger.abandon`."""

        def work(rows: Rows) -> Entry:
            stands = self._load(rows, entry.entry_id)
            if stands.phase is Phase.SUBMITTING:
                raise ActRefused(f"{stands} is being sent, so nobody can give it up yet; nothing was changed", stands)
            if stands.phase in ENDS:
                raise ActRefused(f"{stands} is at its end; nothing was changed", stands)
            return self._save(rows, stands, moves.abandoned(stands, reason, now_wall_s), now_wall_s)

        return self._store.run(work, Durability.SYNCED)

    def license_resubmit(self, entry: Entry, *, now_wall_s: float) -> Entry:
        """See :meth:`.Ledger.license_resubmit`."""

        def work(rows: Rows) -> Entry:
            stands = self._load(rows, entry.entry_id)
            if stands.phase is not Phase.IN_DOUBT or stands.sends != entry.sends:
                raise ActRefused(f"{stands} is not in the doubt that was decided upon; nothing was changed", stands)
            return self._save(rows, stands, moves.licensed_anew(stands), now_wall_s)

        return self._store.run(work, Durability.SYNCED)

    def dismiss_stray(self, stray: Stray) -> None:
        """See :meth:`.Ledger.dismiss_stray`."""
        self._store.run(lambda rows: rows.delete(STRAYS, [stray.stray_id]), Durability.SYNCED)

    def _standing(self, rows: Rows, entry: Entry) -> Entry | None:
        """Return an entry as it stands, or None if it cannot be read or is gone: what came is kept all the same."""
        try:
            return self._load(rows, entry.entry_id)
        except (EntryCorrupt, ActRefused):
            return None

    def _put_beside(
        self,
        rows: Rows,
        stands: Entry,
        licence: Entry,
        task_id: str | None,
        result: str | None,
        said: Said,
        reason: str,
        now_wall_s: float,
    ) -> Entry:
        stray = Stray(
            stray_id=0,
            namespace=licence.namespace,
            entry_id=licence.entry_id,
            send=licence.sends,
            task_id=task_id,
            request_id=fitting(said.request_id, "request_id"),
            snapshot=said.snapshot,
            result=result,
            reason=reason,
            seen_wall_s=now_wall_s,
        )
        if self._record_stray(rows, stray) and stands is not licence:
            return self._save(rows, stands, moves.without_doubt_of(stands, licence), now_wall_s)
        return stands

    def _keeping(self, work: Callable[[Rows], Entry], entry: Entry, task_id: str | None, result: str | None) -> Entry:
        try:
            try:
                return self._store.run(work, Durability.SYNCED)
            except LedgerUnavailable:
                # What is known only here is worth a second try, and written twice it does no harm.
                return self._store.run(work, Durability.SYNCED)
        except (LedgerError, EntryInvalid) as error:
            raise NotSaved(entry, task_id=task_id, result=result, why=str(error)) from error


def _intent(
    namespace: Namespace,
    key: str,
    attempt: int,
    digest: str,
    about: Mapping[str, str] | None,
    charge: Charge | None,
    now_wall_s: float,
) -> Entry:
    return Entry(
        entry_id=0,
        namespace=namespace,
        key=key,
        attempt=attempt,
        digest=digest,
        about=dict(about or {}),
        charge=charge,
        created_wall_s=now_wall_s,
        updated_wall_s=now_wall_s,
    )
