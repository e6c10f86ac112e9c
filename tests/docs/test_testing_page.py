"""docs/testing.md is executed, and names what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from fake_server import testing
from fake_server.testing import FakeWorld

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
EXAMPLES: list[tuple[str, str]] = re.findall(r"<!-- run: (\w+) -->\n```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_tests_of_the_page_pass(pytester: pytest.Pytester) -> None:
    """The page's examples for the fixture are tests that pass, on a server of their own."""
    [source] = [text for how, text in EXAMPLES if how == "pytest"]
    pytester.makepyfile(source)
    quiet = ("-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:anyio")
    pytester.runpytest_inprocess(*quiet).assert_outcomes(passed=4)


def test_the_other_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Every other example runs, and those that print say what came of it."""
    examples = [text for how, text in EXAMPLES if how == "python"]
    assert len(examples) == 3
    # A busy machine draws slowly, and is none of the example's business.
    settings.register_profile("page", max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    before = settings.get_current_profile_name()
    settings.load_profile("page")
    try:
        for number, example in enumerate(examples):
            names: dict[str, Any] = {"__name__": "example"}
            exec(compile(example, f"testing.md example {number}", "exec"), names)  # noqa: S102  # that is the point
    finally:
        settings.load_profile(before)
    assert capsys.readouterr().out.splitlines()[0].startswith("BILLED 0.75 PASS")


def test_the_page_names_what_there_is() -> None:
    """Every name for users, every method of a world and every option stands on the page."""
    wanted = {name for name in dir(FakeWorld) if not name.startswith("_")} - {"scenario", "held_back"}
    names = (set(testing.__all__) - {"FakeWorld", "MissingExtraError", "Verdict", "VirtualClock"}) | wanted
    assert not {name for name in names if name not in PAGE}
