"""A property as a value, so that the same check runs for real and with a fault planted.

A checker of the checkers: with the fault in place, the property must fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from tests.support.profiles import USUAL
from tests.support.profiles import examples as scaled

HEALTH = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
# No database and a fixed seed: a planted fault must be found anew, every time, by everyone.
PLANTED = settings(
    database=None,
    derandomize=True,
    max_examples=500,
    deadline=None,
    print_blob=False,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate],  # found is enough; the smallest example interests nobody
    suppress_health_check=HEALTH,
)
# No deadline: a slow machine is not a falsified property.
GENUINE = settings(deadline=None, suppress_health_check=HEALTH)


class Property:
    """A sentence that must hold for all values.

    Args:
        check: Raises ``AssertionError`` where it does not hold.
        examples: How many values to try where a hundred is usual; the profile scales it.
        strategies: The values, by the names of the check's arguments.
    """

    def __init__(self, check: Callable[..., None], *, examples: int = USUAL, **strategies: SearchStrategy[Any]) -> None:
        self._check = check
        self._strategies = strategies
        self._genuine = settings(GENUINE, max_examples=scaled(examples))

    def holds(self) -> None:
        """Fail with the smallest counterexample, if there is one."""
        self._genuine(given(**self._strategies)(self._check))()

    def catches_the_planted_fault(self) -> None:
        """Fail unless the property fails now."""
        with pytest.raises((AssertionError, ExceptionGroup)):
            PLANTED(given(**self._strategies)(self._check))()
