"""A run that is run again goes on, whatever killed it, and pays nothing; --new and --key are what they say."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command_line import LONGEST_RUN_S, MAKE, SOON, Account, as_process, here
from tests.support.fake_process import FakeProcess

Capture = pytest.CaptureFixture[str]
KILLED_RUN = Path(__file__).with_name("killed_run.py")
RUN = ("run", *MAKE, *SOON, "-o", "cat.mp4")
IMAGE = ("--endpoint", "image-synchronous", "--model", "wan2.6-image", "--prompt", "a cat")
KNOWN_POINTS = ("before:license", "after:accept", "before:delivered", "before:keep", "before:saved", "after:saved")
"""One on each side of everything that is written down, but between licence and answer."""
DOUBTFUL_POINTS = ("before:create", "after:create")


def killed(point: str, *words: str) -> None:
    """Run the command line until it kills itself there."""
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, str(KILLED_RUN), point, *words], capture_output=True, check=False, timeout=LONGEST_RUN_S
    )
    assert done.returncode == -signal.SIGKILL, done


def tasks_of(fake: FakeProcess, key: str) -> int:
    """How many tasks the service made."""
    return len(fake.page(f"worlds/{key.removeprefix('sk-')}/bill")["tasks"])


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize("point", KNOWN_POINTS)
def test_a_killed_run_goes_on(account: Account, capfd: Capture, fake: FakeProcess, point: str) -> None:
    """Killed at any point but between licence and answer, a run that is run again makes one task and saves one file."""
    key = account.open("at-once")
    killed(point, *RUN)
    ended = here(capfd, *RUN)
    assert ended.code == 0, ended
    assert tasks_of(fake, key) == 1
    assert Path("cat.mp4").read_bytes()[4:8] == b"ftyp"
    assert [path.name for path in Path().iterdir() if path.suffix != ".part"] == ["cat.mp4"]
    again = here(capfd, *RUN, "--json").object
    assert [Path(file).name for file in again["files"]] == ["cat.mp4"]


@pytest.mark.parametrize("point", DOUBTFUL_POINTS)
def test_a_run_killed_while_its_create_was_out_sends_nothing(
    account: Account, capfd: Capture, fake: FakeProcess, point: str
) -> None:
    """Killed between licence and answer, a run that is run again sends nothing, says so with 5, and can be settled."""
    key = account.open("at-once", "DASHSCOPE")
    fake.open_world(key)
    killed(point, *RUN)
    said = here(capfd, *RUN, "--json").object
    assert (said["outcome"], said["phase"]) == ("in_doubt", "IN_DOUBT")
    made = tasks_of(fake, key)
    assert made == (1 if point == "after:create" else 0)
    name = said["idempotency_key"]
    assert said["error"]["next_command"] == f"resilient-poll reconcile {name}"
    if made:
        task_id = fake.page(f"worlds/{key.removeprefix('sk-')}/bill")["tasks"][0]["task_id"]
        assert here(capfd, "reconcile", name, "--adopt", task_id, "--yes").code == 0
    else:
        assert here(capfd, "reconcile", name, "--resubmit", "--yes").code == 0
    assert here(capfd, *RUN).code == 0
    assert tasks_of(fake, key) == 1
    assert Path("cat.mp4").is_file()


def test_what_stands_beside_comes_to_its_name(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """A result that was saved beside somebody's file takes its name with --overwrite, unpaid, and stays where it is."""
    key = account.open("at-once")
    assert here(capfd, *RUN).code == 0
    Path("cat.mp4").write_text("somebody's")
    (beside,) = here(capfd, *RUN, "--json").object["files"]
    assert (Path("cat.mp4").read_text(), Path(beside).stat().st_size > 1000) == ("somebody's", True)
    for _ in range(2):
        (there,) = here(capfd, *RUN, "--overwrite", "--json").object["files"]
        assert Path(there).name == "cat.mp4"
        assert Path("cat.mp4").read_bytes() == Path(beside).read_bytes()
    assert tasks_of(fake, key) == 1


def test_what_is_to_be_typed_next_can_be_typed(account: Account, capfd: Capture) -> None:
    """The command that goes on with a priced run that ran out of time is one that is understood."""
    account.open("some-time")
    Path("prices.json").write_text('{"currency": "USD", "models": {"wan2.6-*": {"second": "0.10"}}}')
    said = here(capfd, *RUN, "--prices", "prices.json", "--timeout", "0.3", "--json").object
    assert said["outcome"] == "still_going"
    program, *words = said["error"]["next_command"].split()
    assert (program, here(capfd, *words, *SOON).code) == ("resilient-poll", 0)
    assert Path("cat.mp4").is_file()


def test_a_run_that_is_done_pays_nothing(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """Run again, what is on disk is named and nothing is asked; gone from disk it is fetched; other words are new."""
    key = account.open("at-once")
    assert here(capfd, *RUN).code == 0
    journal = len(fake.page(f"worlds/{key.removeprefix('sk-')}/journal")["entries"])
    again = here(capfd, *RUN)
    assert re.search(r"found task \S+, submitted \d+ s ago: it is made and paid \(key run-[0-9a-f]{16}; ", again.stderr)
    assert re.match(r"✓ \S*cat\.mp4 \(", again.stdout)
    assert len(fake.page(f"worlds/{key.removeprefix('sk-')}/journal")["entries"]) == journal
    Path("cat.mp4").unlink()
    assert here(capfd, *RUN).code == 0
    assert Path("cat.mp4").is_file()
    assert tasks_of(fake, key) == 1
    Path("elsewhere").mkdir()
    for words in ((*RUN[:-1], "dog.mp4"), (*RUN[:-1], "elsewhere"), (*RUN, "--parameters", '{"duration": 9}')):
        Path("cat.mp4").unlink(missing_ok=True)
        assert here(capfd, *words).code == 0
    assert tasks_of(fake, key) == 4


def test_the_same_place_is_the_same_run_however_it_is_spelt(
    account: Account, capfd: Capture, fake: FakeProcess
) -> None:
    """A folder with and without its separator, and a longer way to a file, are one place; another account is not."""
    key = account.open("at-once")
    Path("clips").mkdir()
    for output in ("clips", "clips/", "./clips/../clips/"):
        assert here(capfd, "run", *MAKE, *SOON, "-o", output).code == 0
    assert tasks_of(fake, key) == 1
    assert here(capfd, "run", *MAKE, *SOON, "-o", "clips", "--account", "studio").code == 0
    assert tasks_of(fake, key) == 2


def test_new_pays_for_another(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """Each --new makes one more task under a key of its own, and without it the last one is gone on with."""
    key = account.open("at-once")
    words = ("run", *MAKE, *SOON, "-o", "cat-{task_id}.mp4", "--json")
    first = here(capfd, *words).object
    takes = [here(capfd, *words, "--new").object for _ in range(2)]
    base = first["idempotency_key"]
    assert [take["idempotency_key"] for take in takes] == [f"{base}.2", f"{base}.3"]
    assert len({take["task_id"] for take in (first, *takes)}) == tasks_of(fake, key) == 3
    again = here(capfd, *words).object
    assert (again["task_id"], again["idempotency_key"]) == (takes[-1]["task_id"], f"{base}.3")
    assert tasks_of(fake, key) == 3


def test_what_failed_for_nothing_is_tried_again(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """A run that failed and was not billed is the next attempt when it is run again."""
    key = account.open("every-second-fails")
    assert here(capfd, "run", *MAKE, *SOON, "-o", "first.mp4").code == 0
    assert here(capfd, *RUN).code == 3
    again = here(capfd, *RUN)
    assert again.code == 0, again
    assert "it failed and cost nothing, so it is tried again" in again.stderr
    shown = json.loads(here(capfd, "list", "--json", "--limit", "1").stdout)
    assert (shown["attempt"], shown["phase"]) == (2, "SUCCEEDED")
    assert tasks_of(fake, key) == 3


def test_a_key_of_ones_own(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """Under one --key, run and submit make one task in any order; another request under it is refused."""
    key = account.open("at-once")
    submitted = here(capfd, "submit", *MAKE, "--key", "order-17")
    assert here(capfd, "submit", *MAKE, "--key", "order-17").stdout == submitted.stdout
    said = here(capfd, *RUN, "--key", "order-17", "--json").object
    assert (said["task_id"], said["idempotency_key"]) == (submitted.stdout.strip(), "order-17")
    assert here(capfd, "run", *MAKE, *SOON, "-o", "copy.mp4", "--key", "order-17").code == 0
    assert Path("copy.mp4").read_bytes() == Path("cat.mp4").read_bytes()
    other = here(capfd, "submit", *MAKE, "--parameters", '{"duration": 9}', "--key", "order-17")
    assert other.code == 2
    assert "already stands for another request" in other.stderr
    assert tasks_of(fake, key) == 1


def test_a_result_that_came_at_once_is_paid_once(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """An endpoint without tasks is asked once, too: run again, the result comes from the ledger."""
    key = account.open("at-once")
    words = ("run", *IMAGE[:-2], "--input", '{"messages": [{"role": "user", "content": [{"text": "cat"}]}]}')
    words = (*words, "-o", "cat.png")
    assert here(capfd, *words).code == 0
    Path("cat.png").unlink()
    again = here(capfd, *words)
    assert again.code == 0, again
    assert "found its result" in again.stderr
    assert Path("cat.png").read_bytes()[:4] == b"\x89PNG"
    assert tasks_of(fake, key) == 1


def test_without_a_ledger_nothing_is_kept(account: Account, capfd: Capture, fake: FakeProcess, tmp_path: Path) -> None:
    """--no-ledger makes a task each time, and no file; --ledger and the variable put it where they say."""
    key = account.open("at-once")
    words = ("run", *MAKE, *SOON, "-o", "of-{task_id}.mp4")
    for _ in range(2):
        assert here(capfd, *words, "--no-ledger").code == 0
    assert tasks_of(fake, key) == 2
    state = Path(os.environ["XDG_STATE_HOME"])
    assert not list(state.rglob("*.sqlite3"))
    assert here(capfd, *words, "--ledger", "mine.sqlite3").code == 0
    assert Path("mine.sqlite3").stat().st_mode & 0o777 == 0o600
    account.open("at-once", RESILIENT_POLL_LEDGER=str(tmp_path / "ours.sqlite3"))
    assert here(capfd, *words).code == 0
    assert Path("ours.sqlite3").is_file()
    assert not list(state.rglob("*.sqlite3"))


def test_a_task_is_waited_for_without_its_ledger(account: Account, capfd: Capture, tmp_path: Path) -> None:
    """A ledger that cannot be used keeps nobody from a task whose id is known: it is said, and the wait goes on."""
    account.open("at-once")
    task_id = account.submitted(capfd)
    (tmp_path / "foreign").write_bytes(b"no rows here " * 1000)
    account.open("at-once", RESILIENT_POLL_LEDGER=str(tmp_path / "foreign"))
    ended = here(capfd, "wait", task_id, *SOON, "-o", "cat.mp4")
    assert ended.code == 0, ended
    assert "this goes on without it" in ended.stderr
    assert Path("cat.mp4").is_file()
    assert here(capfd, "wait", task_id, *SOON, "--ledger", "foreign").code == 2


def test_two_at_once_pay_once(account: Account, fake: FakeProcess) -> None:
    """Two processes that run the same words at once make one task."""
    key = account.open("some-time")
    words = [sys.executable, "-m", "resilient_poll.cli", *RUN]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]  # noqa: S603  # our own
    for one in both:
        one.communicate(timeout=LONGEST_RUN_S)
    assert [one.returncode for one in both] == [0, 0]
    assert tasks_of(fake, key) == 1
    assert Path("cat.mp4").is_file()


def test_a_ledger_that_cannot_be_used_costs_nothing(account: Account, fake: FakeProcess, tmp_path: Path) -> None:
    """A foreign file, a folder and no place at all end run and list with 2 and one sentence, before any request."""
    key = account.open("at-once")
    fake.open_world(key)
    (tmp_path / "foreign").write_text("these are not the rows you look for" * 100)
    for place, why in (("foreign", "is no SQLite file"), (".", "is a folder"), ("foreign/x", "does not exist")):
        for words in (RUN, ("submit", *MAKE), ("list",)):
            ended = as_process(*words, "--ledger", place)
            assert (ended.code, ended.stdout) == (2, ""), ended
            assert words[0] == "list" or why in ended.stderr
            assert "Traceback" not in ended.stderr
            assert ended.stderr.count("\n") == 1
    assert tasks_of(fake, key) == 0
