"""What a batch does, in real runs against the fake."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import stat
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from resilient_poll.cli.batch.state import StateFile
from resilient_poll.cli.report import JSON_WORDS
from tests.cli.batches import BATCH, job, killed, lines_of, made, outcomes_of, wait_for_state, write
from tests.cli.command_line import LONGEST_RUN_S, Account, as_process, command, here, started
from tests.support.fake_process import FakeProcess
from tests.support.raw_server import RawRequest, RawServer, json_answer

Capture = pytest.CaptureFixture[str]
STATE = Path("jobs.jsonl.state.jsonl")


def test_every_line_is_made_saved_and_told(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """Each job is made once and told on a line of its own, with its id, its number, its file and all other words."""
    key = account.open("at-once")
    write([job(0, id="cat"), job(1, output="one.mp4"), job(2), job(3, id=7, output="{id}-{line}.{extension}")])
    ended = here(capfd, *BATCH)
    assert ended.code == 0, ended
    told = lines_of(ended)
    assert {number: one["id"] for number, one in told.items()} == {1: "cat", 2: None, 3: None, 4: "7"}
    assert all(tuple(one) == ("id", "line", "resumed", *JSON_WORDS) for one in told.values())
    assert {one["outcome"] for one in told.values()} == {"succeeded"}
    assert [told[number]["file"] for number in (2, 4)] == ["one.mp4", "7-4.mp4"]
    assert [told[number]["file"] for number in (1, 3)] == ["cat.mp4", f"{told[3]['task_id']}.mp4"]
    assert all(Path(one["file"]).read_bytes()[4:8] == b"ftyp" for one in told.values())
    assert made(fake, key) == {0: 1, 1: 1, 2: 1, 3: 1}
    assert "✓ 4 jobs: 4 succeeded\n" in ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr


def test_a_second_run_prints_the_same_and_pays_nothing(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """What is done is printed again as resumed, nothing is sent, and a file that is gone is fetched again."""
    key = account.open("at-once")
    write([job(0, id="a", output="a.mp4"), job(1, id="b", output="b.mp4")])
    first = lines_of(here(capfd, *BATCH))
    ended = here(capfd, *BATCH)
    again = lines_of(ended)
    assert ended.code == 0
    assert {number: {**one, "resumed": False} for number, one in again.items()} == first
    assert all(one["resumed"] for one in again.values())
    Path("a.mp4").unlink()
    fetched = lines_of(here(capfd, *BATCH))
    assert (fetched[1]["resumed"], fetched[2]["resumed"]) == (False, True)
    assert Path("a.mp4").exists()
    assert made(fake, key) == {0: 1, 1: 1}


def test_files_that_cannot_be_fetched_again_are_said_to_be_paid(account: Account, capfd: Capture) -> None:
    """A finished job whose file is gone for good ends with 1, and never as one that may be sent again."""
    account.open("at-once")
    write([job(0, output="a.mp4")])
    assert here(capfd, *BATCH).code == 0
    Path("a.mp4").unlink()
    state = STATE.read_text().replace(json.loads(STATE.read_text().splitlines()[-1])["report"]["task_id"], "no-task")
    STATE.write_text(state)
    ended = here(capfd, *BATCH, "--timeout", "0.5")
    assert ended.code == 1, ended
    (one,) = lines_of(ended).values()
    assert (one["outcome"], one["billing"], one["safe_to_submit_again"]) == ("download_failed", "BILLED", "no")


def test_the_order_of_lines_does_not_matter(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """Lines may be moved and added between runs: equal ones are counted, and only what is new is sent."""
    key = account.open("at-once")
    write([job(0), job(0), job(1)])
    assert here(capfd, *BATCH).code == 0
    write([job(2), job(1), job(0), job(0), job(0)])
    ended = here(capfd, *BATCH)
    assert ended.code == 0, ended
    assert [one["resumed"] for _, one in sorted(lines_of(ended).items())] == [False, True, True, True, False]
    assert made(fake, key) == {0: 3, 1: 1, 2: 1}


@pytest.mark.thorough(plain=3)
@pytest.mark.parametrize(
    ("scenario", "code", "outcomes"),
    [
        ("every-second-fails", 8, ["failed", "failed", "succeeded", "succeeded"]),
        ("fails-at-once", 3, ["failed"] * 4),
        ("refused-create", 8, ["refused", "succeeded"]),
        ("create-answer-lost", 5, ["in_doubt", "succeeded"]),
        ("goes-on", 4, ["still_going"] * 3),
        ("gone-at-once", 1, ["download_failed"] * 4),
    ],
)
def test_the_exit_code_is_of_all(
    account: Account, capfd: Capture, scenario: str, code: int, outcomes: list[str]
) -> None:
    """The exit code of a batch says the most urgent thing about any of its jobs, and one failure stops no other."""
    account.open(scenario)
    write(job(number) for number in range(len(outcomes)))
    ended = here(capfd, *BATCH, *(["--timeout", "0.5"] if code == 4 else []))
    assert sorted(outcomes_of(ended).values()) == sorted(outcomes), ended
    assert ended.code == code


def test_what_was_not_accepted_goes_again(account: Account, capfd: Capture) -> None:
    """A job that the service was too busy for ends with 7, one that it refused with 6, and the next run sends both."""
    account.open("throttled-create-too-long")
    write([job(0)])
    ended = here(capfd, *BATCH, "--submit-timeout", "5")
    assert (ended.code, outcomes_of(ended)) == (7, {1: "throttled"})
    # The ledger keeps until when the service asked not to be sent anything; without it, it is asked at once.
    assert outcomes_of(here(capfd, *BATCH, "--submit-timeout", "5")) == {1: "throttled"}
    assert outcomes_of(here(capfd, *BATCH, "--no-ledger")) == {1: "succeeded"}
    account.open("refused-create")
    write([job(0)], "other.jsonl")
    words = ("batch", "other.jsonl", "--model", "wan2.6-t2v", "--interval", "0.01")
    assert here(capfd, *words).code == 6
    assert here(capfd, *words).code == 0


def test_a_doubt_is_sent_again_only_by_a_human(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """A submit whose answer was lost is reported by each run and sent by none, until --resubmit-doubtful does it."""
    key = account.open("create-answer-lost")
    write([job(0, id="cat")])
    assert here(capfd, *BATCH).code == 5
    for _ in range(2):
        ended = here(capfd, *BATCH)
        assert ended.code == 5
        (one,) = lines_of(ended).values()
        assert (one["outcome"], one["billing"], one["safe_to_submit_again"]) == ("in_doubt", "UNDETERMINED", "unknown")
        assert "--resubmit-doubtful" in one["error"]["text"]
        settle = one["error"]["next_command"]
        assert settle == f"resilient-poll reconcile {one['idempotency_key']}"
        assert ended.stderr.endswith("! 1 is in doubt; settle it with\n  $ resilient-poll reconcile\n")
    assert made(fake, key) == {0: 1}
    assert here(capfd, *BATCH, "--resubmit-doubtful").code == 0
    assert made(fake, key) == {0: 2}


def test_a_late_task_is_waited_for_by_the_next_run(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """A job whose wait ran out has its task waited for by the next run, and is not sent again."""
    key = account.open("queues", "DASHSCOPE")
    write([job(0), job(1)])
    first = here(capfd, *BATCH, "--timeout", "0.6")
    assert first.code == 4, first
    second = here(capfd, *BATCH, "--timeout", "0.6")
    assert {one["task_id"] for one in lines_of(first).values()} == {one["task_id"] for one in lines_of(second).values()}
    assert made(fake, key) == {0: 1, 1: 1}
    assert re.search(
        r"\$ resilient-poll batch jobs.jsonl --model wan2.6-t2v --timeout 0.6 --interval 0.01\n", first.stderr
    )


def test_a_failure_stays_until_it_is_asked_for_again(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """A failed job is printed again and not sent, sent again with --retry-failed, and may be mended under its id."""
    key = account.open("fails-at-once")
    write([job(0, id="cat")])
    assert here(capfd, *BATCH).code == 3
    assert lines_of(here(capfd, *BATCH))[1]["resumed"] is True
    assert made(fake, key) == {0: 1}
    assert here(capfd, *BATCH, "--retry-failed").code == 3
    assert made(fake, key) == {0: 2}
    write([job(1, id="cat")])
    assert lines_of(here(capfd, *BATCH))[1]["resumed"] is False
    assert made(fake, key) == {0: 2, 1: 1}


def test_the_first_failure_may_stop_it(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """With --stop-on-failure no job is sent after one has failed, and the way on is named."""
    key = account.open("fails-at-once")
    write(job(number) for number in range(30))
    ended = here(capfd, *BATCH, "--stop-on-failure", "--concurrent", "1")
    assert ended.code in {1, 3}, ended
    assert made(fake, key).total() < 30
    assert "--stop-on-failure" in ended.stderr.splitlines()[-1]


def test_nothing_is_sent_while_any_line_is_wrong(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """Every wrong line is named with its number, the good ones are not sent either, and no state is left."""
    key = account.open("at-once")
    write([job(0), {"prompt": "x"}, job(1, id="a"), job(2, id="a"), job(3, endpoint="no-such"), job(4, model=3)])
    fake.open_world(key)
    for more in ((), ("--json",)):
        ended = here(capfd, *BATCH, *more)
        assert ended.code == 2
        said = json.loads(ended.stdout)["error"]["text"] if more else ended.stderr
        assert "4 of 6 jobs in 'jobs.jsonl' make no sense; nothing was sent" in said
        for part in (
            "line 2: 'prompt' is no word",
            "line 4: the id 'a' is that of line 3",
            "line 5: there is no endpoint",
        ):
            assert part in said
        assert 'line 6: "model" must be a text, not a number' in said
    assert made(fake, key) == {}
    assert not STATE.exists()


def test_results_that_would_replace_each_other_are_refused(account: Account, capfd: Capture) -> None:
    """Two jobs with one file, or a file that cannot be written, are found out before anything is sent."""
    account.open("at-once")
    write([job(0, output="a.mp4"), job(1, output="./a.mp4")])
    assert "would replace those of line 1 in './a.mp4'" in here(capfd, *BATCH).stderr
    write([job(0), job(1)])
    assert "would replace those of line 1 in 'x.mp4'" in here(capfd, *BATCH, "-o", "x.mp4").stderr
    write([job(0), job(1, output="no/such/a.mp4")])
    ended = here(capfd, *BATCH)
    assert (ended.code, ended.stdout) == (2, "")
    assert "line 2 of 'jobs.jsonl': nothing can be saved to 'no/such/a.mp4'" in ended.stderr


def test_a_stream_of_jobs_needs_a_place_for_its_state(account: Account, fake: FakeProcess) -> None:
    """Jobs from standard input are refused without --state, and made with it, once."""
    key = account.open("at-once")
    write([job(0), job(1)])
    words = ("batch", "-", "--model", "wan2.6-t2v", "--interval", "0.01")
    for more, code in (((), 2), (("--state", "s"), 0), (("--state", "s"), 0)):
        with Path("jobs.jsonl").open("rb") as jobs:
            done = subprocess.run(command(*words, *more), stdin=jobs, capture_output=True, check=False)  # noqa: S603  # ours
        assert done.returncode == code, done
    assert made(fake, key) == {0: 1, 1: 1}


def test_a_state_is_one_account_s_and_one_file_s(account: Account, capfd: Capture) -> None:
    """A state of another key, service, dialect or file is refused in one sentence, and so is what is no state."""
    account.open("at-once")
    write([job(0)])
    write([job(0)], "others.jsonl")
    assert here(capfd, *BATCH).code == 0

    def complaint(*more: str) -> str:
        ended = here(capfd, *BATCH, *more)
        assert (ended.code, ended.stdout) == (2, "")
        assert ended.stderr.endswith("nothing was sent\n")
        return ended.stderr

    other = here(capfd, "batch", "others.jsonl", "--model", "m", "--state", str(STATE))
    assert "it belongs to the jobs of 'jobs.jsonl', not 'others.jsonl'" in other.stderr
    Path("mine.txt").write_text("my only copy of a novel")
    assert "it was not written by this program" in complaint("--state", "mine.txt")
    assert Path("mine.txt").read_text() == "my only copy of a novel"
    assert "is there and is no file" in complaint("--state", "/dev/full")
    assert "No such file or directory" in complaint("--state", "no/such/state")
    assert "Is a directory" in complaint("--state", ".")
    assert "another address" in complaint("--base-url", "http://127.0.0.1:1/apis/v1")
    account.open("at-once", AISA_API_KEY="sk-another-key")
    assert "it was begun with another API key" in complaint()
    assert here(capfd, *BATCH, "--same-account").code == 0
    account.open("at-once", "DASHSCOPE")
    assert "it belongs to dialect 'aisa', not 'dashscope'" in complaint()


def test_a_changed_job_is_not_taken_for_the_old_one(account: Account, capfd: Capture) -> None:
    """A paid job that was changed under its id, or is gone while its task goes on, is an error before all sending."""
    account.open("at-once")
    write([job(0, id="cat")])
    assert here(capfd, *BATCH).code == 0
    write([job(1, id="cat")])
    ended = here(capfd, *BATCH)
    assert ended.code == 2
    assert "line 1: the id 'cat' was another request when it was sent" in ended.stderr
    account.open("goes-on")
    write([job(0)], "more.jsonl")
    words = ("batch", "more.jsonl", "--model", "m", *BATCH[4:], "--timeout", "0.3")
    task_id = lines_of(here(capfd, *words))[1]["task_id"]
    write([job(1)], "more.jsonl")
    assert f"what was line 1 (accepted, task {task_id})" in here(capfd, *words).stderr


def test_two_runs_do_not_share_a_state(account: Account, capfd: Capture) -> None:
    """While one run is at work with a state, another one is refused before it sends anything."""
    account.open("at-once")
    write([job(0)])
    STATE.touch()
    with STATE.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ended = here(capfd, *BATCH)
    assert (ended.code, ended.stdout) == (2, "")
    assert "another run is at work with it" in ended.stderr


def test_the_state_holds_no_secret(account: Account, capfd: Capture) -> None:
    """The state is its owner's alone, and holds neither key nor prompt."""
    key = account.open("at-once")
    write([job(0, id="cat")])
    assert here(capfd, *BATCH).code == 0
    assert stat.S_IMODE(STATE.stat().st_mode) == 0o600
    assert key not in STATE.read_text().replace(key.removeprefix("sk-"), "")
    assert "cat 0" not in STATE.read_text()


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_and_the_next_run_goes_on(
    account: Account, capfd: Capture, fake: FakeProcess, number: signal.Signals
) -> None:
    """A signal ends a batch with 4 and the words to go on; what was accepted is waited for by the next run."""
    key = account.open("some-time")
    write(job(one) for one in range(5))
    with started(*BATCH) as running:
        wait_for_state('"accepted"')
        running.process.send_signal(number)
        ended = running.end()
    assert ended.code == 4, ended
    assert f"interrupted ({number.name})" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "  $ resilient-poll batch jobs.jsonl --model wan2.6-t2v --interval 0.01\n" in ended.stderr
    again = here(capfd, *BATCH)
    assert again.code == 0, again
    assert made(fake, key) == dict.fromkeys(range(5), 1)


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_while_a_create_is_out(account: Account, capfd: Capture, signals: int) -> None:
    """One signal waits for the create that is out and keeps its task; a second one leaves a doubt, never two tasks."""
    account.open("at-once")
    write([job(0)])
    arrived, may_answer = threading.Event(), threading.Event()
    asked: list[RawRequest] = []

    def answer(request: RawRequest) -> bytes:
        asked.append(request)
        arrived.set()
        assert may_answer.wait(LONGEST_RUN_S)
        return json_answer(200, {"request_id": "r", "output": {"task_id": "t1", "task_status": "RUNNING"}})

    with RawServer.answering(answer) as server:
        with started(*BATCH, "--base-url", server.url) as running:
            assert arrived.wait(LONGEST_RUN_S)
            running.process.send_signal(signal.SIGINT)
            running.wait_for("stopping: creates that are out")
            if signals == 2:
                # The first may still be on its way when the note about it is read, and takes one that follows with it.
                with suppress(subprocess.TimeoutExpired):
                    running.process.send_signal(signal.SIGTERM)
                    running.process.wait(1)
                running.process.send_signal(signal.SIGTERM)
                running.process.wait(LONGEST_RUN_S)
            may_answer.set()
            ended = running.end()
        assert ended.code == 4, ended
        again = here(capfd, *BATCH, "--base-url", server.url, "--timeout", "0.3")
        assert again.code == (4 if signals == 1 else 5)
        assert outcomes_of(again) == {1: "still_going" if signals == 1 else "in_doubt"}
        assert [request.method for request in asked].count("POST") == 1


def limited_to(size: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line where no file can grow beyond a size, as on a disk that is full."""
    script = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); "
    script += "del sys.argv[1]; runpy.run_module('resilient_poll.cli', run_name='__main__')"
    arguments = [command()[0], "-c", script, str(size), *words]
    # What measures coverage writes files too.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(  # noqa: S603  # ours
        arguments, capture_output=True, text=True, check=False, timeout=LONGEST_RUN_S, env=environment
    )


@pytest.mark.thorough
def test_a_full_disk_stops_the_sending_and_loses_no_id(account: Account, fake: FakeProcess) -> None:
    """When the state cannot be written nothing more is sent, and each id that is not in it is told."""
    key = account.open("goes-on")
    fake.open_world(key)
    write(job(number) for number in range(2))
    for size in (100, 250, 400, 700, 1250):
        STATE.unlink(missing_ok=True)
        before = made(fake, key).total()
        done = limited_to(size, *BATCH, "--timeout", "0.3", "--no-ledger")
        assert "Traceback" not in done.stderr, done
        assert done.returncode in {1, 2, 4, 5}, done
        if done.returncode != 2:
            assert "cannot be written: File too large; nothing more is sent" in done.stderr
            known = set(re.findall(r'"task_id": "([0-9a-f-]+)"', STATE.read_text() + done.stdout))
            known |= set(re.findall(r"its task ([0-9a-f-]+)", done.stderr))
            assert len(known) == made(fake, key).total() - before
        assert STATE.stat().st_size <= size
        assert STATE.read_bytes()[-1:] in {b"\n", b""}


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize(
    ("scenario", "step", "code", "outcomes", "again"),
    [
        # Without the licence nothing leaves; without the id or the end on disk, nothing is lost in this run.
        ("at-once", "submitting", 1, {"not_sent"}, 0),
        ("at-once", "accepted", 1, {"succeeded", "not_sent"}, 0),
        ("at-once", "ended", 1, {"succeeded", "not_sent"}, 0),
        ("refused-create", "free", 1, {"refused", "not_sent"}, 5),
    ],
)
def test_each_line_of_the_state_may_be_the_one_too_many(
    account: Account,
    capfd: Capture,
    fake: FakeProcess,
    monkeypatch: pytest.MonkeyPatch,
    scenario: str,
    step: str,
    code: int,
    outcomes: set[str],
    again: int,
) -> None:
    """Whichever line of the state cannot be written, nothing more is sent, no result is lost and none is paid twice."""
    key = account.open(scenario)
    write(job(number) for number in range(3))
    append = StateFile._append

    def fail(self: StateFile, said: Mapping[str, object]) -> None:
        if said.get("step") == step:
            raise OSError(28, "No space left on device")
        append(self, said)

    fake.open_world(key)
    with monkeypatch.context() as patched:
        patched.setattr(StateFile, "_append", fail)
        ended = here(capfd, *BATCH, "--concurrent", "1")
    assert ended.code == code, ended
    assert set(outcomes_of(ended).values()) <= outcomes
    assert ended.stderr.count("cannot be written: No space left on device; nothing more is sent") == 1
    if step == "accepted":
        assert f"its task {lines_of(ended)[1]['task_id']}, which may be billed: do not submit it again" in ended.stderr
    assert here(capfd, *BATCH).code == again
    assert max(made(fake, key).values(), default=0) <= 1


def test_a_surprise_says_how_to_go_on(account: Account, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody thought of ends with 1, tells its kind alone, and how to go on."""
    account.open("at-once")
    write([job(0)])

    def fails(*_: object) -> None:
        raise ZeroDivisionError("sk-canary-canary")

    with monkeypatch.context() as patched:
        patched.setattr("resilient_poll.cli.batch.work.BatchWork.carry_out", fails)
        ended = here(capfd, *BATCH)
    assert ended.code == 1
    assert "unexpected ZeroDivisionError" in ended.stderr
    assert "canary" not in ended.stderr
    assert "  $ resilient-poll batch jobs.jsonl --model wan2.6-t2v --interval 0.01\n" in ended.stderr
    with monkeypatch.context() as patched:
        patched.setattr("resilient_poll.cli.batch.work.save_task", fails)
        one = lines_of(here(capfd, *BATCH))[1]
    assert (one["outcome"], one["safe_to_submit_again"], one["billing"]) == ("error", "no", "BILLED")
    with monkeypatch.context() as patched:
        patched.setattr("resilient_poll.cli.batch.command.read_jobs", fails)
        assert "nothing was sent" in here(capfd, *BATCH).stderr
    assert here(capfd, *BATCH).code == 0


def test_a_signal_before_the_first_job_sends_nothing(
    account: Account, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal while the file is read ends with 1 and "nothing was sent", in text and in JSON."""
    account.open("at-once")
    write([job(0)])
    monkeypatch.setattr("resilient_poll.cli.batch.command.read_jobs", lambda *_: signal.raise_signal(signal.SIGTERM))
    ended = here(capfd, *BATCH)
    assert (ended.code, ended.stdout) == (1, "")
    assert "interrupted (SIGTERM): nothing was sent." in ended.stderr
    assert here(capfd, *BATCH, "--json").object["safe_to_submit_again"] == "yes"


def test_jobs_may_come_through_a_pipe_with_a_name(account: Account, fake: FakeProcess) -> None:
    """A named pipe is read like standard input: it is copied, and needs --state."""
    key = account.open("at-once")
    os.mkfifo("pipe")
    write([job(0), job(1)])
    for more, code in (((), 2), (("--state", "s"), 0)):
        feeder = threading.Thread(target=lambda: Path("pipe").write_bytes(Path("jobs.jsonl").read_bytes()))
        feeder.start()
        assert as_process("batch", "pipe", "--model", "wan2.6-t2v", "--interval", "0.01", *more).code == code
        feeder.join()
    assert made(fake, key) == {0: 1, 1: 1}


def test_a_full_disk_for_results_is_no_end(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """A result that the disk has no room for is paid and told, and the next run fetches it."""
    key = account.open("at-once")
    write([job(0, output="a.mp4")])
    done = limited_to(4000, *BATCH, "--no-ledger")
    assert done.returncode == 1, done
    assert "what it made is not saved" in done.stdout
    assert here(capfd, *BATCH).code == 0
    assert Path("a.mp4").exists()
    assert made(fake, key) == {0: 1}


@pytest.mark.thorough
def test_a_result_instead_of_a_task_is_saved(account: Account, capfd: Capture) -> None:
    """A service that answers with the result itself has it saved; if that fails, the next run does it, unasked."""
    account.open("at-once")
    write([job(0, output="a.png"), job(1, output="b.png")])
    is_there: list[bool] = []
    posts: list[RawRequest] = []

    def answer(request: RawRequest) -> bytes:
        if request.method == "POST":
            posts.append(request)
            return json_answer(200, {"request_id": "r", "output": {"results": [{"url": f"{server.url}/a.png"}]}})
        if not is_there:
            return b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nasdf"

    with RawServer.answering(answer) as server:
        words = (*BATCH, "--base-url", server.url)
        ended = here(capfd, *words)
        assert (ended.code, set(outcomes_of(ended).values())) == (1, {"download_failed"})
        is_there.append(True)
        again = here(capfd, *words)
        assert (again.code, set(outcomes_of(again).values())) == (0, {"succeeded"})
        Path("a.png").unlink()
        assert here(capfd, *words).code == 0
    assert (Path("a.png").read_bytes(), Path("b.png").read_bytes(), len(posts)) == (b"asdf", b"asdf", 2)


def test_a_file_that_changes_is_not_believed(account: Account, fake: FakeProcess) -> None:
    """A line that is changed while the batch runs is not sent, and told."""
    key = account.open("some-time")
    # More than is read ahead.
    write(job(number, input={"prompt": "cat" * 100_000}) for number in range(4))
    with started(*BATCH, "--concurrent", "1") as running:
        wait_for_state('"accepted"')
        write(job(number, input={"prompt": "dog" * 100_000}) for number in range(4))
        ended = running.end()
    assert ended.code == 8, ended
    assert "was changed while the batch ran; nothing was sent for it" in ended.stdout
    assert set(made(fake, key)) < set(range(4))


def test_images_in_a_batch(account: Account, capfd: Capture) -> None:
    """A line has its own endpoint, and all results of a task are saved and listed; a part that failed makes it 8."""
    account.open("two-of-three", "DASHSCOPE")
    write([job(0, endpoint="text-to-image", output="{id}.png", id="cats")])
    ended = here(capfd, *BATCH)
    assert ended.code == 8
    assert lines_of(ended)[1]["files"] == ["cats-1.png", "cats-2.png"]
    write([job(0, endpoint="image-synchronous")])
    assert "answers with the result itself: use run for it" in here(capfd, *BATCH).stderr


KILLS = [
    # When, which line of the state, how many of them; how many jobs are in doubt then, of one that goes out at a time.
    ("before:submitting:2", 0),
    ("torn:submitting:2", 0),
    ("after:submitting:2", 1),
    ("before:accepted:2", 1),
    ("torn:accepted:2", 1),
    ("after:accepted:2", 0),
    ("before:keep:1", None),
    ("before:ended:1", None),
    ("torn:ended:2", None),
    ("after:ended:2", None),
]


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize(("point", "doubts"), KILLS)
def test_no_kill_pays_twice(
    account: Account, capfd: Capture, fake: FakeProcess, point: str, doubts: int | None
) -> None:
    """After a kill at any named point a second run makes each job once; what nobody can know is in doubt, and said."""
    key = account.open("at-once")
    words = (*BATCH, "--no-ledger")
    write(job(number) for number in range(4))
    assert killed(point, *words, "--concurrent", "1") == -signal.SIGKILL
    steps: dict[str, dict[str, object]] = {}
    for line in STATE.read_text().splitlines()[1:]:
        with suppress(ValueError):  # A torn last line.
            steps[json.loads(line)["job"]] = json.loads(line)
    # While a result is saved the next create may be out; the state knows.
    expected = [step["job"] for step in steps.values() if step["step"] == "submitting"]
    assert doubts in {None, len(expected)}
    ended = here(capfd, *words)
    outcomes = outcomes_of(ended)
    assert sorted(outcomes.values()) == ["in_doubt"] * len(expected) + ["succeeded"] * (4 - len(expected)), ended
    assert ended.code == (5 if expected else 0)
    bill = made(fake, key)
    assert all(bill[number - 1] == 1 for number, outcome in outcomes.items() if outcome == "succeeded")
    assert max(bill.values()) == 1
    assert as_process(*words).code == ended.code
    assert made(fake, key) == bill


@pytest.mark.parametrize("point", ["before:accepted:2", "torn:accepted:2"])
def test_the_ledger_knows_what_the_state_never_heard(
    account: Account, capfd: Capture, fake: FakeProcess, point: str
) -> None:
    """A batch killed before its state has an id goes on with the ledger's, and so does one whose state is gone."""
    key = account.open("at-once")
    write(job(number) for number in range(3))
    assert killed(point, *BATCH, "--concurrent", "1") == -signal.SIGKILL
    ended = here(capfd, *BATCH, "--overwrite")
    assert sorted(outcomes_of(ended).values()) == ["succeeded"] * 3, ended
    STATE.unlink()
    again = here(capfd, *BATCH, "--overwrite")
    assert sorted(outcomes_of(again).values()) == ["succeeded"] * 3, again
    assert made(fake, key) == dict.fromkeys(range(3), 1)


def test_what_the_user_sends_again_is_sent_by_the_ledger_too(
    account: Account, capfd: Capture, fake: FakeProcess
) -> None:
    """--resubmit-doubtful and --retry-failed send again under the same keys; the doubt stays on the bill."""
    account.open("create-dropped")
    write([job(0)])
    assert here(capfd, *BATCH).code == 5
    assert here(capfd, *BATCH, "--resubmit-doubtful").code == 0
    key = account.open("every-second-fails")
    write([job(0), job(1)], "other.jsonl")
    words = ("batch", "other.jsonl", *BATCH[2:], "--concurrent", "1")
    assert here(capfd, *words).code == 8
    assert here(capfd, *words, "--retry-failed").code == 0
    assert made(fake, key).total() == 3
    found = [json.loads(line) for line in here(capfd, "list", "--json").stdout.splitlines()]
    assert [(one["attempt"], one["phase"], one["doubtful_sends"]) for one in found] == [
        (2, "SUCCEEDED", 0),
        (1, "FAILED", 0),
        (1, "SUCCEEDED", 0),
        (1, "SUCCEEDED", 1),
    ]
    assert all(one["idempotency_key"].startswith("batch-") for one in found)
