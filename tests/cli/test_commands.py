"""What each command does, in real runs against the fake."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from resilient_poll import __version__
from resilient_poll.cli.report import report_of_standing
from resilient_poll.cli.streams import PatientConsole
from resilient_poll.errors import Standing
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.cli.command_line import MAKE, SOON, Account, as_process, command, here
from tests.support.fake_process import FakeProcess
from tests.support.raw_server import RawRequest, RawServer, json_answer

Capture = pytest.CaptureFixture[str]


def test_run_shows_its_way_and_saves_the_video(account: Account, capfd: Capture) -> None:
    """Without a terminal each change is a plain line on stderr, a bad gateway among them, and the video is on disk."""
    account.open("one-bad-gateway")
    ended = here(capfd, "run", *MAKE, "-o", "clip.mp4", *SOON)
    assert ended.code == 0, ended
    assert Path("clip.mp4").read_bytes()[4:8] == b"ftyp"
    assert re.search(r"✓ clip.mp4 \([\d,]+ bytes\)\n  task \S+\n  RUNNING [\d.]+ s · \d polls · billed\n", ended.stdout)
    for line in ("submitting", "RUNNING after", "a poll brought nothing (HTTP 502)", "SUCCEEDED after", "saving to"):
        assert line in ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr


def test_submit_says_the_id_alone(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """The id is all that submit prints on stdout, options reach the request, and stderr says how to go on."""
    key = account.open("at-once")
    ended = here(
        capfd, "submit", *MAKE, "--parameters", '{"duration": 7}', "--input", '{"prompt": "x", "img_url": "y"}'
    )
    assert re.fullmatch(r"[0-9a-f-]{36}\n", ended.stdout), ended
    assert f"resilient-poll wait {ended.stdout.strip()}" in ended.stderr
    bill = fake.page(f"worlds/{key.removeprefix('sk-')}/bill")
    assert [row["seconds"] for row in bill["tasks"]] == [7]


def test_wait_by_id_and_by_token(account: Account, capfd: Capture) -> None:
    """A task can be waited for by its id and by its resume token, and saved along the way."""
    account.open("at-once")
    accepted = here(capfd, "submit", *MAKE, "--json").object
    assert (accepted["outcome"], accepted["polls"], accepted["error"]) == ("accepted", 0, None)
    for known_by in (accepted["task_id"], accepted["resume_token"]):
        waited = here(capfd, "wait", known_by, *SOON, "--json", "-o", "clips.mp4", "--overwrite").object
        assert (waited["task_id"], waited["outcome"]) == (accepted["task_id"], "succeeded")
        assert waited["video_url"].startswith("http")
        assert waited["file"] == "clips.mp4"
    assert here(capfd, "wait", accepted["task_id"], *SOON).stdout.startswith("✓ SUCCEEDED")


@pytest.mark.parametrize(
    ("scenario", "code", "line"),
    [
        ("at-once", 0, "✓ SUCCEEDED"),
        ("fails-at-once", 3, "✗ FAILED: DataInspectionFailed"),
        ("goes-on", 4, "… RUNNING"),
    ],
)
def test_status_is_a_result_whatever_it_is(
    account: Account, capfd: Capture, scenario: str, code: int, line: str
) -> None:
    """Status prints where the task stands on stdout, and its exit code says the same."""
    account.open(scenario)
    ended = here(capfd, "status", account.submitted(capfd))
    assert ended.code == code
    assert ended.stdout.startswith(line)


def test_download_needs_a_success(account: Account, capfd: Capture) -> None:
    """A task that goes on has nothing to download: exit 4, and the command that waits for it."""
    account.open("goes-on")
    task_id = account.submitted(capfd)
    ended = here(capfd, "download", task_id, "-o", "my clip.mp4")
    assert (ended.code, ended.stdout) == (4, "")
    assert f"resilient-poll wait {task_id} -o 'my clip.mp4'" in ended.stderr
    assert here(capfd, "download", task_id, "--json").object["error"]["type"] == "NotDone"


def test_download_into_a_folder(account: Account, capfd: Capture) -> None:
    """In a folder the video gets the task's name."""
    account.open("at-once")
    task_id = account.submitted(capfd)
    assert here(capfd, "download", task_id).code == 0
    assert Path(f"{task_id}.mp4").read_bytes()[4:8] == b"ftyp"


def test_a_lost_download_says_how_to_get_it(account: Account, capfd: Capture) -> None:
    """A paid video that did not come to disk ends with 1 and with the command that downloads it."""
    account.open("gone-at-once")
    ended = here(capfd, "run", *MAKE, "-o", "clip.mp4", *SOON)
    assert ended.code == 1
    assert "it is billed" in ended.stderr
    assert re.search(r"\$ resilient-poll download \S+ -o clip.mp4", ended.stderr)


def test_a_canceled_task_is_what_cancel_wanted(account: Account, capfd: Capture) -> None:
    """Canceling a task that waits is a success; one that had succeeded is refused, and said to be billed."""
    account.open("queues", "DASHSCOPE")
    ended = here(capfd, "cancel", account.submitted(capfd))
    assert (ended.code, ended.stdout.splitlines()[0]) == (0, "✓ CANCELED")
    account.open("at-once", "DASHSCOPE")
    refused = here(capfd, "cancel", account.submitted(capfd), "--json")
    assert refused.code == 6
    assert refused.object["outcome"] == "cancel_refused"


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [("RUNNING", 4, "so far the task is RUNNING"), ("SUCCEEDED", 6, "too late to cancel"), ("FAILED", 6, "too late")],
)
def test_a_cancel_that_was_accepted_is_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: Capture, status: str, code: int, said: str
) -> None:
    """A yes to a cancel proves nothing: where the task stands afterwards decides."""
    monkeypatch.chdir(tmp_path)

    def answer(request: RawRequest) -> bytes:
        output = {} if request.method == "POST" else {"task_id": "t1", "task_status": status, "video_url": "http://x/y"}
        return json_answer(200, {"request_id": "r", "output": output})

    with RawServer.answering(answer) as server:
        monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-canary-canary")
        ended = here(capfd, "cancel", "t1", "--dialect", "dashscope", "--base-url", server.url)
    assert ended.code == code, ended
    assert said in ended.stdout + ended.stderr


def test_a_refused_question_leaves_the_task(account: Account, capfd: Capture) -> None:
    """A service that refuses to say how a task is doing ends the wait with 6, and the way back is named."""
    account.open("refuses-to-say")
    task_id = account.submitted(capfd)
    ended = here(capfd, "wait", task_id, *SOON)
    assert (ended.code, ended.stdout) == (6, "")
    assert f"resilient-poll wait {task_id}" in ended.stderr


def test_the_way_back_repeats_the_options(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """The command that resumes names the same service, so that it can be typed as it stands."""
    account.open("goes-on")
    where = ("--dialect", "aisa", "--base-url", f"{fake.url}/apis/v1")
    ended = here(capfd, "run", *MAKE, *SOON, "--timeout", "0.3", *where, "-o", "a b.mp4")
    line = next(line for line in ended.stderr.splitlines() if line.startswith("  $ "))
    words = shlex.split(line.removeprefix("  $ "))
    assert words[:2] == ["resilient-poll", "wait"]
    assert words[3:] == ["-o", "a b.mp4", *where]
    assert here(capfd, *words[1:], "--timeout", "0.3").code == 4


def test_what_a_service_says_cannot_move_the_cursor(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    """No control character of an answer reaches the terminal."""

    def answer(request: RawRequest) -> bytes:
        del request
        output = {"task_id": "t1", "task_status": "FAILED", "code": "Bad\x1b[2J", "message": "\x07title"}
        return json_answer(200, {"request_id": "r", "output": output})

    with RawServer.answering(answer) as server:
        monkeypatch.setenv("AISA_API_KEY", "sk-canary-canary")
        ended = here(capfd, "status", "t1", "--dialect", "aisa", "--base-url", server.url)
    assert ended.code == 3
    assert "FAILED: Bad" in ended.stdout
    assert all(character.isprintable() or character == "\n" for character in ended.stdout + ended.stderr)


@pytest.mark.parametrize(("stream", "more"), [("stdout", ()), ("stdout", ("--json",)), ("stderr", ())])
def test_a_reader_that_left_changes_nothing(
    account: Account, capfd: Capture, stream: str, more: tuple[str, ...]
) -> None:
    """A closed stdout or stderr leaves no traceback, does not end the wait, and the exit code is of what happened."""
    account.open("at-once")
    arguments = command("wait", account.submitted(capfd), *SOON, *more, "-o", "clip.mp4")
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writer}
    done = subprocess.run(arguments, **streams, text=True, check=False)  # type: ignore[call-overload]  # noqa: S603  # ours
    os.close(writer)
    assert done.returncode == 0
    assert "Traceback" not in f"{done.stdout}{done.stderr}"
    assert Path("clip.mp4").exists()


def test_the_version_is_the_package_s(capfd: Capture) -> None:
    """--version names the package's version."""
    assert here(capfd, "--version").stdout == f"resilient-poll, version {__version__}\n"


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    """Without click or rich the command says in one sentence what to install, and ends with 2."""
    monkeypatch.setitem(sys.modules, "click", None)
    ended = here(capfd, "run")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert "pip install 'resilient-poll[cli]'" in ended.stderr


def test_the_console_script_is_the_same(account: Account) -> None:
    """The installed script and the module are one program."""
    account.open("at-once")
    ended = as_process("--help")
    assert ended.code == 0
    assert ended.stdout.startswith("Usage: resilient-poll ")


@pytest.mark.parametrize("columns", ["0", "1", "19"])
def test_results_do_not_depend_on_the_width(
    account: Account, capfd: Capture, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    """However narrow the terminal is said to be, the id and the way on are printed, each in one line."""
    account.open("at-once")
    monkeypatch.setenv("COLUMNS", columns)
    ended = here(capfd, "submit", *MAKE)
    assert re.fullmatch(r"[0-9a-f-]{36}\n", ended.stdout), ended
    assert f"  $ resilient-poll wait {ended.stdout.strip()}\n" in ended.stderr
    assert PatientConsole(stderr=True).width == 20


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_stdout_that_cannot_be_written_loses_no_id(account: Account, more: tuple[str, ...]) -> None:
    """If stdout takes nothing, the id goes to stderr, nothing traces, and it is no success."""
    account.open("at-once")
    Path("empty").touch()
    with Path("empty").open("rb") as unwritable:
        done = subprocess.run(  # noqa: S603  # our own command
            command("submit", *MAKE, *more), stdout=unwritable, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(r"✗ stdout: .*; the result was task [0-9a-f-]{36} \(accepted\)\n", done.stderr)


def test_a_help_that_cannot_be_written_is_no_traceback(tmp_path: Path) -> None:
    """A help whose stdout takes nothing ends with a code of the table, and with a sentence."""
    (tmp_path / "empty").touch()
    with (tmp_path / "empty").open("rb") as unwritable:
        done = subprocess.run(  # noqa: S603  # our own command
            command("--help"), stdout=unwritable, stderr=subprocess.PIPE, text=True, check=False
        )
    said = "✗ stdout: Bad file descriptor; what was to be printed is lost\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_a_stderr_that_cannot_be_written_ends_no_wait(account: Account, capfd: Capture) -> None:
    """If stderr takes nothing, the task is created, awaited and saved all the same."""
    account.open("one-bad-gateway")
    del capfd
    Path("empty").touch()
    with Path("empty").open("rb") as unwritable:
        done = subprocess.run(  # noqa: S603  # our own command
            command("run", *MAKE, *SOON, "-o", "clip.mp4"), stdout=subprocess.PIPE, stderr=unwritable, check=False
        )
    assert done.returncode == 0
    assert Path("clip.mp4").exists()


@pytest.mark.parametrize("traced", [False, True])
def test_a_surprise_names_the_task(
    account: Account, capfd: Capture, monkeypatch: pytest.MonkeyPatch, traced: bool
) -> None:
    """An error that nobody thought of ends with 1, the task's id, what is owed and the way back; a trace on request."""
    account.open("at-once")
    task_id = account.submitted(capfd)

    def fails(*_: object) -> None:
        raise ZeroDivisionError("sk-canary-canary")

    monkeypatch.setattr("resilient_poll.cli.session.Session.save", fails)
    monkeypatch.setenv("RESILIENT_POLL_TRACEBACK", "1" if traced else "")
    ended = here(capfd, "wait", task_id, *SOON, "-o", "clip.mp4")
    assert (ended.code, ended.stdout) == (1, "")
    assert f"task {task_id} exists (billed)\n  $ resilient-poll wait {task_id} -o clip.mp4\n" in ended.stderr
    assert ("Traceback" in ended.stderr) == ("canary" in ended.stderr) == traced
    said = here(capfd, "wait", task_id, *SOON, "-o", "clip.mp4", "--json").object
    assert (said["outcome"], said["task_id"], said["billing"]) == ("error", task_id, "BILLED")
    assert (said["safe_to_submit_again"], said["error"]["type"]) == ("no", "ZeroDivisionError")


@pytest.mark.parametrize(
    ("at", "words", "again", "said"),
    [
        ("dashscope.client.DashScope.submit", ("submit", *MAKE), "unknown", "Look for it at the service"),
        ("cli.tasks._what_to_make", ("submit", *MAKE), "yes", "nothing was sent"),
        ("dashscope.client.DashScope.task", ("status", "t1"), "no", "task t1 is not affected"),
    ],
)
def test_a_surprise_says_whether_anything_was_sent(
    account: Account,
    capfd: Capture,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
    words: tuple[str, ...],
    again: str,
    said: str,
) -> None:
    """Without a task of its own, a surprise says whether one may exist."""
    account.open("at-once")

    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(f"resilient_poll.{at}", fails)
    ended = here(capfd, *words, "--json")
    assert (ended.code, ended.object["safe_to_submit_again"]) == (1, again)
    assert said in ended.object["error"]["text"]


def test_a_success_says_how_to_get_the_video(account: Account, capfd: Capture) -> None:
    """After a success that was only looked at, the next step can be typed as it stands; JSON says nothing new."""
    account.open("at-once")
    task_id = account.submitted(capfd)
    for words in (("wait", task_id, *SOON), ("status", task_id)):
        ended = here(capfd, *words)
        assert f"  $ resilient-poll download {task_id} -o .\n" in ended.stderr
        assert " 0.0 s" not in ended.stdout
        assert here(capfd, *words, "--json").object["error"] is None


def test_short_phases_are_not_told(capfd: Capture) -> None:
    """A phase that lasted no twentieth of a second is left out for people and kept for machines."""
    del capfd
    standing = Standing(
        task_id="t1",
        phase=Phase.SUCCEEDED,
        status="SUCCEEDED",
        billing=Billing.BILLED,
        time_per_phase={Phase.UNRECOGNIZED: 0.049, Phase.RUNNING: 9.0},
    )
    report = report_of_standing(standing)
    assert report.result[2] == "  RUNNING 9.0 s · 0 polls · billed"
    assert '"UNRECOGNIZED": 0.049' in report.as_json()


def test_the_package_is_a_program(account: Account) -> None:
    """``python -m resilient_poll`` is the command line."""
    account.open("at-once")
    arguments = [sys.executable, "-m", "resilient_poll", "--version"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
    assert done.stdout == f"resilient-poll, version {__version__}\n"
