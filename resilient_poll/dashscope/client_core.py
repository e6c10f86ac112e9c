"""What both clients share: what one account's tasks have in common, and what their submits mean."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from resilient_poll.dashscope import direct
from resilient_poll.dashscope.checking import checked_seconds
from resilient_poll.dashscope.keeping.books import Books, books_in_memory, warn_once
from resilient_poll.dashscope.keeping.departures import Departures
from resilient_poll.dashscope.keeping.filing import Create, Filing, begun, checked_key, doubt_about, restored
from resilient_poll.dashscope.keeping.header import header_value
from resilient_poll.dashscope.keeping.orphans import tell_of_break, tell_of_unsaved
from resilient_poll.dashscope.keeping.retrying import entry_to_retry
from resilient_poll.dashscope.limits import Limits, account_of
from resilient_poll.dashscope.news import News
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.resume_token import PREFIX, read_token, write_token
from resilient_poll.dashscope.settings import Settings
from resilient_poll.dashscope.wire import error_catalogue, listing, requests, translate
from resilient_poll.dashscope.wire.endpoints import VIDEO, Endpoint, endpoint_for
from resilient_poll.dashscope.wire.redaction import answer_without_key, failure_without_key
from resilient_poll.drive.outcome import cause_of, submit_error
from resilient_poll.drive.telling import logger, tell
from resilient_poll.errors import (
    ConfigurationError,
    ErrorKind,
    ListingFailed,
    SafeToSubmitAgain,
    SubmitError,
    SubmitInDoubt,
    TryAgain,
)
from resilient_poll.events import Event, PhaseChanged
from resilient_poll.http.messages import Answer, ExchangeFailed, HttpRequest
from resilient_poll.http.rate_limits import RateLimit, read_rate_limit
from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.errors import NotSaved
from resilient_poll.machine.commands import Done, DoneReason
from resilient_poll.machine.floor import Floor, TaskFloors
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.lookup import Lookup
from resilient_poll.machine.observations import Observation, Refused, Throttled, Unreachable
from resilient_poll.machine.pace import InTurn
from resilient_poll.machine.policy import SubmitPolicy, WaitPolicy
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.slots import Account
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["ClientCore", "Create"]

PollerOrLookup = TypeVar("PollerOrLookup", Poller, Lookup)


_LONGEST_OWN_FLOOR_S = 120.0
"""How long an empty quota keeps requests back: windows are a minute, and its reset is a courtesy, not an order."""


@dataclass(slots=True)
class ClientCore:
    """What one account's tasks share.

    Attributes:
        settings: The service.
        wait_policy: How waits behave unless told otherwise.
        submit_policy: How submits behave unless told otherwise.
        on_event: The caller's listener.
        make_seed: Makes the seed of a submit's draws.
        create_floor: The account's earliest next create.
        query_floor: The account's earliest next query.
        rate_limit: What the service last said of the account's quota of requests.
        limits: What the caller declared of the account.
        account: What its tasks share, the two floors included.
        books: What is written into the ledger; None where there is none.
        departures: Which of its creates can have left.
        news: What is told of its submits and waits, if anybody hears.
    """

    settings: Settings
    wait_policy: WaitPolicy
    submit_policy: SubmitPolicy
    on_event: Callable[[Event], None] | None = None
    make_seed: Callable[[], str] = field(default=lambda: secrets.token_hex(8))
    create_floor: Floor = field(default_factory=Floor)
    query_floor: Floor = field(default_factory=Floor)
    rate_limit: RateLimit | None = None
    limits: Limits = field(default_factory=Limits)
    account: Account = field(init=False)
    books: Books | None = None
    _task_floors: TaskFloors = field(init=False)
    departures: Departures = field(default_factory=Departures)
    news: News = field(init=False)
    _own_books: dict[str, Books] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.news = News(self.publish, lambda: self.on_event is not None)
        guard = threading.RLock()
        self.account = account_of(self.limits, self.settings.dialect, guard)
        self.create_floor.guard = self.query_floor.guard = guard
        self._task_floors = TaskFloors(guard)
        self.account.create_floor, self.account.query_floor = self.create_floor, self.query_floor

    def publish(self, event: Event) -> None:
        """Log an event and tell the caller's listener."""
        tell(event, self.on_event)

    def floor_of(self, task_id: str) -> Floor:
        """Return the earliest next query of a task, one for all who poll it through this client."""
        return self._task_floors.of(task_id)

    def new_create(
        self,
        endpoint: str | Endpoint,
        model: str,
        input: Mapping[str, Any],  # noqa: A002  # the service's own word
        parameters: Mapping[str, Any] | None,
        *,
        is_synchronous: bool,
        idempotency_key: str | None = None,
    ) -> Create:
        """Check what is to be created.

        Raises:
            ConfigurationError: It makes no sense; nothing was sent.
        """
        chosen = direct.checked_kind(endpoint_for(endpoint, self.settings.dialect), is_synchronous=is_synchronous)
        request = requests.create_request(self.settings, chosen, model, input, parameters)
        key = None if idempotency_key is None else checked_key(idempotency_key)
        if self.books is None:
            warn_once()
        if self.books is None and key is None:
            return Create(chosen, request, model=model)
        if self.books is None:
            # Within this process a key holds without a ledger, too; two threads with one key get the same books.
            self.books = self._own_books.setdefault("own", books_in_memory(self.settings))
        return Create(chosen, request, self.books.new_filing(key, chosen, request, model, parameters), model)

    def request_of(self, create: Create, submission: Submission) -> HttpRequest:
        """Return the request of a create, under its name where the service honours one."""
        create = self.news.marked(create, submission)
        entry = None if create.filing is None else create.filing.entry
        header = self.settings.idempotency_header
        if entry is None or not header.is_sent:
            return create.request
        return replace(create.request, headers=(*create.request.headers, (header.name, header_value(entry))))

    def new_submission(
        self, timeout_s: float | None, now: Instant, create: Create, *, is_in_order: bool = False
    ) -> Submission:
        """Begin a submit; one of many is put in order by their batch."""
        policy = self.submit_policy
        if timeout_s is not None:
            try:
                policy = replace(policy, timeout_s=checked_seconds("timeout", timeout_s))
            except ConfigurationError as error:
                raise ConfigurationError(str(error), safe_to_submit_again=SafeToSubmitAgain.YES) from None
        if create.endpoint.is_synchronous:
            policy = replace(policy, attempt_timeout_s=policy.synchronous_attempt_timeout_s)
        submission = Submission(
            policy,
            now,
            seed=self.make_seed(),
            floor=self.create_floor,
            query_floor=self.query_floor,
            is_in_order=is_in_order,
        )
        return self.news.submit_begun(submission, create, self.settings.dialect.name, now)

    def submit_in_turn(self, submission: Submission) -> Submission | InTurn:
        """Return a submit that keeps to the account's limits on submits."""
        gate = self.account.create_gate
        return submission if gate.is_open else InTurn(submission, gate)

    def query_in_turn(self, machine: PollerOrLookup) -> PollerOrLookup | InTurn:
        """Return a machine that keeps to the account's limits on queries."""
        gate = self.account.query_gate
        return machine if gate.is_open else InTurn(machine, gate)

    def scrub(self, answer: Answer) -> Answer:
        """Return an answer without the key, which some services quote when they refuse it."""
        return answer_without_key(answer, self.settings.api_key)

    def notice(self, answer: Answer, now: Instant) -> None:
        """Take in what an answer says of the account's quota, and stay away while it is empty."""
        limit = read_rate_limit(answer.header, now.wall_s)
        if limit is None:
            return
        self.rate_limit = limit
        if limit.remaining == 0 and limit.resets_in_s is not None and limit.resets_in_s <= _LONGEST_OWN_FLOOR_S:
            for floor in (self.create_floor, self.query_floor):
                floor.raise_to(now.monotonic_s + limit.resets_in_s)

    def classify(self, code: str | None, message: str | None, http_status: int | None) -> tuple[ErrorKind, TryAgain]:
        """Return what an error code of this service means, and whether trying again makes sense."""
        return error_catalogue.classify(self.settings.dialect.name, code, message, http_status)

    def failure_of_query(self, failure: ExchangeFailed) -> Observation:
        """Return what a query without an answer means."""
        return translate.query_failed(failure_without_key(failure, self.settings.api_key))

    def after_exchange(self, what: Answer | ExchangeFailed, now: Instant, endpoint: Endpoint) -> Observation:
        """Return what came of a create."""
        if isinstance(what, Answer):
            return self.after_create(what, now, endpoint)
        return translate.create_failed(failure_without_key(what, self.settings.api_key))

    def after_create(self, answer: Answer, now: Instant, endpoint: Endpoint = VIDEO) -> Observation:
        """Return what the answer to a create means."""
        scrubbed = self.scrub(answer)
        self.notice(scrubbed, now)
        must_have_assets = bool(endpoint.dialects) and not endpoint.is_synchronous
        understood = translate.translate_create(
            scrubbed, self.settings.dialect, now.wall_s, must_have_assets=must_have_assets
        )
        return direct.kept_result(scrubbed, understood) if endpoint.is_synchronous else understood

    def accept(
        self,
        submission: Submission,
        done: Done,
        now: Instant,
        endpoint: Endpoint = VIDEO,
        filing: Filing | None = None,
    ) -> TaskRecord:
        """Return the record of an accepted submit; of one that the ledger had, what it knows of it.

        Raises:
            SubmitError: It was not accepted.
        """
        accepted = submission.accepted
        if accepted is None:
            if submission.answered is not None:
                logger.warning(
                    "a paid result came in the place of a task; %s", direct.news_of_result(submission.answered)
                )
            error = direct.result_at_once(submission, endpoint, filing) or self._why_not(submission, done, now, filing)
            logger.log(logging.ERROR if isinstance(error, SubmitInDoubt) else logging.INFO, "%s", error)
            self.news.submit_ended(submission, error, now, filing)
            raise error
        if filing is not None and filing.is_found and filing.entry is not None:
            record = restored(filing.entry, now)
            self.news.found(record.task_id, record.phase, submission, now)
            logger.info("task %s is what idempotency key %s stands for; nothing was sent", record.task_id, filing.key)
            return record
        record = begun(accepted, now, submission.seed)
        self.news.submitted(record, submission, now)
        self.publish(PhaseChanged(record.task_id, now.monotonic_s, Phase.SUBMITTING, record.phase, record.status))
        token = write_token(record, self.settings, now)
        logger.info("task %s accepted (%s); resume token %s", record.task_id, accepted.status, token)
        return record

    def _why_not(self, submission: Submission, done: Done, now: Instant, filing: Filing | None) -> SubmitError:
        is_said = filing is None or done.reason in {DoneReason.IN_DOUBT, DoneReason.REFUSED}
        entry = None if filing is None or is_said else filing.entry
        doubt = None if entry is None else doubt_about(entry)
        return doubt or submit_error(submission, done, now, classify=self.classify)

    def take_result(
        self, submission: Submission, done: Done, now: Instant, endpoint: Endpoint, filing: Filing | None = None
    ) -> DirectOutcome:
        """Return the result of a synchronous create.

        Raises:
            SubmitError: None came.
            StillGoing: The service made a task instead.
        """
        if submission.answered is not None:
            made = direct.outcome_of(submission, endpoint, filing)
            self.news.submit_ended(submission, None, now, filing, made.billing)
            return made
        if submission.accepted is not None:
            record = self.accept(submission, done, now, endpoint, filing)
            raise direct.task_instead(record, now, write_token(record, self.settings, now))
        error = (
            direct.doubt(submission, self.classify)
            if done.reason is DoneReason.IN_DOUBT
            else self._why_not(submission, done, now, filing)
        )
        logger.log(logging.ERROR if done.reason is DoneReason.IN_DOUBT else logging.INFO, "%s", error)
        raise error

    def note_of_end(self, create: Create, error: BaseException | None, now: Instant) -> Callable[[], None] | None:
        """Return what notes that the caller is told of an end without a task, or None if there is nothing to note."""
        books, entry = self.books, None if create.filing is None else create.filing.entry
        is_told = error is None or isinstance(error, SubmitError)
        if books is None or entry is None or entry.task_id is not None or not entry.is_ended or not is_told:
            return None
        return lambda: books.hand_over(entry, now)

    def new_lookup(self, timeout_s: float, now: Instant) -> Lookup:
        """Begin a question that is about no task."""
        return Lookup(
            timeout_s=timeout_s,
            attempt_timeout_s=self.wait_policy.attempt_timeout_s,
            now=now,
            seed=self.make_seed(),
            floor=self.query_floor,
        )

    def after_listing(self, answer: Answer, now: Instant, number: int) -> Observation:
        """Return what an answer of the list means, where a page was asked for by its number."""
        scrubbed = self.scrub(answer)
        self.notice(scrubbed, now)
        if 200 <= scrubbed.status < 300:
            return listing.understand_page(scrubbed, number, now.wall_s)
        return translate.translate_query(scrubbed, self.settings.dialect, "", now.wall_s)

    def page_of(self, lookup: Lookup, done: Done, now: Instant) -> listing.Page:
        """Return the page that a look-up brought.

        Raises:
            ListingFailed: It brought none.
        """
        if lookup.answered is not None:
            page: listing.Page = lookup.answered.result
            return page
        last = lookup.last
        later_s = None if done.come_back_at_s is None else max(0.0, done.come_back_at_s - now.monotonic_s)
        if isinstance(last, Refused):
            raise ListingFailed(
                f"the service refuses to list its tasks (HTTP {last.http_status})",
                cause=cause_of(last, self.classify),
                request_id=last.request_id,
            )
        why = "throttled" if isinstance(last, Throttled) else getattr(last, "reason", "the account is to stay away")
        told = last if isinstance(last, Throttled | Unreachable) else None
        raise ListingFailed(
            f"the service's list of tasks did not come in time: {why}",
            # It is no refusal, so there is no status that stands for one.
            cause=replace(cause_of(told, self.classify), http_status=None) if told else None,
            request_id=last.request_id if last else None,
            come_back_in_s=later_s,
        )

    def broken_off(
        self, submission: Submission, interruption: BaseException, now: Instant, endpoint: Endpoint = VIDEO
    ) -> None:
        """Log what may be owed when a submit ends by neither an acceptance nor an error of ours."""
        tell_of_break(self.settings, submission, interruption, now, endpoint)
        self.news.submit_ended(submission, interruption, now)

    def not_saved_yet(self, error: NotSaved, now: Instant) -> None:
        """Log an id that could not be written down at once, and is written again."""
        tell_of_unsaved(self.settings, error, now)

    def orphaned(
        self, submission: Submission, what: Answer | ExchangeFailed, now: Instant, endpoint: Endpoint = VIDEO
    ) -> Observation:
        """Take in what came of a create whose caller was cancelled while it was out, and return it."""
        observation = self.after_exchange(what, now, endpoint)
        submission.receive(observation, now)
        return observation

    def is_token(self, text: str) -> bool:
        """Tell a resume token from an idempotency key."""
        return str(text).strip().startswith(PREFIX)

    def entry_of_key(self, key: str) -> Entry:
        """Return the ledger's entry of a key that stands for a task; see :meth:`.Books.entry_of_key`."""
        if self.books is None:
            raise ConfigurationError("without a ledger, no idempotency key is known from earlier: pass ledger=")
        return self.books.entry_of_key(key)

    def create_of_key(
        self,
        key: str,
        endpoint: str | Endpoint,
        model: str,
        input: Mapping[str, Any],  # noqa: A002  # the service's own word
        parameters: Mapping[str, Any] | None,
    ) -> Create:
        """Check what is to be created once more; see :meth:`new_create`."""
        named = checked_key(key)  # Without one, a key would be made up.
        return self.new_create(endpoint, model, input, parameters, is_synchronous=False, idempotency_key=named)

    def entry_to_retry(self, create: Create) -> Entry:
        """Return the latest attempt of a create's key; see :func:`.entry_to_retry`. It blocks."""
        assert self.books is not None  # noqa: S101  # whoever names a key has books
        assert create.filing is not None  # noqa: S101  # as above
        return entry_to_retry(self.books, create.filing)

    def record_of(self, token_or_id: str, now: Instant) -> TaskRecord:
        """Return the record of a token, or of a bare task id.

        Raises:
            ConfigurationError: It is no task id.
            SnapshotError: It is a token that cannot be used here.
        """
        text: object = token_or_id  # Types are hints at run time: numbers and None are passed too.
        if isinstance(text, str) and text.strip().startswith(PREFIX):
            return read_token(text.strip(), self.settings, now)
        return TaskRecord.known_by_id(requests.checked_task_id(token_or_id), now)
