"""A blocking call can be left behind in its thread, with its time, result and errors intact."""

from __future__ import annotations

import contextvars
import threading
import time

import pytest

from resilient_poll.transports.abandon import LeftBehind, call_within

PLENTY_S = 10.0


def test_a_result_is_returned() -> None:
    """What the function returns in time comes back, None included."""
    assert call_within(lambda _: 17, PLENTY_S) == 17
    assert call_within(lambda _: None, PLENTY_S) is None


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt()])
def test_an_error_is_raised_where_it_can_be_handled(error: BaseException) -> None:
    """What the function raises, of whatever kind, is raised to the caller and not lost with the thread."""

    def fails(_: threading.Event) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        call_within(fails, PLENTY_S)
    assert caught.value is error


def test_a_slow_call_is_left_behind_and_told() -> None:
    """A call that takes too long is left at its time, and its thread is told that nobody waits."""
    was_told, may_end = threading.Event(), threading.Event()

    def slow(left_behind: threading.Event) -> None:
        if left_behind.wait(PLENTY_S):
            was_told.set()
        may_end.wait(PLENTY_S)

    began_s = time.monotonic()
    with pytest.raises(LeftBehind):
        call_within(slow, 0.1)  # real: the time to be kept is real
    took_s = time.monotonic() - began_s
    assert was_told.wait(PLENTY_S)
    may_end.set()
    assert 0.09 < took_s < 0.1 + 0.25


def test_an_error_after_the_time_harms_nobody() -> None:
    """What a call raises after it was left behind ends its thread quietly."""
    finished = threading.Event()

    def fails_late(left_behind: threading.Event) -> None:
        left_behind.wait(PLENTY_S)
        finished.set()
        raise ValueError("nobody hears this")

    with pytest.raises(LeftBehind):
        call_within(fails_late, 0.05)  # real: as above
    assert finished.wait(PLENTY_S)


def test_the_thread_does_not_hold_up_the_end_of_the_process() -> None:
    """The thread is a daemon with a name that says whose it is."""
    seen: list[threading.Thread] = []
    call_within(lambda _: seen.append(threading.current_thread()), PLENTY_S)
    assert seen[0].daemon
    assert seen[0].name == "resilient-poll-query"
    assert seen[0] is not threading.current_thread()


def test_context_variables_come_along() -> None:
    """The call sees the caller's context variables, so that tracing and logging go on."""
    variable = contextvars.ContextVar("variable", default="nothing")
    variable.set("the caller's")
    assert call_within(lambda _: variable.get(), PLENTY_S) == "the caller's"


def test_calls_that_follow_each_other_are_made_in_one_thread() -> None:
    """While there is a next call, it is made by the same thread, and the last result comes back."""
    threads: list[int] = []
    taken: list[int] = []

    def call(_: threading.Event) -> int:
        threads.append(threading.get_ident())
        return len(threads)

    def follow(result: int) -> float | None:
        taken.append(result)
        return PLENTY_S if result < 3 else None

    assert call_within(call, PLENTY_S, follow) == 3
    assert taken == [1, 2, 3]
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


def test_each_following_call_has_a_time_of_its_own() -> None:
    """A later call is left behind at its own, shorter time, and is not taken in when it ends after all."""
    has_ended, may_end = threading.Event(), threading.Event()
    calls: list[int] = []
    taken: list[int] = []

    def call(_: threading.Event) -> int:
        calls.append(len(calls))
        if len(calls) == 2:
            may_end.wait(PLENTY_S)
            has_ended.set()
        return len(calls)

    def follow(result: int) -> float | None:
        taken.append(result)
        return 0.05  # real: the time to be kept is real

    began_s = time.monotonic()
    with pytest.raises(LeftBehind):
        call_within(call, 3 * PLENTY_S, follow)
    assert time.monotonic() - began_s < PLENTY_S
    may_end.set()
    assert has_ended.wait(PLENTY_S)
    # Another call by the same idle thread, or one that finds it busy: either way the one left behind is past its end.
    assert call_within(lambda _: None, PLENTY_S) is None
    assert (taken, len(calls)) == ([1], 2)


def test_an_error_in_between_ends_the_calls() -> None:
    """What a later call raises, or what is made of a result, is raised to the caller, and no more calls are made."""
    calls: list[int] = []

    def call(_: threading.Event) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ValueError("the second")

    with pytest.raises(ValueError, match="the second"):
        call_within(call, PLENTY_S, lambda _: PLENTY_S)
    assert len(calls) == 2

    def follow(_: None) -> float | None:
        raise LookupError("made of the result")

    with pytest.raises(LookupError, match="made of the result"):
        call_within(lambda _: None, PLENTY_S, follow)


def test_no_call_sees_what_the_one_before_has_set() -> None:
    """Each call has the caller's context variables as they were, whatever an earlier one set."""
    variable = contextvars.ContextVar("variable", default=0)
    seen: list[int] = []

    def call(_: threading.Event) -> None:
        seen.append(variable.get())
        variable.set(len(seen))

    call_within(call, PLENTY_S, lambda _: PLENTY_S if len(seen) < 3 else None)
    assert seen == [0, 0, 0]
