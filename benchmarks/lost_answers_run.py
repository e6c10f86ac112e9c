"""One client of :mod:`.lost_answers`: it wants one result of each scenario, and says what it got of each.

``python -m benchmarks.lost_answers_run ARM BASE_URL WORLD SCENARIO…``. A process of its own, as the vendor's
package reads its base URL when it is imported, and sleeps for whole seconds between tries: shortening the
sleeps leaves the package itself as it is.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from resilient_poll import DashScope, SubmitInDoubt
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.instant import Instant

CALLS = 8
"""So often somebody calls again who wants the result and has not got it."""
MODEL, PROMPT = "wan2.5-t2v-preview", "a cat on a bicycle"
_SHORTER = 100.0

Call = Callable[[str], bool]


def first_face(base_url: str) -> Call:
    """Return a call of the package's classes of version 1; it says whether it brought a result."""
    package = _package(base_url)

    def call(key: str) -> bool:
        answer = package.VideoSynthesis.call(model=MODEL, prompt=PROMPT, api_key=key)
        return bool(answer.status_code == 200 and answer.output.task_status == "SUCCEEDED")

    return _looking_no_closer(call)


def second_face(base_url: str) -> Call:
    """Return a call of the package's client of version 2."""
    package = _package(base_url)

    def call(key: str) -> bool:
        jobs = package.Client(base_url=base_url, api_key=key).videos.jobs
        return bool(jobs.wait(jobs.create(model=MODEL, prompt=PROMPT).job_id).succeeded)

    return _looking_no_closer(call)


def ours(base_url: str) -> Call:
    """Return a call of ours, as it stands in the README: a ledger, and a key of the caller's own."""
    folder = tempfile.TemporaryDirectory(prefix="lost-answers-")  # It is gone when the process is.
    path = Path(folder.name) / "ledger.sqlite3"

    def call(key: str, _: object = folder) -> bool:
        options = {"dialect": "dashscope", "api_key": key, "base_url": base_url, "clock": VirtualClock(_now())}
        with SqliteLedger(path) as ledger, DashScope(**options, ledger=ledger) as client:  # type: ignore[arg-type]  # of several types
            try:
                task = client.submit(MODEL, {"prompt": PROMPT}, idempotency_key="order-17")
            except SubmitInDoubt:
                client.reconcile()  # Looks for the task in the service's own list.
                return False
            return bool(task.wait().video_url)

    return call


def _now() -> Instant:
    return Instant(time.monotonic(), time.time())


ARMS: dict[str, Callable[[str], Call]] = {"v1": first_face, "v2": second_face, "ours": ours}


def insisting(call: Call, key: str) -> dict[str, Any]:
    """Call until a result is there, as whoever wants it would; say how often, and whether it came."""
    for number in range(1, CALLS + 1):
        if call(key):
            return {"calls": number, "in_hand": True}
    return {"calls": CALLS, "in_hand": False}


def _looking_no_closer(call: Call) -> Call:
    """Return a call for which every exception is a reason to call again: the package documents no better."""

    def again(key: str) -> bool:
        try:
            return call(key)
        except Exception:  # noqa: BLE001  # see above
            return False

    return again


def _package(base_url: str) -> Any:
    os.environ["DASHSCOPE_HTTP_BASE_URL"] = base_url
    blocking = time.sleep

    def sleep(seconds: Any) -> None:
        blocking(seconds / _SHORTER)

    time.sleep = sleep
    package = import_module("dashscope")
    package.base_http_api_url = base_url  # type: ignore[attr-defined]  # it is one
    return package


def main() -> None:
    """Want a result of each scenario, and print one line of JSON."""
    arm, base_url, tail, *scenarios = sys.argv[1:]
    logging.disable()
    call = ARMS[arm](base_url)
    got = {scenario: insisting(call, f"sk-{scenario}.{tail}") for scenario in scenarios}
    sys.stdout.write(json.dumps(got) + "\n")


if __name__ == "__main__":
    main()
