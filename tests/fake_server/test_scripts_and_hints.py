"""Scripted answers in their order, and every spelling of a `Retry-After`."""

from __future__ import annotations

import pytest

from fake_server.rules.faults import RetryAfter, Script, retry_after
from fake_server.scenario.model import AnswerKind, RetryAfterForm, ScriptedAnswer

WALL_S = 1_750_000_000.25  # a quarter past Sun, 15 Jun 2025 15:06:40 GMT


def scripted(*entries: tuple[AnswerKind, int]) -> Script:
    """A script of entries that last so many requests."""
    return Script("poll", [ScriptedAnswer(kind, line, times) for line, (kind, times) in enumerate(entries, 1)])


def test_entries_strike_one_request_after_another() -> None:
    """Each entry strikes as often as it says, a pass lets through, and after the last one everything passes."""
    script = scripted(("pass", 2), ("throttle", 1), ("status", 2), ("pass", 1), ("drop", 1))
    struck = []
    for _ in range(9):
        answer = script.next()
        struck.append(None if answer is None else answer.kind)
    assert struck == [None, None, "throttle", "status", "status", None, "drop", None, None]
    assert scripted().next() is None


def test_faults_that_are_not_used_up_are_named() -> None:
    """A fault is used up with the last request that it is to strike; passes are no faults."""
    script = scripted(("pass", 1), ("throttle", 1), ("status", 2), ("drop", 1))
    words = ["poll throttle (line 2)", "poll status 429 (line 3)", "poll drop before_commit (line 4)"]
    left = []
    for _ in range(6):
        left.append(script.unfired)
        script.next()
    assert left == [words, words, words[1:], words[1:], words[2:], []]
    assert (script.scripted, script.route) == (3, "poll")
    assert (scripted(("pass", 3)).scripted, scripted(("pass", 3)).unfired) == (0, [])


@pytest.mark.parametrize(
    ("wait_s", "form", "text", "expected"),
    [
        (None, "seconds", None, RetryAfter(None, None)),
        (3.0, "none", None, RetryAfter(None, None)),
        (3.0, "seconds", None, RetryAfter("3", 3.0)),
        (0.0, "seconds", None, RetryAfter("0", 0.0)),
        (1.5, "seconds", None, RetryAfter("1.5", 1.5)),
        (1_234_567.0, "seconds", None, RetryAfter("1234567", 1_234_567.0)),
        # A date is in whole seconds: it is that of the present second and the wait, rounded up, later.
        (2.0, "http-date", None, RetryAfter("Sun, 15 Jun 2025 15:06:42 GMT", 1.75)),
        (2.1, "http-date", None, RetryAfter("Sun, 15 Jun 2025 15:06:43 GMT", 2.75)),
        (0.0, "http-date", None, RetryAfter("Sun, 15 Jun 2025 15:06:40 GMT", -0.25)),
        (None, "http-date", None, RetryAfter(None, None)),
        # What is spelt out is sent as it stands, and judged by the wait.
        (None, "seconds", "soon", RetryAfter("soon", None)),
        (4.0, "http-date", "soon", RetryAfter("soon", 4.0)),
        (4.0, "none", "", RetryAfter("", 4.0)),
    ],
)
def test_a_hint_is_spelt_and_judged_as_asked(
    wait_s: float | None, form: RetryAfterForm, text: str | None, expected: RetryAfter
) -> None:
    """The header says seconds, or a date in whole seconds, or what is spelt out, or nothing; who obeys it stays away as
    long as it says."""
    assert retry_after(wait_s, form, text, WALL_S) == expected
