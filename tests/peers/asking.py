"""A service that is asked for a task by a client of either library, in each colour, on a virtual clock."""

from __future__ import annotations

import json
from typing import Any

from resilient_poll import Lifecycle, Outcome, poll, poll_async
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.http.retry_after import read_retry_after
from resilient_poll.machine.observations import StatusSeen
from tests.support.colours import got, run_in
from tests.transports.scripted import Says, Script, client_over, inner_of

__all__ = ["LIFECYCLE", "answer", "asked", "gaps"]

URL = "http://api.test/task"
LIFECYCLE = Lifecycle.of(
    queued=["queued"],
    running=["running"],
    succeeded=["succeeded"],
    failed=["failed"],
    canceled=["canceled", "cancelled"],
)


def answer(status: str, http_status: int = 200, **headers: str) -> Says:
    """Return an answer with a task's status."""
    body = json.dumps({"status": status}).encode()
    return Says(http_status, {name.replace("_", "-"): value for name, value in headers.items()}, (body,))


def _seen(response: Any, wall_s: float) -> StatusSeen:
    response.raise_for_status()
    body = response.json()
    hint = read_retry_after(response.headers.get_list("retry-after"), response.headers.get_list("date"), wall_s)
    return StatusSeen(status=body["status"], result=body, retry_after_s=hint.seconds, retry_after_ignored=hint.ignored)


def asked(colour: str, library: str, answers: Any, **options: Any) -> tuple[Outcome | Exception, Script]:
    """Wait for a task whose service answers by a script.

    Args:
        colour: Which colour.
        library: Which library's client asks.
        answers: See :class:`.Script`.
        options: For ``poll``.

    Returns:
        The outcome or what was raised instead, and the script with what it was asked.
    """
    clock = VirtualClock()
    script = Script(answers, clock)
    options.setdefault("lifecycle", LIFECYCLE)

    async def main() -> Outcome | Exception:
        async with client_over(colour, library, inner_of(library, script)) as client:
            try:
                if colour == "sync":
                    return poll(lambda: _seen(client.get(URL), clock.now().wall_s), clock=clock, **options)

                async def ask() -> StatusSeen:
                    return _seen(await got(client.get(URL)), clock.now().wall_s)

                return await poll_async(ask, clock=clock.for_async(), **options)
            except Exception as error:  # noqa: BLE001  # that is what is asked for
                return error

    return run_in(colour, main), script


def gaps(script: Script) -> list[float]:
    """Return the seconds between what the service was asked."""
    return [round(later - earlier, 3) for earlier, later in zip(script.at_s, script.at_s[1:], strict=False)]
