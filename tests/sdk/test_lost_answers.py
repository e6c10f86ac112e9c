"""An answer that is lost, for the vendor's package and for ours: who pays how often for one wanted result."""

from __future__ import annotations

import pytest

from benchmarks.lost_answers import FAULTS, KEPT, Came, as_table, what_came


@pytest.fixture(scope="module")
def came() -> dict[str, dict[str, Came]]:
    """What came of one wanted result, by fault and client, by the fake's own bill."""
    return what_came()


@pytest.mark.thorough
@pytest.mark.parametrize("fault", FAULTS)
def test_ours_pays_once(came: dict[str, dict[str, Came]], fault: str) -> None:
    """However the answer is lost, a key is one task, paid once, which is found in the list and finished."""
    assert came[fault]["ours"] == Came(tasks=1, total="0.75", is_in_hand=True)


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize("face", ["v1", "v2"])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_package_pays_for_each_lost_answer(came: dict[str, dict[str, Came]], fault: str, face: str) -> None:
    """Each answer that is lost to the vendor's package, in either face, is one more task on the bill."""
    lost = {"lost-three-times": 3, "lost-six-times": 6}.get(fault, 1)
    assert came[fault][face].tasks == lost + 1
    assert came[fault][face].is_in_hand


def test_the_table_of_the_readme_is_true(came: dict[str, dict[str, Came]]) -> None:
    """The table that is kept for the README comes out again; `python -m benchmarks.lost_answers --write` mends it."""
    assert KEPT.read_text() == as_table(came) + "\n"
