"""One declared operation, for code that blocks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any

from resilient_poll.drive import stretch
from resilient_poll.drive.clocks import Clock, RealClock
from resilient_poll.drive.outcome import Outcome
from resilient_poll.drive.sync_driver import run
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
from resilient_poll.operations.sending import Sender
from resilient_poll.operations.start import Start
from resilient_poll.specs.operation import OperationSpec
from resilient_poll.transports.abandon import is_within

__all__ = ["Operation"]


class Operation(OperationFace):
    """One accepted operation of a declared API, for code that blocks.

    Made by :meth:`start`, :meth:`resume` and :meth:`known`.
    """

    def __init__(self, core: OperationCore, sender: Sender, clock: Clock) -> None:
        super().__init__(core)
        self._sender = sender
        self._clock = clock
        self._queries = _Queries(core, sender, clock)

    @classmethod
    def start(
        cls,
        spec: OperationSpec,
        http_client: Any,
        body: Any = None,
        *,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        policy: SubmitPolicy | None = None,
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Operation:
        """Submit, once. It is sent again only where it surely did not arrive, or was refused for its rate.

        Args:
            spec: The declaration.
            http_client: A ``Client`` of httpx or httpx2; its headers, cookies, auth and ``base_url`` are used.
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
        clock = clock or RealClock()
        maker = Maker(http_client, is_async=False)
        sender, submit = (
            Sender(maker),
            Start(spec, maker, body, url, headers, policy, clock.now(), token_hex(8), on_event),
        )

        def perform(command: Submit | Query) -> Observation:
            what: Answer | ExchangeFailed
            try:
                what = sender.create(submit.method, submit.url, submit.headers, submit.body, command.timeout_s)
            except ExchangeFailed as failure:
                what = failure
            except Exception:
                raise
            except BaseException:  # Ctrl-C and its like.
                submit.log_interrupted(None, clock.now())
                raise
            return submit.hear(what, clock.now())

        done = run(submit.submission, perform, clock, submit.publish)
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
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Operation:
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
        clock = clock or RealClock()
        maker = Maker(http_client, is_async=False)
        return cls(OperationCore.resumed(spec, maker, token, clock, on_event), Sender(maker), clock)

    @classmethod
    def known(
        cls,
        spec: OperationSpec,
        http_client: Any,
        task_id: str,
        *,
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Operation:
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
        clock = clock or RealClock()
        maker = Maker(http_client, is_async=False)
        return cls(OperationCore.known(spec, maker, task_id, clock, on_event), Sender(maker), clock)

    def wait(self, timeout: float | None = None, *, policy: WaitPolicy | None = None) -> Outcome:
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
            done = stretch.run(core.poller, self._queries, self._clock, core.publish, is_within)
        return core.conclude(done)

    def refresh(self) -> Standing:
        """Ask once where the operation stands, as soon as the service allows.

        Raises:
            StillGoing: The service did not answer in the time of one attempt.
            PollRefused: The service refuses to say.
        """
        core, done = self._core, None
        core.begin(core.look_policy(), look=True)
        while done is None and not core.poller.was_answered:
            done = stretch.step(core.poller, self._queries, self._clock, core.publish, is_within)
        return core.conclude_refresh(done)

    def cancel(self) -> Standing:
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
            what = self._sender.query(core.cancel_ask(), core.policy(None, None).attempt_timeout_s)
        except ExchangeFailed as failure:
            what = failure
        core.hear_cancel(what)
        return self.refresh()


class _Queries:
    """The queries of one operation; see :class:`.Queries`."""

    def __init__(self, core: OperationCore, sender: Sender, clock: Clock) -> None:
        self._core = core
        self._sender = sender
        self._clock = clock
        self._until_s = 0.0
        self._next: tuple[Ask, float] | None = None

    def begin(self, timeout_s: float) -> Observation | None:
        self._until_s = self._clock.now().monotonic_s + timeout_s
        what = self._prepared(self._core.ask())
        return None if isinstance(what, float) else what

    def send(self, left_behind: threading.Event) -> Answer | ExchangeFailed:
        if self._next is None:
            raise RuntimeError("a query that was not begun: the driver is broken")
        try:
            return self._sender.send_query(*self._next, left_behind)
        except ExchangeFailed as failure:
            return failure

    def hear(self, came: Answer | ExchangeFailed) -> Observation | float:
        return self._prepared(self._core.hear(came))

    def too_slow(self, timeout_s: float) -> Observation:
        seconds = timeout_s if self._next is None else self._next[1]
        heard = self._core.hear(ExchangeFailed(f"no whole answer within {seconds:.1f} s", surely_not_sent=False))
        if isinstance(heard, Ask):
            raise RuntimeError("no answer leads nowhere: the operation is broken")  # noqa: TRY004  # no caller's fault
        return heard

    def _prepared(self, asked: Ask | Observation) -> Observation | float:
        """Note what to send next, and return for how many seconds to wait for it."""
        if not isinstance(asked, Ask):
            return asked
        timeout_s = max(0.001, self._until_s - self._clock.now().monotonic_s)
        self._next = asked, timeout_s
        return timeout_s
