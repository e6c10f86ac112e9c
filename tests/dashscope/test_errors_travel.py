"""Errors leave a worker process whole, as pools of processes and task queues need them to."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from resilient_poll import (
    ConfigurationError,
    Lifecycle,
    ResultAtOnce,
    SubmitInDoubt,
    TaskError,
    TaskFailed,
    WaitPolicy,
    poll,
)
from resilient_poll.drive.clocks import VirtualClock

LIFECYCLE = Lifecycle.of(queued=["queued"], running=["going"], succeeded=["done"], failed=["broken"])


def pickled(error: Any) -> Any:
    return pickle.loads(pickle.dumps(error))  # noqa: S301  # it was made here


def ended(word: str) -> TaskError:
    with pytest.raises(TaskError) as caught:
        poll(lambda: word, lifecycle=LIFECYCLE, timeout=1.0, task_id="t-1", policy=WaitPolicy(), clock=VirtualClock())
    return caught.value


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickled])
@pytest.mark.parametrize("word", ["broken", "going", "unheard of"])
def test_what_a_wait_raises_is_whole_elsewhere(word: str, how: Any) -> None:
    """The error of a wait is of the same class elsewhere, and knows the same task, phase and bill."""
    error = ended(word)
    made = how(error)
    assert (type(made), str(made)) == (type(error), str(error))
    for name in ("task_id", "phase", "billing", "status", "safe_to_submit_again", "come_back_in_s"):
        assert getattr(made, name) == getattr(error, name)
    assert isinstance(ended("broken"), TaskFailed)


@pytest.mark.parametrize("how", [copy.copy, pickled])
@pytest.mark.parametrize(
    "error",
    [
        SubmitInDoubt("the answer is lost", attempts=2, come_back_in_s=3.0),
        ResultAtOnce("it came at once", {"url": "x"}, attempts=1),
        ConfigurationError("nonsense"),
    ],
)
def test_what_a_submit_raises_is_whole_elsewhere(error: Any, how: Any) -> None:
    """The error of a submit keeps what it knows when it is copied or carried to another process."""
    assert vars(how(error)) == vars(error)
    assert (type(how(error)), how(error).args) == (type(error), error.args)
