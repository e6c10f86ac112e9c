"""Hints that cut every sleep short: what is asked earlier for them, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from resilient_poll import Fixed, WaitPolicy
from resilient_poll.drive.clocks import VirtualClock
from tests.dashscope.ledger_clients import URL
from tests.dashscope.scripted import Asked, Broken, Reply, a_client, said
from tests.support.colours import COLOURS, got, run_in

HINT_EVERY_S = 0.1
RETRY_AFTER_S = 20.0


class Hinting(VirtualClock):
    """A clock on which somebody is woken by a hint a tenth of a second after falling asleep, again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.wake: Callable[[str], bool] | None = None
        self.hints = 0

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, HINT_EVERY_S))
        if self.wake is not None:
            assert self.wake("task-1")
            self.hints += 1


@pytest.mark.parametrize("colour", COLOURS)
def test_hints_that_cut_sleeps_do_not_cut_floors(colour: str) -> None:
    """A task that is woken all the time is asked about at its floor and when its Retry-After is over, and no sooner."""
    clock, at_s = Hinting(), list[float]()
    policy = WaitPolicy(schedule=Fixed(60.0, first_s=0.0))

    def answers(asked: Asked) -> Reply | Broken:
        if asked.method == "GET":
            at_s.append(asked.at_s)
            if len(at_s) == 3:
                return Reply(429, {"code": "Throttling", "message": "slow"}, {"retry-after": f"{RETRY_AFTER_S:.0f}"})
            if len(at_s) == 5:
                return said("task-1", "SUCCEEDED", video_url=URL)
        return said("task-1", "RUNNING")

    async def main() -> None:
        async with a_client(colour, "httpx", answers, clock, wait_policy=policy) as client:
            clock.wake = client.wake
            await got(client.task("task-1").wait())

    run_in(colour, main)
    gaps = [later - sooner for sooner, later in pairwise(at_s)]
    for number, gap in enumerate(gaps):
        floor_s = RETRY_AFTER_S if number == 2 else policy.minimum_interval_s
        assert floor_s - 1e-6 <= gap <= floor_s + 2 * HINT_EVERY_S
    assert clock.hints > len(gaps)
