"""The budgets of retries that all clients of a process share unless they are given others: one for each origin.

An outage is one of a service, and what makes it worse is the sum of what everybody retries. Of 200 clients that have
ten saved up each, a service that falters gets up to 2,000 requests more within seconds.
"""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakKeyDictionary

from resilient_poll.transports.middleware.watch import MACHINE
from resilient_poll.transports.rules.budget import RetryBudget
from resilient_poll.transports.rules.origins import PerOrigin

__all__ = ["common_budget"]

_LOCK = threading.Lock()
_OF_THE_MACHINE: PerOrigin[RetryBudget] = PerOrigin(RetryBudget)
_BUDGETS: WeakKeyDictionary[Any, PerOrigin[RetryBudget]] = WeakKeyDictionary()
"""By what keeps the time that they are told: instants of different clocks cannot be compared."""


def common_budget(timekeeper: Any, url: Any) -> RetryBudget:
    """Return the budget of an origin.

    Args:
        timekeeper: Whose seconds the budget will be told; see :meth:`.Watch.timekeeper`.
        url: The library's URL of a request.
    """
    origin = (url.raw_scheme, url.raw_host, url.port)
    if timekeeper is MACHINE:  # The usual one needs no looking for.
        with _LOCK:
            return _OF_THE_MACHINE.of(origin)
    with _LOCK:
        origins = _BUDGETS.get(timekeeper)
        if origins is None:
            origins = _BUDGETS[timekeeper] = PerOrigin(RetryBudget)
        return origins.of(origin)
