"""docs/driver.md is the one page that a driver's author needs: what stands there is tried."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from tests.check.test_command_line import check

PAGE = (Path(__file__).parents[2] / "docs" / "driver.md").read_text("utf-8")


def test_the_shortest_driver_runs_as_the_page_says(tmp_path: Path) -> None:
    """The driver of the page passes where nothing goes wrong, and fails `persistence` where a poll is refused."""
    driver = tmp_path / "driver.py"
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    driver.write_text(code)
    ended = check("succeeds", "throttled-poll", "demo", "--", sys.executable, str(driver))
    assert ended.stderr.splitlines()[0] == "1 passed, 1 failed, 1 not exercised", ended.stdout
    assert "FAIL persistence" in ended.stdout
    assert "NOT EXERCISED  the command says that it cannot do this (exit code 77):\n      demo\n" in ended.stdout


def test_the_job_for_ci_fails_on_a_second_create(tmp_path: Path) -> None:
    """The line that the page gives for CI fails for a client that creates again, and passes for one that does not."""
    [line] = re.findall(r"- run: (fake-dashscope check .*)", PAGE)
    words = shlex.split(line)
    arguments = words[2 : words.index("--") + 1]
    arguments[arguments.index("report.xml")] = str(tmp_path / "report.xml")
    creates = [sys.executable, str(Path(__file__).parent / "drivers" / "creates.py")]
    doubt = '{"outcome": "IN_DOUBT", "billed": null}'
    assert check(*arguments, *creates, "1", doubt, "5").exit_code == 0
    assert check(*arguments, *creates, "2", doubt, "5").exit_code == 1
    assert "create_once" in (tmp_path / "report.xml").read_text()
