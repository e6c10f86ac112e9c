"""What costs nothing, hurts nothing and grows without bound nowhere."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from typing import Any

import httpx
import pytest

from resilient_poll import (
    AttemptEnded,
    ConfigurationError,
    EndSeen,
    Event,
    Lifecycle,
    Phase,
    Polled,
    SubmitBegun,
    SubmitEnded,
    Submitted,
    WaitBegan,
    WaitEnded,
    Waiting,
    poll,
)
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.machine import Billing, DoneReason, SleepReason
from resilient_poll.telemetry.opentelemetry import OpenTelemetry
from tests.support.colours import COLOURS, INPUT, MODEL, got, run_in
from tests.telemetry.hearing import Exported, serving
from tests.telemetry.test_spans import about

each_colour = pytest.mark.parametrize("colour", COLOURS)
EXTRA = {SubmitBegun, Submitted, SubmitEnded, WaitBegan, Polled, EndSeen}


def test_nobody_imports_opentelemetry_unasked() -> None:
    """Importing everything public of the package imports nothing of OpenTelemetry."""
    code = (
        "import sys, json, resilient_poll\n"
        "[getattr(resilient_poll, name) for name in resilient_poll.__all__]\n"
        "import resilient_poll.dashscope.client, resilient_poll.transports.httpx\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('opentelemetry')"
        " or name.startswith('resilient_poll.telemetry')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=120)  # noqa: S603  # ours
    assert json.loads(done.stdout) == []


@each_colour
def test_nothing_is_made_that_nobody_hears(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a listener, and with a log that is off, no event of submits, polls, requests or ends is even made."""
    made: list[str] = []

    def note(event: Event, *args: Any, **named: Any) -> None:
        made.append(type(event).__name__)
        genuine[type(event)](event, *args, **named)

    genuine = {kind: kind.__init__ for kind in (*EXTRA, AttemptEnded)}
    for kind in genuine:
        monkeypatch.setattr(kind, "__init__", note)
    monkeypatch.setattr(logging.getLogger("resilient_poll"), "level", logging.WARNING)

    async def main(**options: Any) -> None:
        async with serving("succeeds").client(colour, **options) as client:
            await got((await got(client.submit(MODEL, INPUT))).wait())

    lifecycle = Lifecycle("jobs", {"going": Phase.RUNNING, "done": Phase.SUCCEEDED})
    run_in(colour, lambda: main(on_event=None))
    poll(lambda: "done", lifecycle=lifecycle, clock=VirtualClock())
    assert not made
    run_in(colour, lambda: main(on_event=lambda _: None))
    assert {"SubmitBegun", "Submitted", "WaitBegan", "Polled", "EndSeen", "AttemptEnded"} == set(made)


@each_colour
def test_a_listener_that_raises_hurts_nothing(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that raises at every event changes neither what is sent nor what comes of it; each fault is logged."""
    told: list[str] = []

    def raises(event: Event) -> None:
        told.append(type(event).__name__)
        raise ZeroDivisionError(type(event).__name__)

    outcomes = []
    for listener in (None, raises):
        served = serving("bad-gateway")

        async def main(served: Any = served, listener: Any = listener) -> Any:
            async with served.client(colour, on_event=listener) as client:
                return await got((await got(client.submit(MODEL, INPUT))).wait())

        outcome = run_in(colour, main)
        outcomes.append((outcome.polls, outcome.billing, served.engine.journal.counters["requests"]))
    assert outcomes[0] == outcomes[1]
    assert len([record for record in caplog.records if record.exc_info]) == len(told) > 10


@each_colour
def test_tasks_that_nobody_waits_for_are_bounded(colour: str) -> None:
    """With more open tasks than are followed, the span that is open longest ends and says so; closing ends the rest."""
    served = serving("succeeds", most_open=3)

    async def main() -> None:
        async with served.client(colour) as client:
            for number in range(8):
                await got(client.submit(f"{MODEL}-{number}", INPUT))

    run_in(colour, main)
    exported = served.exported
    assert [about(span)["resilient_poll.model"] for span in exported.tasks] == [f"{MODEL}-{n}" for n in range(5)]
    with exported.telemetry:
        pass
    assert len(exported.tasks) == 8
    assert {about(span)["resilient_poll.left"] for span in exported.tasks} == {True}
    spans, measures = exported.telemetry._spans, exported.telemetry._measures
    for number in range(100):
        for event in a_life(f"t{number}", f"s{number}"):
            exported(event)
    assert not spans._followed
    assert len(spans._ended) <= 3
    assert len(measures._pauses) <= 3
    with pytest.raises(ConfigurationError):
        OpenTelemetry(most_open=0)


def a_life(task_id: str, submit_id: str) -> list[Event]:
    return [
        SubmitBegun(None, 0.0, "service", "model", "endpoint", submit_id=submit_id),
        Submitted(task_id, 1.0, "PENDING", 1, submit_id=submit_id),
        WaitBegan(task_id, 1.0, Phase.QUEUED, 0),
        Polled(task_id, 2.0, 1, "status", "DONE"),
        EndSeen(task_id, 2.0, Phase.SUCCEEDED, "DONE", Billing.BILLED, 1, 1.0, is_exact=False),
        WaitEnded(task_id, 2.0, DoneReason.ENDED, Phase.SUCCEEDED),
    ]


def test_it_may_be_called_from_many_threads() -> None:
    """Events of many tasks that come from several threads at once make one whole span each."""
    exported = Exported()

    def tell(worker: int) -> None:
        for number in range(50):
            for event in a_life(f"t{worker}-{number}", f"s{worker}-{number}"):
                exported(event)

    threads = [threading.Thread(target=tell, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(exported.tasks) == 200 == len({about(span)["resilient_poll.task.id"] for span in exported.tasks})
    assert {about(span)["resilient_poll.polls"] for span in exported.tasks} == {1}
    assert exported.points("resilient_poll.task.polls")[0][1] == (200, 200)


def test_a_submit_that_is_broken_off_ends_its_span() -> None:
    """Ctrl-C while a create is out ends its span with the interruption, and says that something may be owed."""
    served = serving("succeeds")

    class Transport(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            request.read()
            raise KeyboardInterrupt

    async def main() -> None:
        async with served.client("sync", transport=Transport()) as client:
            client.submit(MODEL, INPUT)

    with pytest.raises(KeyboardInterrupt):
        run_in("sync", main)
    (task,) = served.exported.tasks
    assert about(task)["error.type"] == "KeyboardInterrupt"
    assert about(task)["resilient_poll.billing"] == "UNDETERMINED"


def test_a_pause_is_counted_as_long_as_it_was() -> None:
    """A pause that something cut short is measured up to there, and any other to the end that was announced."""
    exported = Exported()
    for event in (
        Waiting("t", 0.0, 10.0, SleepReason.SCHEDULE),
        Polled("t", 4.0, 1, "throttled", None),
        Waiting("t", 4.0, 9.0, SleepReason.SERVER),
        Waiting("t", 6.0, 20.0, SleepReason.SERVER),
        Polled("t", 21.0, 2, "status", "DONE"),
    ):
        exported(event)
    waits = {
        found["resilient_poll.wait.reason"]: value for found, value in exported.points("resilient_poll.wait.duration")
    }
    assert waits == {"SCHEDULE": (4.0, 1), "SERVER": (2.0 + 14.0, 2)}


def test_the_bounds_of_histograms_fit_seconds() -> None:
    """Histograms advise bounds in their own unit: a pause of three seconds and one of four are told apart."""
    exported = Exported()
    for began_s, took_s in ((0.0, 2.5), (10.0, 4.0)):
        exported(Waiting("t", began_s, began_s + took_s, SleepReason.SCHEDULE))
        exported(Polled("t", began_s + took_s, 1, "status", "GOING"))
    data = exported._reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    (point,) = metric.data.data_points
    assert sorted(point.bucket_counts)[-2:] == [1, 1]
    assert max(point.explicit_bounds) == 600.0
