"""docs/correctness.md names tests and files that there are, and every test of a promise."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "correctness.md").read_text()
DERIVE = runpy.run_path(str(ROOT / "docs" / "derive_correctness.py"))


def test_every_link_leads_somewhere() -> None:
    """Each file that the page links to exists."""
    links = set(re.findall(r"\]\(([^)#]+)\)", PAGE))
    assert len(links) > 20
    assert not [link for link in links if not (ROOT / "docs" / link).exists()]


def test_all_thirteen_are_there_with_tests_that_were_counted() -> None:
    """Each promise has a test that says in a sentence what it checks, and that was counted in `make test`."""
    promises = DERIVE["PROMISES"]
    assert len(promises) == 13
    for promise in promises:
        for test in promise.tests:
            assert DERIVE["sentence_of"](test), test
            was_counted = DERIVE["tried"]("ci", test).replace(",", "").isdigit()
            assert was_counted, f"{test}: python -m tests.properties.prove --profile ci --write"


def test_no_test_of_a_promise_is_left_out() -> None:
    """Every test of tests/properties that tries a property for real stands on the page."""
    named = {test for promise in DERIVE["PROMISES"] for test in promise.tests}
    holds = re.compile(r"^def (test_\w+)\(\) -> None:\n(?:    .*\n)*?    [A-Z_]+\.holds\(\)", re.MULTILINE)
    left_out = [
        f"{path.relative_to(ROOT)}::{name}"
        for path in sorted((ROOT / "tests" / "properties").glob("test_[0-9]*.py"))
        for name in holds.findall(path.read_text())
    ]
    assert not set(left_out) - named


def test_every_command_is_there() -> None:
    """Each `make` target that the page names exists."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", PAGE)) <= targets
