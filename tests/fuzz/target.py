"""What is fuzzed: a name, good inputs, and what may come of any input."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz.mutation import mutated

__all__ = ["CORPUS", "KEY", "Target", "told"]

CORPUS = Path(__file__).with_name("corpus")
"""What is kept: a folder for each target, a file for each input that once was of interest."""
KEY = "sk-canary-key-0123456789"
_LONGEST_LINE, _MOST_LINES = 5_000, 110
_QUOTED, _WORDS = re.compile(r"'[^']*'|\"[^\"]*\"|/\S+|\S*\d\S*"), re.compile(r"[^a-z ]+")


@dataclass(frozen=True)
class Target:
    """One kind of input.

    Attributes:
        name: What it is called, also its folder in the corpus.
        about: What is read, in a clause.
        seeds: Returns good inputs.
        run: Reads an input. It returns a word for what came of it and lets nothing out but what must not happen.
        words: What such inputs are made of.
    """

    name: str
    about: str
    seeds: Callable[[], Sequence[bytes]]
    run: Callable[[bytes], str]
    words: tuple[bytes, ...] = ()

    def kept(self) -> list[Path]:
        """Return the files of the corpus, in order."""
        return sorted((CORPUS / self.name).glob("*.bin"))

    def good(self) -> list[bytes]:
        """Return where to begin: good inputs, and what is kept."""
        return [*self.seeds(), *(path.read_bytes() for path in self.kept())]

    def odd(self, random: Random, pool: Sequence[bytes]) -> bytes:
        """Return an input near one of some inputs."""
        return mutated(random, random.choice(pool), pool, self.words)


def told(error: BaseException) -> str:
    """Return what kind of refusal an error is, for one that a person is to read.

    It has a sentence that can be printed, is no book, and holds no key.
    """
    text = str(error)
    assert text, f"{type(error).__name__} says nothing"
    text.encode()
    lines = text.split("\n")
    # Beside the sentence there may be a token, with which one goes on.
    assert all(len(line.partition("[resume token")[0]) < _LONGEST_LINE for line in lines), f"it goes on: {text[:200]}"
    assert len(lines) < _MOST_LINES, f"{len(lines)} lines: {text[:200]}"
    assert KEY not in text + repr(error)
    words = _WORDS.sub("", _QUOTED.sub("", text))
    return f"{type(error).__name__}: {words[:24]}"
