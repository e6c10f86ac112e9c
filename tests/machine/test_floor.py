"""The earliest next request, raised by many threads at once."""

from __future__ import annotations

import threading

import pytest

from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.dashscope.settings import resolve_settings
from resilient_poll.machine import Floor
from resilient_poll.machine.policy import SubmitPolicy, WaitPolicy


class Slow(float):
    """An instant that is compared slowly: another thread raises the floor meanwhile."""

    floor: Floor
    other: threading.Thread

    def __gt__(self, than: float) -> bool:
        Slow.other = threading.Thread(target=Slow.floor.raise_to, args=(100.0,))
        Slow.other.start()
        Slow.other.join(0.2)
        return float(self) > than


def core() -> ClientCore:
    settings = resolve_settings(
        dialect="aisa", api_key="sk-test", base_url="http://api.test/v1", headers=None, environ={}
    )
    return ClientCore(settings, WaitPolicy(), SubmitPolicy())


@pytest.mark.parametrize("which", ["create_floor", "query_floor", "task"])
def test_the_higher_of_two_wins(which: str) -> None:
    """Of two threads that raise a client's floor at the same time the one that asks for more is kept."""
    one = core()
    Slow.floor = one.floor_of("task-1") if which == "task" else getattr(one, which)
    Slow.floor.raise_to(Slow(5.0))
    Slow.other.join(10)
    assert Slow.floor.not_before_s == 100.0


def test_a_floor_only_rises() -> None:
    """A lower instant changes nothing."""
    floor = Floor()
    floor.raise_to(5.0)
    floor.raise_to(4.0)
    assert floor.not_before_s == 5.0
