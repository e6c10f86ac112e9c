"""Every code of the services' tables through the command line: JSON says its class in words, people get a clause."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.command_line import MAKE, PATHS, SOON, Ended, here
from tests.dashscope.error_table import (
    OWN_SHAPES,
    TABLE,
    TASK_ID,
    Listed,
    body_in,
    class_of_failed,
    failed_in,
    on_create,
    on_poll,
)
from tests.support.raw_server import RawServer, json_answer

Capture = pytest.CaptureFixture[str]
ERROR_WORDS = [
    "type",
    "text",
    "kind",
    "try_again",
    "code",
    "message",
    "request_id",
    "come_back_in_s",
    "next_command",
]
"""Written out, so that a changed order is seen in a review."""
EXIT_CODES = {
    "SubmitRefused": 6,
    "SubmitThrottled": 7,
    "SubmitInDoubt": 5,
    "PollRefused": 6,
    "StillRunning": 4,
    "StillUnknown": 4,
    "TaskFailed": 3,
}
NOT_TODAY = {"retry-after": "3600"}
"""Whatever would be asked again is left at once: no test waits."""
each_row = pytest.mark.parametrize("row", TABLE, ids=str)


class Service:
    """A service that answers everything in the same way."""

    def __init__(self, server: RawServer, says: list[bytes]) -> None:
        self.url = server.url
        self._says = says

    def says(self, status: int, body: Any) -> None:
        """Choose the answer."""
        self._says[:] = [json_answer(status, body, NOT_TODAY if status != 200 else None)]


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    """One server for all tests of this module."""
    says: list[bytes] = []
    with RawServer.answering(lambda _: says[0]) as server:
        yield Service(server, says)


@pytest.fixture
def service(server: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service, with both keys in the environment."""
    for family in PATHS:
        monkeypatch.setenv(f"{family}_API_KEY", "sk-test-key-123")
    return server


def run(capfd: Capture, service: Service, dialect: str, *words: str) -> Ended:
    return here(capfd, *words, "--dialect", dialect, "--base-url", service.url + PATHS[dialect.upper()])


def error_of(ended: Ended) -> dict[str, Any]:
    """Return the object under ``error``, whose keys and their order are pinned here."""
    error: dict[str, Any] = ended.object["error"]
    assert list(error) == ERROR_WORDS
    assert ended.code == EXIT_CODES[error["type"]]
    return error


@pytest.mark.thorough(plain=16)
@each_row
def test_each_code_on_a_create(service: Service, capfd: Capture, row: Listed) -> None:
    """A create that is refused, put off or in doubt says the class of its code, and a doubt promises nothing."""
    shape = OWN_SHAPES[row.dialect][0]
    service.says(row.status, body_in(shape, row.code, row.message))
    ended = run(capfd, service, row.dialect, "submit", *MAKE, "--json")
    error = error_of(ended)
    name = on_create(row, shape)
    again = "unknown" if name == "SubmitInDoubt" and row.again != "no" else row.again
    assert (error["type"], error["kind"], error["try_again"]) == (name, row.kind, again)
    assert (error["code"], error["message"], error["request_id"]) == (row.code, row.message, "r1")


@pytest.mark.thorough(plain=22)
@each_row
def test_each_code_on_a_poll(service: Service, capfd: Capture, row: Listed) -> None:
    """A poll that is refused for good says the class of its code; a passing one has none, as the task goes on."""
    shape = OWN_SHAPES[row.dialect][0]
    service.says(row.status, body_in(shape, row.code, row.message))
    error = error_of(run(capfd, service, row.dialect, "wait", TASK_ID, *SOON, "--json"))
    if on_poll(row, shape) == "PollRefused":
        assert (error["type"], error["kind"], error["try_again"]) == ("PollRefused", row.kind, row.again)
        assert (error["code"], error["message"]) == (row.code, row.message)
    else:
        assert (error["type"], error["kind"], error["try_again"]) == ("StillUnknown", None, "no")


@pytest.mark.thorough(plain=44)
@pytest.mark.parametrize("command", [("wait", *SOON), ("status",)])
@each_row
def test_each_code_of_a_task_that_failed(
    service: Service, capfd: Capture, row: Listed, command: tuple[str, ...]
) -> None:
    """A failed task says the class of its code, to whoever waits for it and to whoever asks where it stands."""
    service.says(200, failed_in("in output", row.code, row.message))
    verb, *options = command
    error = error_of(run(capfd, service, row.dialect, verb, TASK_ID, *options, "--json"))
    assert (error["type"], error["kind"], error["try_again"]) == ("TaskFailed", *class_of_failed(row))
    assert (error["code"], error["message"]) == (row.code, row.message)


@pytest.mark.parametrize(
    ("status", "code", "clause"),
    [
        (400, "Arrearage", "A matter of money: pay, or raise the limit on the price, then submit again."),
        (429, "Throttling", "Too many requests: submit again later."),
        (400, "DataInspectionFailed", "Content policy: change the input, then submit again."),
        (400, "UnsupportedOperation", "Refused for good: the same again would be refused as well."),
        (401, "InvalidApiKey", "No access: mend the key or its permissions, then submit again."),
        (418, "Teapot", "No code that is listed here: change what the message names, then submit again."),
    ],
)
def test_people_read_what_to_do_about_a_create(
    service: Service, capfd: Capture, status: int, code: str, clause: str
) -> None:
    """Without --json the same is said in a clause, on stderr."""
    service.says(status, body_in("flat", code))
    ended = run(capfd, service, "dashscope", "submit", *MAKE)
    assert clause in ended.stderr
    assert ended.stdout == ""


def test_people_read_what_to_do_about_a_failed_task(service: Service, capfd: Capture) -> None:
    """A failed task says it on stderr where success was waited for, and on stdout where its standing was asked."""
    service.says(200, failed_in("in output", "InternalError.Algo"))
    clause = "A fault at the service: submit again later."
    assert clause in run(capfd, service, "dashscope", "wait", TASK_ID, *SOON).stderr
    assert f"\n  {clause}\n" in run(capfd, service, "dashscope", "status", TASK_ID).stdout


def test_a_refused_cancel_says_its_class(service: Service, capfd: Capture) -> None:
    """A cancel that is refused says the class of its code."""
    service.says(400, body_in("flat", "UnsupportedOperation"))
    ended = run(capfd, service, "dashscope", "cancel", TASK_ID, "--json")
    error = ended.object["error"]
    assert (ended.code, error["type"], error["kind"], error["try_again"]) == (6, "CancelRefused", "refused", "no")


def test_a_wrong_call_is_to_be_mended(service: Service, capfd: Capture) -> None:
    """A call that makes no sense has no class, and is to be changed."""
    error = run(capfd, service, "aisa", "cancel", TASK_ID, "--json").object["error"]
    assert list(error) == ERROR_WORDS
    assert (error["kind"], error["try_again"]) == (None, "after_a_change")
