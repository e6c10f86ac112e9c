"""Property 2 for many at once: whoever leaves a batch, at any line, is told of everything that was accepted."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest
from hypothesis import strategies as st

from resilient_poll import DashScope, Finished, Job, Task
from resilient_poll.dashscope.many_core import ManyDesk
from resilient_poll.drive.clocks import VirtualClock
from tests.properties.test_02_nothing_forgotten import interrupted_at, log_of_the_package
from tests.support.honest_service import Fate, HonestService
from tests.support.properties import Property

JOBS = [Job("model", {"prompt": "a cat"}, label=str(number)) for number in range(3)]


def nothing_forgotten(fates: Sequence[Fate], line: int, most_results: int) -> None:
    service = HonestService(fates)
    got: list[Finished[Task]] = []
    with log_of_the_package() as log, httpx.Client(transport=service.transport()) as http_client:
        client = DashScope(
            dialect="aisa",
            api_key="sk-test",
            base_url="http://api.test/v1",
            http_client=http_client,
            clock=VirtualClock(),
            make_seed=lambda: "seed",
        )
        results = client.submit_many(JOBS, submit_timeout=60)
        try:
            with interrupted_at(line):
                for finished in results:
                    got.append(finished)  # Its lines are the caller's: told in words further down.
                    if len(got) == most_results:
                        break
        except KeyboardInterrupt:
            pass
        results.close()
    told = "\n".join([*log, *(f"{finished.task} {finished.error}" for finished in got)])
    doubts = sum(fate is Fate.ACCEPTED_LOST for fate in fates[: service.creates])
    missing = [number for number in range(1, service.accepted + 1) if f"task-{number}" not in told]
    assert len(missing) <= max(doubts, told.count("there may be a task")), f"accepted, and nobody was told: {missing}"
    assert not missing or "there may be a task" in told
    assert client._core.account.slots.in_flight == 0, "what nobody looks at holds no slot"


FORGOTTEN = Property(
    nothing_forgotten,
    examples=400,
    fates=st.lists(
        st.sampled_from([Fate.ACCEPTED, Fate.ACCEPTED, Fate.ACCEPTED_LOST, Fate.THROTTLED]), min_size=1, max_size=5
    ),
    line=st.integers(1, 6000),
    most_results=st.integers(1, 4),
)


def test_an_interruption_at_any_line_forgets_nothing() -> None:
    """Ctrl-C at any line of a batch, or leaving its loop, leaves every id or doubt with the caller or in the log."""
    FORGOTTEN.holds()


def test_a_silent_end_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a batch that is left says nothing of what is open."""
    monkeypatch.setattr(ManyDesk, "leave", lambda *parts: None)  # noqa: ARG005  # the fault
    FORGOTTEN.catches_the_planted_fault()
