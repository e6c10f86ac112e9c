"""Where nobody answers: which exit code a question gets, what became of a cancel, and how to look for a lost task."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta

import pytest

from resilient_poll.cli import session
from resilient_poll.drive.clocks import VirtualClock
from tests.cli.command_line import MAKE, Account, here
from tests.support.raw_server import Connection, RawServer, http_answer, json_answer

Capture = pytest.CaptureFixture[str]
NOBODY = ("--dialect", "dashscope", "--base-url", "http://127.0.0.1:1/api/v1")


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that does not let anybody wait, and a key."""
    monkeypatch.setattr(session, "WatchedClock", lambda *_: VirtualClock())
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-canary-canary")


@pytest.mark.parametrize("verb", ["status", "wait", "download", "cancel"])
def test_a_question_that_reached_nobody(capfd: Capture, verb: str) -> None:
    """A question about a task that no answer came to at all ends with 7, and never as licence to pay again."""
    ended = here(capfd, verb, "t1", *NOBODY, "--json")
    said = ended.object
    assert (ended.code, said["outcome"], said["safe_to_submit_again"]) == (7, "not_reached", "no")
    assert said["error"]["next_command"].startswith("resilient-poll wait t1 ")
    assert ("The cancel was not sent: the service could not be reached." in said["error"]["text"]) == (verb == "cancel")


@pytest.mark.parametrize(
    ("answer_to_cancel", "sentence", "outcome"),
    [
        (json_answer(200, {"request_id": "r"}), "The cancel was sent, and answered with HTTP 200.", "still_going"),
        (b"", "The cancel was, or may have been, sent, and its answer is lost.", "still_going"),
    ],
    ids=["accepted", "lost"],
)
def test_what_became_of_a_cancel_is_said(capfd: Capture, answer_to_cancel: bytes, sentence: str, outcome: str) -> None:
    """Where only the look after a cancel fails, the cancel's own fate is said, and the code is that of an open task."""

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            if not answer_to_cancel:
                return  # Which closes it: no look is answered either.
            connection.send(answer_to_cancel if request.method == "POST" else http_answer(502, b""))

    with RawServer(script) as server:
        ended = here(capfd, "cancel", "t1", "--dialect", "dashscope", "--base-url", server.url, "--json")
    assert (ended.code, ended.object["outcome"]) == (4, outcome), ended
    assert sentence in ended.object["error"]["text"]


def test_a_service_that_answers_badly_was_reached(capfd: Capture) -> None:
    """A question that is answered, however badly, keeps the code of a task that is still going."""
    with RawServer.answering(lambda _: http_answer(502, b"<html>")) as server:
        ended = here(capfd, "status", "t1", "--dialect", "dashscope", "--base-url", server.url)
    assert ended.code == 4, ended
    assert "The cancel" not in ended.stderr


@pytest.mark.parametrize("verb", ["submit", "run"])
def test_a_doubt_says_how_to_look(account: Account, capfd: Capture, verb: str) -> None:
    """A submit whose answer is lost, and that no ledger has, names the service's list, from just before it on."""
    began = datetime.now(UTC)
    account.open("create-dropped", "DASHSCOPE")
    ended = here(capfd, verb, *MAKE, "--dialect", "dashscope", "--no-ledger")
    assert ended.code == 5, ended
    found = re.search(r"  \$ (resilient-poll list --remote --since (\S+Z) --dialect dashscope)\n", ended.stderr)
    assert found, ended
    assert timedelta(0) < began - datetime.fromisoformat(found[2]) < timedelta(minutes=2)
    account.open("at-once", "DASHSCOPE")
    assert here(capfd, *shlex.split(found[1])[1:]).code == 0
    account.open("create-answer-lost", "AISA")
    ended = here(capfd, verb, *MAKE, "--no-ledger")
    assert (ended.code, "list --remote --since" in ended.stderr) == (5, False)


@pytest.mark.parametrize("verb", ["submit", "run"])
def test_a_doubt_says_how_to_settle_it(account: Account, capfd: Capture, verb: str) -> None:
    """A submit whose answer is lost names the command that settles it, with the key that the ledger has it under."""
    account.open("create-dropped", "DASHSCOPE")
    said = here(capfd, verb, *MAKE, "--dialect", "dashscope", "--json").object
    assert said["outcome"] == "in_doubt"
    assert said["error"]["next_command"] == f"resilient-poll reconcile {said['idempotency_key']} --dialect dashscope"


def test_no_submit_is_told_that_is_none(account: Account, capfd: Capture) -> None:
    """A usage error that sent nothing is not preceded by a line that says it was being sent."""
    account.open("at-once")
    for words in (("submit", "--model", "", "--prompt", "x"), ("run", "--model", "", "--prompt", "x")):
        ended = here(capfd, *words)
        assert ended.code == 2
        assert "submitting" not in ended.stderr
    assert "submitting" in here(capfd, "submit", *MAKE).stderr


def test_errors_name_options(account: Account, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong is said in the words of the command line, not in those of a program."""
    account.open("at-once", AISA_API_KEY="")
    assert "no API key: set AISA_API_KEY\n" in here(capfd, "submit", *MAKE).stderr
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-canary-canary")
    assert "give --dialect, or set one of" in here(capfd, "submit", *MAKE).stderr
    account.open("at-once", "DASHSCOPE")
    ended = here(capfd, "list", "--remote", "--since", "1h", "--until", "2h")
    assert ended.code == 2
    assert "--since must be before --until, and at most" in ended.stderr


@pytest.mark.parametrize("option", ["--input", "--parameters"])
def test_a_word_that_is_there_twice_is_a_mistake(account: Account, capfd: Capture, option: str) -> None:
    """JSON with one key twice is a usage error that names the key, at any depth."""
    account.open("at-once")
    for text in ('{"size": "1", "size": "2"}', '{"a": {"size": 1, "size": 1}}'):
        ended = here(capfd, "submit", *MAKE, option, text)
        assert ended.code == 2
        assert "'size' is there twice" in ended.stderr
