"""Whatever comes from outside: only errors that have a name, no hang, and memory in proportion.

`python -m tests.fuzz` goes on for as long as one likes, guided by the lines that an input leads to.
"""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.bounded import Hangs, run_bounded
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS
from tests.support.profiles import examples
from tests.support.properties import GENUINE
from tests.support.quiet import quiet

EXAMPLES = int(os.environ.get("FUZZ_INPUTS", examples(32)))
IS_LONG = "FUZZ_INPUTS" in os.environ
# The short form replays some of what is good: the rest are neighbours of these, and what is kept is all there.
MOST_SEEDS = 10_000 if IS_LONG else 12
SIZE = 10 if IS_LONG else 1
each = pytest.mark.parametrize("name", TARGETS)
# What a reader may take besides a copy or two of what it reads: the libraries' own tables, and the fake's journal.
MOST_BYTES, MOST_TIMES = 6_000_000, 60
HUGE = {
    "nesting": b"[" * 6_000,
    "nested objects": b'{"a":' * 2_000,
    "a long number": b'{"output": {"task_id": ' + b"9" * 10_000,
    "a long text": b'{"output": {"task_id": "' + b"x" * 10_000,
    "many lines": b"a: b\n" * 300,
    "half characters": b"\xed\xa0\x80" * 3_000,
}
# Pure Python reads YAML at some kilobytes a second while memory is traced; the others read files and folders besides.
PLODDING = ("specification", "prices", "scenario", "ledger", "download", "resilient-poll", "fake-dashscope")
IN_JSON = ("create", "query", "generate", "list", "cancel", "replies")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The warnings of a client that reads nonsense are a book."""
    with quiet():
        yield


@each
def test_what_is_good_is_understood(name: str) -> None:
    """Good inputs and all that is kept in the corpus lead to nothing that must not happen, none of them in vain."""
    target = TARGETS[name]
    seeds = target.seeds()
    some = seeds[:: max(1, len(seeds) // MOST_SEEDS)]
    words = {run_bounded(target, raw) for raw in (*some, *(path.read_bytes() for path in target.kept()))}
    assert len(words) > 1, "it understands nothing, or everything alike"


@each
def test_what_is_odd_is_understood_or_refused(name: str) -> None:
    """Whatever is made of good inputs is read or refused by an error that has a name, and in bounded time."""
    target = TARGETS[name]
    pool = target.good()

    @settings(GENUINE, max_examples=EXAMPLES)
    @given(st.randoms(use_true_random=False))
    def holds(random: Random) -> None:
        run_bounded(target, target.odd(random, pool))

    holds()


@pytest.mark.parametrize("name", TARGETS if IS_LONG else [name for name in TARGETS if name not in PLODDING])
def test_memory_is_in_proportion(name: str) -> None:
    """What is huge and means nothing takes no more memory than some copies of it."""
    target = TARGETS[name]
    target.run(target.seeds()[0])  # what is read once for all is not its memory
    for what, huge in HUGE.items():
        raw = (b"200\n\n" if name in IN_JSON else b"") + huge * SIZE
        tracemalloc.start()
        try:
            run_bounded(target, raw, 120.0)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak_bytes < MOST_BYTES + MOST_TIMES * len(raw), what


def test_mutations_are_drawn_by_the_seed_alone() -> None:
    """The same seed makes the same odd inputs, and other seeds others."""
    pool = TARGETS["query"].seeds()
    made = [[mutated(Random(seed), pool[0], pool) for seed in range(50)] for _ in range(2)]  # noqa: S311  # by its seed
    assert made[0] == made[1]
    assert len(set(made[0])) > 40


@pytest.mark.parametrize(
    "fault",
    [
        lambda raw: raw.decode(),
        lambda raw: int(raw[:1] == b"2") or 1 / 0,
        lambda raw: [None] if len(raw) < 5000 else {}["long"],
    ],
    ids=["not UTF-8", "another beginning", "too long"],
)
def test_a_planted_fault_is_found(fault: Callable[[bytes], object]) -> None:
    """Planted: a reader that knows only what is good is found out by the mutations."""
    good = [b'2{"output": {"task_id": "a", "task_status": "RUNNING"}}', b'2{"code": "x", "message": "\xc3\xa4"}']
    made = (mutated(Random(seed), good[seed % 2], good) for seed in range(3000))  # noqa: S311  # by its seed
    with pytest.raises((ValueError, ZeroDivisionError, KeyError)):
        any(fault(raw) is None for raw in made)


def test_a_hang_is_cut() -> None:
    """A reader that never ends is cut, and named."""

    def spin(_raw: bytes) -> str:
        while True:
            pass

    with pytest.raises(Hangs, match=r"planted takes more than 0\.05 s for 1 bytes"):
        run_bounded(Target("planted", "a hang", lambda: [b""], spin), b"x", 0.05)
