"""What settling a doubt asks for, one step after the other, so that both colours take the same steps.

A procedure is a generator: it yields what is to be done, and is sent what came of it, or is thrown
what that raised.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.dashscope.wire import requests, translate
from resilient_poll.http.messages import Answer, HttpRequest
from resilient_poll.machine.commands import Done
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lookup import Lookup
from resilient_poll.machine.observations import AnsweredAtOnce, Observation, StatusSeen

__all__ = ["Asked", "Call", "Question", "Step", "Steps", "about_a_task"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Call:
    """Something that waits for a disk, such as a call of the ledger; what it returns is sent back.

    Attributes:
        work: What is to be called.
    """

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the service that costs nothing; :class:`Asked` is sent back.

    Attributes:
        request: What is sent.
        understand: Says what an answer means to a look-up.
        timeout_s: How many seconds to go on asking.
    """

    request: HttpRequest
    understand: Callable[[Answer, Instant], Observation]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a question.

    Attributes:
        lookup: Its machine, with the answer if there is one.
        done: Why it ended.
    """

    lookup: Lookup
    done: Done


Step = Call | Question
Steps = Generator[Step, Any, Result]


def about_a_task(core: ClientCore, task_id: str, now: Instant, timeout_s: float) -> Question:
    """Return the question where a task stands; its answer holds a :class:`.StatusSeen`.

    Args:
        core: Whose task it is.
        task_id: Which.
        now: When it is asked, so that others who poll it stay away.
        timeout_s: How many seconds to go on asking.
    """
    core.floor_of(task_id).raise_to(now.monotonic_s + core.wait_policy.minimum_interval_s)

    def understand(answer: Answer, at: Instant) -> Observation:
        scrubbed = core.scrub(answer)
        core.notice(scrubbed, at)
        heard = translate.translate_query(scrubbed, core.settings.dialect, task_id, at.wall_s, must_have_assets=False)
        if not isinstance(heard, StatusSeen):
            return heard
        return AnsweredAtOnce(
            request_id=heard.request_id,
            result=heard,
            retry_after_s=heard.retry_after_s,
            retry_after_ignored=heard.retry_after_ignored,
        )

    return Question(requests.query_request(core.settings, task_id), understand, timeout_s)
