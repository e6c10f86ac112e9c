"""Under the package replicate (1.x, on httpx), which repeats up to ten times and has no switch for it."""

from __future__ import annotations

# --- example ---
from replicate.client import Client
from replicate.prediction import Prediction

from resilient_poll import Lifecycle, polled
from resilient_poll.transports.httpx import resilient_transport

PREDICTION = Lifecycle.of(
    queued=["starting"],
    running=["processing"],
    succeeded=["succeeded"],
    failed=["failed"],
    canceled=["canceled", "aborted"],
)


def patient_client() -> Client:
    return Client(mounts={"all://": resilient_transport()})  # a mount goes before the package's own transport


@polled(lifecycle=PREDICTION, timeout=600, task_id_from="prediction_id")
def finished(client: Client, prediction_id: str) -> tuple[str, Prediction]:
    prediction = client.predictions.get(prediction_id)
    return prediction.status, prediction


# --- end ---
