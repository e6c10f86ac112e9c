"""The front door: what a caller may import, and nothing by accident."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import resilient_poll

# Written out, so that adding or losing a name is seen in a review.
NAMES = [
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


def test_the_names_are_exactly_these() -> None:
    """The public names are pinned, in the order of the alphabet as people read it in a list."""
    assert resilient_poll.__all__ == NAMES
    assert sorted(NAMES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name: str) -> None:
    """Every public name can be imported, is documented, and is the same object where it lives."""
    found = getattr(resilient_poll, name)
    assert inspect.getdoc(found)
    assert getattr(importlib.import_module(found.__module__), name) is found
    assert found.__module__.startswith("resilient_poll.")


def test_dir_shows_what_is_there() -> None:
    """``dir()`` shows every public name, also before it was first used."""
    code = "import resilient_poll as r, sys; print(*dir(r)); print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own
    shown, has_httpx = done.stdout.split("\n")[:2]
    assert set(NAMES) <= set(shown.split())
    assert has_httpx == "False"


def test_a_star_brings_the_names() -> None:
    """``from resilient_poll import *`` brings exactly the public names."""
    code = "from resilient_poll import *; print(*(n for n in list(globals()) if not n.startswith('__')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own
    assert sorted(done.stdout.split()) == NAMES


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """A mistyped name is the ordinary error, so that ``hasattr`` and editors work."""
    assert not hasattr(resilient_poll, "DashScop")
    with pytest.raises(AttributeError, match=r"resilient_poll.*no attribute 'Pol'"):
        resilient_poll.Pol  # noqa: B018  # the access is the test


def test_it_says_its_version() -> None:
    """The package says the version that was installed."""
    from importlib.metadata import version  # noqa: PLC0415

    assert resilient_poll.__version__ == version("resilient-poll")


def test_every_error_is_one_of_ours_and_of_nobody_elses() -> None:
    """No error is a ``TimeoutError`` or ``OSError``, which people retry in general, and that pays twice."""
    errors = [
        found
        for name in NAMES
        if inspect.isclass(found := getattr(resilient_poll, name)) and issubclass(found, Exception)
    ]
    assert len(errors) > 20
    for error in errors:
        assert issubclass(error, resilient_poll.ResilientPollError)
        assert not issubclass(error, TimeoutError | OSError)
        assert error.safe_to_submit_again in {"yes", "no", "unknown"}
