"""Ready declarations. Each says where its facts come from; what nobody wrote down is called assumed.

The pages were read in November 2026, the packages are the versions that the tests install. Nothing here was recorded
from a live service.
"""

from __future__ import annotations

from typing import Final

from resilient_poll.machine.lifecycle import Billing, Lifecycle, Phase
from resilient_poll.specs.calls import CancelCall, QueryCall, SubmitCall, SubmitUrl
from resilient_poll.specs.operation import RETRY_AFTER, OperationSpec
from resilient_poll.specs.places import Hint, InBody, InHeader, InHttpStatus

__all__ = [
    "AZURE_ASYNC_OPERATION",
    "AZURE_LOCATION",
    "AZURE_OPERATION_LOCATION",
    "GOOGLE_OPERATIONS",
    "OPENAI_VIDEOS",
    "READY",
    "REPLICATE_PREDICTIONS",
]

# What a service's pages do not say of a bill is not claimed: these APIs bill resources, not operations.
_UNKNOWN_BILL = dict.fromkeys(
    (Phase.QUEUED, Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELED), Billing.UNDETERMINED
)


def _azure_words(name: str) -> Lifecycle:
    return Lifecycle.of(
        name,
        queued=["NotStarted", "Accepted"],
        running=["Running", "InProgress", "Creating", "Updating", "Deleting", "Canceling"],
        succeeded=["Succeeded"],
        failed=["Failed"],
        canceled=["Canceled", "Cancelled"],
        billing=_UNKNOWN_BILL,
    )


AZURE_OPERATION_LOCATION: Final = OperationSpec(
    name="azure-operation-location",
    submit=SubmitCall(at_once=(200, 201, 204)),
    query=QueryCall(url=InHeader("operation-location")),
    status="status",
    lifecycle=_azure_words("azure-operation-location"),
    result_url=(InBody("resourceLocation"), InHeader("location")),
    error_code="error.code",
    error_message="error.message",
)
"""Azure data planes: a ``POST`` answered with ``Operation-Location``; pass ``url=`` to the start.

Sources: the page *Azure REST API Guidelines*, section *Long-Running Operations & Jobs* (github.com/microsoft/api-
guidelines, azure/Guidelines.md): the status monitor with ``status`` and ``error``, the words NotStarted, Running,
Succeeded, Failed and Canceled in any case, ``Retry-After``; azure-core 1.41 (``OperationResourcePolling``):
``resourceLocation``, then ``Location``, as the place of a ``POST``'s result, where one of them is named. Assumed:
the other words for "goes on", which are taken from resource providers, and that nothing is known of the bill."""

AZURE_ASYNC_OPERATION: Final = OperationSpec(
    name="azure-async-operation",
    submit=SubmitCall(method="PUT", at_once=(200, 201, 204)),
    query=QueryCall(url=InHeader("azure-asyncoperation")),
    status="status",
    lifecycle=_azure_words("azure-async-operation"),
    result_url=(InBody("resourceLocation"), SubmitUrl()),
    error_code="error.code",
    error_message="error.message",
)
"""Azure Resource Manager: a ``PUT`` answered with ``Azure-AsyncOperation``, whose result is the resource itself.

Sources: the page *Track asynchronous Azure operations* (learn.microsoft.com, 4 January 2024): prefer ``Azure-
AsyncOperation`` to ``Location``, the ends Succeeded, Failed and Canceled, ``error.code`` and ``error.message``,
``Retry-After`` in seconds; azure-core 1.41: the final ``GET`` of a ``PUT`` goes to its own URL. Assumed: as above; a
create that is answered with 200, 201 or 204 and without the header is done, though a ``provisioningState`` in its
body could say otherwise."""

AZURE_LOCATION: Final = OperationSpec(
    name="azure-location",
    submit=SubmitCall(at_once=(200, 201, 204)),
    query=QueryCall(url=InHeader("location")),
    status=InHttpStatus(),
    lifecycle=Lifecycle.of(
        "azure-location", running=["202"], succeeded=["200", "201", "204"], fold_case=False, billing=_UNKNOWN_BILL
    ),
    error_code="error.code",
    error_message="error.message",
)
"""Azure's older way: ``Location`` alone. 202 says that it goes on; 200, 201 and 204 bring the result.

Sources: the pages *Track asynchronous Azure operations* (learn.microsoft.com, 4 January 2024) and *Asynchronous
operations (202 Accepted and Location header)* of HDInsight's REST reference (docs.microsoft.com, undated): 202 with
the header again while it goes on, 200 or 204 when it is done, an error's body when it failed; azure-core 1.41
(``LocationPolling``): 201 too. An error's status ends the wait as ``PollRefused`` and never as a failed task, since
a refused key looks the same."""

GOOGLE_OPERATIONS: Final = OperationSpec(
    name="google-operations",
    submit=SubmitCall(id="name"),
    query=QueryCall(url="/v1/{+id}"),
    cancel=CancelCall(url="/v1/{+id}:cancel"),
    status="name && (done && (error && (error.code == `1` && 'canceled' || 'failed') || 'succeeded') || 'running')",
    lifecycle=Lifecycle.of(
        "google-operations",
        running=["running"],
        succeeded=["succeeded"],
        failed=["failed"],
        canceled=["canceled"],
        fold_case=False,
        billing=_UNKNOWN_BILL,
    ),
    result="response || `{}`",
    error_code="error.code",
    error_message="error.message",
    progress="metadata",
)
"""Google's long-running operations (AIP-151, ``google.longrunning``); pass ``url=`` to the start.

Sources: the page *AIP-151: Long-running operations* (google.aip.dev/151) and the reference of
``google.longrunning.Operation`` (docs.cloud.google.com, projects.locations.operations): ``name``, ``done``,
``error`` or ``response``, of which a service may give neither; cancelling is a ``POST`` to ``:cancel``, and a
cancelled operation has an error with the code 1 (``CANCELLED`` of google.rpc.Code). Assumed: the version ``v1`` in
the path, and that nothing is known of the bill. A delay is not part of the form; ``Retry-After`` is read where it
comes."""

OPENAI_VIDEOS: Final = OperationSpec(
    name="openai-videos",
    submit=SubmitCall(url="/videos", id="id"),
    query=QueryCall(url="/videos/{id}"),
    status="status",
    lifecycle=Lifecycle.of(
        "openai-videos",
        queued=["queued"],
        running=["in_progress"],
        succeeded=["completed"],
        failed=["failed"],
        fold_case=False,
        billing={Phase.FAILED: Billing.UNDETERMINED},
    ),
    error_code="error.code",
    error_message="error.message",
    progress="progress",
    retry_after=(RETRY_AFTER, Hint(InHeader("openai-poll-after-ms"), "ms")),
)
"""OpenAI's videos; the client's ``base_url`` ends in ``/v1``.

Sources: openai 3.54 (``types/video.py``, ``resources/videos.py``): the words queued, in_progress, completed and
failed, ``progress``, ``error.code`` and ``error.message``, the header ``openai-poll-after-ms``. The package says
that the service shuts this API down on 24 September 2026; others speak it too. It sends the create as a form:
whoever must do so passes bytes and a ``Content-Type``. Assumed: JSON is taken as well; a success is billed, and of a
failure nothing is known."""

REPLICATE_PREDICTIONS: Final = OperationSpec(
    name="replicate-predictions",
    submit=SubmitCall(url="/v1/predictions", id="id"),
    query=QueryCall(url=(InBody("urls.get"), "/v1/predictions/{id}")),
    cancel=CancelCall(url=(InBody("urls.cancel"), "/v1/predictions/{id}/cancel")),
    status="status",
    lifecycle=Lifecycle.of(
        "replicate-predictions",
        queued=["starting"],
        running=["processing"],
        succeeded=["succeeded"],
        failed=["failed"],
        canceled=["canceled", "aborted"],
        fold_case=False,
        billing={
            Phase.RUNNING: Billing.PARTIAL_POSSIBLE,
            Phase.FAILED: Billing.UNDETERMINED,
            Phase.CANCELED: Billing.PARTIAL_POSSIBLE,
        },
    ),
    billing_by_status={"aborted": Billing.NONE},
    result="output",
    error_message="error || detail",
)
"""Replicate's predictions; the client's ``base_url`` is the service's origin.

Sources: the page *Prediction lifecycle* (replicate.com/docs/topics/predictions/lifecycle, undated): starting,
processing, succeeded, failed, canceled (stopped after it had started: the time that it ran is charged) and aborted
(its deadline passed before it started: no charge); replicate 1.0.7: ``urls.get``, ``urls.cancel``, ``output``,
``error``. Assumed: what a failed prediction costs is not known, and an error's explanation is in ``detail``."""

READY: Final = (
    AZURE_OPERATION_LOCATION,
    AZURE_ASYNC_OPERATION,
    AZURE_LOCATION,
    GOOGLE_OPERATIONS,
    OPENAI_VIDEOS,
    REPLICATE_PREDICTIONS,
)
"""All of them."""
