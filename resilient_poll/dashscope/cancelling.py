"""What comes of a cancel, and a wait that ends with one: within five seconds, the query after it included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import cast

from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.dashscope.wire.dialects import Dialect
from resilient_poll.dashscope.wire.error_bodies import read_error_body
from resilient_poll.dashscope.wire.redaction import text_without_key
from resilient_poll.drive.outcome import cause_of
from resilient_poll.errors import (
    CancelRefused,
    ConfigurationError,
    SafeToSubmitAgain,
    Standing,
    StillGoing,
    StillQueued,
    StillRunning,
    StillUnknown,
    TaskCanceled,
    TaskError,
)
from resilient_poll.events import Event
from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.http.retry_after import read_retry_after
from resilient_poll.machine.commands import Command, Done, DoneReason, Query, SleepReason, SleepUntil
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import Observation, Refused, Unreadable
from resilient_poll.machine.policy import OnTimeout, WaitPolicy
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["CANCEL_HEARD", "CLOSING_S", "LOOK_S", "CancelAnswer", "Closing", "answer_to_cancel", "checked_on_timeout"]

CLOSING_S = 5.0
"""How long a wait whose time is up may take to cancel its task and to ask what came of it."""
LOOK_S = 2.0
"""How much of that is kept for the query: the cancel itself is not waited for any longer."""
CANCEL_HEARD = Unreadable(reason="the answer to a cancel does not say where the task stands")


@dataclass(frozen=True, slots=True)
class CancelAnswer:
    """What came of a cancel; neither of the two if the service said yes.

    Attributes:
        doubt: Why it is not known whether the service cancels.
        refusal: Makes the error for a no, with what is known of the task by then.
        said: The no, in words.
    """

    doubt: str | None = None
    refusal: Callable[[], CancelRefused] | None = None
    said: str | None = None


def answer_to_cancel(
    core: ClientCore, what: Answer | ExchangeFailed, now: Instant, standing: Callable[[], Standing]
) -> CancelAnswer:
    """Return what came of a cancel.

    Args:
        core: The client's account, which takes in what the answer says of it.
        what: What came.
        now: When.
        standing: Says where the task stands.
    """
    if isinstance(what, ExchangeFailed):
        return CancelAnswer(doubt=text_without_key(what.reason, core.settings.api_key))
    answer = core.scrub(what)
    core.notice(answer, now)
    if 200 <= answer.status < 300:
        return CancelAnswer()
    error = read_error_body(answer.body, core.settings.dialect)
    hint_s = read_retry_after(answer.header("retry-after"), answer.header("date"), now.wall_s).seconds
    if hint_s is not None:
        core.query_floor.raise_to(now.monotonic_s + hint_s)
    if error is None or not 400 <= answer.status < 500 or answer.status in {408, 409}:
        return CancelAnswer(doubt=f"HTTP {answer.status}")
    no = Refused(http_status=answer.status, code=error.code, message=error.message)
    said = f"the service did not cancel it: HTTP {answer.status}, {error}"
    cause = cause_of(no, core.classify)
    return CancelAnswer(refusal=lambda: CancelRefused(said, standing(), come_back_in_s=hint_s, cause=cause), said=said)


class _Stage(Enum):
    CANCEL = auto()
    LOOK = auto()
    OVER = auto()


class Closing:
    """A wait whose time is up, and whose task is to be cancelled: one cancel, then one query.

    It is driven as the wait itself was. The wait's deadline is kept: nothing is cancelled before it. Where the
    account is to stay away, nothing is sent.

    Args:
        poller: The wait's machine.
        done: How the wait ended.
        core: The client's account.
        now: When.
    """

    def __init__(self, poller: Poller, done: Done, core: ClientCore, now: Instant) -> None:
        self._poller = poller
        self._done = done
        self._core = core
        self._stage = _Stage.CANCEL
        self._cancel_s = poller._wait.deadline_s  # noqa: SLF001  # until then the task may end by itself
        self._end_s = max(self._cancel_s, now.monotonic_s) + CLOSING_S
        self.before = poller.phase
        self.answer: CancelAnswer | None = None

    @property
    def record(self) -> TaskRecord:
        """What is known of the task."""
        return self._poller.record

    @property
    def phase(self) -> Phase:
        """Where the task stands."""
        return self._poller.phase

    @property
    def task_id(self) -> str:
        """The service's id."""
        return self._poller.task_id

    @property
    def policy(self) -> WaitPolicy:
        """Its limits, as a wait of its own."""
        return WaitPolicy(timeout_s=CLOSING_S + LOOK_S)

    @property
    def is_to_cancel(self) -> bool:
        """Whether its next request is the cancel."""
        return self._stage is _Stage.CANCEL

    def as_poller(self) -> Poller:
        """Return it in the place of the wait that it ends: it has all that a driver asks of one."""
        return cast("Poller", self)

    def next_command(self, now: Instant) -> Command:
        """Return what to do next; see :meth:`.Poller.next_command`."""
        now_s, record = now.monotonic_s, self.record
        if record.is_ended or self._stage is _Stage.OVER:
            is_own_end = record.is_ended and record.phase is not Phase.CANCELED
            return Done(DoneReason.ENDED) if is_own_end else self._done
        due_s = max(self._cancel_s, self._core.query_floor.not_before_s)
        if self._stage is _Stage.LOOK:
            due_s = max(due_s, self._core.floor_of(record.task_id).not_before_s)
        if max(due_s, now_s) >= self._end_s:
            return self._done
        if now_s < due_s:
            return SleepUntil(due_s, SleepReason.SERVER)
        left_s = self._end_s - now_s
        if self._stage is _Stage.CANCEL:
            left_s = max(left_s - LOOK_S, left_s / 2)
        return Query(record.polls + 1, min(self._core.wait_policy.attempt_timeout_s, left_s))

    def receive(self, observation: Observation, now: Instant) -> tuple[Event, ...]:
        """Take in what came of the cancel, or of the query after it."""
        if self._stage is _Stage.CANCEL:
            self._stage = _Stage.LOOK
            return ()
        self._stage = _Stage.OVER
        return self._poller.receive(observation, now)

    def error(self, usual: TaskError | None, standing: Standing, waited_s: float) -> TaskError | None:
        """Return what the wait raises: the timeout, unless the task came to an end by itself.

        Args:
            usual: What it would raise of what is known now; None if the task succeeded.
            standing: Where the task stands.
            waited_s: How long the wait was.
        """
        was_refused = self.answer is not None and self.answer.refusal is not None
        is_ours = isinstance(usual, TaskCanceled) and self.answer is not None and not was_refused
        if not is_ours and not isinstance(usual, StillGoing):
            return usual
        kind = _STILL.get(self.before if is_ours else standing.phase, StillUnknown)
        how = "was canceled" if is_ours else "goes on, and was to be canceled"
        later_s = usual.come_back_in_s if usual is not None else None
        return kind(
            f"its time was up after {waited_s:.1f} s, and it {how} (on_timeout='cancel'): {self._what_came()}",
            standing,
            come_back_in_s=later_s,
        )

    def _what_came(self) -> str:
        if self.answer is None:
            return "no cancel was sent, as the account is to stay away"
        if self.answer.doubt is not None:
            return f"whether the service took the cancel is not known ({self.answer.doubt})"
        return self.answer.said or "the service took the cancel"


_STILL: dict[Phase, type[StillGoing]] = {Phase.QUEUED: StillQueued, Phase.RUNNING: StillRunning}


def checked_on_timeout(on_timeout: OnTimeout, dialect: Dialect) -> OnTimeout:
    """Return what becomes of a task whose wait's time is up.

    Raises:
        ConfigurationError: The dialect has no cancel; nothing was sent.
    """
    if on_timeout == "cancel" and not dialect.can_cancel:
        raise ConfigurationError(
            f"dialect {dialect.name!r} documents no way to cancel a task, so on_timeout='cancel' cannot be kept; "
            "nothing was sent",
            safe_to_submit_again=SafeToSubmitAgain.YES,
        )
    return on_timeout
