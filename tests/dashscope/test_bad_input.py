"""What makes no sense is refused in one sentence before anything is sent, and nothing that was paid is lost by it."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resilient_poll import (
    AsyncDashScope,
    ConfigurationError,
    DashScope,
    ResilientPollError,
    SnapshotError,
    SubmitPolicy,
    WaitPolicy,
)
from resilient_poll.drive.clocks import VirtualClock
from tests.dashscope.scripted import EACH, KEY, Asked, Reply, a_client, said
from tests.support.colours import INPUT, MODEL, got, run_in
from tests.support.profiles import examples

in_each_way = pytest.mark.parametrize(("colour", "library"), EACH)
by_type = {"ids": lambda value: type(value).__name__}
HUGE = 10**5000


class Boom:
    """A value whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr for you")


CIRCLE: dict[str, Any] = {}
CIRCLE["self"] = CIRCLE
DEEP: Any = []
for _ in range(100_000):
    DEEP = [DEEP]
TEXTS: list[Any] = [None, "", "   ", 5, 1.5, True, b"wan", ["wan"], {"wan": 1}, object(), Boom(), HUGE, math.nan]
INPUTS: list[Any] = [
    *(None, "a cat", 5, [("prompt", "a cat")], ["prompt"], b"{}", {"prompt"}, object(), Boom(), HUGE, math.nan),
    *({"prompt": math.nan}, {"prompt": math.inf}, {"prompt": HUGE}, {"prompt": b"a cat"}, {"prompt": {1, 2}}),
    *({b"prompt": "a cat"}, {("a", "b"): 1}, {"prompt": "\ud800"}, {"\ud800": 1}, {"prompt": object()}),
    *({"prompt": Boom()}, {"prompt": datetime(2026, 1, 1, tzinfo=UTC)}, CIRCLE, {"deep": DEEP}, {math.nan: 1}),
]
TIMEOUTS: list[Any] = [0, -1, math.nan, math.inf, -math.inf, "60", b"60", True, [], HUGE, -HUGE, 1e10, Boom(), object()]
TASK_IDS: list[Any] = [
    *("", " ", "a/b", "../x", "..", ".", "a\n", "\na", "a b", "a?b", "a#b", "a%2fb", "\u00e9", "\ud800", "x" * 201),
    *("a" * 10**7, "-a", "a\x00", "a\\b", None, 5, 1.5, b"task", ["task"], {}, object(), Boom(), HUGE, True),
]


def nothing_is_sent(asked: Asked) -> Reply:
    raise AssertionError(f"something was sent: {asked.method} {asked.path}")


def is_one_sentence(error: BaseException) -> None:
    text = str(error)
    assert text
    assert len(text) < 600, "megabytes are quoted"
    assert "\n" not in text
    text.encode()  # No half of a character: it will be printed.


async def refused(call: Any, match: str | None = None) -> ConfigurationError:
    """Check that a call is refused as a misuse, in one sentence, and return the error."""
    with pytest.raises(ConfigurationError, match=match) as caught:
        await got(call())
    is_one_sentence(caught.value)
    return caught.value


@pytest.mark.parametrize("what", ["submit", "generate"])
@in_each_way
def test_a_create_that_makes_no_sense_is_never_sent(colour: str, library: str, what: str) -> None:
    """A model, input, parameters, endpoint or time that makes no sense is refused, and it is safe to submit again."""

    async def main() -> None:
        async with a_client(colour, library, nothing_is_sent) as client:
            create = getattr(client, what)
            errors = [await refused(lambda v=wrong: create(v, INPUT)) for wrong in [*TEXTS, "\ud800"]]
            errors += [await refused(lambda v=wrong: create(MODEL, v)) for wrong in INPUTS]
            for wrong in INPUTS:
                if wrong is not None:
                    errors.append(await refused(lambda v=wrong: create(MODEL, INPUT, v)))
            errors += [await refused(lambda v=wrong: create(MODEL, INPUT, timeout=v)) for wrong in TIMEOUTS]
            errors += [await refused(lambda v=wrong: create(MODEL, INPUT, endpoint=v)) for wrong in [*TEXTS, "/../x"]]
            for error in errors:
                assert error.safe_to_submit_again, error
                assert "nothing was sent" in str(error), error

    run_in(colour, main)


@in_each_way
def test_a_time_below_the_shortest_create_is_refused(colour: str, library: str) -> None:
    """A submit that could never start is refused rather than never sent."""

    async def main() -> None:
        async with a_client(colour, library, nothing_is_sent) as client:
            for what in (client.submit, client.generate):
                error = await refused(lambda call=what: call(MODEL, INPUT, timeout=0.5), "at least 1 s")
                assert error.safe_to_submit_again

    run_in(colour, main)


@in_each_way
def test_a_long_prompt_is_sent_whole(colour: str, library: str) -> None:
    """Ten megabytes of prompt are sent as they are: how long is too long is the service's to say."""
    bodies: list[bytes] = []
    prompt = "a cat \U0001f408 " * 800_000

    def answers(asked: Asked) -> Reply:
        bodies.append(asked.body)
        return Reply(413, {"code": "BadRequest.TooLarge", "message": "too large"})

    async def main() -> None:
        async with a_client(colour, library, answers) as client:
            with pytest.raises(ResilientPollError, match="TooLarge") as caught:
                await got(client.submit(MODEL, {"prompt": prompt}))
            is_one_sentence(caught.value)

    run_in(colour, main)
    (body,) = bodies
    assert json.loads(body)["input"]["prompt"] == prompt


@in_each_way
def test_any_mapping_is_an_input(colour: str, library: str) -> None:
    """An input may be any mapping; what it is at the call is what is sent, also by a retry."""
    bodies: list[Any] = []

    def answers(asked: Asked) -> Reply:
        if asked.method == "GET":
            return said("task-1", "FAILED", code="InternalError.Algo", message="x")
        bodies.append(json.loads(asked.body))
        return said("task-1", "PENDING")

    async def main() -> None:
        async with a_client(colour, library, answers) as client:
            mutable = {"prompt": "a cat"}
            task = await got(client.submit(MODEL, MappingProxyType(mutable), MappingProxyType({"n": 1})))
            mutable["prompt"] = "a dog"
            with pytest.raises(ResilientPollError):
                await got(task.wait())
            await got(task.retry())

    run_in(colour, main)
    assert bodies == [{"model": MODEL, "input": {"prompt": "a cat"}, "parameters": {"n": 1}}] * 2


@pytest.mark.parametrize("wrong", TASK_IDS, **by_type)
@in_each_way
def test_what_is_no_task_id_is_no_path(colour: str, library: str, wrong: Any) -> None:
    """What is no task id is refused before it could become a path or a header."""

    async def main() -> None:
        async with a_client(colour, library, nothing_is_sent) as client:
            await refused(lambda: client.task(wrong), "nothing was sent")

    run_in(colour, main)


@pytest.mark.parametrize("token", ["rpt1.", "rpt1.x", "rpt1.\ud800", "rpt1." + "A" * 20_000, "rpt1.e30", "rpt1.bnVsbA"])
@in_each_way
def test_what_is_no_token_is_refused(colour: str, library: str, token: str) -> None:
    """A damaged resume token is refused in one sentence."""

    async def main() -> None:
        async with a_client(colour, library, nothing_is_sent) as client:
            with pytest.raises(SnapshotError) as caught:
                client.task(token)
            is_one_sentence(caught.value)

    run_in(colour, main)


@in_each_way
def test_a_wait_that_makes_no_sense_leaves_the_task(colour: str, library: str) -> None:
    """A time or deadline that makes no sense is refused at once, licenses no submit, and the task can be waited for."""
    asked: list[Asked] = []

    def answers(question: Asked) -> Reply:
        asked.append(question)
        return said("task-1", "SUCCEEDED", video_url="https://assets.test/x.mp4")

    async def main() -> None:
        async with a_client(colour, library, answers) as client:
            task = client.task("task-1")
            naive = datetime(2026, 1, 1)  # noqa: DTZ001  # the point
            moments = ["2026-01-01", date(2026, 1, 1), 1.8e9, naive, object(), Boom(), HUGE]
            errors = [await refused(lambda v=wrong: task.wait(timeout=v)) for wrong in TIMEOUTS]
            errors += [await refused(lambda v=wrong: task.wait(deadline=v)) for wrong in moments]
            assert not any(error.safe_to_submit_again for error in errors)
            assert asked == []
            assert (await got(task.wait())).task_id == "task-1"

    run_in(colour, main)


CLIENT_OPTIONS: list[tuple[str, Any]] = [
    *(("wait_policy", wrong) for wrong in (5, {}, "", 0, {"timeout_s": 5}, SubmitPolicy(), Boom())),
    *(("submit_policy", wrong) for wrong in (5, {}, "", 0, WaitPolicy(), Boom())),
    *(("clock", wrong) for wrong in (5, "", 0, object(), Boom())),
    *(("on_event", wrong) for wrong in (5, "print", {}, Boom())),
    *(("headers", wrong) for wrong in (5, "x: y", [("x", "y")], {b"x": "y"}, {"x": b"y"}, {"x": 5}, {"x\n": "y"}, "")),
    *(("headers", {"authorization": "Bearer x"}), ("headers", {"x": "\ud800"}), ("headers", Boom())),
    *(("dialect", wrong) for wrong in (5, [], {}, "", "nobody", b"aisa", Boom())),
    *(("api_key", wrong) for wrong in (5, b"sk-x", "", " ", "sk x", "sk-\n", "\ud800", "k" * 10_000, [])),
    *(("base_url", wrong) for wrong in (5, b"http://x", "", "x", "ftp://x", "http://", "http://a b", "http://x?y", [])),
    *(("http_client", wrong) for wrong in (5, "httpx", object(), DashScope)),
]


@pytest.mark.parametrize(("name", "wrong"), CLIENT_OPTIONS, ids=lambda value: value if isinstance(value, str) else "x")
@pytest.mark.parametrize("kind", [DashScope, AsyncDashScope])
def test_a_client_of_nonsense_is_not_made(kind: Any, name: str, wrong: Any) -> None:
    """An option of the wrong kind is refused when the client is made, not once a task is paid; no key is shown."""
    options = {"dialect": "dashscope", "api_key": KEY, "base_url": "http://api.test/v1"}
    with pytest.raises(ConfigurationError) as caught:
        kind(**{**options, name: wrong})
    is_one_sentence(caught.value)
    assert KEY not in str(caught.value)


def test_a_clock_that_blocks_is_no_clock_for_code_that_awaits() -> None:
    """A clock of the other colour is refused when the client is made, not in the middle of a submit."""
    options = {"dialect": "dashscope", "api_key": KEY, "base_url": "http://api.test/v1"}
    with pytest.raises(ConfigurationError, match="clock"):
        AsyncDashScope(**options, clock=VirtualClock())  # type: ignore[arg-type]  # the point
    with pytest.raises(ConfigurationError, match="clock"):
        DashScope(**options, clock=VirtualClock().for_async())  # type: ignore[arg-type]  # the point


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.binary(max_size=10)
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.binary(max_size=3) | st.integers() | st.floats(), inner, max_size=3)
    ),
    max_leaves=8,
)


named = st.dictionaries(st.text(max_size=5), anything, max_size=3)


@given(
    model=st.text(max_size=10) | anything,
    given_input=named | named | anything,
    parameters=st.none() | named | anything,
    endpoint=st.sampled_from(["video", "/x/y"]) | st.text(max_size=10) | anything,
    timeout=st.none() | st.floats() | anything,
)
@settings(max_examples=examples(300), deadline=None)
def test_whatever_is_passed_is_sent_whole_or_refused(
    model: Any, given_input: Any, parameters: Any, endpoint: Any, timeout: Any
) -> None:
    """Whatever is passed to a submit, it is sent as JSON that reads back as what was passed, or refused as a misuse."""
    bodies: list[Any] = []

    def answers(asked: Asked) -> Reply:
        bodies.append(json.loads(asked.body))
        return said("task-1", "PENDING")

    async def main() -> None:
        async with a_client("sync", "httpx", answers) as client:
            chosen = endpoint if endpoint is not None else "video"
            try:
                client.submit(model, given_input, parameters, endpoint=chosen, timeout=timeout)
            except ConfigurationError as error:
                is_one_sentence(error)
                assert error.safe_to_submit_again  # noqa: PT017  # whichever of the two happens
                assert bodies == []

    run_in("sync", main)
    for body in bodies:
        assert body["model"] == model
        assert body["input"] == json.loads(json.dumps(given_input))
        assert body.get("parameters", {}) == json.loads(json.dumps(parameters or {}))


@given(st.text(max_size=50) | st.binary(max_size=20) | anything)
@example("0:")
@settings(max_examples=examples(300), deadline=None)
def test_whatever_names_a_task_is_one_segment_or_refused(wrong: Any) -> None:
    """Whatever is passed as a task's id, what is asked for is that one segment below the tasks, or nothing."""
    paths: list[str] = []

    def answers(asked: Asked) -> Reply:
        paths.append(asked.path)
        return said(asked.path.rpartition("/")[2].replace("%3A", ":"), "RUNNING")

    async def main() -> None:
        async with a_client("sync", "httpx", answers) as client:
            try:
                client.task(wrong).refresh()
            except (ConfigurationError, SnapshotError) as error:
                is_one_sentence(error)

    run_in("sync", main)
    assert all(path.removeprefix("/v1/tasks/").replace("%3A", ":") == wrong for path in paths)
