"""The client reads and sends what is written down."""

from __future__ import annotations

import pytest

from tests.dashscope.readings.readings import HERE, READINGS
from tests.support.written import must_be_as_written


@pytest.mark.parametrize("name", READINGS)
def test_the_readings_are_those_that_are_written_down(name: str) -> None:
    """Every answer means, and every request says, what it did when it was written down."""
    must_be_as_written(HERE / f"{name}.txt", READINGS[name](), "python -m tests.dashscope.readings")
