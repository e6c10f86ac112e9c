"""Property 2, as far as it goes without a ledger: an interrupted submit leaves the id, or the doubt, in the log.

A ledger that survives a kill is not here yet; what is checked is Ctrl-C at any line.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import httpx
import pytest
from hypothesis import strategies as st

from resilient_poll import DashScope, ResilientPollError, SubmitError, Task
from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.drive.clocks import VirtualClock
from tests.support.honest_service import Fate, HonestService
from tests.support.properties import Property


@contextmanager
def interrupted_at(line: int) -> Iterator[None]:
    """Raise KeyboardInterrupt at the n-th line that the package runs, once."""
    left = line
    before = sys.gettrace()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001  # the interpreter's signature
        nonlocal left
        if "resilient_poll/" not in frame.f_code.co_filename.replace("\\", "/"):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@contextmanager
def log_of_the_package() -> Iterator[list[str]]:
    """Collect what the package logs, as text."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                lines.append(record.getMessage())

    logger, keep = logging.getLogger("resilient_poll"), Keep()
    logger.addHandler(keep)
    try:
        yield lines
    finally:
        logger.removeHandler(keep)


def nothing_forgotten(fates: Sequence[Fate], line: int) -> None:
    service = HonestService(fates)
    result: Task | ResilientPollError | KeyboardInterrupt
    with log_of_the_package() as log, httpx.Client(transport=service.transport()) as http_client:
        client = DashScope(
            dialect="aisa",
            api_key="sk-test",
            base_url="http://api.test/v1",
            http_client=http_client,
            clock=VirtualClock(),
            make_seed=lambda: "seed",
        )
        try:
            with interrupted_at(line):
                result = client.submit("model", {"prompt": "a cat"}, timeout=60)
        except (SubmitError, KeyboardInterrupt) as stopped:
            result = stopped
    assert service.accepted <= 1
    if service.accepted == 0 or isinstance(result, Task):
        return
    told = "\n".join([*log, str(result)])
    assert "task-1" in told or "there may be a task" in told, f"accepted, and nobody was told: {result!r}"


FORGOTTEN = Property(
    nothing_forgotten,
    examples=300,
    fates=st.lists(
        st.sampled_from([Fate.ACCEPTED, Fate.ACCEPTED, Fate.ACCEPTED_LOST, Fate.THROTTLED]), min_size=1, max_size=3
    ),
    line=st.integers(1, 800),
)


def test_an_interruption_at_any_line_forgets_nothing() -> None:
    """Ctrl-C at any line of a submit leaves the task's id, or the word that there may be one, with the caller."""
    FORGOTTEN.holds()


def test_the_interruptions_strike() -> None:
    """The property is not empty: interruptions strike before and after the service has accepted."""
    struck = set()
    for line in range(1, 800, 7):
        service = HonestService([Fate.ACCEPTED])
        with httpx.Client(transport=service.transport()) as http_client:
            client = DashScope(
                dialect="aisa", api_key="sk-test", base_url="http://api.test/v1", http_client=http_client
            )
            try:
                with interrupted_at(line):
                    client.submit("model", {"prompt": "a cat"})
            except KeyboardInterrupt:
                struck.add(service.accepted)
    assert struck == {0, 1}


def test_a_silent_interruption_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a submit that is broken off says nothing."""
    monkeypatch.setattr(ClientCore, "broken_off", lambda *parts: None)  # noqa: ARG005
    FORGOTTEN.catches_the_planted_fault()
