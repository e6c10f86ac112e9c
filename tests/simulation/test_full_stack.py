"""A few tasks of a simulated world through each of the real clients; `--full-stack` runs ten thousand."""

from __future__ import annotations

from typing import Any

import pytest

from resilient_poll.dashscope.wire import translate
from resilient_poll.machine.observations import Unreachable
from tests.simulation.full_stack import DRIVERS, through_the_stack
from tests.simulation.shrink import replay_line

SEED = 20


@pytest.mark.thorough(plain=7)
@pytest.mark.parametrize(("colour", "library"), DRIVERS)
@pytest.mark.parametrize("number", [0, 6])
def test_nothing_is_wrong_through_a_real_client(colour: str, library: str, number: int) -> None:
    """Through each real client, over either library and either ledger, nothing is lost, paid twice or hammered."""
    result = through_the_stack(SEED, number, colour, library, most_tasks=12)
    assert result.figures["tasks"] == 12
    assert not result.is_wrong, "\n".join([replay_line(SEED, number), *result.lines[:5]])


@pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])
def test_the_judge_of_the_real_clients_can_complain(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real client that sends again after silence is found to pay twice."""

    def sent_again(failure: Any) -> Any:
        return Unreachable(reason=failure.reason)

    monkeypatch.setattr(translate, "create_failed", sent_again)
    for number in (0, 1, 6, 8):
        if through_the_stack(SEED, number, colour, "httpx", most_tasks=25).counts["duplicates"]:
            return
    raise AssertionError("it never complained")
