"""How the judge's words for an outcome follow from what our client returns or raises."""

from __future__ import annotations

from resilient_poll import (
    DownloadFailed,
    PollRefused,
    ResilientPollError,
    StillGoing,
    SubmitInDoubt,
    SubmitNotSent,
    SubmitRefused,
    SubmitThrottled,
    TaskCanceled,
    TaskExpired,
    TaskFailed,
)

_WORDS: tuple[tuple[type[ResilientPollError], str], ...] = (
    (SubmitInDoubt, "IN_DOUBT"),
    (SubmitRefused, "REFUSED"),
    (SubmitThrottled, "THROTTLED"),
    (SubmitNotSent, "THROTTLED"),
    (StillGoing, "STILL_GOING"),
    (PollRefused, "REFUSED"),
    (TaskFailed, "FAILED"),
    (TaskCanceled, "CANCELED"),
    (TaskExpired, "EXPIRED"),
    (DownloadFailed, "SUCCEEDED"),
)


def word_for(error: ResilientPollError) -> str:
    """Return the judge's word for an error of ours."""
    return next(word for kind, word in _WORDS if isinstance(error, kind))
