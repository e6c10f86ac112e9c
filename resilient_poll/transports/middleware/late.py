"""When a call's time is up."""

from __future__ import annotations

from resilient_poll.http.sent import names_of
from resilient_poll.transports.middleware.call import Call
from resilient_poll.transports.middleware.problems import TotalTimeout

__all__ = ["cut", "is_late", "too_late"]

_WOKE_EARLY_S = 0.005
"""A socket's time-out may fire this much before the clock says so."""


def is_late(error: Exception, call: Call) -> bool:
    """Return whether a library's time-out is our total time that was cut into it."""
    if call.deadline_s is None or "TimeoutException" not in names_of(error) or isinstance(error, TotalTimeout):
        return False
    return call.watch.now_s() >= call.deadline_s - _WOKE_EARLY_S


def too_late(call: Call) -> Exception:
    """Return the error for a call whose total time is up."""
    now_s = call.watch.now_s()
    was_sent = call.was_ever_sent
    return call.kit.problem(
        TotalTimeout,
        f"no whole answer within the total time, {now_s - call.started_s:.2f} s after the request began"
        + ("" if was_sent else "; nothing was sent"),
        surely_not_sent=not was_sent,
    )


def cut(call: Call) -> Exception:
    """Return the error for what was cut: that of the total time, or the library's own if only the attempt's is up."""
    now_s = call.watch.now_s()
    if call.attempt_until_s is None or (call.deadline_s is not None and now_s >= call.deadline_s):
        return too_late(call)
    took_s = now_s - (now_s if call.sent_s is None else call.sent_s)
    error: Exception = call.kit.read_timeout(f"no whole answer within the attempt's {took_s:.2f} s")
    return error
