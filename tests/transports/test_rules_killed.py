"""The rules of the middleware decide what is written down."""

from __future__ import annotations

import pytest

from tests.support.written import must_be_as_written
from tests.transports.decisions.decisions import DECISIONS, HERE


@pytest.mark.parametrize("name", DECISIONS)
def test_the_decisions_are_those_that_are_written_down(name: str) -> None:
    """On the same grids and courses each rule decides what it did when that was written down."""
    must_be_as_written(HERE / f"{name}.txt", DECISIONS[name](), "python -m tests.transports.decisions")
