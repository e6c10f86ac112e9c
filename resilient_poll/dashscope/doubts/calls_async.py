"""The calls of the awaiting client that settle doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from resilient_poll.dashscope.doubts.opening import listing_of, searching_of, settling_of
from resilient_poll.dashscope.doubts.steps import Asked, Call, Question, Step, Steps
from resilient_poll.dashscope.doubts.verdicts import RECONCILE_S, Reconciled
from resilient_poll.dashscope.keeping.filing import restored
from resilient_poll.dashscope.parts import AsyncClientPart
from resilient_poll.dashscope.task_async import AsyncTask
from resilient_poll.drive.async_driver import run
from resilient_poll.http.messages import ExchangeFailed
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.commands import Query, Submit
from resilient_poll.machine.observations import Observation

if TYPE_CHECKING:
    from resilient_poll.dashscope.client_async import AsyncDashScope

__all__ = ["AsyncDoubtCalls"]

Result = TypeVar("Result")


class AsyncDoubtCalls(AsyncClientPart):
    """The part of :class:`AsyncDashScope` for that."""

    async def doubts(self) -> tuple[Entry, ...]:
        """Return the submits of this account that are in doubt; see :meth:`.DashScope.doubts`."""
        return await self._client._off_the_loop(listing_of(self._client._core, self._client._clock.now()))

    async def reconcile(
        self,
        idempotency_key: str | None = None,
        *,
        timeout: float = RECONCILE_S,  # noqa: ASYNC109  # it bounds what starts, and what was found is written down
    ) -> tuple[Reconciled, ...]:
        """Look for the tasks of submits in doubt, and adopt what is certain; see :meth:`.DashScope.reconcile`."""
        searching = searching_of(self._client._core, self._client._clock.now, timeout)
        return await _carried_out(self._client, searching.steps(idempotency_key))

    async def adopt(self, idempotency_key: str, task_id: str) -> AsyncTask:
        """Say which task a submit in doubt made; see :meth:`.DashScope.adopt`."""
        client = self._client
        settling = settling_of(client._core, client._clock.now)
        entry = await _carried_out(client, settling.adopting(idempotency_key, task_id))
        return AsyncTask(client, restored(entry, client._clock.now()), entry=entry)

    async def permit_resubmit(self, idempotency_key: str) -> Entry:
        """Let the next submit with this key send it again; see :meth:`.DashScope.permit_resubmit`."""
        settling = settling_of(self._client._core, self._client._clock.now)
        return await _carried_out(self._client, settling.permitting(idempotency_key))

    async def abandon(self, idempotency_key: str, reason: str = "") -> Entry:
        """Give a submit or its task up; see :meth:`.DashScope.abandon`."""
        settling = settling_of(self._client._core, self._client._clock.now)
        return await _carried_out(self._client, settling.abandoning(idempotency_key, reason))


async def _carried_out(client: AsyncDashScope, steps: Steps[Result]) -> Result:
    """Take the steps of a procedure, and return what it returns."""
    came: Any = None
    broke: Exception | None = None
    while True:
        try:
            step = steps.send(came) if broke is None else steps.throw(broke)
        except StopIteration as end:
            result: Result = end.value
            return result
        came, broke = None, None
        try:
            came = await _done(client, step)
        except Exception as error:  # noqa: BLE001  # the procedure's own business
            broke = error


async def _done(client: AsyncDashScope, step: Step) -> Any:
    if isinstance(step, Call):
        return await client._off_the_loop(step.work)  # a part of the client
    return await _asked(client, step)


async def _asked(client: AsyncDashScope, question: Question) -> Asked:
    core, clock, exchange = client._core, client._clock, client._exchange  # as above

    async def perform(command: Submit | Query) -> Observation:
        try:
            answer = await exchange.query(question.request, command.timeout_s)
        except ExchangeFailed as failure:
            return core.failure_of_query(failure)
        return question.understand(answer, clock.now())

    lookup = core.new_lookup(question.timeout_s, clock.now())
    return Asked(lookup, await run(core.query_in_turn(lookup), perform, clock, core.publish))
