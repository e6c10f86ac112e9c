"""The calls of the blocking client that settle doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from resilient_poll.dashscope.doubts.opening import listing_of, searching_of, settling_of
from resilient_poll.dashscope.doubts.steps import Asked, Call, Question, Step, Steps
from resilient_poll.dashscope.doubts.verdicts import RECONCILE_S, Reconciled
from resilient_poll.dashscope.keeping.filing import restored
from resilient_poll.dashscope.parts import ClientPart
from resilient_poll.dashscope.task import Task
from resilient_poll.drive.sync_driver import run
from resilient_poll.http.messages import ExchangeFailed
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.commands import Query, Submit
from resilient_poll.machine.observations import Observation

if TYPE_CHECKING:
    from resilient_poll.dashscope.client import DashScope

__all__ = ["DoubtCalls"]

Result = TypeVar("Result")


class DoubtCalls(ClientPart):
    """The part of :class:`DashScope` for that."""

    def doubts(self) -> tuple[Entry, ...]:
        """Return the submits of this account that are in doubt, newest first. Sends nothing.

        A submit whose process died while it was out is one of them.

        Raises:
            ConfigurationError: There is no ledger.
            LedgerError: It cannot be read.
        """
        return listing_of(self._client._core, self._client._clock.now())()

    def reconcile(self, idempotency_key: str | None = None, *, timeout: float = RECONCILE_S) -> tuple[Reconciled, ...]:
        """Look for the tasks of submits in doubt in the service's list, and adopt what is certain.

        A task is adopted where its answer shows the very request, which it does once it succeeded, and
        nobody else's submit could have made it; or where it is the only one possible and the ledger is
        declared the account's only submitter: ``ledger.set_setting("sole_submitter", "yes")``. Nothing is
        ever sent again by this, and nothing is waited for.

        Args:
            idempotency_key: Of which submit; of all that are in doubt, unless given.
            timeout: How many seconds to go on asking, 300 by default.

        Returns:
            What came of each doubt, newest first; :attr:`.Reconciled.why` says it in a sentence. An adopted
            task is what :meth:`resume` and :meth:`submit` return for its key from now on.

        Raises:
            ConfigurationError: There is no ledger, it knows nothing of the key, or the key is not in doubt.
            ListingFailed: The list did not come; nothing was changed.
            LedgerError: The ledger cannot be used.
        """
        searching = searching_of(self._client._core, self._client._clock.now, timeout)
        return _carried_out(self._client, searching.steps(idempotency_key))

    def adopt(self, idempotency_key: str, task_id: str) -> Task:
        """Say which task a submit in doubt made, as somebody who looked does.

        The service is asked about the task first: it must know it, and neither its model nor its prompt may
        be another one, as far as they are shown. No other entry of the ledger may hold it.

        Args:
            idempotency_key: Of the submit.
            task_id: The task's id.

        Returns:
            The task.

        Raises:
            ConfigurationError: It is no id, or no key of this ledger; or the key is not in doubt, or the task
                cannot be its own (:class:`.ActRefused`). Nothing was changed.
            ListingFailed: The service did not say; nothing was changed.
            LedgerError: The ledger cannot be used.
        """
        client = self._client
        settling = settling_of(client._core, client._clock.now)
        entry = _carried_out(client, settling.adopting(idempotency_key, task_id))
        return Task(client, restored(entry, client._clock.now()), entry=entry)

    def permit_resubmit(self, idempotency_key: str) -> Entry:
        """Let the next :meth:`submit` with this key and the same request send it again. Sends nothing itself.

        If the first sending made a task after all, both are billed. The ledger keeps the first one on the bill
        as a doubt.

        Args:
            idempotency_key: Of a submit in doubt.

        Returns:
            Its entry as it stands.

        Raises:
            ConfigurationError: It is not in doubt, or not known; nothing was changed.
            LedgerError: The ledger cannot be used.
        """
        settling = settling_of(self._client._core, self._client._clock.now)
        return _carried_out(self._client, settling.permitting(idempotency_key))

    def abandon(self, idempotency_key: str, reason: str = "") -> Entry:
        """Give a submit or its task up. Nothing of it is stopped, and what may be owed for it stays on the bill.

        Args:
            idempotency_key: Of the submit.
            reason: Why, for who reads it later.

        Returns:
            Its entry as it stands.

        Raises:
            ConfigurationError: It is at its end, being sent, or not known; nothing was changed.
            LedgerError: The ledger cannot be used.
        """
        settling = settling_of(self._client._core, self._client._clock.now)
        return _carried_out(self._client, settling.abandoning(idempotency_key, reason))


def _carried_out(client: DashScope, steps: Steps[Result]) -> Result:
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
            came = _done(client, step)
        except Exception as error:  # noqa: BLE001  # the procedure's own business
            broke = error


def _done(client: DashScope, step: Step) -> Any:
    return step.work() if isinstance(step, Call) else _asked(client, step)


def _asked(client: DashScope, question: Question) -> Asked:
    core, clock, exchange = client._core, client._clock, client._exchange  # a part of the client

    def perform(command: Submit | Query) -> Observation:
        try:
            answer = exchange.query(question.request, command.timeout_s)
        except ExchangeFailed as failure:
            return core.failure_of_query(failure)
        return question.understand(answer, clock.now())

    lookup = core.new_lookup(question.timeout_s, clock.now())
    return Asked(lookup, run(core.query_in_turn(lookup), perform, clock, core.publish))
