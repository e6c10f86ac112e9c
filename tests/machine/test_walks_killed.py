"""The machine goes the ways that are written down."""

from __future__ import annotations

import pytest

from tests.machine.traces.walks import HERE, WALKS, walk
from tests.support.written import must_be_as_written


@pytest.mark.parametrize("name", WALKS)
def test_the_walks_are_those_that_are_written_down(name: str) -> None:
    """The same walk brings the same commands, events, records and floors as when it was written down."""
    must_be_as_written(HERE / f"{name}.txt", walk(name), "python -m tests.machine.traces")
