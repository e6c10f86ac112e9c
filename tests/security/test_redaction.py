"""What comes from outside is repeated without the key, however it was quoted, escaped or cut on the way."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import DownloadFailed
from resilient_poll.dashscope.saving.download import DownloadProblem, telling_of_failure
from resilient_poll.dashscope.wire import redaction
from resilient_poll.dashscope.wire.redaction import (
    cut_text_without_key,
    failure_without_key,
    mentions_key,
    text_without_key,
)
from resilient_poll.errors import Standing
from resilient_poll.http.messages import ExchangeFailed
from resilient_poll.http.sent import describe
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.support.properties import Property

KEY = "sk-canary-key-0123456789"
keys = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=20, max_size=60).map("sk-".__add__)
words = st.text(st.sampled_from("abc \"'\\{}"), max_size=40)
WAYS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "repr": repr,
    "JSON": json.dumps,
    "bytes": lambda text: repr(text.encode()),
    "repr in JSON": lambda text: json.dumps(repr(text)),
}


def says_no_key(key: str, before: str, after: str, way: str) -> None:
    text = text_without_key(WAYS[way](f"{before}{key}{after}"), key)
    assert key not in text
    assert key[8:-4] not in text, "a part of it is left"


def test_a_key_is_taken_out_however_it_was_quoted() -> None:
    """A key with any characters that a key may have is taken out of a text, its repr, its JSON and both."""
    spelt().holds()


def spelt() -> Property:
    ways = st.sampled_from(["plain", "repr", "JSON", "repr in JSON"])
    return Property(says_no_key, key=keys, before=words, after=words, way=ways, examples=300)


def test_a_key_that_is_looked_for_in_one_spelling_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: quotes and backslashes in a key are forgotten."""
    monkeypatch.setattr(redaction, "_without_odd_key", lambda text, key: text.replace(key, "[api key]"))
    spelt().catches_the_planted_fault()


@given(st.integers(0, 400), st.integers(0, 400))
def test_a_key_that_was_cut_is_taken_out_too(before: int, after: int) -> None:
    """Wherever a library's words are cut, no more than the first letters of a key are left."""
    error = type("ReadError", (Exception,), {})("x" * before + KEY + "y" * after)
    failure = failure_without_key(ExchangeFailed(describe(error), surely_not_sent=False), KEY)
    assert KEY[:12] not in failure.reason
    assert KEY[:12] not in cut_text_without_key(describe(error), KEY)


def test_what_is_no_secret_stays() -> None:
    """A text without the key stays as it is, also one that shares its first letters, and so do short keys."""
    text = "did you mean sk-canary? sk-can-x"
    assert cut_text_without_key(text, KEY) == text
    assert text_without_key("abc abc", "abc") == "abc abc"


@pytest.mark.parametrize("where", ["cause", "context", "argument"])
def test_a_traceback_shows_no_key(where: str) -> None:
    """Where anything that an error was caused by says the key, though the error does not, no traceback shows it."""
    standing = Standing(task_id="t-1", phase=Phase.SUCCEEDED, status=None, billing=Billing.BILLED)

    def breaks() -> None:
        raise ValueError("x" * 300 + KEY if where != "argument" else ("x", KEY))

    def fails() -> None:
        try:
            breaks()
        except ValueError as error:
            if where == "context":
                raise DownloadProblem("it broke off")  # noqa: B904  # as somebody might
            raise DownloadProblem("it broke off") from error

    with pytest.raises(DownloadFailed) as caught, telling_of_failure(lambda: standing, KEY):
        fails()
    assert KEY not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(DownloadFailed) as caught, telling_of_failure(lambda: standing, "sk-another-key-987654"):
        fails()
    assert isinstance(caught.value.__cause__, DownloadProblem)
    assert mentions_key(caught.value, KEY)
