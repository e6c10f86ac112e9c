"""What the packages make of times in one zone after another: ``python -m tests.wall_clock.zone_report ZONE…``.

It prints a line of JSON for each. A process of its own, since the zone of a process is everybody's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime, timedelta
from typing import Any

import freezegun
import httpx

from fake_server.faults.hints import spell
from fake_server.faults.model import HINT_FORMS, Hint
from fake_server.testing import InProcessDashScope
from fake_server.wire import bodies
from resilient_poll import DashScope
from resilient_poll.cli.records.durations import moment_of
from resilient_poll.cli.records.values import entry_values
from resilient_poll.dashscope.wire.dialects import DASHSCOPE
from resilient_poll.dashscope.wire.listing import questions
from resilient_poll.dashscope.wire.translate import translate_query
from resilient_poll.drive.clocks import RealClock, VirtualClock
from resilient_poll.http.messages import Answer
from resilient_poll.http.retry_after import read_date, read_retry_after
from resilient_poll.ledger.bill import bill_of
from resilient_poll.ledger.entry import Entry, Namespace
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.wall_clock.edges import EDGES, http_dates

FROZEN = "autumn in New York"
# Freezing looks at every module that there is; one edge is enough for that.
SCENARIO = """\
version: 1
summary: Throttled with a date, then a video.
tasks: [{lifecycle: PENDING 2s -> SUCCEEDED, times: true}]
poll: [{throttle: {retry_after: 20s, form: http-date}}]
expect: {outcome: SUCCEEDED}
"""


def of_an_edge(now: datetime) -> dict[str, Any]:
    """Return what is read, written and waited for around a moment."""
    at_s, later = now.timestamp(), now + timedelta(hours=2, seconds=20)
    entry = Entry(
        entry_id=1, namespace=Namespace("o", "d", "a"), key="k", attempt=1, digest="d", created_wall_s=at_s,
        updated_wall_s=at_s, licensed_wall_s=at_s, ended_wall_s=at_s, phase=Phase.SUCCEEDED, billing=Billing.BILLED,
        sends=1, task_id="t", about={"model": "m"},
    )  # fmt: skip
    body = {"output": {"task_id": "t", "task_status": "FAILED", "end_time": bodies.timestamp(at_s)}}
    answer = Answer(200, (("date", http_dates(later)[0]),), json.dumps(body).encode())
    return {
        "dates": [read_date(date) for date in http_dates(later)],
        "ended": getattr(translate_query(answer, DASHSCOPE, "t", 0.0), "ended_ago_s", None),
        "windows": [
            question.parameters
            for question in questions(DASHSCOPE, start=now, end=later, model=None, status=None, page_size=50)
        ],
        "spelt": [spell(Hint(20.0, form), at_s).values for form in HINT_FORMS],
        "fake": [bodies.http_date(at_s), bodies.timestamp(at_s), bodies.read_timestamp(bodies.timestamp(at_s))],
        "typed": [moment_of(text, now).timestamp() for text in ("1d", "90s", "2026-03-08", "2026-11-01T01:30-05:00")],
        "shown": entry_values(entry, at_s + 86_399.0),
        "day": [row.day for row in bill_of([entry], {})],
        "waited": _waited(at_s),
    }


def _waited(at_s: float) -> dict[str, Any]:
    """Return what a client did from its submit to its result, and when."""
    clock = VirtualClock(Instant(0.0, at_s))
    events: list[str] = []
    fake = InProcessDashScope(SCENARIO, clock=clock)
    with (
        httpx.Client(transport=fake.httpx_transport(), base_url=fake.origin) as http_client,
        DashScope(
            dialect="dashscope", api_key=fake.key, base_url=f"{fake.origin}/api/v1", http_client=http_client,
            clock=clock, make_seed=lambda: "seed", on_event=lambda event: events.append(type(event).__name__),
        ) as client,
    ):  # fmt: skip
        client.submit("wan2.5-t2v-preview", {"prompt": "a cat"}).wait()
    return {"events": events, "over_s": round(clock.now().monotonic_s, 6), "early": fake.verdict().of("retry_after")}


def frozen(now: datetime) -> list[float | None]:
    """Return what the machine's own clock is off by, and how far off a date is by it."""
    with freezegun.freeze_time(now):
        machine_s = RealClock().now().wall_s
    later = now + timedelta(hours=2, seconds=20)
    return [machine_s - now.timestamp(), read_retry_after([http_dates(later)[0]], [], machine_s).seconds]


def main() -> None:
    """Report on each zone."""
    for zone in sys.argv[1:]:
        os.environ["TZ"] = zone
        time.tzset()
        here = {name: of_an_edge(now) for name, now in EDGES.items()}
        summer, winter = (time.localtime(EDGES[name].timestamp()) for name in ("29 February", "no 29 February"))
        proof = [summer.tm_gmtoff, winter.tm_gmtoff, time.localtime(1_785_000_000).tm_gmtoff]
        sys.stdout.write(
            json.dumps({"zone": zone, "proof": proof, "here": here, "frozen": frozen(EDGES[FROZEN])}) + "\n"
        )


if __name__ == "__main__":
    main()
