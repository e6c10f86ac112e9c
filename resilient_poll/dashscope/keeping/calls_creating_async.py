"""How the awaiting client creates something: by a licence of the ledger, where there is one."""

from __future__ import annotations

from functools import partial

import anyio.lowlevel

from resilient_poll.dashscope.client_core import Create
from resilient_poll.dashscope.keeping.books import BROKEN_OFF, UNSENT
from resilient_poll.dashscope.keeping.filing import Filing, is_late, late_licence
from resilient_poll.dashscope.keeping.in_the_way import SHORTEST_LOOK_S, InTheWay
from resilient_poll.dashscope.keeping.saving_again import SavingAgain
from resilient_poll.dashscope.parts import AsyncClientPart
from resilient_poll.dashscope.task_async import AsyncTask
from resilient_poll.drive.async_driver import run
from resilient_poll.errors import ResilientPollError
from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.ledger.errors import NotSaved
from resilient_poll.machine.commands import Done, Query, Submit
from resilient_poll.machine.observations import NoSlotFree, Observation
from resilient_poll.machine.submission import Submission
from resilient_poll.transports.once_body import Departure

__all__ = ["AsyncCreatingCalls"]


class AsyncCreatingCalls(AsyncClientPart):
    """The part of :class:`AsyncDashScope` for that."""

    async def _submit(self, create: Create, timeout_s: float | None) -> AsyncTask:
        client, core = self._client, self._client._core
        submission = core.new_submission(timeout_s, client._clock.now(), create)
        try:
            done = await self._carry_out(submission, create)
            record = core.accept(submission, done, client._clock.now(), create.endpoint, create.filing)
            return AsyncTask(client, record, create)
        except BaseException as interruption:
            await self._told(submission, create, interruption)
            raise

    async def _told(self, submission: Submission, create: Create, error: BaseException | None) -> None:
        client, core = self._client, self._client._core
        if error is not None:
            core.departures.note_unsent(submission, client._clock.now())
            core.broken_off(submission, error, client._clock.now(), create.endpoint)
        if (note := core.note_of_end(create, error, client._clock.now())) is not None:
            await client._off_the_loop(note)

    async def _carry_out(self, submission: Submission, create: Create) -> Done:
        client, core = self._client, self._client._core

        async def perform(command: Submit | Query) -> Observation:
            return await self._send_create(submission, create, command)

        return await run(core.submit_in_turn(submission), perform, client._clock, core.news.publisher_of(submission))

    async def _send_create(self, submission: Submission, create: Create, command: Submit | Query) -> Observation:
        came = await self._sent_create(submission, create, command)
        if isinstance(came, NoSlotFree):
            await self._look_at_those_in_the_way(submission)
        return came

    async def _look_at_those_in_the_way(self, submission: Submission) -> None:
        client, clock, books = self._client, self._client._clock, self._client._core.books
        now = clock.now()
        found = None if books is None else await client._off_the_loop(lambda: InTheWay.chosen(books, now))
        if found is None:
            return
        for entry in found.entries:
            left_s = submission.last_start_s - clock.now().monotonic_s
            record = found.record_of(entry, clock.now())
            if record is None or left_s < SHORTEST_LOOK_S:
                continue
            task = AsyncTask(client, record, entry=entry)
            await task._see(left_s)
            if task._poller.record.is_ended:
                await client._off_the_loop(partial(found.let_go, entry, clock.now()))

    async def _sent_create(self, submission: Submission, create: Create, command: Submit | Query) -> Observation:
        client, filing = self._client, create.filing
        departure = client._core.departures.begin(submission)
        books, clock = client._core.books, client._clock
        came: list[Observation] = [UNSENT]
        try:
            if books is not None and filing is not None:
                asked = clock.now()
                instead = await client._off_the_loop(lambda: books.license(filing, asked))
                if instead is not None:
                    return instead
                await anyio.lowlevel.checkpoint_if_cancelled()
                while is_late(asked, clock.now()):
                    asked = clock.now()
                    is_over = asked.monotonic_s > submission.last_start_s
                    if is_over or not await client._off_the_loop(lambda: books.is_held(filing)):
                        came.append(late_licence(submission, asked))
                        break
            if came == [UNSENT]:
                came.append(BROKEN_OFF)
                await self._sent(submission, create, command, came, departure)
        except BaseException:
            now = clock.now()
            if came[-1] is BROKEN_OFF and departure.prevent():
                came.append(UNSENT)
            if books is not None and filing is not None:
                await client._off_the_loop(lambda: books.break_off(filing, came[-1], now, submission.seed))
            raise
        if books is not None and filing is not None:
            await self._write_down(filing, came[-1], submission)
        return came[-1]

    async def _write_down(self, filing: Filing, came: Observation, submission: Submission) -> None:
        """Write down what came: durable before anybody sees it, and before a pause."""
        client, core = self._client, self._client._core
        books, now = core.books, client._clock.now()
        assert books is not None  # noqa: S101  # there is a filing
        try:
            try:
                await client._off_the_loop(lambda: books.write_down(filing, came, now, submission.seed))
            except NotSaved as error:
                await self._write_again(filing, error)
        except ResilientPollError:
            raise
        except BaseException:
            submission.receive(came, now)  # So that what is logged of it names the task.
            raise

    async def _write_again(self, filing: Filing, error: NotSaved) -> None:
        client, core = self._client, self._client._core
        books, again = core.books, SavingAgain(client._clock.now())
        assert books is not None  # noqa: S101  # as above
        core.not_saved_yet(error, client._clock.now())
        while (pause_s := again.pause_after(error, client._clock.now())) is not None:
            await client._clock.sleep(pause_s)
            try:
                await client._off_the_loop(lambda: books.write_again(filing))
            except NotSaved as still:
                error = still
            else:
                return
        raise error

    async def _sent(
        self,
        submission: Submission,
        create: Create,
        command: Submit | Query,
        came: list[Observation],
        departure: Departure,
    ) -> None:
        client, core = self._client, self._client._core

        def orphaned(what: Answer | ExchangeFailed) -> None:
            came.append(core.orphaned(submission, what, client._clock.now(), create.endpoint))

        what: Answer | ExchangeFailed
        try:
            with client._creates_out.one():
                request = core.request_of(create, submission)
                what = await client._exchange.create(request, command.timeout_s, orphaned, departure)
        except ExchangeFailed as failure:
            what = failure
        came.append(core.after_exchange(what, client._clock.now(), create.endpoint))
