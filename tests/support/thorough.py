"""Which cases of an expensive test run in `make test`, and which only where there is time for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

OPTION = "--thorough"


def add_option(parser: pytest.Parser) -> None:
    """Offer the option that runs everything."""
    parser.addoption(
        OPTION, action="store_true", help="run every case of the tests marked `thorough`, not only the plain ones"
    )


def add_marker(config: pytest.Config) -> None:
    """Explain the marker to pytest."""
    config.addinivalue_line(
        "markers",
        "thorough(plain=0): an expensive test; of its cases only `plain`, evenly spread, run unless all are asked for "
        f"by {OPTION}, or the test by its name.",
    )


def spread(length: int, chosen: int) -> set[int]:
    """So many places of a row, evenly spread, the first among them.

    Where cases are a product of axes, take a number that leaves none out: two of every four cases may be one colour's.

    Args:
        length: How many places there are.
        chosen: How many are wanted; all, if that is more.
    """
    wanted = min(length, chosen)
    return {place * length // wanted for place in range(wanted)}


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases that are for thorough runs, unless these were asked for."""
    if config.getoption(OPTION) or any("::" in argument for argument in config.args):
        return
    left_out = _beyond_the_plain(items)
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]


def _beyond_the_plain(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    """The cases of expensive tests that are not among their plain ones."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("thorough"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out: set[pytest.Item] = set()
    for same in cases.values():
        marker = same[0].get_closest_marker("thorough")
        assert marker is not None
        plain = spread(len(same), marker.kwargs.get("plain", 0))
        left_out.update(item for place, item in enumerate(same) if place not in plain)
    return left_out
