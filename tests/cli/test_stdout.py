"""A stdout that takes nothing: what was to be printed is named on stderr, and it never looks like a success."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.batches import BATCH, job, lines_of, made, write
from tests.cli.command_line import LONGEST_RUN_S, MAKE, SOON, Account, Ended, command, here
from tests.support.fake_process import FakeProcess

Capture = pytest.CaptureFixture[str]
each_way = pytest.mark.parametrize("way", [">/dev/full", ">&-"])
REASONS = {">/dev/full": "No space left on device", ">&-": "Bad file descriptor"}


def led(way: str, *words: str) -> Ended:
    """Run the command line as a process whose stdout a shell leads somewhere."""
    done = subprocess.run(  # noqa: S603  # our own command
        ["/bin/sh", "-c", f'exec "$@" {way}', "sh", *command(*words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_RUN_S,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.thorough(plain=2)
@each_way
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_result_that_cannot_be_printed_is_no_success(account: Account, way: str, more: tuple[str, ...]) -> None:
    """A task that is accepted, or a video that is saved, ends with 1 and its id on stderr if stdout takes nothing."""
    account.open("at-once")
    for words, outcome in ((("submit", *MAKE), "accepted"), (("run", *MAKE, *SOON, "-o", "clip.mp4"), "succeeded")):
        ended = led(way, *words, *more)
        assert ended.code == 1, ended
        said = rf"✗ stdout: {REASONS[way]}; the result was task [0-9a-f-]{{36}} \({outcome}\)\n"
        assert re.search(said, ended.stderr), ended
        assert "Traceback" not in ended.stderr
    assert Path("clip.mp4").exists()


@pytest.mark.thorough(plain=1)
@each_way
def test_lists_helps_and_scripts_are_no_success_either(account: Account, way: str) -> None:
    """A list, a help, a version and a completion script that cannot be printed end with 1 and one sentence."""
    account.open("at-once", "DASHSCOPE")
    assert led("", "submit", *MAKE).code == 0
    for words in (
        ("list", "--remote"),
        ("list", "--remote", "--json"),
        ("--help",),
        ("run", "--help"),
        ("--version",),
        ("completion", "bash"),
    ):
        ended = led(way, *words)
        assert ended.code == 1, (words, ended)
        assert f"✗ stdout: {REASONS[way]}" in ended.stderr, words
        assert "Traceback" not in ended.stderr


@each_way
def test_a_batch_says_where_its_results_are(account: Account, capfd: Capture, fake: FakeProcess, way: str) -> None:
    """A batch whose lines cannot be printed ends with 1 and says that they are in the state file, unpaid again."""
    key = account.open("at-once")
    write([job(0), job(1)])
    ended = led(way, *BATCH)
    assert ended.code == 1, ended
    assert f"✗ stdout: {REASONS[way]}; not all results were printed: they are in the state file" in ended.stderr
    assert "  $ resilient-poll batch jobs.jsonl" in ended.stderr
    assert "Traceback" not in ended.stderr
    again = here(capfd, *BATCH)
    assert (again.code, len(lines_of(again))) == (0, 2)
    assert made(fake, key) == {0: 1, 1: 1}


def test_an_error_keeps_its_code(account: Account) -> None:
    """What is not a success keeps the code that says why, whatever becomes of its text."""
    account.open("fails-at-once")
    assert led(">/dev/full", "run", *MAKE, *SOON, "--json").code == 3


@pytest.mark.parametrize("words", [BATCH, ("run", *MAKE, *SOON, "--json")])
def test_a_reader_that_has_left_is_no_failure(account: Account, words: tuple[str, ...]) -> None:
    """A pipe that nobody reads any more changes no exit code, as with ``| head -1``."""
    account.open("at-once")
    write([job(0), job(1)])
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command(*words), stdout=writer, stderr=subprocess.PIPE, check=False)  # noqa: S603  # ours
    os.close(writer)
    assert done.returncode == 0, done
    assert b"Traceback" not in done.stderr


def test_changed_options_are_said_before_they_are_paid(account: Account, capfd: Capture) -> None:
    """Where lines may be new only by their options, a batch says so first; with ids or no change it does not."""
    account.open("at-once")
    write([job(number) for number in range(3)])
    said = 'Give lines an "id" to tell them apart from changed options\n'
    for words, note in (
        (BATCH, ""),
        (BATCH, ""),
        ((*BATCH[:2], "--model", "wan2.5-t2v-preview", *BATCH[4:]), "! 3 jobs of an earlier run are not among these "),
    ):
        ended = here(capfd, *words)
        assert ended.code == 0, ended
        assert (said in ended.stderr) == bool(note)
        assert note in ended.stderr
    assert "lines; 3 lines are new and will be paid. " in ended.stderr
    write([job(0, id="a")], "named.jsonl")
    named = ("batch", "named.jsonl", *BATCH[2:])
    assert said not in here(capfd, *named).stderr
    write([job(0, id="a"), job(7)], "named.jsonl")
    assert said not in here(capfd, *named).stderr
    assert json.loads(Path("jobs.jsonl.state.jsonl").read_text().splitlines()[0])["version"] == 1
