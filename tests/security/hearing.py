"""Everything that is said during a run, and in which disguises a key could be in it."""

from __future__ import annotations

import base64
import html
import json
import logging
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

__all__ = ["Heard", "disguises", "files_below", "leaks", "listening"]

_PIECE = 10


class Heard:
    """Everything that is said during a run.

    Attributes:
        ours: What our own code says: logs, events, reprs, errors with all that hangs on them, tokens.
        theirs: What the libraries log.
    """

    def __init__(self) -> None:
        self.ours: list[str] = []
        self.theirs: list[str] = []

    def say(self, *values: object) -> None:
        """Note values by their text and their repr."""
        for value in values:
            self.ours += [str(value), repr(value)]

    def error(self, error: BaseException) -> None:
        """Note an error with all that hangs on it."""
        self.ours += [str(error), repr(error), repr(error.args), repr(vars(error))]
        self.ours += traceback.format_exception(error)
        link: BaseException | None = error
        while link is not None:
            self.ours += [str(link), repr(link.args)]
            link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        self.token(getattr(error, "resume_token", None))

    def token(self, token: str | None) -> None:
        """Note a token and what is inside."""
        if token is not None:
            packed = token.partition(".")[2]
            self.ours += [token, base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()]


class _Keep(logging.Handler):
    def __init__(self, heard: Heard) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(message)s %(exc_text)s"))
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        is_ours = record.name.startswith("resilient_poll")
        (self._heard.ours if is_ours else self._heard.theirs).append(self.format(record) + repr(record.args))


@contextmanager
def listening(heard: Heard) -> Iterator[None]:
    """Note whatever anybody logs, at DEBUG."""
    root, keep = logging.getLogger(), _Keep(heard)
    level = root.level
    root.addHandler(keep)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(keep)


def disguises(key: str) -> set[bytes]:
    """Return how a key might be spelt: as it is, in part, quoted, escaped, encoded, backwards."""
    secret = key.removeprefix("sk-")
    spelt = {
        *(secret[at : at + _PIECE] for at in range(len(secret) - _PIECE + 1)),
        *(way(secret) for way in (repr, json.dumps, html.escape, quote, quote_plus)),
        secret.encode().hex(),
        secret[::-1],
        secret.upper(),
    }
    ways = {text.strip("'\"").encode() for text in spelt}
    for before in range(3):
        # What stands in the middle of a longer text, at each of the three places where its groups may begin.
        packed = base64.b64encode(b"\0" * before + secret.encode())
        ways |= {packed[4:-4], packed[4:-4].translate(bytes.maketrans(b"+/", b"-_"))}
    return ways


def files_below(folder: Path) -> Iterator[bytes]:
    """Yield the names and contents of all files below a folder."""
    for path in sorted(folder.rglob("*")):
        yield str(path.relative_to(folder)).encode()
        if path.is_file():
            yield path.read_bytes()


def leaks(key: str, said: Iterable[str | bytes]) -> list[str]:
    """Return every text that holds a key in any disguise."""
    ways = disguises(key)
    texts = (text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace") for text in said)
    return [text.decode("utf-8", "replace")[:2000] for text in texts if any(way in text for way in ways)]
