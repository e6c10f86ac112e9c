"""Frozen suites: what later releases never change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fake_server.check.suites import FILE, SuiteError, freeze, read_suite, suite_names
from fake_server.rules.conduct import RULES
from fake_server.scenario.library import load_scenario, shipped_scenarios
from tests.check.test_command_line import CREATES, check


@pytest.mark.parametrize("name", suite_names())
def test_a_shipped_suite_is_what_it_was(name: str) -> None:
    """Every copy of a shipped suite has the digest that it was frozen with, and can still be played and judged."""
    suite = read_suite(name)
    assert all(load_scenario(path).name == scenario for scenario, path in suite.files.items())
    assert len(suite.files) > 50
    assert suite.rules <= set(RULES)


def test_there_is_a_suite() -> None:
    """The suite of the first release is there, and its copies are no scenarios of their own."""
    suite = read_suite("2026-11")
    assert not set(suite.files.values()) & set(shipped_scenarios().values())


def copied(folder: Path) -> Path:
    """A suite made of the scenarios of today."""
    freeze("2026-11", folder)
    return folder / "2026-11"


def test_a_suite_that_was_changed_is_refused(tmp_path: Path) -> None:
    """A copy that is changed, gone or added makes the suite unusable, and the error names it."""
    suite = copied(tmp_path)
    assert read_suite("2026-11", tmp_path).rules == set(RULES)
    copy = suite / "succeeds.yaml"
    raw = copy.read_bytes()
    copy.write_bytes(raw.replace(b"\n", b"\r\n"))
    assert read_suite("2026-11", tmp_path)
    copy.write_bytes(raw + b"# changed\n")
    with pytest.raises(SuiteError, match=r"not what it was frozen with: succeeds$"):
        read_suite("2026-11", tmp_path)
    copy.unlink()
    with pytest.raises(SuiteError, match="succeeds"):
        read_suite("2026-11", tmp_path)
    copy.write_bytes(raw)
    (suite / "another.yaml").write_bytes(raw)
    with pytest.raises(SuiteError, match="another"):
        read_suite("2026-11", tmp_path)


@pytest.mark.parametrize("name", ["2026-11", "../2026-12", "new"])
def test_no_suite_is_made_twice(tmp_path: Path, name: str) -> None:
    """A suite that exists is never made again, and a name is a year and a month."""
    copied(tmp_path)
    with pytest.raises(SuiteError, match="expected that of no suite yet"):
        freeze(name, tmp_path)


def test_a_rule_that_is_younger_than_a_suite_judges_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a suite only the rules are judged that it was frozen with."""
    said = copied(tmp_path) / FILE
    said.write_text(json.dumps({**json.loads(said.read_text()), "rules": ["poll_rate"]}))
    monkeypatch.setattr("fake_server.check.cli.read_suite", lambda name: read_suite(name, tmp_path))
    ended = check("create-answer-lost", "--suite", "2026-11", "--json", "--", *CREATES, "2", "", "5")
    [run] = json.loads(ended.stdout)["runs"]
    names = {row["name"] for row in run["expectations"]}
    assert names & set(RULES) == {"poll_rate"}
    assert "create_requests" in names


def test_a_suite_says_by_itself_what_is_run() -> None:
    """A suite goes with scenarios that it has, and neither with --all nor with a folder."""
    assert "neither --all nor --scenarios" in check("--suite", "2026-11", "--all", "--", "true").stderr
    assert "no scenario 'tier-free' in the suite" in check("tier-free", "--suite", "2026-11", "--", "true").stderr
