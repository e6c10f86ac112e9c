"""What a world was asked, when, and what it answered; without a single secret.

The lines are bounded and the oldest go first; the counters count for ever. Verdicts read counters only.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from fake_server.wire.messages import REMEMBERED_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fake_server.wire.messages import Headers, Request

# Lines per world: a test's whole story, and with every world full still a bearable amount of memory.
MOST_ENTRIES = 1_000
# The same for their text: some 500 a line, which is twice the usual.
MOST_CHARACTERS = 500_000
# Longer paths, and more header names than any client sends, are cut: a line must stay a line.
LONGEST_TEXT = 300
MOST_HEADER_NAMES = 64

# The values of these query parameters are kept; every other value might be a secret.
_KNOWN_PARAMETERS = frozenset(
    {"task_id", "start_time", "end_time", "model_name", "status", "page_no", "page_size", "region"}
)
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "x-dashscope-apikey"})
_KEY_MARK = "sk-"
_KEY_LIKE = re.compile(r"sk-[^\s/?&#]*")
REDACTED = "***"
# Shorter keys than this are no secrets, and replacing them would black out half of every path.
SHORTEST_KEY = 8


@dataclass(slots=True)  # not frozen: a line is written for every request, and freezing triples its cost
class Entry:
    """One request and its answer; never changed once written.

    Args:
        ordinal: Its number in the world, from 1.
        at_s: Seconds since the world began.
        route: What the request was taken for: create, query, list, cancel, asset, unmatched.
        method: The verb.
        path: The path, with anything like a key blacked out.
        query: The query string, unknown values blacked out.
        task_id: The task it was about, if known.
        status: The HTTP status answered; 0 where the connection was cut.
        fault: The scripted fault or quota that struck, if one did.
        retry_after: The `Retry-After` sent.
        header_names: Names of the request's headers, in small letters, in order. Never a value.
        carried_secret: Whether the request carried a header that holds credentials.
        sequence: Its number among the lines of all worlds that share a counter, from 1.
    """

    ordinal: int
    at_s: float
    route: str
    method: str
    path: str
    query: str
    task_id: str | None
    status: int
    fault: str | None
    retry_after: str | None
    header_names: tuple[str, ...]
    carried_secret: bool
    sequence: int = 0


class Journal:
    """The lines and counters of one world.

    Args:
        most_entries: How many lines are kept.

    Attributes:
        counters: What was counted, for ever.
        sequence: Where lines get their numbers from; worlds of one server share it.
        on_entry: Called with each line once it is written, or None.
    """

    def __init__(self, most_entries: int = MOST_ENTRIES) -> None:
        self._entries: deque[Entry] = deque()
        self._sizes: deque[int] = deque()  # of their text
        self._most_entries = most_entries
        self._characters = 0
        self.counters: Counter[str] = Counter()
        self.sequence: Iterator[int] = itertools.count(1)
        self.on_entry: Callable[[Entry], None] | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The kept lines, oldest first."""
        return tuple(self._entries)

    @property
    def forgotten(self) -> int:
        """How many lines were dropped."""
        return self.counters["requests"] - len(self._entries)

    def add(
        self,
        request: Request,
        *,
        at_s: float,
        route: str,
        task_id: str | None,
        status: int,
        fault: str | None,
        retry_after: str | None,
    ) -> Entry:
        """Write one line; the arguments are the fields of :class:`Entry`."""
        ordinal = self.counters["requests"] = self.counters["requests"] + 1
        names, carried_secret, key, size = _seen_headers(request.headers)
        path = _redacted(request.path, key)
        query = _query(request.query, key) if request.query else ""
        size += len(path) + len(query)
        if task_id is not None:
            task_id = _redacted(task_id, key)
            size += len(task_id)
        # By position: a third of the time that thirteen names take, and this is done for every request.
        entry = Entry(
            ordinal,
            round(at_s, 6),
            route,
            request.method[:LONGEST_TEXT],
            path,
            query,
            task_id,
            status,
            fault,
            retry_after,
            names,
            carried_secret,
            next(self.sequence),
        )
        self._entries.append(entry)
        self._sizes.append(size)
        self._characters += size
        while len(self._entries) > self._most_entries or self._characters > MOST_CHARACTERS:
            self._entries.popleft()
            self._characters -= self._sizes.popleft()
        if self.on_entry is not None:
            self.on_entry(entry)
        return entry


@functools.lru_cache(maxsize=REMEMBERED_HEADERS)
def _seen_headers(headers: Headers) -> tuple[tuple[str, ...], bool, str, int]:
    """Of headers: the names as a line shows them, whether one holds credentials, the key, and the names' characters."""
    names = tuple([name.lower()[:LONGEST_TEXT] for name, _ in headers[:MOST_HEADER_NAMES]])
    carried_secret = any(name.lower() in _SECRET_HEADERS for name, _ in headers)
    authorization = next((value for name, value in headers if name.lower() == "authorization"), "")
    return names, carried_secret, authorization.rpartition(" ")[2], sum(map(len, names))


def _redacted(text: str, key: str) -> str:
    """A text without the request's own key, or anything that looks like one, cut to its bound."""
    if key in text and len(key) >= SHORTEST_KEY:
        text = text.replace(key, REDACTED)
    if _KEY_MARK in text:
        text = _KEY_LIKE.sub(REDACTED, text)
    return text[:LONGEST_TEXT]


def _query(query: str, key: str) -> str:
    """A query string of which only values of known parameters are left."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return REDACTED
    shown = (
        f"{_quoted(name, key)}={_quoted(value, key) if name in _KNOWN_PARAMETERS else REDACTED}"
        for name, value in pairs
    )
    return "&".join(shown)[:LONGEST_TEXT]


def _quoted(text: str, key: str) -> str:
    """A part of a query string without a key: quoted afterwards, as a quoted key is not recognised."""
    return quote(_redacted(text, key), safe=REDACTED)
