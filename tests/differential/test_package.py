"""The vendor's package and ours against the same scenarios: what is kept comes out again, and is judged."""

from __future__ import annotations

import pytest

from tests.differential.package import Made, compared, kept, made
from tests.differential.rules import RULES, agree, rules_for


def test_every_scenario_that_can_be_compared_is() -> None:
    """What is kept is of exactly those scenarios that the package can play; there are forty at least."""
    assert set(kept()) == set(compared())
    assert len(kept()) >= 40


@pytest.mark.parametrize("face", ["v1", "v2"])
@pytest.mark.parametrize("name", kept())
def test_each_difference_is_judged(name: str, face: str) -> None:
    """Whoever differs from ours does so in a way that is named, with the line that says who is right."""
    theirs, ours = kept()[name][face], kept()[name]["ours"]
    assert agree(theirs, ours) or rules_for(theirs, ours), (theirs, ours)


def test_each_rule_is_needed() -> None:
    """No rule is there that no run breaks."""
    met = {rule for faces in kept().values() for face in ("v1", "v2") for rule in rules_for(faces[face], faces["ours"])}
    assert met == set(RULES)


def test_ours_is_never_the_one_that_pays_or_hammers() -> None:
    """In no scenario does ours make more tasks than were wanted, or come before it was told to."""
    for name, faces in kept().items():
        wanted = compared()[name].client.tasks + sum(
            fault.name == "duplicated_create" for fault in compared()[name].faults
        )
        assert faces["ours"].tasks <= wanted, name
        assert faces["ours"].early == 0, name


def test_an_unknown_difference_is_not_judged() -> None:
    """Planted: who says CANCELED of a success differs in no way that is named."""
    ours = Made(("SUCCEEDED",), 1, 1, 1, 0)
    assert not agree(Made(("CANCELED",), 1, 1, 1, 0), ours)
    assert not rules_for(Made(("CANCELED",), 1, 1, 1, 0), ours)


@pytest.mark.thorough
def test_what_is_kept_comes_out_again() -> None:
    """Played anew, the package and ours make of every scenario what is kept; `--write` mends it."""
    assert made(list(compared())) == kept()
