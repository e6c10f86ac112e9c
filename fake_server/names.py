"""What keys and names of worlds pick.

`sk-<scenario>` and `sk-<scenario>.<anything>` name a scenario; the tail makes the world private. Every other
key gets the default scenario in a private world named by a hash of the key, so that a real key put here by
mistake never shows up in a URL, a journal or a page.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_server.engine import INVALID_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_PREFIX = "sk-"
# As near as `throttld` is to `throttled`. Keys of real accounts, 32 hex digits or more, are never this near.
_MISTYPED = 0.75
_TAIL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LOOKS_LIKE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a key or a name picks, and whether it named it."""

    scenario: str
    world: str
    is_named: bool = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no world: the HTTP status and the sentence to answer with."""

    status: int
    message: str


def read_key(key: str, scenarios: Mapping[str, object], default: str) -> Choice | Refusal:
    """Find out what a key picks.

    Args:
        key: The key as sent, without `Bearer`.
        scenarios: The known scenarios, by name.
        default: The scenario for keys that name none.
    """
    if key == INVALID_KEY:
        return Refusal(401, "Invalid API-key provided.")
    stem, dot, tail = key.removeprefix(KEY_PREFIX).partition(".")
    if key.startswith(KEY_PREFIX):
        if stem in scenarios:
            private = tail if _TAIL.fullmatch(tail) else digest(tail)
            return Choice(stem, f"{stem}.{private}" if dot else stem)
        near = _nearest(stem, scenarios)
        if near is not None:
            message = f"Invalid API-key provided: it names no scenario of this fake. Did you mean sk-{near}?"
            return Refusal(401, message)
    # The tilde cannot stand in a tail, so no client can name its way into another key's world.
    return Choice(default, f"{default}~{digest(key)}", is_named=False)


def read_name(name: str, scenarios: Mapping[str, object]) -> Choice | Refusal:
    """Find out what the name of a world in an address or a header picks.

    Args:
        name: `<scenario>` or `<scenario>.<tail>`; the tail has letters, digits, `-` and `_`, at most 64.
        scenarios: The known scenarios, by name.
    """
    stem, dot, tail = name.partition(".")
    if stem not in scenarios:
        # The name is not repeated: somebody may have put a key there.
        near = _nearest(stem.removeprefix(KEY_PREFIX), scenarios)
        hint = f" Did you mean {near}?" if near else " A world is named <scenario> or <scenario>.<tail>."
        return Refusal(404, f"The URL or the header X-Fake-World names no scenario of this fake.{hint}")
    if dot and not _TAIL.fullmatch(tail):
        return Refusal(404, f"After {stem}. a world's name has 1 to 64 letters, digits, - or _, and nothing else.")
    return Choice(stem, name)


@functools.lru_cache(maxsize=256)  # a client sends the same key with every request
def digest(text: str) -> str:
    """A short mark that tells a text apart and does not tell it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _nearest(stem: str, scenarios: Mapping[str, object]) -> str | None:
    if not _LOOKS_LIKE_NAME.fullmatch(stem):
        return None
    near = difflib.get_close_matches(stem.lower(), list(scenarios), n=1, cutoff=_MISTYPED)
    return near[0] if near else None
