"""The machine goes the ways that are written down."""

from __future__ import annotations

import pytest

from tests.machine.traces.walks import HERE, WALKS, walk


@pytest.mark.parametrize("name", WALKS)
def test_the_walks_are_those_that_are_written_down(name: str) -> None:
    """The same walk brings the same commands, events, records and floors as when it was written down."""
    was, now = (HERE / f"{name}.txt").read_text().splitlines(), walk(name).splitlines()
    for number, (before, after) in enumerate(zip(was, now, strict=False), 1):
        assert after == before, f"line {number} of {name}.txt; if that is meant: python -m tests.machine.traces"
    assert len(was) == len(now)
