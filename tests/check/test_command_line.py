"""`fake-dashscope check` with real commands, real processes and a real fake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from fake_server.cli import cli

CREATES = [sys.executable, str(Path(__file__).parent / "drivers" / "creates.py")]
IN_DOUBT = '{"outcome": "IN_DOUBT", "billed": null}'


def check(*arguments: str) -> Result:
    """Run the command in this process; the commands that it runs are processes of their own."""
    return CliRunner().invoke(cli, ["check", *arguments], catch_exceptions=False)


def report(*arguments: str) -> dict[str, Any]:
    """The JSON report of the only run."""
    runs = json.loads(check("--json", *arguments).stdout)["runs"]
    assert len(runs) == 1
    run: dict[str, Any] = runs[0]
    return {**run, "verdicts": {row["name"]: row["verdict"] for row in run["expectations"]}}


def test_a_client_that_owns_its_doubt_passes() -> None:
    """One create, whose answer is lost, and the word IN_DOUBT: nothing fails, and the exit code is 0."""
    ended = check("create-answer-lost", "--", *CREATES, "1", IN_DOUBT, "5")
    assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (0, "1 passed, 0 failed, 0 not exercised")


def test_a_client_that_creates_again_fails_with_the_lines_that_prove_it() -> None:
    """A second create after a lost answer fails create_once, and the journal's line of it stands in the report."""
    run = report("create-answer-lost", "--", *CREATES, "2", '{"outcome": "SUCCEEDED"}', "0")
    assert run["verdicts"]["create_once"] == "FAIL"
    [row] = [row for row in run["expectations"] if row["name"] == "create_once"]
    [line] = [entry for entry in run["journal"] if entry["ordinal"] in row["lines"]]
    assert (line["ordinal"], line["route"]) == (2, "create")
    assert run["bill"] != "0"


def test_a_failure_is_told_with_the_command_that_shows_it_again() -> None:
    """A failing check ends with 1, and says what to type to see that failure again."""
    ended = check("create-answer-lost", "--seed", "7", "--", *CREATES, "2", IN_DOUBT, "0")
    assert ended.exit_code == 1
    assert "what failed, again: fake-dashscope check create-answer-lost --seed 7 -v -- " in ended.stderr


def test_a_command_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    """When its time is up a command is judged not to have ended, and no child of it is left."""
    mark = tmp_path / "child"
    script = f"sleep 100 & echo $! > {mark}; wait"
    run = report("succeeds", "--time-limit", "0.5", "--", "sh", "-c", script)  # real: half a second until it is killed
    assert run["verdicts"]["ends"] == "FAIL"
    until_s = time.monotonic() + 10
    while is_alive(int(mark.read_text())):
        assert time.monotonic() < until_s, "the child outlived the check"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_check_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, and a CI system's end of a job, end every command that runs, with the exit code of an interrupt."""
    mark = tmp_path / "child"
    program = Path(sys.executable).with_name("fake-dashscope")
    script = f"echo $$ > {mark}.new; mv {mark}.new {mark}; sleep 100"
    with subprocess.Popen(  # noqa: S603  # our own program
        [program, "check", "succeeds", "--", "sh", "-c", script], stderr=subprocess.PIPE, text=True
    ) as process:
        until_s = time.monotonic() + 60
        while not mark.exists():
            assert time.monotonic() < until_s, "the command was never run"
        process.send_signal(number)
        errors = process.communicate(timeout=60)[1]
    assert (process.returncode, errors) == (130, "interrupted after 0 of 1 runs; what ran was killed\n")
    while is_alive(int(mark.read_text())):
        assert time.monotonic() < until_s, "the command outlived the check"


def test_a_command_that_was_asked_for_nothing_else_reads_nothing() -> None:
    """A command that reads its input finds its end at once, and who asked for nothing fails by the exit code."""
    run = report("succeeds", "--", "sh", "-c", "cat; exit 4")
    assert (run["exit_code"], run["verdict"], run["verdicts"]["outcome"]) == (4, "FAIL", "FAIL")
    idle = report("succeeds", "--", "true")
    assert (idle["verdict"], idle["verdicts"]["outcome"]) == ("FAIL", "FAIL")


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A full disk is told in a line, after the table; a file whose name has blanks is a file like any other."""
    command = ("--", *CREATES, "1", IN_DOUBT, "5")
    full = check("create-answer-lost", "--junit", "/dev/full", *command)
    assert (full.exit_code, full.stderr.splitlines()[-1]) == (
        2,
        "error: cannot write /dev/full: No space left on device",
    )
    assert full.stdout.startswith("PASS  create-answer-lost")
    path = tmp_path / "a report.xml"
    assert check("create-answer-lost", "--junit", str(path), *command).exit_code == 0
    assert ET.parse(path).getroot().get("tests") == "1"  # noqa: S314 - our own


def is_alive(process_id: int) -> bool:
    """Whether a process runs; one that waits to be buried does not."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_flood_of_output_keeps_its_end() -> None:
    """Whatever a command prints, the check holds the end of it, and reads the claim there."""
    flood = f"head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo '{IN_DOUBT}'"
    run = report("create-answer-lost", "--", "sh", "-c", f"{' '.join(CREATES)} 1 '' 0; {flood}")
    assert run["verdicts"]["outcome"] == "PASS"
    assert len(run["output"]) < 100_000


def test_a_command_that_asks_nothing_is_told_so() -> None:
    """A check in which nobody asked the fake for anything fails, and names the page to read."""
    ended = check("succeeds", "--", "true")
    assert ended.exit_code == 1
    assert "never asked the fake for anything; see docs/driver.md" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["succeeds"], "found no command"),
        (["--", "true"], "expected either scenarios by name, or --all, or --suite"),
        (["suceeds", "--", "true"], "there is no scenario 'suceeds'; did you mean succeeds?"),
        (["--suite", "nothing", "--", "true"], "there is no suite 'nothing'"),
        (["succeeds", "--speed", "0", "--", "true"], "found --speed 0.0"),
        (["succeeds", "--", "no-such-program-anywhere"], "cannot run no-such-program-anywhere: No such file"),
        (
            ["succeeds", "--junit", "/no/such/folder/report.xml", "--", "true"],
            "cannot write /no/such/folder/report.xml",
        ),
    ],
)
def test_a_mistake_is_one_clear_line(arguments: list[str], said: str) -> None:
    """What cannot be done is said in one line, with exit code 2 and no traceback."""
    ended = check(*arguments)
    assert ended.exit_code == 2, ended.output
    assert said in ended.stderr
    assert "Traceback" not in ended.output


def test_a_known_failure_passes_until_it_is_mended(tmp_path: Path) -> None:
    """With a file of known failures only news fails: what is not in it, and what is in it and gone."""
    known = tmp_path / "known.txt"
    known.write_text(
        "create-answer-lost create_once # why\ncreate-answer-lost create_requests\n"
        "create-answer-lost tasks_created\ncreate-answer-lost billed_tasks\n"
    )
    command = ("create-answer-lost", "--expected-failures", str(known), "--", *CREATES)
    twice = check(*command, "2", IN_DOUBT, "5")
    assert twice.exit_code == 0, twice.output
    once = check(*command, "1", IN_DOUBT, "5")
    assert once.exit_code == 1
    assert "remove it" in once.stderr


def test_junit_shows_each_run(tmp_path: Path) -> None:
    """The JUnit file has a case for each run, and says why one was not exercised."""
    path = tmp_path / "report.xml"
    check("create-answer-lost", "tier-free", "--junit", str(path), "--", *CREATES, "1", IN_DOUBT, "5")
    cases = {case.get("name"): case for case in ET.parse(path).getroot()}  # noqa: S314 - our own
    assert set(cases) == {"create-answer-lost", "tier-free"}
    skipped = cases["tier-free"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "is about aisa only"


def test_worlds_run_side_by_side(tmp_path: Path) -> None:
    """Two runs that wait for each other both end: they run at the same time, each in a world of its own."""
    script = 'touch "$0/$FAKE_DASHSCOPE_DIALECT"; until [ -e "$0/aisa" ] && [ -e "$0/dashscope" ]; do :; done'
    ended = check("succeeds", "--dialect", "both", "--jobs", "2", "--json", "--", "sh", "-c", script, str(tmp_path))
    assert [run["exit_code"] for run in json.loads(ended.stdout)["runs"]] == [0, 0]


def test_no_key_of_a_run_is_in_its_report() -> None:
    """The key that a command was given stands in no report."""
    said = 'printf "%s" "$DASHSCOPE_API_KEY" | cksum'
    run = report("create-answer-lost", "--", "sh", "-c", f"{' '.join(CREATES)} 1 '' 0; {said}")
    assert "sk-create-answer-lost" not in json.dumps(run)


@pytest.mark.parametrize("scenario", ["refused-create", "create-answer-lost"])
def test_our_own_command_line_passes(scenario: str) -> None:
    """The driver of our own command line passes where it need not wait; all scenarios run elsewhere."""
    driver = Path(__file__).parents[2] / "examples" / "clients" / "resilient_poll_cli.py"
    run = report(scenario, "--", sys.executable, str(driver))
    assert run["verdict"] == "PASS", run


def test_the_installed_command_runs(tmp_path: Path) -> None:
    """The program itself, as a process, judges and ends with the exit code of its verdict."""
    program = Path(sys.executable).with_name("fake-dashscope")
    done = subprocess.run(  # noqa: S603  # our own program
        [program, "check", "create-answer-lost", "--", *CREATES, "2", IN_DOUBT, "5"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert done.returncode == 1
    assert "FAIL create_once" in done.stdout
