"""Makes odd inputs of good ones: by what they are made of (JSON, lines, words), and byte by byte.

Everything is drawn from a `Random` that is passed in, so that a seed or Hypothesis decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

__all__ = ["mutated"]

LONGEST_BYTES = 400_000
"""What nobody has to look at: longer inputs find nothing that these do not, and take their time."""
TASK_ID = "11111111-2222-3333-4444-555555555555"
NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 1.5, -0.0, 1e308, float("nan"), float("inf"), float("-inf")),
    *(1e400, 5e-324, 253402300800, 253402300800000, 1772366400000, True, False),
)
TEXTS: tuple[Any, ...] = (
    *("", " ", "\x00", "\n", "a\r\nb: c", "\ud800", "\udfff\ud800", "\u202e", "\ufeff", "\u2028", "\x1b[2J", "\x85"),
    *("null", "true", "0", "-1", "1e400", "9" * 5000, "NaN", "inf", "3", "0x10", "1_000", "\uff13", "x" * 100_000),
    *("../../etc/passwd", "%2e%2e%2f", "%00", "http://", "http://[::1", "https://other.test/x.mp4", "file:///etc/x"),
    *("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN", "SUSPENDED", "succeeded", "SUCCEEDED "),
    *("Throttling", "Throttling.RateQuota", "InvalidParameter", "ModelUnavailable", "Arrearage", TASK_ID),
    *("2026-02-30 25:61:61.999", "9999-12-31 23:59:59.999", "0001-01-01 00:00:00", "2025-01-08 17:38:24.817"),
    *("Sun, 01 Mar 2026 12:00:30 GMT", "Wed, 31 Dec 2025 23:59:60 GMT", "Thu, 29 Feb 2024 00:00:00 GMT"),
    *("{}", "[]", "[[", "a: b: c", "*x", "&x", "!!python/name:os.system", "${HOME}", "{id}", "{+id}", "a.b[0]", "@"),
)
OTHERS: tuple[Any, ...] = (None, [], {}, [[]], [None], {"": None}, {"a": {"a": {}}}, [{}] * 50)
NESTINGS = (5, 40, 900, 5000, 30_000)
SNIPPETS: tuple[bytes, ...] = (
    *(b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\r\n"),
    *(
        b"\n\n",
        b"\t",
        b'"',
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b": ",
        b", ",
        b"- ",
        b"#",
        b"\\",
        b"\\ud800",
        b"\\u0000",
    ),
    *(b"1e400", b"NaN", b"-Infinity", b"-0", b"9" * 5000, b"1_0", b"0o7", b"&a ", b"*a", b"!!set ", b"? ", b"---\n"),
    *(b"...\n", b"<<: *a", b"%YAML 9.9\n", b"[" * 5000, b'{"a":' * 5000, b"x" * 100_000, b" " * 20_000, b"\n" * 20_000),
)


def mutated(random: Random, good: bytes, others: Sequence[bytes], words: Sequence[bytes] = ()) -> bytes:
    """Return something near a good input.

    Args:
        random: Draws.
        good: What to begin with.
        others: More of the kind, from which parts are taken.
        words: What such inputs are made of.
    """
    made = good
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        change = random.choice(_CHANGES)
        made = change(random, made, others, words)[:LONGEST_BYTES]
    return made


def _of_json(random: Random, good: bytes, others: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Change the first JSON value in an input, as JSON."""
    del words
    found = _json_in(random, good)
    if found is None:
        return _of_lines(random, good, others, ())
    begin, end, value = found
    donor = _json_in(random, random.choice(others)) if others else None
    places = _places_in(value)
    holder, name = random.choice(places) if places else (None, None)
    new = _value(random, None if donor is None else donor[2])
    if holder is None:
        value = new
    elif (what := random.randrange(5)) == 0 and isinstance(holder, dict):
        del holder[name]
    elif what == 1 and isinstance(holder, dict):
        holder[random.choice([str(key) for key in holder] + list(TEXTS[:20]))] = holder.pop(name)
    elif what == 2:
        holder[name] = [holder[name]]
    else:
        holder[name] = new
    return good[:begin] + _written(random, value) + good[end:]


def _json_in(random: Random, text: bytes) -> tuple[int, int, Any] | None:
    """Return where some JSON object or list of an input begins and ends, and what it is."""
    starts = [at for at, byte in enumerate(text[:20_000]) if byte in b"{["][:40]
    if not starts:
        return None
    decoded = text.decode("latin-1")
    for start in (starts[0], random.choice(starts)):
        try:
            value, end = json.JSONDecoder().raw_decode(decoded, start)
        except (ValueError, RecursionError):
            continue
        return start, end, value
    return None


def _places_in(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in a value, as its holder and its name or number there."""
    found: list[tuple[Any, Any]] = []
    left = [value]
    while left and len(found) < 500:
        holder = left.pop()
        inside = list(holder.items()) if isinstance(holder, dict) else list(enumerate(holder))
        found += [(holder, name) for name, _ in inside]
        left += [inner for _, inner in inside if isinstance(inner, dict | list)]
    return found


def _value(random: Random, donor: Any) -> Any:
    kind = random.randrange(4)
    if kind == 0 and donor is not None:
        places = _places_in(donor)
        if places:
            holder, name = random.choice(places)
            return holder[name]
    return random.choice((NUMBERS, TEXTS, TEXTS, OTHERS)[kind])


def _written(random: Random, value: Any) -> bytes:
    """Write a value as JSON, in one of the ways in which it can be written, right and wrong."""
    try:
        text = json.dumps(value, ensure_ascii=random.random() < 0.7)
    except RecursionError:
        return b"[" * 30_000
    way = random.randrange(24)
    if way == 0:
        return text.encode("utf-16", "surrogatepass")
    if way == 1:
        return b"\xef\xbb\xbf" + text.encode("utf-8", "surrogatepass")
    if way == 2 and isinstance(value, dict) and value:
        return (text[:-1] + ", " + json.dumps(dict([random.choice(list(value.items()))]))[1:]).encode(
            "utf-8", "surrogatepass"
        )
    if way == 3:
        depth = random.choice(NESTINGS)
        return b"[" * depth + text.encode("utf-8", "surrogatepass") + b"]" * depth
    return text.encode("utf-8", "surrogatepass")


def _of_lines(random: Random, good: bytes, others: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Change an input line by line."""
    del words
    lines = good.split(b"\n")
    at = random.randrange(len(lines))
    what = random.randrange(7)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(at, lines[random.randrange(len(lines))])
    elif what == 2 and others:
        lines.insert(at, random.choice(random.choice(others).split(b"\n")))
    elif what == 3:
        lines[at] = b" " * random.randrange(1, 9) + lines[at].lstrip()
    elif what == 4:
        lines.insert(at, random.choice(SNIPPETS))
    elif what == 5:
        lines[at] = lines[at] * random.choice((2, 300))
    else:
        head, colon, _ = lines[at].partition(b":")
        lines[at] = head + colon + b" " + _scalar(random)
    return b"\n".join(lines)


def _scalar(random: Random) -> bytes:
    value = random.choice((*NUMBERS, *TEXTS))
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "surrogatepass")


def _of_words(random: Random, good: bytes, others: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Put a word of the kind into an input, or take its place."""
    at = random.randrange(len(good) + 1)
    until = at + random.choice((0, 0, 1, 4, 16))
    word = random.choice(words) if words and random.random() < 0.7 else _scalar(random)
    del others
    return good[:at] + word + good[until:]


def _of_bytes(random: Random, good: bytes, others: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Change an input byte by byte."""
    del words
    at = random.randrange(len(good) + 1)
    until = min(len(good), at + random.choice((1, 1, 2, 8, 64)))
    what = random.randrange(6)
    if what == 0:
        return good[:at] + bytes([random.randrange(256)]) + good[until:]
    if what == 1:
        return good[:at] + good[until:]
    if what == 2:
        return good[:at] + random.choice(SNIPPETS) + good[at:]
    if what == 3:
        return good[:until] + good[at:]
    if what == 4 and others:
        other = random.choice(others)
        return good[:at] + other[random.randrange(len(other) + 1) :]
    return good[:at]


Change = Callable[[Random, bytes, Sequence[bytes], Sequence[bytes]], bytes]
# What keeps an input well-formed gets deepest; what does not, finds what the readers forgot.
_CHANGES: tuple[Change, ...] = (_of_json, _of_json, _of_json, _of_lines, _of_lines, _of_words, _of_bytes)
