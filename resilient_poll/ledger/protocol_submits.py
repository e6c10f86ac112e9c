"""What a ledger promises about sending: the first half of :class:`.Ledger`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from resilient_poll.ledger.entry import Charge, Entry, Namespace, Said, Stray
from resilient_poll.ledger.guards import Guards
from resilient_poll.ledger.rows import Owner
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["SubmitLedger"]


class SubmitLedger(Protocol):
    """From an intent to a task id."""

    def open_owner(self) -> Owner:
        """Return somebody who may hold licences, alive until closed or until this process dies.

        One for each client or process is enough. Keep it open while anything is being sent.
        """
        ...

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
        """Return the latest attempt of a key, and write down the first if there is none. Durable when it returns.

        Args:
            namespace: Within what the key means something.
            key: The caller's name for one wanted result.
            digest: Of the request, not of the prompt.
            about: Short texts for people: ``model``, ``endpoint`` …
            guards: Limits, counted in the same transaction. An intent that was found in ``NEW`` is counted too.
            charge: What it costs if it is billed.
            now_wall_s: When.

        Returns:
            The entry; its phase says whether it may be licensed (``NEW``) or what it came to.

        Raises:
            IdempotencyConflict: The key stands for a request with another digest.
            GuardRefused: A limit forbids it; nothing was written.
            EntryInvalid: It cannot be kept.
        """
        ...

    def begin_attempt(
        self,
        entry: Entry,
        *,
        accept_second_charge: bool = False,
        guards: Guards | None = None,
        charge: Charge | None = None,
        now_wall_s: float,
    ) -> Entry:
        """Return the attempt after one that ended; write it down if nobody did yet. Durable when it returns.

        Args:
            entry: The attempt that ended.
            accept_second_charge: Whether it is all right that the ended one is, or may be, billed.
            guards: As for :meth:`begin`.
            charge: What it costs; as the ended attempt, unless given.
            now_wall_s: When.

        Raises:
            ActRefused: The attempt is not at its end, or is or may be billed.
            GuardRefused: A limit forbids it; nothing was written.
        """
        ...

    def license(
        self,
        entry: Entry,
        owner: Owner,
        *,
        guards: Guards | None = None,
        slots: int | None = None,
        now_wall_s: float,
    ) -> Entry | None:
        """Give the one licence to send an entry, if it is ``NEW`` and its time has come. Durable when it returns.

        Args:
            entry: What is to be sent.
            owner: By whom.
            guards: Limits, counted over what was sent by everybody: exact even if several began at once.
            slots: How many tasks of the account may be open at the service together, counted in the same
                transaction over what is being sent, in doubt or open; None for any number.
            now_wall_s: When.

        Returns:
            The entry with its licence, which is to be used once; None if somebody else has it, it moved on, or
            its ``not_before_wall_s`` is ahead: see :meth:`get`.

        Raises:
            GuardRefused: A limit forbids it; the entry stays ``NEW``.
            SlotsTaken: None of the slots is free, or it is somebody else's turn; the entry stays ``NEW``. Ask again
                after a second: the owner keeps its place in the line for five.
        """
        ...

    def give_back(
        self, entry: Entry, *, not_before_wall_s: float | None = None, said: Said = ..., now_wall_s: float
    ) -> Entry:
        """Take a licence back whose send surely was not accepted. Call it before sleeping.

        Fenced: if the entry moved on since, nothing changes.

        Args:
            entry: The licence.
            not_before_wall_s: Before when the service asked not to be sent anything.
            said: What else it said.
            now_wall_s: When.

        Returns:
            The entry as it stands then.
        """
        ...

    def refuse(self, entry: Entry, *, said: Said = ..., now_wall_s: float) -> Entry:
        """End an entry whose send was refused for good. Fenced as :meth:`give_back`."""
        ...

    def doubt(self, entry: Entry, reason: str, *, said: Said = ..., now_wall_s: float) -> Entry:
        """Record that nobody knows what became of a send. Fenced as :meth:`give_back`; it cannot be given back then."""
        ...

    def accept(
        self,
        entry: Entry,
        task_id: str,
        *,
        phase: Phase = ...,
        billing: Billing = ...,
        said: Said = ...,
        now_wall_s: float,
    ) -> Entry:
        """Record the id that a send brought. Never lost: durable when it returns, whatever the entry became since.

        Args:
            entry: The licence.
            task_id: The service's id.
            phase: Where the task stands, ``QUEUED`` unless given: an open phase.
            billing: What may be owed.
            said: What else was said.
            now_wall_s: When.

        Returns:
            The entry as it stands. If its ``task_id`` is another one, the id is among :meth:`strays`.

        Raises:
            NotSaved: It could not be written; the error names the id.
        """
        ...

    def answered(
        self,
        entry: Entry,
        result: str,
        *,
        billing: Billing = ...,
        charge: Charge | None = None,
        said: Said = ...,
        now_wall_s: float,
    ) -> Entry:
        """Record the result that a send brought instead of a task. Durable when it returns; as :meth:`accept`.

        Args:
            entry: The licence.
            result: The raw answer as JSON text.
            billing: What is owed, ``BILLED`` unless given.
            charge: What it really cost, if that is known now.
            said: What else was said.
            now_wall_s: When.

        Returns:
            The entry as it stands. If it is not ``SUCCEEDED``, the result is among :meth:`strays`.

        Raises:
            NotSaved: It could not be written; the error holds the result.
        """
        ...

    def settle_the_dead(self, *, now_wall_s: float) -> tuple[int, ...]:
        """Put into doubt what dead owners had out. What a paused owner has out is left alone.

        Returns:
            The numbers of the entries.
        """
        ...

    def adopt(
        self,
        entry: Entry,
        task_id: str,
        *,
        phase: Phase = ...,
        billing: Billing = ...,
        said: Said = ...,
        now_wall_s: float,
    ) -> Entry:
        """Settle a doubt with a task that was found at the service.

        Args:
            entry: The entry in doubt, as it was decided upon.
            task_id: The task that it made.
            phase: Where the task stands: an open phase, ``UNRECOGNIZED`` unless given.
            billing: What may be owed.
            said: What else was said.
            now_wall_s: When.

        Raises:
            ActRefused: It is not in that doubt any more, or another entry holds the id.
        """
        ...

    def abandon(self, entry: Entry, reason: str = "", *, now_wall_s: float) -> Entry:
        """Give up an entry, as only a human does. What may be owed for it stays on the bill.

        Raises:
            ActRefused: It is being sent, or at its end.
        """
        ...

    def license_resubmit(self, entry: Entry, *, now_wall_s: float) -> Entry:
        """Make an entry in doubt ``NEW`` again: the caller's explicit act, which may pay twice.

        The doubtful send stays on the bill until an id says what became of it.

        Raises:
            ActRefused: It is not in the doubt that was decided upon any more.
        """
        ...

    def dismiss_stray(self, stray: Stray) -> None:
        """Forget a stray, as only a human does who has seen what became of it. It is no longer on the bill then."""
        ...
