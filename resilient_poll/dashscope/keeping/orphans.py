"""What the log says of submits that end by neither an acceptance nor an error of ours: what may be owed."""

from __future__ import annotations

import logging

from resilient_poll.dashscope import direct
from resilient_poll.dashscope.keeping.filing import begun
from resilient_poll.dashscope.keeping.saving_again import SAVE_AGAIN_S
from resilient_poll.dashscope.resume_token import write_token
from resilient_poll.dashscope.settings import Settings
from resilient_poll.dashscope.wire.endpoints import Endpoint
from resilient_poll.drive.telling import logger
from resilient_poll.errors import ResilientPollError
from resilient_poll.ledger.errors import NotSaved
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import Accepted
from resilient_poll.machine.submission import Submission

__all__ = ["tell_of_break", "tell_of_unsaved"]


def tell_of_unsaved(settings: Settings, error: NotSaved, now: Instant) -> None:
    """Log an id that could not be written down, before it is tried again: a kill now would lose it."""
    if error.task_id is None:
        logger.warning("%s; it is tried again for %.0f s", error, SAVE_AGAIN_S)
        return
    logger.warning(
        "task %s was accepted and could not be written down yet (%s); it is tried again for %.0f s. Resume token %s",
        error.task_id,
        error.why,
        SAVE_AGAIN_S,
        _token(settings, Accepted(task_id=error.task_id), now),
    )


def tell_of_break(
    settings: Settings, submission: Submission, interruption: BaseException, now: Instant, endpoint: Endpoint
) -> None:
    """Log what may be owed when a submit was broken off.

    Args:
        settings: The service.
        submission: The submit.
        interruption: What ended it: Ctrl-C, a cancellation, a fault of the program.
        now: When.
        endpoint: Where it went.
    """
    why = type(interruption).__name__
    if isinstance(interruption, NotSaved):
        _tell_of_not_saved(settings, interruption, now)
    if isinstance(interruption, ResilientPollError):
        return  # It says all this itself.
    accepted = submission.accepted
    if accepted is not None:
        _tell_of_orphan(settings, accepted, now, why, logging.WARNING)
    elif submission.answered is not None:
        logger.warning(
            "a result came and its caller had gone (%s); it is paid, do not ask for it again; %s",
            why,
            direct.news_of_result(submission.answered),
        )
    elif submission.phase in {Phase.SUBMITTING, Phase.IN_DOUBT} and endpoint.is_synchronous:
        logger.error(
            "a request was broken off while it was out (%s); it may be billed, and there is no task by which its "
            "result could be found. Asking again may pay twice",
            why,
        )
    elif submission.phase in {Phase.SUBMITTING, Phase.IN_DOUBT}:
        logger.error(
            "a submit was broken off while it was out (%s); there may be a task that will be billed. "
            "Look for it at the service before anything is sent again",
            why,
        )


def _tell_of_not_saved(settings: Settings, error: NotSaved, now: Instant) -> None:
    if error.task_id is None:
        logger.error("%s", error)
        return
    accepted = Accepted(task_id=error.task_id)
    _tell_of_orphan(settings, accepted, now, "the ledger could not write it down", logging.ERROR)


def _tell_of_orphan(settings: Settings, accepted: Accepted, now: Instant, why: str, level: int) -> None:
    logger.log(
        level,
        "task %s was accepted and its submit broken off (%s); it goes on and will be billed if it succeeds, "
        "do not submit it again. Resume token %s",
        accepted.task_id,
        why,
        _token(settings, accepted, now),
    )


def _token(settings: Settings, accepted: Accepted, now: Instant) -> str:
    return write_token(begun(accepted, now, seed=accepted.task_id), settings, now)
