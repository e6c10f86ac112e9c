"""Ctrl-C and SIGTERM lose no task."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from resilient_poll.cli.__main__ import main
from resilient_poll.cli.interrupts import Interrupted, Interrupts
from tests.cli.command_line import LONGEST_RUN_S, MAKE, SOON, Account, Ended, command, here, started
from tests.support.raw_server import Connection, RawServer, json_answer

Capture = pytest.CaptureFixture[str]
ACCEPTED = json_answer(200, {"request_id": "r", "output": {"task_id": "task-1", "task_status": "PENDING"}})
RUNNING = json_answer(200, {"request_id": "r", "output": {"task_id": "task-1", "task_status": "RUNNING"}})
SUCCEEDED = {"task_id": "task-1", "task_status": "SUCCEEDED"}


@pytest.fixture
def send() -> Callable[..., None]:
    """Sends signals to this process' main thread, from any thread."""
    main_thread = threading.main_thread().ident
    assert main_thread is not None

    def send_all(*numbers: signal.Signals) -> None:
        for number in numbers:
            signal.pthread_kill(main_thread, number)

    return send_all


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_wait_names_the_way_back(account: Account, number: signal.Signals) -> None:
    """A signal during a wait ends the process with 4, the task's id and the exact command to resume."""
    key = account.open("goes-on")
    with started("run", *MAKE, *SOON, "-o", "clip.mp4") as running:
        running.wait_for("RUNNING after")
        running.process.send_signal(number)
        ended = running.end()
    assert ended.code == 4, ended
    task_id = ended.stderr.partition("task ")[2].partition(":")[0]
    assert (
        f"interrupted ({number.name}): task {task_id} goes on at the service; do not submit it again." in ended.stderr
    )
    assert f"  $ resilient-poll wait {task_id} -o clip.mp4\n" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert key not in ended.stderr


def test_an_interrupted_wait_is_one_json_object_too(account: Account) -> None:
    """With --json an interruption leaves one object, with all that an error would have carried."""
    account.open("goes-on")
    with started("run", *MAKE, *SOON, "--json") as running:
        running.wait_for("RUNNING after")
        running.process.send_signal(signal.SIGTERM)
        ended = running.end()
    said = ended.object
    assert (ended.code, said["outcome"], said["safe_to_submit_again"]) == (4, "still_going", "no")
    assert said["resume_token"].startswith("rpt1.")
    assert said["error"]["type"] == "Interrupted"
    assert said["error"]["next_command"] == f"resilient-poll wait {said['task_id']} -o ."


def test_a_create_that_waits_its_turn_can_be_left(account: Account) -> None:
    """A signal while a throttled create waits ends at once: nothing was accepted, exit 1."""
    account.open("throttled-create-too-long")
    with started("submit", *MAKE, "--submit-timeout", "7200") as running:
        running.wait_for("throttled")
        running.process.send_signal(signal.SIGTERM)
        ended = running.end()
    assert (ended.code, ended.stdout) == (1, "")
    assert "interrupted (SIGTERM): nothing was accepted." in ended.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_a_create_that_is_out_is_awaited(
    account: Account, capfd: Capture, send: Callable[..., None], as_json: bool
) -> None:
    """A signal while a create is out waits for its answer, and then reports the id that was paid for."""
    account.open("at-once")

    def script(connection: Connection) -> None:
        connection.read_request()
        send(signal.SIGTERM)
        connection.send(ACCEPTED)

    with RawServer(script) as server:
        ended = here(capfd, "run", *MAKE, "--base-url", server.url, *(["--json"] if as_json else []))
        assert len(server.requests) == 1
    assert ended.code == 4, ended
    assert "a create is out: waiting for its answer" in ended.stderr
    if as_json:
        assert (ended.object["task_id"], ended.object["status"]) == ("task-1", "PENDING")
    else:
        assert f"$ resilient-poll wait task-1 -o . --base-url {server.url}" in ended.stderr


def test_an_interrupted_submit_still_says_the_id(account: Account, capfd: Capture, send: Callable[..., None]) -> None:
    """A submit whose answer was awaited prints the id on stdout, and ends with 4 so that a loop can stop."""
    account.open("at-once")

    def script(connection: Connection) -> None:
        connection.read_request()
        send(signal.SIGINT)
        connection.send(ACCEPTED)

    with RawServer(script) as server:
        ended = here(capfd, "submit", *MAKE, "--base-url", server.url)
    assert (ended.code, ended.stdout) == (4, "task-1\n")


def test_a_second_signal_forces_the_way_out(account: Account, capfd: Capture, send: Callable[..., None]) -> None:
    """A second signal breaks off a create that is out: exit 5, and the doubt is said."""
    account.open("at-once")

    def script(connection: Connection) -> None:
        connection.read_request()
        send(signal.SIGINT, signal.SIGTERM)
        connection.hang()

    with RawServer(script) as server:
        ended = here(capfd, "run", *MAKE, "--base-url", server.url, "--json")
    said = ended.object
    assert (ended.code, said["outcome"], said["phase"], said["billing"]) == (5, "in_doubt", "IN_DOUBT", "UNDETERMINED")
    assert said["safe_to_submit_again"] == "unknown"
    assert "Look for it at the service" in said["error"]["text"]


def test_a_refusal_is_the_news(account: Account, capfd: Capture, send: Callable[..., None]) -> None:
    """If the create that was awaited fails, its own exit code counts, not the signal's."""
    account.open("at-once")

    def script(connection: Connection) -> None:
        connection.read_request()
        send(signal.SIGTERM)
        connection.send(json_answer(400, {"error": {"code": "bad", "message": "no"}}))

    with RawServer(script) as server:
        assert here(capfd, "submit", *MAKE, "--base-url", server.url).code == 6


@pytest.mark.parametrize(
    ("arguments", "stops_at", "code", "said"),
    [
        (("wait", "task-1", *SOON, "-o", "clip.mp4"), "/asset", 1, "download task-1 -o clip.mp4"),
        (("wait", "task-1", *SOON), "/tasks/task-1", 4, "is not affected by that"),
        (("cancel", "task-1"), "/cancel", 4, "status task-1"),
        (("cancel", "task-1"), "/tasks/task-1", 4, "may have been canceled or not"),
    ],
)
def test_an_interruption_says_what_is_known(
    account: Account,
    capfd: Capture,
    send: Callable[..., None],
    arguments: tuple[str, ...],
    stops_at: str,
    code: int,
    said: str,
) -> None:
    """What an interruption means for the task depends on what was going on: asking, canceling or saving."""
    account.open("at-once", "DASHSCOPE")

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            if request.path.endswith(stops_at):
                send(signal.SIGINT)
                connection.hang()
                return
            output = {**SUCCEEDED, "video_url": f"{server.url}/asset"}
            connection.send(json_answer(200, {"request_id": "r", "output": output}))

    with RawServer(script) as server:
        ended = here(capfd, *arguments, "--base-url", server.url)
    assert ended.code == code, ended
    assert said in ended.stderr


def test_an_end_that_was_heard_is_not_forgotten(account: Account, capfd: Capture, send: Callable[..., None]) -> None:
    """A signal after the end was heard reports the end, not a task that goes on."""
    account.open("at-once", "DASHSCOPE")
    asked: list[str] = []

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            asked.append(request.path)
            if len(asked) > 1:
                send(signal.SIGINT)
                connection.hang()
                return
            # A success without its result is asked about again; the signal comes then.
            connection.send(json_answer(200, {"request_id": "r", "output": SUCCEEDED}))

    with RawServer(script) as server:
        ended = here(capfd, "wait", "task-1", *SOON, "--base-url", server.url)
    assert ended.code == 0
    assert "ended (SUCCEEDED)" in ended.stderr


def test_a_signal_before_everything_says_that_nothing_was_sent(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    """A signal before the command has begun ends with 1 and "nothing was sent"."""

    def interrupted_at_once(arguments: list[str], interrupts: Interrupts) -> int:
        del arguments, interrupts
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr("resilient_poll.cli.app.run", interrupted_at_once)
    assert main(["run"]) == 1
    assert capfd.readouterr().err == "interrupted; nothing was sent\n"


def test_the_handlers_are_put_back() -> None:
    """After the command the process hears its signals as before, and other threads set none."""
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    failures: list[BaseException] = []

    def elsewhere() -> None:
        try:
            with Interrupts():
                pass
        except ValueError as error:
            failures.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert not failures


def test_only_one_signal_is_heard() -> None:
    """After a signal was raised, or the result is known, further ones do not break off the report."""
    with Interrupts() as interrupts:
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    with Interrupts() as interrupts:
        interrupts.finish()
        os.kill(os.getpid(), signal.SIGINT)


def test_a_held_signal_comes_through_where_it_may() -> None:
    """A signal that was held back is raised by the first block that lets it through."""
    with Interrupts() as interrupts, interrupts.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted) as raised:
            interrupts.allowed().__enter__()
    assert not raised.value.forced


def signalled_while_out(number: signal.Signals, stdio: str, *more: str, pids: list[int]) -> tuple[Ended, bytes]:
    """Run a submit whose stdio a shell sets up, and send a signal while its create is out; what came after it too."""
    late: list[bytes] = []

    def script(connection: Connection) -> None:
        connection.read_request()
        os.kill(pids[0], number)
        # real: the signal must be heard before the answer; a note in the wrong place comes within this time
        connection.socket.settimeout(0.3)
        try:
            late.append(connection.socket.recv(65536))
        except TimeoutError:
            late.append(b"")
        connection.send(ACCEPTED)

    with RawServer(script) as server:
        words = command("submit", *MAKE, "--base-url", server.url, *more)
        with subprocess.Popen(  # noqa: S603  # our own command
            ["/bin/sh", "-c", f'exec "$@" {stdio}', "sh", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            pids.append(process.pid)
            stdout, stderr = process.communicate(timeout=LONGEST_RUN_S)
        return Ended(process.returncode, stdout, stderr), b"".join(late)


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize("stdio", ["2>&-", "2>&- <&-", "2<empty"])
def test_a_note_that_cannot_be_written_cuts_nothing(account: Account, stdio: str) -> None:
    """With a stderr that is closed or cannot be written, a signal still waits, and no note gets into the create."""
    account.open("at-once")
    Path("empty").touch()
    ended, late = signalled_while_out(signal.SIGTERM, stdio, pids=[])
    assert (ended.code, ended.stdout, late) == (4, "task-1\n", b"")


def test_a_terminal_that_is_closed_is_a_signal(account: Account) -> None:
    """SIGHUP waits for the create like any other signal, and its task is reported."""
    account.open("at-once")
    ended, _ = signalled_while_out(signal.SIGHUP, "", pids=[])
    assert (ended.code, ended.stdout) == (4, "task-1\n")
    assert "interrupted (SIGHUP)" in ended.stderr


def test_nohup_is_respected() -> None:
    """A SIGHUP that is ignored from the start stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_a_note_raises_is_dropped() -> None:
    """Nothing that the teller of a held signal raises gets into the create."""

    def fails() -> None:
        raise RuntimeError

    with Interrupts() as interrupts:
        interrupts.on_deferred = fails
        with pytest.raises(Interrupted), interrupts.deferred():
            signal.raise_signal(signal.SIGTERM)


def test_a_late_signal_does_not_replace_the_exit_code() -> None:
    """Where the process ends after the block, signals are ignored from then on."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        with Interrupts(until_exit=True) as interrupts:
            interrupts.finish()
        for number in before:
            assert signal.getsignal(number) is signal.SIG_IGN
            signal.raise_signal(number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(("word", "again"), [("run", "yes"), ("wait", "no")])
def test_an_early_signal_is_one_json_object_too(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture, word: str, again: str
) -> None:
    """With --json a signal before the command has begun leaves one object as well."""

    def interrupted_at_once(arguments: list[str], interrupts: Interrupts) -> int:
        del arguments, interrupts
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr("resilient_poll.cli.app.run", interrupted_at_once)
    ended = here(capfd, word, "--json")
    assert (ended.code, ended.stderr) == (1, "")
    assert (ended.object["outcome"], ended.object["safe_to_submit_again"]) == ("interrupted", again)
