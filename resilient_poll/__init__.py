"""Poll paid, long-running tasks without losing one, paying twice or hammering.

Names are imported when they are first used, so that ``import resilient_poll`` and
:func:`poll` bring in nothing but the standard library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resilient_poll.dashscope.client import DashScope
    from resilient_poll.dashscope.client_async import AsyncDashScope
    from resilient_poll.dashscope.doubts.verdicts import Reconciled, Verdict
    from resilient_poll.dashscope.keeping.header import HeaderTreatment, IdempotencyHeader
    from resilient_poll.dashscope.keeping.prices import PriceTable
    from resilient_poll.dashscope.limits import Limits
    from resilient_poll.dashscope.many_core import Finished, Job
    from resilient_poll.dashscope.outcome import DirectOutcome, GenerationOutcome
    from resilient_poll.dashscope.task import Task
    from resilient_poll.dashscope.task_async import AsyncTask
    from resilient_poll.dashscope.wire.endpoints import Endpoint
    from resilient_poll.dashscope.wire.listing import ListedTask
    from resilient_poll.dashscope.wire.results import Asset, Failure
    from resilient_poll.dashscope.workers.duty import WorkerCounts
    from resilient_poll.dashscope.workers.handed_over import HandedOver
    from resilient_poll.dashscope.workers.worker import Worker
    from resilient_poll.dashscope.workers.worker_async import AsyncWorker
    from resilient_poll.drive.outcome import Outcome
    from resilient_poll.embedding import polled
    from resilient_poll.errors import (
        CancelRefused,
        ConfigurationError,
        DownloadFailed,
        ErrorKind,
        ListingFailed,
        PollRefused,
        ResilientPollError,
        ResultAtOnce,
        ResultUnreadable,
        RetryRefused,
        SafeToSubmitAgain,
        SnapshotError,
        StillGoing,
        StillQueued,
        StillRunning,
        StillUnknown,
        SubmitError,
        SubmitInDoubt,
        SubmitNotSent,
        SubmitRefused,
        SubmitThrottled,
        TaskCanceled,
        TaskEnded,
        TaskError,
        TaskExpired,
        TaskFailed,
        TryAgain,
    )
    from resilient_poll.events import (
        AnsweredFromLedger,
        AttemptFailed,
        BatchProgress,
        BillingChanged,
        EndSeen,
        Event,
        HintIgnored,
        IllegalMove,
        JobAccepted,
        PhaseChanged,
        Polled,
        SubmitBegun,
        SubmitEnded,
        Submitted,
        Throttled,
        UnlistedStatus,
        WaitBegan,
        WaitEnded,
        Waiting,
    )
    from resilient_poll.generic import poll, poll_async
    from resilient_poll.http.rate_limits import RateLimit
    from resilient_poll.machine import Billing, Exponential, Fixed, Lifecycle, Linear, Phase, SubmitPolicy, WaitPolicy
    from resilient_poll.operations.operation import Operation
    from resilient_poll.operations.operation_async import AsyncOperation
    from resilient_poll.specs.acceptors import Acceptor, Reply
    from resilient_poll.specs.calls import CancelCall, QueryCall, SubmitCall, SubmitUrl
    from resilient_poll.specs.operation import OperationSpec
    from resilient_poll.specs.places import Hint, InBody, InHeader, InHttpStatus
    from resilient_poll.transports.middleware.notices import (
        AttemptEnded,
        BreakerMoved,
        GaveUp,
        HeldBack,
        RequestEvent,
        Retrying,
    )
    from resilient_poll.transports.middleware.problems import (
        CircuitOpen,
        ComeBackLater,
        NoSlot,
        RateExceeded,
        TotalTimeout,
        TransportProblem,
    )
    from resilient_poll.transports.middleware.retry_layer import RetryPolicy
    from resilient_poll.transports.rules.backoff import Backoff
    from resilient_poll.transports.rules.breaker import BreakerPolicy, BreakerState
    from resilient_poll.transports.rules.budget import RetryBudget
    from resilient_poll.transports.rules.headroom import HeadroomPolicy
    from resilient_poll.transports.rules.marks import Attempt
    from resilient_poll.transports.rules.rates import Rate
    from resilient_poll.transports.slots import Slots

_HOME = {
    "resilient_poll.dashscope.client": ("DashScope",),
    "resilient_poll.dashscope.client_async": ("AsyncDashScope",),
    "resilient_poll.dashscope.task": ("Task",),
    "resilient_poll.dashscope.task_async": ("AsyncTask",),
    "resilient_poll.drive.outcome": ("Outcome",),
    "resilient_poll.events": (
        "AnsweredFromLedger",
        "AttemptFailed",
        "BatchProgress",
        "BillingChanged",
        "EndSeen",
        "Event",
        "HintIgnored",
        "IllegalMove",
        "JobAccepted",
        "PhaseChanged",
        "Polled",
        "SubmitBegun",
        "SubmitEnded",
        "Submitted",
        "Throttled",
        "UnlistedStatus",
        "WaitBegan",
        "WaitEnded",
        "Waiting",
    ),
    "resilient_poll.generic": ("poll", "poll_async"),
    "resilient_poll.machine": (
        "Billing",
        "Exponential",
        "Fixed",
        "Lifecycle",
        "Linear",
        "Phase",
        "SubmitPolicy",
        "WaitPolicy",
    ),
    "resilient_poll.errors": (
        "CancelRefused",
        "ConfigurationError",
        "DownloadFailed",
        "ErrorKind",
        "ListingFailed",
        "PollRefused",
        "ResilientPollError",
        "ResultAtOnce",
        "ResultUnreadable",
        "RetryRefused",
        "SafeToSubmitAgain",
        "SnapshotError",
        "StillGoing",
        "StillQueued",
        "StillRunning",
        "StillUnknown",
        "SubmitError",
        "SubmitInDoubt",
        "SubmitNotSent",
        "SubmitRefused",
        "SubmitThrottled",
        "TaskCanceled",
        "TaskEnded",
        "TaskError",
        "TaskExpired",
        "TaskFailed",
        "TryAgain",
    ),
    "resilient_poll.dashscope.wire.endpoints": ("Endpoint",),
    "resilient_poll.dashscope.outcome": ("DirectOutcome", "GenerationOutcome"),
    "resilient_poll.dashscope.wire.results": ("Asset", "Failure"),
    "resilient_poll.dashscope.limits": ("Limits",),
    "resilient_poll.dashscope.wire.listing": ("ListedTask",),
    "resilient_poll.dashscope.many_core": ("Finished", "Job"),
    "resilient_poll.http.rate_limits": ("RateLimit",),
    "resilient_poll.dashscope.keeping.header": ("HeaderTreatment", "IdempotencyHeader"),
    "resilient_poll.dashscope.keeping.prices": ("PriceTable",),
    "resilient_poll.dashscope.doubts.verdicts": ("Reconciled", "Verdict"),
    "resilient_poll.specs.acceptors": ("Acceptor", "Reply"),
    "resilient_poll.specs.operation": ("OperationSpec",),
    "resilient_poll.dashscope.workers.handed_over": ("HandedOver",),
    "resilient_poll.dashscope.workers.duty": ("WorkerCounts",),
    "resilient_poll.dashscope.workers.worker": ("Worker",),
    "resilient_poll.dashscope.workers.worker_async": ("AsyncWorker",),
    "resilient_poll.transports.middleware.retry_layer": ("RetryPolicy",),
    "resilient_poll.transports.rules.backoff": ("Backoff",),
    "resilient_poll.transports.rules.budget": ("RetryBudget",),
    "resilient_poll.transports.rules.breaker": ("BreakerPolicy", "BreakerState"),
    "resilient_poll.transports.rules.rates": ("Rate",),
    "resilient_poll.transports.rules.headroom": ("HeadroomPolicy",),
    "resilient_poll.transports.rules.marks": ("Attempt",),
    "resilient_poll.transports.slots": ("Slots",),
    "resilient_poll.transports.middleware.problems": (
        "CircuitOpen",
        "ComeBackLater",
        "NoSlot",
        "RateExceeded",
        "TotalTimeout",
        "TransportProblem",
    ),
    "resilient_poll.transports.middleware.notices": (
        "AttemptEnded",
        "BreakerMoved",
        "GaveUp",
        "HeldBack",
        "RequestEvent",
        "Retrying",
    ),
    "resilient_poll.embedding": ("polled",),
    "resilient_poll.specs.places": ("Hint", "InBody", "InHeader", "InHttpStatus"),
    "resilient_poll.specs.calls": ("CancelCall", "QueryCall", "SubmitCall", "SubmitUrl"),
    "resilient_poll.operations.operation": ("Operation",),
    "resilient_poll.operations.operation_async": ("AsyncOperation",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__version__ = "0.1.0"
__all__ = [
    "Acceptor",
    "AnsweredFromLedger",
    "Asset",
    "AsyncDashScope",
    "AsyncOperation",
    "AsyncTask",
    "AsyncWorker",
    "Attempt",
    "AttemptEnded",
    "AttemptFailed",
    "Backoff",
    "BatchProgress",
    "Billing",
    "BillingChanged",
    "BreakerMoved",
    "BreakerPolicy",
    "BreakerState",
    "CancelCall",
    "CancelRefused",
    "CircuitOpen",
    "ComeBackLater",
    "ConfigurationError",
    "DashScope",
    "DirectOutcome",
    "DownloadFailed",
    "EndSeen",
    "Endpoint",
    "ErrorKind",
    "Event",
    "Exponential",
    "Failure",
    "Finished",
    "Fixed",
    "GaveUp",
    "GenerationOutcome",
    "HandedOver",
    "HeaderTreatment",
    "HeadroomPolicy",
    "HeldBack",
    "Hint",
    "HintIgnored",
    "IdempotencyHeader",
    "IllegalMove",
    "InBody",
    "InHeader",
    "InHttpStatus",
    "Job",
    "JobAccepted",
    "Lifecycle",
    "Limits",
    "Linear",
    "ListedTask",
    "ListingFailed",
    "NoSlot",
    "Operation",
    "OperationSpec",
    "Outcome",
    "Phase",
    "PhaseChanged",
    "PollRefused",
    "Polled",
    "PriceTable",
    "QueryCall",
    "Rate",
    "RateExceeded",
    "RateLimit",
    "Reconciled",
    "Reply",
    "RequestEvent",
    "ResilientPollError",
    "ResultAtOnce",
    "ResultUnreadable",
    "RetryBudget",
    "RetryPolicy",
    "RetryRefused",
    "Retrying",
    "SafeToSubmitAgain",
    "Slots",
    "SnapshotError",
    "StillGoing",
    "StillQueued",
    "StillRunning",
    "StillUnknown",
    "SubmitBegun",
    "SubmitCall",
    "SubmitEnded",
    "SubmitError",
    "SubmitInDoubt",
    "SubmitNotSent",
    "SubmitPolicy",
    "SubmitRefused",
    "SubmitThrottled",
    "SubmitUrl",
    "Submitted",
    "Task",
    "TaskCanceled",
    "TaskEnded",
    "TaskError",
    "TaskExpired",
    "TaskFailed",
    "Throttled",
    "TotalTimeout",
    "TransportProblem",
    "TryAgain",
    "UnlistedStatus",
    "Verdict",
    "WaitBegan",
    "WaitEnded",
    "WaitPolicy",
    "Waiting",
    "Worker",
    "WorkerCounts",
    "poll",
    "poll_async",
    "polled",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
