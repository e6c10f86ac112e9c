"""Under the package openai (3.x, on httpx2): our transport repeats, so the package does not."""

from __future__ import annotations

# --- example ---
from openai import DefaultHttpx2Client, OpenAI
from openai.types.responses import Response

from resilient_poll import Lifecycle, RetryPolicy, polled
from resilient_poll.transports.httpx2 import resilient_transport

ANSWER = Lifecycle.of(
    queued=["queued"],
    running=["in_progress"],
    succeeded=["completed", "incomplete"],  # cut at its longest, and billed
    failed=["failed"],
    canceled=["cancelled"],
)


def patient_client() -> OpenAI:
    transport = resilient_transport(retry=RetryPolicy(attempts=3, too_late="return"))
    return OpenAI(http_client=DefaultHttpx2Client(transport=transport), max_retries=0)  # one layer repeats


@polled(lifecycle=ANSWER, timeout=600, task_id_from="response_id")
def finished(client: OpenAI, response_id: str) -> tuple[str, Response]:
    response = client.responses.retrieve(response_id)
    return str(response.status), response


# --- end ---
