"""What the client writes into a ledger, and when: before a create leaves, and before a caller sees what came of it.

Everything here blocks. Code that awaits has it run elsewhere.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from resilient_poll.dashscope.doubts.marks import marks_of
from resilient_poll.dashscope.keeping.errand import BROKEN_OFF, UNSENT, Errand
from resilient_poll.dashscope.keeping.filing import (
    Filing,
    begun,
    check_for_secrets,
    digest_of,
    is_late,
    late_licence,
    namespace_of,
    result_text,
    said_of,
    snapshot_text,
    surely,
    what_it_came_to,
)
from resilient_poll.dashscope.keeping.saving_again import SavingAgain
from resilient_poll.dashscope.keeping.shelf import Shelf
from resilient_poll.dashscope.settings import Settings
from resilient_poll.dashscope.wire.endpoints import Endpoint
from resilient_poll.dashscope.wire.results import made_nothing
from resilient_poll.drive.telling import logger
from resilient_poll.errors import ResilientPollError
from resilient_poll.http.messages import Answer, ExchangeFailed, HttpRequest
from resilient_poll.ledger.entry import LONGEST_ABOUT, Entry
from resilient_poll.ledger.errors import LedgerUnavailable, LedgerUnusable, NotSaved, SlotsTaken
from resilient_poll.ledger.slots import LOOK_AGAIN_S, NO_TASK
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Billing, Phase
from resilient_poll.machine.observations import (
    Accepted,
    AnsweredAtOnce,
    LostAnswer,
    NoSlotFree,
    Observation,
    Refused,
    Throttled,
    Unreachable,
)

if TYPE_CHECKING:
    from resilient_poll.ledger.rows import Owner

__all__ = ["BROKEN_OFF", "UNSENT", "Books", "Errand", "books_in_memory", "warn_once"]

_OURS = "ours"
_WARNED: list[bool] = []
_ONE = "the client"


@dataclass(slots=True)
class Books(Shelf):
    """One client's side of a ledger, with the right to send."""

    _owners: dict[str, Owner] = field(default_factory=dict)
    _asking: dict[int, Filing] = field(default_factory=dict)
    _unwritten: dict[int, Callable[[], None]] = field(default_factory=dict)

    def new_filing(
        self,
        key: str | None,
        endpoint: Endpoint,
        request: HttpRequest,
        model: str,
        parameters: Mapping[str, Any] | None,
    ) -> Filing:
        """Return what a submit is called; nothing is written yet.

        Args:
            key: The caller's name for it; without one, a name is made up and logged.
            endpoint: Where it goes.
            request: What is sent; only its digest is kept.
            model: The model's name.
            parameters: How it is made, for its price.

        Raises:
            ConfigurationError: The key or the model holds the API key; nothing was sent.
        """
        check_for_secrets((key or "", model), request)
        if key is None:
            key = f"made-up-{secrets.token_hex(12)}"
            logger.info("this submit is called %s in the ledger, as it has no idempotency key", key)
        about = {"model": model[:200], "endpoint": endpoint.name[:200], "base_url": self.namespace.origin[:200]}
        marks = marks_of(self.namespace, key, request.body, is_synchronous=endpoint.is_synchronous)
        if all(len(name) + len(text) <= LONGEST_ABOUT for name, text in marks.items()):
            about |= marks  # All or none: half of them would make two requests look alike.
        if endpoint.is_synchronous:
            about[NO_TASK] = "yes"
        charge = None if self.prices is None else self.prices.expected(model, endpoint, parameters)
        return Filing(key, digest_of(request, endpoint.path), about, charge)

    def carry_out(self, filing: Filing, errand: Errand) -> Observation:
        """Send by a licence, and record what came of it before anybody sees it; for code that blocks.

        Args:
            filing: What is sent.
            errand: How.

        Raises:
            ResilientPollError: See :meth:`license` and :meth:`write_down`.
        """
        came: Observation = UNSENT
        heard: Answer | ExchangeFailed | None = None
        now, submission = errand.clock.now, errand.submission
        try:
            asked = now()
            if (instead := self.license(filing, asked)) is not None:
                return instead
            while is_late(asked, now()):
                asked = now()
                if asked.monotonic_s > submission.last_start_s or not self.is_held(filing):
                    came = late_licence(submission, asked)
                    break
            else:
                came = BROKEN_OFF
                heard = errand.exchange()
                came = errand.understand(heard)
            self._write_down_at_last(filing, came, errand)
        except BaseException as error:
            if heard is not None:
                came = errand.understand(heard)  # Interrupted with the answer in hand.
            elif came is BROKEN_OFF and errand.is_prevented():
                came = UNSENT
            is_told = isinstance(error, ResilientPollError)
            if not is_told and came is not BROKEN_OFF and submission.phase is Phase.SUBMITTING:
                submission.receive(came, now())  # So that what is logged of it is true, and names the task.
            self.break_off(filing, came, now(), submission.seed)  # What was written already is not written again.
            raise
        return came

    def _write_down_at_last(self, filing: Filing, came: Observation, errand: Errand) -> None:
        clock = errand.clock
        try:
            self.write_down(filing, came, clock.now(), errand.submission.seed)
        except NotSaved as error:
            errand.tell(error, clock.now())
            again = SavingAgain(clock.now())
            while (pause_s := again.pause_after(error, clock.now())) is not None:
                clock.sleep(pause_s)
                try:
                    self.write_again(filing)
                except NotSaved as still:
                    error = still  # the last one is raised
                else:
                    return
            raise error from error.__cause__

    def license(self, filing: Filing, now: Instant) -> Observation | None:
        """Take the one licence to send, durably; or say what the key came to already.

        Whatever comes of it, :meth:`write_down` or :meth:`break_off` is called afterwards.

        Args:
            filing: What is to be sent; it holds the licence then.
            now: When; a clock that awaits cannot be asked from here.

        Returns:
            None if the licence was given; else the observation that stands in the place of a request.

        Raises:
            GuardRefused: A limit of the caller's forbids it; nothing was sent.
            IdempotencyConflict: The key stands for another request; nothing was sent.
            LedgerError: The ledger cannot be used; nothing was sent.
        """
        try:
            return self._licensed(filing, now.wall_s)
        except (LedgerUnavailable, LedgerUnusable) as error:
            raise surely(error, "nothing was sent") from error

    def _licensed(self, filing: Filing, now_s: float) -> Observation | None:
        self._write_what_is_left()
        entry = filing.entry = self._begin(filing, now_s)
        if (write := self._unwritten.get(entry.entry_id)) is not None:
            write()  # What became of an earlier send is known here, and could not be written then.
            entry = filing.entry = self.ledger.get(entry.entry_id)
        if entry.phase is Phase.REFUSED and not filing.is_joined:
            # Nothing was accepted, and somebody asks anew: what stood in the way may be gone.
            entry = filing.entry = self._next_attempt(filing, entry, now_s)
        filing.is_joined = True
        if entry.phase is Phase.NEW and self._asking.setdefault(entry.entry_id, filing) is filing:
            try:
                slots = None if NO_TASK in filing.about else self.slots
                filing.licence = self.ledger.license(
                    entry, self._alive(), guards=self.guards, slots=slots, now_wall_s=now_s
                )
            except SlotsTaken as taken:
                self._done(filing)
                return NoSlotFree(reason=taken.reason, look_again_s=LOOK_AGAIN_S)
            if filing.licence is not None:
                filing.entry = filing.licence
                return None
            self._done(filing)
            entry = filing.entry = self.ledger.get(entry.entry_id)
        if entry.phase is Phase.SUBMITTING and self.ledger.settle_the_dead(now_wall_s=now_s):
            entry = filing.entry = self.ledger.get(entry.entry_id)
        filing.is_found = entry.task_id is not None
        filing.is_answered = filing.is_found or entry.phase is Phase.SUCCEEDED
        return what_it_came_to(entry, now_s)

    def _write_what_is_left(self) -> None:
        """Write what could not be written before, of other submits too: a kill would make doubts of what is known."""
        for write in list(self._unwritten.values()):
            try:
                write()
            except ResilientPollError:
                return  # It was told of, and is tried again the next time; so are the others.

    def is_held(self, filing: Filing) -> bool:
        """Tell whether a licence still stands as it was given.

        Raises:
            LedgerError: The ledger cannot be used; nothing was sent.
        """
        if (licence := filing.licence) is None:
            return False
        stands = self.ledger.get(licence.entry_id)
        return (stands.phase, stands.owner, stands.sends) == (Phase.SUBMITTING, licence.owner, licence.sends)

    def write_down(self, filing: Filing, came: Observation, now: Instant, seed: str) -> None:
        """Record what came of a send, durably. Interrupted, it is done all the same.

        Args:
            filing: What was sent, with its licence.
            came: What came.
            now: When.
            seed: What the task's draws come from.

        Raises:
            NotSaved: It was accepted, and could not be written down: the error is the only record.
            LedgerError: It was surely not accepted, and the ledger cannot be told.
        """
        try:
            self._write_down(filing, came, now, seed)
        except ResilientPollError:
            raise
        except BaseException:
            # Ctrl-C in the middle. It may be written twice, and what is known only here must not be lost.
            self.break_off(filing, came, now, seed)
            raise

    def write_again(self, filing: Filing) -> None:
        """Try once more what :meth:`write_down` could not write; nothing happens if somebody did meanwhile.

        Raises:
            NotSaved: It could not be written this time either.
        """
        write = None if filing.entry is None else self._unwritten.get(filing.entry.entry_id)
        if write is not None:
            write()

    def break_off(self, filing: Filing, came: Observation, now: Instant, seed: str) -> None:
        """Record what is known of a send whose caller hears of something else; a fault is only logged."""
        try:
            self._write_down(filing, came, now, seed)
        except ResilientPollError as error:
            logger.error("what came of the submit under idempotency key %s is known here only: %s", filing.key, error)

    def _write_down(self, filing: Filing, came: Observation, now: Instant, seed: str) -> None:
        licence = filing.licence or self._licence_unheard_of(filing)
        if licence is None:
            self._done(filing)
            return

        def write() -> None:
            filing.entry = self._written(licence, came, now, seed)
            self._unwritten.pop(licence.entry_id, None)

        try:
            write()
        except ResilientPollError as error:
            # The ledger's row stays as it is, and becomes a doubt when this client is gone: it is tried again before.
            self._unwritten[licence.entry_id] = write
            self._done(filing)
            if isinstance(came, LostAnswer | Refused):
                logger.error("the ledger stays in doubt about idempotency key %s: %s", filing.key, error)
            elif isinstance(error, LedgerUnavailable | LedgerUnusable):
                raise surely(error, "the submit was not accepted, so nothing is owed for it") from error
            else:
                raise
        # Not in a finally: what an interruption broke off is done once more, with this licence.
        self._done(filing)

    def _licence_unheard_of(self, filing: Filing) -> Entry | None:
        """Return a licence that was given when an interruption or a failing disk kept us from hearing of it."""
        entry, owner = filing.entry, self._owners.get(_OURS)
        if entry is None or owner is None or self._asking.get(entry.entry_id) is not filing:
            return None
        try:
            stands = self.ledger.get(entry.entry_id)
        except ResilientPollError:
            self._done(filing)
            raise
        # Nobody else of this client asks for it, so what its owner holds is ours, and was not used.
        return stands if stands.phase is Phase.SUBMITTING and stands.owner == owner.name else None

    def _done(self, filing: Filing) -> None:
        entry, filing.licence = filing.entry, None
        if entry is not None and self._asking.get(entry.entry_id) is filing:
            del self._asking[entry.entry_id]

    def _written(self, licence: Entry, came: Observation, now: Instant, seed: str) -> Entry:
        said, at_s, ledger = said_of(came), now.wall_s, self.ledger
        match came:
            case Accepted():
                record = begun(came, now, seed)
                said, held = replace(said, snapshot=snapshot_text(record, now)), (record.phase, record.billing)
                return ledger.accept(licence, came.task_id, phase=held[0], billing=held[1], said=said, now_wall_s=at_s)
            case AnsweredAtOnce():
                billing = Billing.NONE if made_nothing(came.result) else Billing.BILLED
                charge = self._charged(licence, came.result)
                text = result_text(came.result) or "{}"
                return ledger.answered(licence, text, billing=billing, charge=charge, said=said, now_wall_s=at_s)
            case Refused():
                return ledger.refuse(licence, said=said, now_wall_s=at_s)
            case Throttled() | Unreachable():
                until = None if came.retry_after_s is None else at_s + came.retry_after_s
                return ledger.give_back(licence, not_before_wall_s=until, said=said, now_wall_s=at_s)
            case LostAnswer():
                return ledger.doubt(licence, came.reason, said=said, now_wall_s=at_s)
            case _:
                raise TypeError(f"{type(came).__name__} is nothing that comes of a create")

    def close(self) -> None:
        """Let go of what may hold licences. The ledger itself is the caller's."""
        for write in list(self._unwritten.values()):
            try:
                write()
            except ResilientPollError as error:
                logger.error("what became of a submit is known to this client only, and it is closed: %s", error)
        if (owner := self._owners.pop(_OURS, None)) is not None:
            owner.close()

    def _begin(self, filing: Filing, now_wall_s: float) -> Entry:
        if filing.after is not None:
            return self._next_attempt(filing, filing.after, now_wall_s)
        return self.ledger.begin(
            self.namespace,
            filing.key,
            filing.digest,
            filing.about,
            guards=self.guards,
            charge=filing.charge,
            now_wall_s=now_wall_s,
        )

    def _next_attempt(self, filing: Filing, ended: Entry, now_wall_s: float) -> Entry:
        return self.ledger.begin_attempt(
            ended,
            accept_second_charge=filing.accept_second_charge,
            guards=self.guards,
            charge=filing.charge,
            now_wall_s=now_wall_s,
        )

    def _alive(self) -> Owner:
        if (owner := self._owners.get(_OURS)) is not None:
            return owner
        # Without a lock, which an interruption might leave locked: who is second closes what it opened.
        opened = self.ledger.open_owner()
        if (owner := self._owners.setdefault(_OURS, opened)) is not opened:
            opened.close()
        return owner


def books_in_memory(settings: Settings) -> Books:
    """Return the books of a client that was given no ledger: they hold within this process."""
    from resilient_poll.ledger.memory import MemoryLedger  # noqa: PLC0415  # who has a ledger needs no other

    return Books(MemoryLedger(), namespace_of(settings, None), is_instant=True)


def warn_once() -> None:
    """Say, once in a process, what a crash would lose where there is no ledger."""
    if _WARNED:
        return
    _WARNED.append(True)
    logger.warning(
        "no ledger was given, so nothing that survives a crash is written: if this process is killed, its paid tasks "
        "are known by the ids in its log only, and a submit whose answer was not heard by nothing at all. "
        "DashScope(ledger=SqliteLedger(path)) keeps them; this is said once"
    )
