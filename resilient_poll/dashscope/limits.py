"""What an account may do at once and per second: declared by the caller, or known of the service.

Sources: AIsa documentation, *Rate Limits* (tiers) and *Async Operations* (video); Alibaba
Cloud Model Studio, *Rate limits* (models) and *Manage asynchronous tasks* (queries). Read in 2026.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from types import MappingProxyType

from resilient_poll.dashscope.wire.dialects import Dialect
from resilient_poll.errors import ConfigurationError
from resilient_poll.machine.pace import Gate, Pace
from resilient_poll.machine.slots import Account, Slots

__all__ = [
    "FREE",
    "GROWTH",
    "MODEL_LIMITS",
    "STARTER",
    "VIDEO",
    "Limits",
    "ModelLimit",
    "account_of",
    "limits_of_model",
]

QUERY_SHARE = 0.75
"""How much of the requests a minute queries may use up.

A create that finds the minute used up leaves a free slot empty, and a late query only sees an end
later. A task of 20 s that is asked about every 3 s needs one create to seven queries."""
_MINUTE_S = 60.0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an account may do. What is left out is not limited here, or is the dialect's own.

    Attributes:
        concurrent_tasks: How many tasks may be open at once. With a ledger it holds for every task of the
            account, of all processes that share the ledger; without one for those that ``submit_many``
            submits, since of others nobody knows here when they end.
        submits_per_second: How many submits may start in any second.
        requests_per_minute: How many requests, submits and queries together, in any minute.
        queries_per_second: How many queries, lists and cancels in any second; in the dialect
            ``dashscope`` it is 20 unless given.
    """

    concurrent_tasks: int | None = None
    submits_per_second: float | None = None
    requests_per_minute: int | None = None
    queries_per_second: float | None = None

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            is_whole = limit.name in {"concurrent_tasks", "requests_per_minute"}
            # Types are hints at run time: "5" and True are passed too.
            if value is None or (_is_number(value) and value > 0 and (not is_whole or isinstance(value, int))):
                continue
            what = "a whole number, 1 or more," if is_whole else "a finite number greater than zero"
            raise ConfigurationError(f"{limit.name} must be {what} or None for no limit, not {value!r}")


FREE = Limits(requests_per_minute=60, concurrent_tasks=5)
"""Source of this and the two below: AIsa documentation, *Rate Limits*."""
STARTER = Limits(requests_per_minute=600, concurrent_tasks=20)
GROWTH = Limits(requests_per_minute=3000, concurrent_tasks=50)
VIDEO = Limits(concurrent_tasks=3)
"""Video synthesis per key, whatever the tier; source: AIsa documentation, *Async Operations*."""


@dataclass(frozen=True, slots=True)
class ModelLimit:
    """What the vendor allows for one model.

    Attributes:
        submits_per_second: How many submits a second.
        running_at_once: How many run; those above it are queued there, not refused.
    """

    submits_per_second: float
    running_at_once: int | None


MODEL_LIMITS: Mapping[str, ModelLimit] = MappingProxyType(
    {
        "wan2.7": ModelLimit(5, 5),
        "wan2.6": ModelLimit(5, 5),
        "wan2.5": ModelLimit(5, 5),
        "wan2.2": ModelLimit(2, 2),
        "wanx2.1": ModelLimit(2, 2),
        "wan2.1": ModelLimit(2, 2),
        "wan2.2-s2v": ModelLimit(5, 1),
        "wan2.2-animate": ModelLimit(5, 1),
        "wan2.6-t2i": ModelLimit(1, 5),
        "wanx-v1": ModelLimit(2, 1),
        "qwen-image": ModelLimit(2, 2),
        "qwen-image-2.0-pro": ModelLimit(2 / 60, None),
        "kling": ModelLimit(5, 10),
        "happyhorse": ModelLimit(10, 5),
    }
)
"""By how a model's name begins; the longest that fits holds. The figures are the vendor's own, in ``dashscope``."""


def limits_of_model(model: str) -> Limits:
    """Return the limits of an account that uses one model only.

    Only the rate of submits is taken over: what is over the number that runs is queued at
    the service, and how many tasks are queued there is looked after anyway.

    Args:
        model: The model's name.

    Raises:
        ConfigurationError: Nothing is known of it.
    """
    known = [name for name in MODEL_LIMITS if model.startswith(name)]
    if not known:
        raise ConfigurationError(
            f"no limits are known of model {model!r:.80}; say Limits(submits_per_second=…) yourself. "
            f"Known are {', '.join(MODEL_LIMITS)}"
        )
    return Limits(submits_per_second=MODEL_LIMITS[max(known, key=len)].submits_per_second)


def account_of(limits: Limits, dialect: Dialect, guard: AbstractContextManager[object]) -> Account:
    """Return what the tasks of an account share.

    Args:
        limits: What was declared.
        dialect: What is known of the service.
        guard: A lock where threads share it.
    """
    creates, queries = [], []
    if limits.submits_per_second is not None:
        creates.append(_per_second(limits.submits_per_second))
    queries_per_second = limits.queries_per_second or dialect.queries_per_second
    if queries_per_second is not None:
        queries.append(_per_second(queries_per_second))
    if limits.requests_per_minute is not None:
        minute = Pace(limits.requests_per_minute, _MINUTE_S)
        creates.append(minute)
        # Evenly: a minute that is used up in its first half leaves everybody blind for the other.
        evenly = Pace(1, _MINUTE_S / (limits.requests_per_minute * QUERY_SHARE), margin_s=0.0)
        queries += [minute, evenly]
    slots = Slots(
        limits.concurrent_tasks,
        refuses=dialect.refuses_over_cap,
        # A service that queues refuses for the rate only, and that is kept by the pace.
        side_by_side=limits.submits_per_second is not None and not dialect.refuses_over_cap,
        guard=guard,
    )
    return Account(create_gate=Gate(creates, guard), query_gate=Gate(queries, guard), slots=slots)


def _per_second(rate: float) -> Pace:
    if rate >= 1:
        return Pace(math.floor(rate), math.floor(rate) / rate)
    return Pace(1, 1 / rate)
