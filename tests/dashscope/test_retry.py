"""Creating once more is an act of its own: after an end that cost nothing, once, or with the caller's plain consent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

import pytest
from hypothesis import strategies as st

from resilient_poll import (
    Billing,
    ConfigurationError,
    ResilientPollError,
    SubmitInDoubt,
    SubmitPolicy,
    SubmitRefused,
    TaskEnded,
    TaskError,
    TaskFailed,
)
from resilient_poll.dashscope.task_core import TaskCore
from resilient_poll.drive.clocks import VirtualClock
from tests.dashscope.scripted import EACH, Asked, Broken, Reply, a_client, said
from tests.support.colours import INPUT, MODEL, got, run_in
from tests.support.properties import Property

URL = "https://assets.test/clip.mp4"
in_each_way = pytest.mark.parametrize(("colour", "library"), EACH)
BLOCKED = {"code": "DataInspectionFailed", "message": "no"}


class Service:
    """Accepts creates and answers about each task with what a test says.

    Args:
        ends: What becomes of each task, in order; the last repeats.
        creates: What the second and later creates are answered with, in order; accepted once these are used up.
    """

    def __init__(self, *ends: dict[str, Any], creates: tuple[Reply | Broken, ...] = ()) -> None:
        self._ends = ends
        self._creates = list(creates)
        self.bodies: list[dict[str, Any]] = []
        self.accepted = 0

    def __call__(self, asked: Asked) -> Reply | Broken:
        if asked.method == "GET":
            number = int(asked.path.rpartition("-")[2])
            end = dict(self._ends[min(number, len(self._ends)) - 1])
            usage = end.pop("usage", {})
            reply = said(f"task-{number}", end.pop("word"), **end)
            reply.body["usage"] = usage
            return reply
        self.bodies.append(json.loads(asked.body))
        if len(self.bodies) > 1 and self._creates:
            return self._creates.pop(0)
        self.accepted += 1
        return said(f"task-{self.accepted}", "PENDING")


FAILED = {"word": "FAILED", "code": "InternalError.Algo", "message": "sorry"}
MADE = {"word": "SUCCEEDED", "video_url": URL}
ALL_FAILED = {"word": "SUCCEEDED", "results": [BLOCKED], "usage": {"image_count": 0}}
ONE_FAILED = {"word": "SUCCEEDED", "results": [BLOCKED, {"url": URL}], "usage": {"image_count": 1}}
CANCELED, RUNNING, UNKNOWN = {"word": "CANCELED"}, {"word": "RUNNING"}, {"word": "UNKNOWN"}


async def ended_task(client: Any, **options: Any) -> Any:
    task = await got(client.submit(MODEL, INPUT, {"size": "1280*720"}, **options))
    with contextlib.suppress(TaskError):
        await got(task.wait(timeout=200.0))
    return task


@in_each_way
def test_after_a_failure_it_is_created_once_more(colour: str, library: str) -> None:
    """After a failure that cost nothing the same request makes a new task, and the old one stays as it ended."""
    service = Service(FAILED, MADE)

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            task = await ended_task(client)
            again = await got(task.retry())
            assert (again.id, task.id) == ("task-2", "task-1")
            assert (await got(again.wait())).video_url == URL
            assert (task.billing, again.billing) == (Billing.NONE, Billing.BILLED)

    run_in(colour, main)
    assert len(service.bodies) == 2
    assert service.bodies[0] == service.bodies[1]


@in_each_way
def test_a_success_that_made_nothing_may_be_tried_again(colour: str, library: str) -> None:
    """After a success in which everything failed and nothing was counted, trying again pays nothing twice."""
    service = Service(ALL_FAILED, MADE)

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            task = await ended_task(client, endpoint="text-to-image")
            assert task.billing is Billing.NONE
            await got(task.retry())

    run_in(colour, main)
    assert service.accepted == 2


@in_each_way
@pytest.mark.parametrize("end", [MADE, ONE_FAILED, CANCELED, UNKNOWN], ids=lambda end: end["word"])
def test_what_was_or_may_have_been_charged_needs_consent(colour: str, library: str, end: dict[str, Any]) -> None:
    """After an end that is or may be charged nothing is sent again without the caller's plain consent."""
    service = Service(end, MADE)

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            task = await ended_task(client)
            with pytest.raises(TaskError, match="nothing was sent again, since both may be charged"):
                await got(task.retry())
            assert service.accepted == 1
            assert (await got(task.retry(accept_second_charge=True))).id == "task-2"

    run_in(colour, main)


@in_each_way
def test_a_task_that_goes_on_is_not_created_again(colour: str, library: str) -> None:
    """What is not known to have ended is not created again, whatever the caller consents to."""
    service = Service(RUNNING)

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            task = await ended_task(client)
            for consent in (False, True):
                with pytest.raises(TaskError, match="not known to have ended"):
                    await got(task.retry(accept_second_charge=consent))

    run_in(colour, main)
    assert service.accepted == 1


@in_each_way
def test_a_task_of_which_only_the_id_is_known_is_not_created_again(colour: str, library: str) -> None:
    """A task that was picked up by its id has no request that could be sent again."""
    service = Service(FAILED)

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            task = client.task("task-1")
            with pytest.raises(TaskFailed):
                await got(task.wait())
            with pytest.raises(ConfigurationError, match=r"not known here.*nothing was sent"):
                await got(task.retry())

    run_in(colour, main)
    assert service.bodies == []


@in_each_way
def test_it_is_created_once_more_once(colour: str, library: str) -> None:
    """Two places that both retry the same failure pay once: the second is refused, and told how to insist."""
    service = Service(FAILED, MADE)

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            task = await ended_task(client)
            await got(task.retry())
            with pytest.raises(TaskError, match="created once more already"):
                await got(task.retry())
            assert service.accepted == 2
            assert (await got(task.retry(accept_second_charge=True))).id == "task-3"

    run_in(colour, main)


@in_each_way
def test_after_a_doubt_it_is_not_created_again(colour: str, library: str) -> None:
    """A retry whose answer is lost has used up the licence: there may be a task."""
    service = Service(FAILED, creates=(Broken("ReadTimeout"),))

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            task = await ended_task(client)
            with pytest.raises(SubmitInDoubt):
                await got(task.retry())
            with pytest.raises(TaskError, match="created once more already"):
                await got(task.retry())

    run_in(colour, main)
    assert len(service.bodies) == 2


@in_each_way
def test_a_refusal_after_a_doubt_gives_no_licence_back(colour: str, library: str) -> None:
    """A doubt stays one: a later retry that was consented to and refused does not undo it."""
    service = Service(FAILED, creates=(Broken("ReadTimeout"), Reply(400, {"code": "Arrearage", "message": "pay"})))

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            task = await ended_task(client)
            with pytest.raises(SubmitInDoubt):
                await got(task.retry())
            with pytest.raises(SubmitRefused):
                await got(task.retry(accept_second_charge=True))
            with pytest.raises(TaskError, match="created once more already"):
                await got(task.retry())

    run_in(colour, main)
    assert len(service.bodies) == 3


@in_each_way
def test_after_a_refusal_it_may_be_tried_again(colour: str, library: str) -> None:
    """A retry of which surely nothing came leaves the licence: refused, or of a call that made no sense."""
    service = Service(FAILED, MADE, creates=(Reply(400, {"code": "Arrearage", "message": "pay"}),))

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            task = await ended_task(client)
            with pytest.raises(SubmitRefused):
                await got(task.retry())
            with pytest.raises(ConfigurationError, match="timeout must be"):
                await got(task.retry(timeout=-1))
            assert (await got(task.retry())).id == "task-2"

    run_in(colour, main)


@pytest.mark.parametrize("consent", ["false", "yes", 1, 0, None, [], "True"], ids=ascii)
@in_each_way
def test_consent_is_a_plain_yes(colour: str, library: str, consent: Any) -> None:
    """What is neither True nor False is no consent: the text "false" would be true in an if, and pay."""
    service = Service(MADE)

    async def main() -> None:
        async with a_client(colour, library, service) as client:
            task = await ended_task(client)
            with pytest.raises(ConfigurationError, match=r"must be True or False.*nothing was sent"):
                await got(task.retry(accept_second_charge=consent))

    run_in(colour, main)
    assert service.accepted == 1


def test_two_that_retry_at_once_pay_once() -> None:
    """Two tasks of one event loop that retry the same failure at the same time make one new task."""
    service = Service(FAILED, MADE)

    async def main() -> list[Any]:
        async with a_client("asyncio", "httpx", service) as client:
            task = await ended_task(client)
            return await asyncio.gather(task.retry(), task.retry(), return_exceptions=True)

    ended = asyncio.run(main())
    assert service.accepted == 2
    assert sorted(type(each).__name__ for each in ended) == ["AsyncTask", "RetryRefused"]


def test_a_retry_tells_its_new_task(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the new task like any other that was accepted."""
    caplog.set_level(logging.INFO, "resilient_poll")

    async def main() -> None:
        async with a_client("sync", "httpx", Service(FAILED, MADE)) as client:
            (await ended_task(client)).retry()

    run_in("sync", main)
    assert any("task task-2 accepted" in record.getMessage() for record in caplog.records)


# The property.

ends = st.sampled_from([FAILED, MADE, ALL_FAILED, ONE_FAILED, CANCELED, RUNNING, UNKNOWN])
replies: st.SearchStrategy[Reply | Broken] = st.sampled_from(
    [
        Broken("ReadTimeout"),
        Reply(500, {"code": "InternalError", "message": "x"}),
        Reply(400, {"code": "InvalidParameter", "message": "x"}),
        Reply(429, {"code": "Throttling", "message": "x"}),
        Reply(200, {"output": {}}),
    ]
)


def pays_only_with_consent(end: dict[str, Any], answers: list[Reply | Broken], consents: list[bool]) -> None:
    service, clock = Service(end, MADE, creates=tuple(answers)), VirtualClock()
    free = end in (FAILED, ALL_FAILED)

    async def main() -> None:
        policy = SubmitPolicy(timeout_s=5.0)
        async with a_client("sync", "httpx", service, clock, submit_policy=policy) as client:
            task = await ended_task(client, endpoint="/services/any/thing")
            licences = 1 if free else 0
            for consent in consents:
                sent = len(service.bodies)
                try:
                    task.retry(accept_second_charge=consent)
                    safe = False
                except TaskEnded:
                    raise
                except ResilientPollError as error:
                    safe = bool(error.safe_to_submit_again)
                may_send = end is not RUNNING and (consent or licences > 0)
                assert may_send or len(service.bodies) == sent, "sent without a licence"
                if len(service.bodies) > sent and not safe:
                    licences = 0

    run_in("sync", main)


CONSENT = Property(
    pays_only_with_consent,
    end=ends,
    answers=st.lists(replies, max_size=4),
    consents=st.lists(st.booleans(), min_size=1, max_size=5),
    examples=200,
)


def test_nothing_is_paid_twice_without_consent() -> None:
    """In whatever order it is retried, and whatever answers are lost, a second charge takes the caller's consent."""
    CONSENT.holds()


def test_a_licence_that_is_never_used_up_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a retry does not use up its licence."""
    original = TaskCore._create_for_retry

    def forgetful(self: TaskCore, **consent: Any) -> Any:
        self._was_retried = False
        return original(self, **consent)

    monkeypatch.setattr(TaskCore, "_create_for_retry", forgetful)
    CONSENT.catches_the_planted_fault()
