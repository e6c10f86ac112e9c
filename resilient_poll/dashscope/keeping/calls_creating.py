"""How the blocking client creates something: by a licence of the ledger, where there is one."""

from __future__ import annotations

from resilient_poll.dashscope.client_core import Create
from resilient_poll.dashscope.keeping.books import Errand
from resilient_poll.dashscope.keeping.in_the_way import SHORTEST_LOOK_S, InTheWay
from resilient_poll.dashscope.parts import ClientPart
from resilient_poll.dashscope.task import Task
from resilient_poll.drive.sync_driver import run
from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.machine.commands import Done, Query, Submit
from resilient_poll.machine.observations import NoSlotFree, Observation
from resilient_poll.machine.submission import Submission

__all__ = ["CreatingCalls"]


class CreatingCalls(ClientPart):
    """The part of :class:`DashScope` for that."""

    def _submit(self, create: Create, timeout_s: float | None) -> Task:
        client, core = self._client, self._client._core
        submission = core.new_submission(timeout_s, client._clock.now(), create)
        try:
            done = self._carry_out(submission, create)
            record = core.accept(submission, done, client._clock.now(), create.endpoint, create.filing)
            return Task(client, record, create)
        except BaseException as interruption:
            self._told(submission, create, interruption)
            raise

    def _told(self, submission: Submission, create: Create, error: BaseException | None) -> None:
        client, core = self._client, self._client._core
        if error is not None:
            core.departures.note_unsent(submission, client._clock.now())
            core.broken_off(submission, error, client._clock.now(), create.endpoint)
        if (note := core.note_of_end(create, error, client._clock.now())) is not None:
            note()

    def _carry_out(self, submission: Submission, create: Create) -> Done:
        client, core = self._client, self._client._core

        def perform(command: Submit | Query) -> Observation:
            return self._send_create(submission, create, command)

        return run(core.submit_in_turn(submission), perform, client._clock, core.news.publisher_of(submission))

    def _send_create(self, submission: Submission, create: Create, command: Submit | Query) -> Observation:
        came = self._sent_create(submission, create, command)
        if isinstance(came, NoSlotFree):
            self._look_at_those_in_the_way(submission)
        return came

    def _look_at_those_in_the_way(self, submission: Submission) -> None:
        clock, books = self._client._clock, self._client._core.books
        found = None if books is None else InTheWay.chosen(books, clock.now())
        if found is None:
            return
        for entry in found.entries:
            left_s = submission.last_start_s - clock.now().monotonic_s
            record = found.record_of(entry, clock.now())
            if record is None or left_s < SHORTEST_LOOK_S:
                continue
            task = Task(self._client, record, entry=entry)
            task._see(left_s)
            if task._poller.record.is_ended:
                found.let_go(entry, clock.now())

    def _sent_create(self, submission: Submission, create: Create, command: Submit | Query) -> Observation:
        client, core = self._client, self._client._core
        departure = core.departures.begin(submission)

        def exchange() -> Answer | ExchangeFailed:
            try:
                return client._exchange.create(core.request_of(create, submission), command.timeout_s, departure)
            except ExchangeFailed as failure:
                return failure

        def understand(what: Answer | ExchangeFailed) -> Observation:
            return core.after_exchange(what, client._clock.now(), create.endpoint)

        errand = Errand(submission, client._clock, exchange, understand, departure.prevent, core.not_saved_yet)
        books, filing = core.books, create.filing
        with client._creates_out.one():  # Closing waits for it, what is written down of it included.
            if books is not None and filing is not None:
                return books.carry_out(filing, errand)
            return understand(exchange())
