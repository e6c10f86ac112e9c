"""Cancelling a wait leaves the work resumable and says so in the log."""

from __future__ import annotations

import asyncio
import logging
import re

import httpx
import pytest
import trio

from resilient_poll import AsyncDashScope, DashScope
from resilient_poll.drive.clocks import RealAsyncClock, VirtualClock
from tests.support.honest_service import Fate, HonestService

BASE = {"dialect": "aisa", "api_key": "sk-test", "base_url": "http://api.test/v1"}


def _resumable_token(caplog: pytest.LogCaptureFixture) -> str:
    said = [record.getMessage() for record in caplog.records if "interrupted" in record.getMessage()]
    assert len(said) == 1, caplog.text
    assert "task-1" in said[0]
    found = re.search(r"rpt1\.\S+", said[0])
    assert found is not None
    return found.group()


def _resume(token: str) -> str:
    service = HonestService([Fate.ACCEPTED])
    with httpx.Client(transport=service.transport()) as http_client:
        outcome = DashScope(**BASE, http_client=http_client, clock=VirtualClock()).task(token).wait()
    return outcome.task_id


def test_asyncio_cancellation_says_how_to_resume(caplog: pytest.LogCaptureFixture) -> None:
    """A native asyncio cancellation of a wait is passed on, and the log's token resumes the task."""
    caplog.set_level(logging.WARNING, "resilient_poll")

    async def main() -> None:
        service = HonestService([Fate.ACCEPTED])
        async with httpx.AsyncClient(transport=service.transport()) as http_client:
            client = AsyncDashScope(**BASE, http_client=http_client, clock=RealAsyncClock())
            task = await client.submit("model", {"prompt": "a cat"})
            waiting = asyncio.ensure_future(task.wait())
            await asyncio.sleep(0)  # real: lets the wait begin, takes no time
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(main())
    assert _resume(_resumable_token(caplog)) == "task-1"


def test_trio_cancellation_says_how_to_resume(caplog: pytest.LogCaptureFixture) -> None:
    """A trio cancel scope around a wait ends it, and the log's token resumes the task."""
    caplog.set_level(logging.WARNING, "resilient_poll")

    async def main() -> None:
        service = HonestService([Fate.ACCEPTED])
        async with httpx.AsyncClient(transport=service.transport()) as http_client:
            client = AsyncDashScope(**BASE, http_client=http_client, clock=RealAsyncClock())
            task = await client.submit("model", {"prompt": "a cat"})
            with trio.move_on_after(1.0) as scope:
                await task.wait()
            assert scope.cancelled_caught

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert _resume(_resumable_token(caplog)) == "task-1"


def test_control_c_says_how_to_resume(caplog: pytest.LogCaptureFixture) -> None:
    """Ctrl-C during a blocking wait is passed on, and the log's token resumes the task."""
    caplog.set_level(logging.WARNING, "resilient_poll")

    class Impatient(VirtualClock):
        def sleep(self, seconds: float) -> None:  # noqa: ARG002  # the clock's own signature
            raise KeyboardInterrupt

    service = HonestService([Fate.ACCEPTED])
    with httpx.Client(transport=service.transport()) as http_client:
        task = DashScope(**BASE, http_client=http_client, clock=Impatient()).submit("model", {"prompt": "a cat"})
        with pytest.raises(KeyboardInterrupt):
            task.wait()
    assert _resume(_resumable_token(caplog)) == "task-1"


def test_leaving_updates_early_is_no_interruption(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever stops reading updates has not been interrupted, so nothing is logged about it."""
    caplog.set_level(logging.WARNING, "resilient_poll")
    service = HonestService([Fate.ACCEPTED])
    with httpx.Client(transport=service.transport()) as http_client:
        task = DashScope(**BASE, http_client=http_client, clock=VirtualClock()).submit("model", {"prompt": "a cat"})
        updates = task.updates()
        next(updates)
        updates.close()  # type: ignore[attr-defined]  # a generator, typed as what it is for
    assert "interrupted" not in caplog.text


def test_updates_end_with_an_outcome() -> None:
    """Updates yield every change as it is seen, and then the outcome is there."""
    service = HonestService([Fate.ACCEPTED])
    with httpx.Client(transport=service.transport()) as http_client:
        task = DashScope(**BASE, http_client=http_client, clock=VirtualClock()).submit("model", {"prompt": "a cat"})
        names = [type(event).__name__ for event in task.updates()]
    assert names == ["PhaseChanged", "BillingChanged"]
    assert task.outcome is not None
    assert task.outcome.video_url == "http://assets.test/clip.mp4"


def test_a_listener_that_fails_does_not_end_the_wait(caplog: pytest.LogCaptureFixture) -> None:
    """A fault in the caller's listener is logged, and the wait goes on."""

    def broken(event: object) -> None:  # noqa: ARG001  # a listener's signature
        raise RuntimeError("a fault of the listener")

    service = HonestService([Fate.ACCEPTED])
    with httpx.Client(transport=service.transport()) as http_client:
        client = DashScope(**BASE, http_client=http_client, clock=VirtualClock(), on_event=broken)
        assert client.submit("model", {"prompt": "a cat"}).wait().task_id == "task-1"
    assert "the listener for events failed" in caplog.text
