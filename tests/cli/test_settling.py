"""What is still to be done about what was submitted: resume, reconcile and work."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command_line import MAKE, SOON, Account, Ended, here, started
from tests.support.fake_process import FakeProcess

Capture = pytest.CaptureFixture[str]
WORK = ("work", "--once", "--interval", "0.01")


@pytest.fixture(autouse=True)
def no_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else waits for these tasks, so that work need not leave their ends to somebody."""
    monkeypatch.setattr("resilient_poll.dashscope.workers.duty.CALLER_S", 0.0)


def objects(ended: Ended) -> list[dict[str, Any]]:
    """The JSON lines."""
    return [json.loads(line) for line in ended.stdout.splitlines()]


def submitted(capfd: Capture, key: str, *more: str) -> str:
    """Submit under a key, and return the task's id."""
    ended = here(capfd, "submit", *MAKE, "--key", key, *more)
    assert ended.code == 0, ended
    return ended.stdout.strip()


def test_one_is_resumed_by_any_of_its_names(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """By key, id or token, resume waits as wait does and saves to -o; nothing is created."""
    key = account.open("some-time")
    accepted = here(capfd, "submit", *MAKE, "--key", "order-17", "--json").object
    for name in ("order-17", accepted["task_id"], accepted["resume_token"]):
        said = here(capfd, "resume", name, *SOON, "-o", "clips/", "--overwrite", "--json").object
        assert (said["outcome"], said["task_id"]) == ("succeeded", accepted["task_id"])
        assert Path(said["file"]).is_file()
    assert re.match(r"✓ \S*clips/\S+\.mp4 \(", here(capfd, "resume", "order-17").stdout)
    assert len(fake.page(f"worlds/{key.removeprefix('sk-')}/bill")["tasks"]) == 1


def test_a_run_is_resumed_to_where_it_was_to_go(account: Account, capfd: Capture) -> None:
    """resume without -o saves a run's result to the place that run was given."""
    account.open("some-time")
    Path("clips").mkdir()
    ended = here(capfd, "run", *MAKE, *SOON, "-o", "clips/cat.mp4", "--timeout", "0.3", "--json").object
    assert ended["outcome"] == "still_going"
    assert here(capfd, "resume", ended["idempotency_key"], *SOON).code == 0
    assert Path("clips/cat.mp4").is_file()


def test_all_that_goes_on_is_resumed(account: Account, capfd: Capture) -> None:
    """--all waits for what is open and fetches what is paid and not on disk; a second time there is nothing."""
    account.open("at-once")
    ids = {submitted(capfd, f"order-{number}", "--parameters", f'{{"duration": {number + 3}}}') for number in range(3)}
    paid = submitted(capfd, "paid")
    assert here(capfd, "wait", paid, *SOON).code == 0
    found = objects(here(capfd, "resume", "--all", *SOON, "-o", "clips/", "--json"))
    assert {one["task_id"] for one in found} == ids | {paid}
    assert {one["idempotency_key"] for one in found} == {"order-0", "order-1", "order-2", "paid"}
    assert len(list(Path("clips").iterdir())) == 4
    again = here(capfd, "resume", "--all", *SOON, "-o", "clips/")
    assert (again.code, again.stdout, again.stderr) == (0, "", "there is nothing to go on with\n")


@pytest.mark.parametrize("end", [("resume", "order-17", *SOON), ("wait", "TASK", *SOON), ("status", "TASK"), WORK])
def test_the_bill_holds_what_was_made_and_not_what_was_feared(
    account: Account, capfd: Capture, end: tuple[str, ...]
) -> None:
    """Whoever sees the end of a task that was priced at the most it may cost puts its real price on the bill."""
    prices = '{"currency": "USD", "models": {"wan2.6-*": {"second": "0.10"}}}'
    Path("prices.json").write_text(prices)
    account.open("at-once", RESILIENT_POLL_PRICES="prices.json")
    task_id = submitted(capfd, "order-17")
    (feared,) = objects(here(capfd, "bill", "--json"))[0]["totals"]
    assert (Decimal(feared["may_yet_be_billed"]), Decimal(feared["billed"])) == (Decimal("1.5"), 0)
    here(capfd, *(task_id if word == "TASK" else word for word in end))
    (made,) = objects(here(capfd, "bill", "--json"))[0]["totals"]
    assert (Decimal(made["may_yet_be_billed"]), Decimal(made["billed"])) == (0, Decimal("0.5"))


def test_a_price_table_that_cannot_be_read_keeps_nobody_from_what_is_paid(account: Account, capfd: Capture) -> None:
    """With a broken price table resume goes on and says so; a submit, which has to be priced, is refused."""
    account.open("at-once")
    submitted(capfd, "order-17")
    account.open("at-once", RESILIENT_POLL_PRICES="no-such.json")
    ended = here(capfd, "resume", "order-17", *SOON, "-o", "clips/")
    assert (ended.code, "'no-such.json' cannot be read" in ended.stderr) == (0, True), ended
    assert here(capfd, "submit", *MAKE).code == 2


def test_a_damaged_row_holds_up_nobody(account: Account, capfd: Capture) -> None:
    """--all goes on with what can be read, and names what cannot."""
    account.open("at-once")
    for key in ("good", "bad"):
        submitted(capfd, key)
    with sqlite3.connect(Path(os.environ["XDG_STATE_HOME"]) / "resilient-poll" / "ledger.sqlite3") as database:
        database.execute("UPDATE entries SET billing = 'FREE' WHERE key = 'bad'")
    ended = here(capfd, "resume", "--all", *SOON)
    assert ended.code == 0, ended
    assert "✓ SUCCEEDED" in ended.stdout
    assert re.search(r"! entry \d+ of the ledger is damaged", ended.stderr)


def test_of_several_the_worst_is_the_exit_code(account: Account, capfd: Capture) -> None:
    """Of several that are resumed, each is reported, and 4 is the exit code if one goes on."""
    account.open("goes-on")
    submitted(capfd, "slow")
    account.open("at-once")
    submitted(capfd, "quick")
    ended = here(capfd, "resume", "quick", "nobody-s", *SOON, "--timeout", "0.3", "--json")
    assert ended.code == 4, ended
    assert {one["outcome"] for one in objects(ended)} == {"succeeded", "still_going"}
    other = here(capfd, "resume", "slow")
    assert other.code == 2
    assert "the key 'slow' is of account key-" in other.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "name what to resume"),
        (("--all", "t1"), "name what to resume"),
        (("t1", "t2", "-o", "one.mp4"), "several results cannot be saved as 'one.mp4'"),
    ],
)
def test_a_resume_that_makes_no_sense(account: Account, capfd: Capture, words: tuple[str, ...], why: str) -> None:
    """What to resume is named, or all of it, and several results have several places."""
    account.open("at-once")
    ended = here(capfd, "resume", *words)
    assert (ended.code, ended.stdout) == (2, "")
    assert why in ended.stderr


def test_a_doubt_is_shown_with_what_may_be_it(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """reconcile names the verdict, why, and the ways out, ends with 5 while a doubt is left, and sends nothing."""
    key = account.open("create-dropped", "DASHSCOPE")
    assert here(capfd, "submit", *MAKE, "--key", "lost").code == 5
    ended = here(capfd, "reconcile", "--json")
    (found,) = objects(ended)
    assert (ended.code, found["verdict"], found["phase"], found["candidates"]) == (5, "UNCLEAR", "IN_DOUBT", [])
    shown = here(capfd, "reconcile", "lost")
    assert shown.code == 5
    assert re.search(r"\? lost  UNCLEAR\n  wan2.6-t2v, sent \d+ s ago, \?\n  \S", shown.stdout)
    assert "  $ resilient-poll reconcile lost --resubmit\n" in shown.stdout
    assert "adopt()" not in shown.stdout
    assert fake.page(f"worlds/{key.removeprefix('sk-')}/bill")["tasks"] == []


def test_a_certain_task_is_adopted(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """A lost answer's task is found in the service's list, adopted, and gone on with; the declaration asks first."""
    key = account.open("create-answer-lost", "DASHSCOPE")
    assert here(capfd, "submit", *MAKE, "--key", "lost").code == 5
    (row,) = fake.page(f"worlds/{key.removeprefix('sk-')}/bill")["tasks"]
    refused = here(capfd, "reconcile", "--sole-submitter", "yes")
    assert (refused.code, refused.stdout) == (2, "")
    assert "their result may be taken for yours" in refused.stderr
    ended = here(capfd, "reconcile", "--sole-submitter", "yes", "--yes")
    assert ended.code == 0, ended
    assert "✓ lost  ADOPTED\n" in ended.stdout
    said = here(capfd, "resume", "lost", *SOON, "-o", "cat.mp4", "--json").object
    assert (said["task_id"], said["outcome"]) == (row["task_id"], "succeeded")


def test_each_way_out_of_a_doubt_says_what_it_risks(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """Adopting, sending again and giving up name their risk, need --yes where nobody can be asked, and then do it."""
    key = account.open("create-dropped", "DASHSCOPE")
    assert here(capfd, "submit", *MAKE, "--key", "lost").code == 5
    for words, risk in (
        (("--adopt", "t1"), "if it is another's"),
        (("--resubmit",), "both are paid"),
        (("--abandon",), "is given up"),
    ):
        ended = here(capfd, "reconcile", "lost", *words)
        assert (ended.code, ended.stdout) == (2, ""), ended
        assert risk in ended.stderr
        assert "Give --yes if that is wanted; nothing was changed" in ended.stderr
    unknown = here(capfd, "reconcile", "lost", "--adopt", "t1", "--yes")
    assert unknown.code in {2, 6, 7}, unknown
    assert here(capfd, "reconcile", "lost", "--resubmit", "--yes").code == 0
    task_id = submitted(capfd, "lost")
    (row,) = fake.page(f"worlds/{key.removeprefix('sk-')}/bill")["tasks"]
    assert row["task_id"] == task_id
    totals = json.loads(here(capfd, "bill", "--json").stdout)["totals"][0]
    assert totals["tasks_in_doubt"] == 1, "the first sending stays on the bill"
    settled = here(capfd, "reconcile", "lost", "--abandon", "--yes")
    assert settled.code == 2
    assert "and not in doubt" in settled.stderr


def test_what_is_given_up_is_not_sent_again(account: Account, capfd: Capture) -> None:
    """A run that was given up says so when it is run again, and --new pays for another."""
    account.open("create-dropped", "DASHSCOPE")
    words = ("run", *MAKE, *SOON, "-o", "cat.mp4")
    name = here(capfd, *words, "--json").object["idempotency_key"]
    said = here(capfd, "reconcile", name, "--abandon", "--yes", "--reason", "the list is empty", "--json").object
    assert (said["outcome"], said["idempotency_key"]) == ("abandoned", name)
    again = here(capfd, *words)
    assert again.code == 2
    assert "was given up, and nothing was sent: --new pays for another" in again.stderr
    assert here(capfd, *words, "--new").code == 0


def test_without_doubts_there_is_nothing_to_settle(account: Account, capfd: Capture) -> None:
    """With no ledger, or no doubt in it, reconcile ends with 0; of a key that is not in doubt it says where it is."""
    account.open("at-once", "DASHSCOPE")
    assert here(capfd, "reconcile").stderr.endswith("nothing is in doubt\n")
    assert not list(Path(os.environ["XDG_STATE_HOME"]).rglob("*.sqlite3"))
    submitted(capfd, "fine")
    assert here(capfd, "reconcile").code == 0
    ended = here(capfd, "reconcile", "fine")
    assert ended.code == 2
    assert re.search(r"'fine' is (QUEUED|RUNNING), and not in doubt; nothing was changed", ended.stderr)


def test_every_end_is_handed_over_once_it_is_taken(account: Account, capfd: Capture) -> None:
    """work prints each end that nobody was told of, saves it, has the command read it, and then never again."""
    account.open("every-second-fails")
    ids = {submitted(capfd, f"order-{number}") for number in range(2)}
    refused = here(capfd, *WORK, "--timeout", "1", "--exec", "exit 3")
    assert refused.code == 1, refused
    assert refused.stdout == ""
    assert "not handed over: the command ended with 3; it is run again later" in refused.stderr
    ended = here(capfd, *WORK, "-o", "clips", "--exec", "cat >>taken.jsonl; echo out")
    found = objects(ended)
    assert ended.code == 0, ended
    assert {one["task_id"] for one in found} == ids
    assert sorted(one["outcome"] for one in found) == ["failed", "succeeded"]
    taken = [json.loads(line) for line in Path("taken.jsonl").read_text().splitlines()]
    # Two handlers at once: who takes its end first need not be who is printed first.
    assert sorted(taken, key=lambda one: one["task_id"]) == sorted(found, key=lambda one: one["task_id"])
    (saved,) = [one["file"] for one in found if one["file"]]
    assert Path(saved).parent == Path("clips")
    assert Path(saved).is_file()
    again = here(capfd, *WORK)
    assert (again.code, again.stdout, again.stderr) == (0, "", "0 handed over\n")


def test_a_reader_that_left_gets_it_again(account: Account, capfd: Capture) -> None:
    """What stdout did not take is not handed over: the next work prints it."""
    account.open("at-once")
    task_id = submitted(capfd, "order-17")
    with started("work", "--interval", "0.01") as running:
        assert running.process.stdout is not None
        running.process.stdout.close()
        running.process.stdout = None
        ended = running.end()
    assert ended.code == 1, ended
    assert "not handed over: stdout" in ended.stderr
    assert [one["task_id"] for one in objects(here(capfd, *WORK))] == [task_id]


def test_a_signal_ends_the_work_in_order(account: Account, capfd: Capture) -> None:
    """work takes what others submit while it runs, and a signal ends it with 0."""
    account.open("at-once")
    first = submitted(capfd, "order-17")
    with started("work", "--interval", "0.01", "--exec", "echo taken >&2") as running:
        running.wait_for("taken")
        running.process.send_signal(signal.SIGTERM)
        ended = running.end()
    assert ended.code == 0, ended
    assert [one["task_id"] for one in objects(ended)] == [first]
    assert "stopped (SIGTERM)" in ended.stderr
