"""Take the key out of whatever a service says: some quote it when they refuse it. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from resilient_poll.dashscope.wire.error_bodies import read_object
from resilient_poll.http.messages import Answer, ExchangeFailed

__all__ = ["answer_without_key", "cut_text_without_key", "failure_without_key", "mentions_key", "text_without_key"]

_IN_ITS_PLACE = "[api key]"
_SHORTEST_SECRET = 8  # Shorter keys are no keys, and replacing them would garble ordinary words.
_SHORTEST_PIECE = 12
"""Of a key that was cut in a text that was cut: so much of it stands nowhere by chance."""


def text_without_key(text: str, key: str) -> str:
    """Return a text from outside without the key, also where it was quoted or escaped on the way."""
    if len(key) < _SHORTEST_SECRET:
        return text
    is_odd = '"' in key or "'" in key or "\\" in key
    return _without_odd_key(text, key) if is_odd else text.replace(key, _IN_ITS_PLACE)


def cut_text_without_key(text: str, key: str) -> str:
    """Return a text without the key, which may have been cut in the middle of it: the libraries' words are."""
    text = text_without_key(text, key)
    for size in range(len(key) - 1, _SHORTEST_PIECE - 1, -1):
        text = text.replace(key[:size], _IN_ITS_PLACE)
    return text


def mentions_key(error: BaseException, key: str) -> bool:
    """Tell whether an error, or anything that it was caused by, says the key: a traceback shows all of them."""
    link: BaseException | None = error
    while link is not None:
        if any(cut_text_without_key(text, key) != text for text in (str(link), repr(link), repr(link.args))):
            return True
        link = link.__cause__ or link.__context__
    return False


def answer_without_key(answer: Answer, key: str) -> Answer:
    """Return an answer without the key, in its headers and in its body."""
    headers = tuple((name, text_without_key(value, key)) for name, value in answer.headers)
    return replace(answer, headers=headers, body=_body_without_key(answer.body, key))


def failure_without_key(failure: ExchangeFailed, key: str) -> ExchangeFailed:
    """Return a failure without the key: the libraries quote what they could not read."""
    return ExchangeFailed(cut_text_without_key(failure.reason, key), surely_not_sent=failure.surely_not_sent)


def _without_odd_key(text: str, key: str) -> str:
    """Return a text without a key that has quotes or backslashes: who quotes those puts more of the latter before."""
    ways = {"\\": r"\\+", '"': r"\\*\"", "'": r"\\*'"}
    return re.sub("".join(ways.get(character, re.escape(character)) for character in key), _IN_ITS_PLACE, text)


def _body_without_key(body: bytes, key: str) -> bytes:
    if key.encode() not in body and b"\\" not in body and b"\0" not in body:
        return body  # Any other spelling of it has an escape, or the zero bytes of a wider encoding.
    # As it will be read: JSON can spell the same letters in other ways and encodings.
    found = read_object(body)
    if found is None or len(key) < _SHORTEST_SECRET:
        return body
    spelt = json.dumps(key)[1:-1]
    try:
        text = json.dumps(found, ensure_ascii=False)
    except RecursionError:
        return b""  # What cannot be searched is not shown.
    if spelt not in text:
        return body
    return text.replace(spelt, _IN_ITS_PLACE).encode("utf-8", "surrogatepass")
