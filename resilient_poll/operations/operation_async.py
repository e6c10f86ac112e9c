"""One declared operation, for code that awaits, on asyncio and trio; see :mod:`.operation`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any

from resilient_poll.drive.async_driver import run, step
from resilient_poll.drive.clocks import AsyncClock, RealAsyncClock
from resilient_poll.drive.outcome import Outcome
from resilient_poll.drive.telling import saying_that_it_goes_on
from resilient_poll.errors import Standing
from resilient_poll.events import Event
from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.machine.commands import Query, Submit
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.policy import SubmitPolicy, WaitPolicy
from resilient_poll.operations.asks import Ask, Maker
from resilient_poll.operations.core import OperationCore
from resilient_poll.operations.face import OperationFace
from resilient_poll.operations.sending_async import AsyncSender
from resilient_poll.operations.start import Start
from resilient_poll.specs.operation import OperationSpec

__all__ = ["AsyncOperation"]


class AsyncOperation(OperationFace):
    """One accepted operation of a declared API, for code that awaits.

    Made by :meth:`start`, :meth:`resume` and :meth:`known`.
    """

    def __init__(self, core: OperationCore, sender: AsyncSender, clock: AsyncClock) -> None:
        super().__init__(core)
        self._sender = sender
        self._clock = clock

    @classmethod
    async def start(
        cls,
        spec: OperationSpec,
        http_client: Any,
        body: Any = None,
        *,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        policy: SubmitPolicy | None = None,
        clock: AsyncClock | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> AsyncOperation:
        """Submit, once. It is sent again only where it surely did not arrive, or was refused for its rate.

        Args:
            spec: The declaration.
            http_client: An ``AsyncClient`` of httpx or httpx2; its headers, cookies, auth and ``base_url`` are used.
            body: What is asked for, as JSON; bytes are sent as they are.
            url: Where to, if the declaration does not say.
            headers: Headers beside the client's and the declaration's.
            policy: The submit's limits.
            clock: What time it is, and how to sleep.
            on_event: Is told every event of the submit and of the waits.

        Raises:
            SubmitRefused: The service said no.
            SubmitThrottled: It was too busy until the time was up; nothing was accepted.
            SubmitNotSent: It could not be reached; the request surely never arrived.
            SubmitInDoubt: The answer is lost: there may be a task. Look for it before anything is sent again.
            ConfigurationError: The call makes no sense; nothing was sent.
        """
        clock = clock or RealAsyncClock()
        maker = Maker(http_client, is_async=True)
        sender, submit = (
            AsyncSender(maker),
            Start(spec, maker, body, url, headers, policy, clock.now(), token_hex(8), on_event),
        )

        async def perform(command: Submit | Query) -> Observation:
            what: Answer | ExchangeFailed
            try:
                what = await sender.create(
                    submit.method,
                    submit.url,
                    submit.headers,
                    submit.body,
                    command.timeout_s,
                    lambda came: submit.log_interrupted(came, clock.now()),
                )
            except ExchangeFailed as failure:
                what = failure
            return submit.hear(what, clock.now())

        done = await run(submit.submission, perform, clock, submit.publish)
        record = submit.record(done, clock.now())
        core = OperationCore(spec, maker, submit.home, record, submit.kept, clock, on_event, submit.trouble)
        return cls(core, sender, clock)

    @classmethod
    def resume(
        cls,
        spec: OperationSpec,
        http_client: Any,
        token: str,
        *,
        clock: AsyncClock | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> AsyncOperation:
        """Go on with an operation of another process. Nothing is sent before it is waited for.

        Args:
            spec: The declaration that started it.
            http_client: See :meth:`start`; its origin has to be the one that started it.
            token: Its :attr:`token`.
            clock: See :meth:`start`.
            on_event: See :meth:`start`.

        Raises:
            SnapshotError: The token cannot be read, or belongs elsewhere.
        """
        clock = clock or RealAsyncClock()
        maker = Maker(http_client, is_async=True)
        return cls(OperationCore.resumed(spec, maker, token, clock, on_event), AsyncSender(maker), clock)

    @classmethod
    def known(
        cls,
        spec: OperationSpec,
        http_client: Any,
        task_id: str,
        *,
        clock: AsyncClock | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> AsyncOperation:
        """Go on with an operation of which the id is known.

        Args:
            spec: Its declaration, which says where to ask by an id.
            http_client: See :meth:`start`.
            task_id: The service's id.
            clock: See :meth:`start`.
            on_event: See :meth:`start`.

        Raises:
            ConfigurationError: The id alone does not say where to ask.
        """
        clock = clock or RealAsyncClock()
        maker = Maker(http_client, is_async=True)
        return cls(OperationCore.known(spec, maker, task_id, clock, on_event), AsyncSender(maker), clock)

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # the machine's deadline: it makes a last poll before it
        *,
        policy: WaitPolicy | None = None,
    ) -> Outcome:
        """Wait until the operation is done.

        Args:
            timeout: How many seconds to wait; as the declaration says, unless given. The operation is not cut by it.
            policy: All limits, in the place of the declaration's.

        Returns:
            The outcome; ``outcome.result`` is what the declaration calls the result.

        Raises:
            StillGoing: The time is up. It goes on: wait again, never submit again.
            TaskFailed, TaskCanceled, TaskExpired: It came to another end.
            PollRefused: The service refuses to say, or leads where nothing is sent to.
            ResultUnreadable: It succeeded, and its result cannot be had.
        """
        core = self._core
        core.begin(core.policy(policy, timeout))
        with saying_that_it_goes_on(core.task_id, lambda: core.token() or "(none: its URL is a key)"):
            done = await run(core.poller, self._perform, self._clock, core.publish)
        return core.conclude(done)

    async def refresh(self) -> Standing:
        """Ask once where the operation stands, as soon as the service allows.

        Raises:
            StillGoing: The service did not answer in the time of one attempt.
            PollRefused: The service refuses to say.
        """
        core, done = self._core, None
        core.begin(core.look_policy(), look=True)
        while done is None and not core.poller.was_answered:
            done = await step(core.poller, self._perform, self._clock, core.publish)
        return core.conclude_refresh(done)

    async def cancel(self) -> Standing:
        """Ask the service to cancel the operation, then ask where it stands.

        Returns:
            Where it stands. It may have succeeded meanwhile, and is then billed.

        Raises:
            ConfigurationError: The declaration has no cancel; nothing was sent.
            CancelRefused: The service said no, or it is not known what it said.
        """
        core = self._core
        what: Answer | ExchangeFailed
        try:
            what = await self._sender.query(core.cancel_ask(), core.policy(None, None).attempt_timeout_s)
        except ExchangeFailed as failure:
            what = failure
        core.hear_cancel(what)
        return await self.refresh()

    async def _perform(self, command: Submit | Query) -> Observation:
        until_s = self._clock.now().monotonic_s + command.timeout_s
        asked = self._core.ask()
        while isinstance(asked, Ask):
            what: Answer | ExchangeFailed
            try:
                what = await self._sender.query(asked, max(0.001, until_s - self._clock.now().monotonic_s))
            except ExchangeFailed as failure:
                what = failure
            asked = self._core.hear(what)
        return asked
