"""The report of a check in a real browser, from a file that asks nobody for anything."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner

from fake_server.check.html import joined
from fake_server.cli import cli
from fake_server.page import REPORT_SCRIPTS
from tests.browser.test_control_room import expect
from tests.browser.test_reading import FAULTS_OF_A_PAGE

if TYPE_CHECKING:
    from tests.browser.conftest import Show

CREATES = [sys.executable, str(Path(__file__).parents[1] / "check" / "drivers" / "creates.py")]
HOSTILE = '{"outcome": "SUCCEEDED", "x": "</script><img src=x onerror=alert(1)>"}'


def test_a_report_is_one_file_that_shows_what_failed_and_why(show: Show, tmp_path: Path) -> None:
    """The failed run is open: its lanes, its expectations, and the journal lines that prove a failure are there."""
    path = tmp_path / "report.html"
    said = CliRunner().invoke(
        cli, ["check", "create-answer-lost", "succeeds", "--html", str(path), "--", *CREATES, "2", HOSTILE, "0"]
    )
    assert said.exit_code == 1, said.output
    assert path.stat().st_size < 150_000
    page = show(path.as_uri())
    run = page.locator("details.run[open]")
    expect(run).to_have_count(1)
    expect(run.get_by_role("listitem").filter(has_text="Task 2")).to_contain_text("0.75")
    row = run.get_by_role("row").filter(has=page.get_by_role("rowheader", name="create_once"))
    expect(row).to_contain_text("fail")
    row.get_by_role("button", name="line 2").click()
    expect(run.get_by_role("button", name="Line 2, everything about it")).to_be_focused()
    page.get_by_text("It printed").first.click()
    expect(run.locator("pre").first).to_contain_text("<img src=x onerror=alert(1)>")
    page.locator("details.run > summary").nth(1).click()
    expect(page.locator("details.run[open]")).to_have_count(2)
    assert page.locator("main img").count() == 0
    assert page.evaluate(FAULTS_OF_A_PAGE) == []


def test_modules_are_joined_without_a_trace_of_the_seams() -> None:
    """No import and no export is left of the modules, and no name stands twice at their top."""
    script = joined(REPORT_SCRIPTS)
    assert not re.findall(r"^(?:import|export) .*", script, re.MULTILINE)
    names = re.findall(r"^(?:const|let|function|class) (\w+)", script, re.MULTILINE)
    assert len(names) == len(set(names))
