"""Every code of the services' tables, in every shape, through the client: the class that the table says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import resilient_poll
from resilient_poll import (
    Billing,
    CancelRefused,
    DashScope,
    DownloadFailed,
    ErrorKind,
    Phase,
    PollRefused,
    SafeToSubmitAgain,
    SubmitError,
    SubmitInDoubt,
    TaskError,
    TaskFailed,
    TryAgain,
)
from resilient_poll.dashscope.wire.dialects import DIALECTS
from resilient_poll.dashscope.wire.error_catalogue import CATALOGUE, OnCreate, catalogue_rows, classify
from resilient_poll.dashscope.wire.translate import translate_create, translate_query
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.error_kinds import Cause, advice, within
from resilient_poll.errors import ListingFailed, ResultAtOnce, Standing
from resilient_poll.machine.observations import LostAnswer, Refused, Throttled
from tests.dashscope.error_table import (
    FAILED_SHAPES,
    MESSAGE,
    SHAPES,
    TABLE,
    TASK_ID,
    Listed,
    body_in,
    class_of_failed,
    class_without_code,
    failed_in,
    has_code,
    on_create,
    on_poll,
)
from tests.dashscope.wire_bodies import BODIES, NOW_S, STATUSES, answer
from tests.support.tables import each_case

each_row = each_case("row", TABLE)
each_shape = pytest.mark.parametrize("shape", SHAPES)
Answering = Callable[[httpx.Request], httpx.Response]


def response(status: int, body: Any) -> httpx.Response:
    return httpx.Response(status, content=body) if isinstance(body, bytes) else httpx.Response(status, json=body)


class Wire:
    """One HTTP client for all tests of this module, whose answers each test chooses."""

    def __init__(self) -> None:
        self.answering: Answering = lambda _: httpx.Response(500)
        self.http_client = httpx.Client(transport=httpx.MockTransport(self._answer), verify=False)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        return self.answering(request)

    def client(self, dialect: str, answering: Answering) -> DashScope:
        """Return our client, which hears these answers on a clock of its own."""
        self.answering = answering
        return DashScope(
            dialect=dialect,
            api_key="sk-test-key-123",
            base_url="http://api.test/v1",
            http_client=self.http_client,
            clock=VirtualClock(),
        )

    def error_of_create(self, dialect: str, status: int, body: Any) -> SubmitError:
        """Return what a submit raises whose every sending is answered so."""
        with pytest.raises(SubmitError) as caught:
            self.client(dialect, lambda _: response(status, body)).submit("wan2.5-t2v-preview", {"prompt": "a cat"})
        return caught.value

    def error_of_wait(self, dialect: str, *answers: httpx.Response) -> TaskError:
        """Return what a wait raises whose polls are answered so; the last answer repeats."""
        left = list(answers)

        def next_answer(_: httpx.Request) -> httpx.Response:
            found = left.pop(0) if len(left) > 1 else left[0]
            return httpx.Response(found.status_code, headers=found.headers, content=found.content)

        with pytest.raises(TaskError) as caught:
            self.client(dialect, next_answer).task(TASK_ID).wait(20.0)
        return caught.value


RUNNING = httpx.Response(200, json={"request_id": "r0", "output": {"task_id": TASK_ID, "task_status": "RUNNING"}})


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """The one HTTP client."""
    wire = Wire()
    yield wire
    wire.http_client.close()


def said(error: SubmitError | TaskError) -> tuple[str, str | None, str]:
    return type(error).__name__, error.kind, error.try_again


@each_shape
@each_row
def test_each_code_on_a_create(wire: Wire, row: Listed, shape: str) -> None:
    """A create ends in the error and the class that the table says, and a doubt promises nothing."""
    error = wire.error_of_create(row.dialect, row.status, body_in(shape, row.code, row.message))
    name = on_create(row, shape)
    kind, again = (row.kind, row.again) if has_code(shape) else class_without_code(row.dialect, row.status)
    if name == "SubmitInDoubt" and again != "no":
        again = "unknown"
    assert said(error) == (name, kind, again)
    assert error.code == (row.code if has_code(shape) else None)
    assert error.message == (None if shape == "not JSON" else row.message)
    assert error.http_status == row.status
    assert error.says_retryable == (True if shape == "nested, retryable" else None)
    assert ("the service calls it retryable" in str(error)) == (shape == "nested, retryable")


@each_shape
@each_row
def test_each_code_on_a_poll(wire: Wire, row: Listed, shape: str) -> None:
    """A poll that is refused for good says its class; all others are absorbed, and nothing is to be submitted again."""
    error = wire.error_of_wait(row.dialect, RUNNING, response(row.status, body_in(shape, row.code, row.message)))
    name = on_poll(row, shape)
    if name == "StillRunning":
        assert said(error) == (name, None, "no")
        return
    kind, again = (row.kind, row.again) if has_code(shape) else class_without_code(row.dialect, row.status)
    assert said(error) == (name, kind, again)
    assert (error.code, error.http_status) == (row.code if has_code(shape) else None, row.status)
    assert error.safe_to_submit_again == "no"


# The gateway passes on the vendor's codes; the vendor does not speak the gateway's.
@pytest.mark.parametrize("shape", FAILED_SHAPES)
@each_case("dialect, row", [(dialect, row) for row in TABLE for dialect in sorted({row.dialect, "aisa"})])
def test_each_code_of_a_task_that_failed(wire: Wire, row: Listed, dialect: str, shape: str) -> None:
    """A failed task says its class wherever its code stands, the vendor's own through the gateway too."""
    error = wire.error_of_wait(dialect, response(200, failed_in(shape, row.code, row.message)))
    assert said(error) == ("TaskFailed", *class_of_failed(row))
    assert (error.code, error.message) == (row.code, row.message)
    assert error.safe_to_submit_again == "yes"
    assert error.standing.kind == error.kind


@pytest.mark.parametrize(
    "reason",
    [
        {"output": {"message": MESSAGE}},
        {"output": {"error": MESSAGE}},
        {"output": {}, "error": MESSAGE},
        {"output": {}, "error": {"message": MESSAGE}},
        {"output": {}, "message": MESSAGE},
    ],
)
def test_a_failure_without_a_code_is_left_to_a_person(wire: Wire, reason: dict[str, Any]) -> None:
    """Where a failed task has only a text, that text is shown and nothing is promised."""
    reason["output"].update(task_id=TASK_ID, task_status="FAILED")
    error = wire.error_of_wait("aisa", response(200, reason))
    assert said(error) == ("TaskFailed", "unlisted", "unknown")
    assert error.message == MESSAGE
    assert "read the message and decide" in str(error)


def test_the_word_agrees_with_the_pages() -> None:
    """What a page calls "no" is never tried again as it is, and what it calls "later" or "yes" is, after a pause."""
    for row in TABLE:
        allowed = {"no": {"no", "after_a_change"}, "look first": {"no"}, "later": {"later"}, "yes": {"later"}}
        assert row.again in allowed[row.page], row


def is_named(code: str, name: str) -> bool:
    return code.startswith(name[:-1]) if name.endswith("*") else code == name


def test_the_catalogue_and_the_table_list_the_same() -> None:
    """No code of the pages is missing in the catalogue, and the catalogue lists none that the pages do not."""
    for row in CATALOGUE:
        for status in row.statuses:
            same = [
                listed
                for listed in TABLE
                if (listed.dialect, listed.status) == (row.dialect, status)
                and (listed.is_by_status if row.code == "*" else is_named(listed.code, row.code))
            ]
            assert any(listed.kind == row.kind and listed.again == row.try_again for listed in same), row
    assert all(row.source.page and re.fullmatch(r"20\d\d-\d\d", row.source.read) and row.means for row in CATALOGUE)


@each_row
def test_a_code_has_one_class_for_each_status(row: Listed) -> None:
    """The table's own look-up agrees with what the client raises."""
    assert classify(row.dialect, row.code, row.message, row.status) == (row.kind, row.again)


@each_case("row", CATALOGUE)
def test_the_column_about_creates_is_what_happens(row: Any) -> None:
    """What a row says of a create is what the translator makes of it in the dialect's own shape."""
    code = row.code.replace("*", "x")
    shape = "flat" if row.dialect == "dashscope" else "nested"
    body = body_in(shape, code, f"it is about a {row.quotes or 'thing'}")
    means = {OnCreate.REFUSED: Refused, OnCreate.THROTTLED: Throttled, OnCreate.IN_DOUBT: LostAnswer}[row.on_create]
    for status in row.statuses:
        assert type(translate_create(answer(status, body), DIALECTS[row.dialect], NOW_S)) is means


UNLISTED = [
    ("dashscope", 400, "InvalidParameter.Colour", "after_a_change"),
    ("dashscope", 429, "Throttling.Moonlight", "later"),
    ("dashscope", 500, "InternalError.Moonlight", "later"),
    ("dashscope", None, "InternalError.Moonlight", "later"),
    ("dashscope", 400, "Moonlight", "after_a_change"),
    ("dashscope", 403, "Moonlight", "after_a_change"),
    ("dashscope", 409, "Conflict", "no"),
    ("dashscope", 425, "Moonlight", "later"),
    ("dashscope", 429, "Moonlight", "later"),
    ("dashscope", 502, "Moonlight", "later"),
    ("dashscope", None, "Moonlight", "unknown"),
    ("dashscope", 302, "Moonlight", "unknown"),
    ("aisa", 401, None, "after_a_change"),
    ("aisa", None, None, "unknown"),
    ("aisa", None, "", "unknown"),
]


@pytest.mark.parametrize(("dialect", "status", "code", "again"), UNLISTED)
def test_an_unlisted_code_is_called_so(dialect: str, status: int | None, code: str | None, again: str) -> None:
    """A code that no page lists is not sorted by guess: its family or its status says what is known."""
    assert classify(dialect, code, None, status) == ("unlisted", again)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("InvalidParameter", 422, "bad_input"),
        ("RequestTimeOut", 500, "timed_out"),
        ("upstream_rate_limit", 503, "throttled"),
        ("InternalError.Timeout", 500, "timed_out"),
        ("CommodityNotPurchased", 402, "money"),
    ],
)
def test_a_listed_code_is_known_under_any_status(code: str, status: int, kind: str) -> None:
    """A code says more than its status, also through the gateway and where the status is not the listed one."""
    assert classify("aisa", code, None, status)[0] == kind


@given(
    dialect=st.sampled_from(list(DIALECTS)),
    code=st.none() | st.text(max_size=30) | st.sampled_from([row.code for row in TABLE]).map(lambda code: f"{code}.x"),
    message=st.none() | st.text(max_size=30),
    status=st.none() | st.integers(100, 599),
)
def test_every_error_has_a_class(dialect: str, code: str | None, message: str | None, status: int | None) -> None:
    """Whatever comes has a class, and that is a listed one only if its code, or its bare status, is listed."""
    kind, _ = classify(dialect, code, message, status)
    is_listed = any(code == row.code for row in TABLE) or bool(
        re.match(r"(BadRequest\.|InvalidURL|upstream_)", code or "")
    )
    is_by_status = any((dialect, status) == (row.dialect, row.status) and row.is_by_status for row in TABLE)
    assert (kind is ErrorKind.UNLISTED) == (not is_listed and not is_by_status)


@given(
    dialect=st.sampled_from(list(DIALECTS)), status=STATUSES, body=BODIES, flag=st.sampled_from([True, False, "yes"])
)
def test_a_hint_that_something_is_retryable_changes_nothing(
    dialect: str, status: int, body: bytes, flag: object
) -> None:
    """Whether an answer calls itself retryable changes neither what a create nor what a poll does."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    if not isinstance(value, dict):
        return
    hinted = {**value, "retryable": flag}
    if isinstance(value.get("error"), dict):
        hinted["error"] = {**value["error"], "retryable": flag}
    for plain, other in ((value, hinted),):
        creates = [translate_create(answer(status, found), DIALECTS[dialect], NOW_S) for found in (plain, other)]
        polls = [translate_query(answer(status, found), DIALECTS[dialect], TASK_ID, NOW_S) for found in (plain, other)]
        assert type(creates[0]) is type(creates[1])
        assert type(polls[0]) is type(polls[1])


def test_what_is_not_retryable_is_shown_too(wire: Wire) -> None:
    """A service that calls its error not retryable is quoted, in a doubt as well."""
    body = {"error": {"code": "upstream_error", "message": MESSAGE, "retryable": False}}
    error = wire.error_of_create("aisa", 502, body)
    assert isinstance(error, SubmitInDoubt)
    assert error.says_retryable is False
    assert f"upstream_error: {MESSAGE}; the service calls it not retryable (given up at 20" in str(error)


@pytest.mark.parametrize("safe", SafeToSubmitAgain)
@pytest.mark.parametrize("again", TryAgain)
def test_trying_again_is_never_promised_beyond_what_is_safe(safe: SafeToSubmitAgain, again: TryAgain) -> None:
    """Where a new submit may pay twice, no word says that it makes sense, and a "no" stays a "no"."""
    left = within(safe, again)
    if safe is not SafeToSubmitAgain.YES:
        assert left in {TryAgain.NO, TryAgain.UNKNOWN}
        assert (left is TryAgain.NO) == (safe is SafeToSubmitAgain.NO or again is TryAgain.NO)
    else:
        assert left is again


SUBMITS_AND_TASKS = [
    kind
    for name in resilient_poll.__all__
    if isinstance(kind := getattr(resilient_poll, name), type) and issubclass(kind, SubmitError | TaskError)
]


@pytest.mark.parametrize("error_kind", SUBMITS_AND_TASKS)
@each_case("billing", Billing)
@each_case("again", [None, *TryAgain])
def test_no_error_promises_more(
    error_kind: type[SubmitError | TaskError], billing: Billing, again: TryAgain | None
) -> None:
    """Whatever a code says and whatever was billed, an error's two words about a new submit agree."""
    cause = None if again is None else Cause(code="x", kind=ErrorKind.UPSTREAM, try_again=again)
    standing = Standing(task_id="t", phase=Phase.FAILED, status="FAILED", billing=billing)
    arguments = ("it ended", standing) if issubclass(error_kind, TaskError) else ("it ended",)
    error = error_kind(*arguments, **({} if error_kind in {ResultAtOnce, DownloadFailed} else {"cause": cause}))
    if error_kind in {PollRefused, CancelRefused}:
        assert error.try_again is (TryAgain.UNKNOWN if again is None else again), "here it is about asking again"
    elif error.safe_to_submit_again is not SafeToSubmitAgain.YES:
        assert error.try_again in {TryAgain.NO, TryAgain.UNKNOWN}
    else:
        assert again is None or error.try_again is again


def test_only_at_once_is_true() -> None:
    """In an ``if``, only "at once" is true: a pause or a change is for the program to make first."""
    assert [word for word in TryAgain if word] == [TryAgain.YES]


@each_case("kind", ErrorKind)
@each_case("again", TryAgain)
def test_people_get_a_sentence(kind: ErrorKind, again: TryAgain) -> None:
    """Every kind with every word makes one sentence of one line."""
    text = advice(kind, again, "submit again")
    assert re.fullmatch(r"[A-Z][^.:]+(: [^.]+)?\.", text)
    assert len(text) < 100


@pytest.mark.parametrize(
    ("dialect", "status", "body", "clause"),
    [
        ("dashscope", 400, body_in("flat", "Arrearage"), "A matter of money: pay, or raise the limit on the price, "),
        ("dashscope", 429, body_in("flat", "Throttling"), "Too many requests: submit again later."),
        (
            "dashscope",
            400,
            body_in("flat", "UnsupportedOperation"),
            "Refused for good: the same again would be refused",
        ),
        ("aisa", 422, body_in("nested", "content_policy_violation"), "Content policy: change the input, then submit"),
        ("aisa", 401, body_in("nested", "invalid_api_key"), "No access: mend the key or its permissions, then submit"),
        ("aisa", 418, body_in("nested", "teapot"), "No code that is listed here: change what the message names, then"),
        ("aisa", 409, body_in("nested", "request_in_progress"), "stands in the way: look at what became of that one."),
    ],
)
def test_a_create_says_what_to_do(wire: Wire, dialect: str, status: int, body: Any, clause: str) -> None:
    """The text of a submit's error ends in what to do about it."""
    assert clause in str(wire.error_of_create(dialect, status, body))


def test_a_failed_task_says_what_to_do(wire: Wire) -> None:
    """The text of a failed task says that nothing is owed and whether a new one makes sense."""
    policy = wire.error_of_wait("dashscope", response(200, failed_in("in output", "DataInspectionFailed")))
    assert isinstance(policy, TaskFailed)
    assert "Nothing is owed for it. Content policy: change the input, then submit again." in str(policy)
    fault = wire.error_of_wait("dashscope", response(200, failed_in("in output", "InternalError.Algo")))
    assert "Nothing is owed for it. A fault at the service: submit again later." in str(fault)


def test_a_refused_poll_says_what_to_do(wire: Wire) -> None:
    """A poll that is refused says how to go on waiting, and never to submit again."""
    error = wire.error_of_wait("dashscope", RUNNING, response(401, body_in("flat", "InvalidApiKey")))
    assert isinstance(error, PollRefused)
    assert "Do not submit again: that would pay twice. No access: mend the key or its permissions, then wait" in str(
        error
    )


def test_a_canceled_task_with_a_reason_promises_nothing(wire: Wire) -> None:
    """A task that policy stopped says why, and, as a part of it may be billed, not that trying again is fine."""
    body = failed_in("in output", "DataInspectionFailed")
    body["output"]["task_status"] = "CANCELED"
    assert said(wire.error_of_wait("aisa", response(200, body))) == ("TaskCanceled", "content_policy", "unknown")
    del body["output"]["code"]
    assert said(wire.error_of_wait("aisa", response(200, body))) == ("TaskCanceled", None, "unknown")


@pytest.mark.parametrize(
    ("status", "code", "kind", "again"),
    [
        ("RUNNING", "Throttling", None, "no"),
        ("SUCCEEDED", "200", None, "no"),
        ("CANCELED", "DataInspectionFailed", "content_policy", "unknown"),
        ("FAILED", "DataInspectionFailed", "content_policy", "after_a_change"),
    ],
)
def test_where_a_task_stands_has_a_class_only_if_it_failed(
    wire: Wire, status: str, code: str, kind: str | None, again: str
) -> None:
    """A standing says why a task failed, and of one that goes on or succeeded never that it should be made again."""
    body = failed_in("in output", code)
    body["output"].update(task_status=status, video_url="http://assets.test/clip.mp4")
    standing = wire.client("dashscope", lambda _: response(200, body)).task(TASK_ID).refresh()
    assert (standing.kind, standing.try_again) == (kind, again)


def test_no_code_is_listed_by_both_dialects() -> None:
    """The gateway's codes and the vendor's cannot be taken for each other, so the gateway may pass the vendor's on."""
    vendor, gateway = ({row.code for row in CATALOGUE if row.dialect == name} - {"*"} for name in ("dashscope", "aisa"))
    assert not any(is_named(code, name) or is_named(name, code) for code in vendor for name in gateway)


def test_a_refused_cancel_has_a_class(wire: Wire) -> None:
    """A cancel that is refused says the code, its class and what asking again would do."""

    def answering(request: httpx.Request) -> httpx.Response:
        return response(400, body_in("flat", "UnsupportedOperation")) if request.method == "POST" else RUNNING

    with pytest.raises(CancelRefused) as caught:
        wire.client("dashscope", answering).task(TASK_ID).cancel()
    assert said(caught.value) == ("CancelRefused", "refused", "no")
    assert (caught.value.code, caught.value.http_status) == ("UnsupportedOperation", 400)


@pytest.mark.parametrize(
    ("status", "code", "kind", "again", "clause"),
    [
        (
            401,
            "InvalidApiKey",
            "access",
            "after_a_change",
            "No access: mend the key or its permissions, then ask again.",
        ),
        (429, "Throttling", "throttled", "later", "Too many requests: ask again later."),
    ],
)
def test_a_list_that_does_not_come_has_a_class(
    wire: Wire, status: int, code: str, kind: str, again: str, clause: str
) -> None:
    """A list that is refused or put off says the class of its code, and that asking changed nothing."""
    client = wire.client("dashscope", lambda _: response(status, body_in("flat", code)))
    with pytest.raises(ListingFailed) as caught:
        list(client.list_remote())
    assert (caught.value.kind, caught.value.try_again) == (kind, again)
    assert f"Nothing was changed by asking. {clause}" in str(caught.value)


def test_a_result_at_once_that_is_in_doubt_has_a_class(wire: Wire) -> None:
    """A synchronous create whose answer is a fault says its class, and promises nothing."""
    client = wire.client("dashscope", lambda _: response(500, body_in("flat", "InternalError")))
    with pytest.raises(SubmitInDoubt) as caught:
        client.generate("qwen-image", {"messages": []})
    assert said(caught.value) == ("SubmitInDoubt", "upstream", "unknown")
    assert caught.value.code == "InternalError"


def test_the_table_for_people_is_whole() -> None:
    """The documented table holds every code once for each of its meanings, in words that a table can hold."""
    rows = list(catalogue_rows())
    assert {len(row) for row in rows} == {7}
    assert not any("|" in cell or "\n" in cell or not cell for row in rows for cell in row)
    shown = [
        (row[0], row[1], code)
        for row in rows
        for code in re.findall(r"`([^`]+)`", row[2]) or [row[2]]
        if "'" not in code
    ]
    assert len(shown) == len(set(shown)) + 1, "the token plan's form shares its code"
    assert {code for _, _, code in shown} == {"any" if row.code == "*" else row.code for row in CATALOGUE}
