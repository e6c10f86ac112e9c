"""Each ready declaration against a scripted service, in each colour and with each library, with one trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resilient_poll import (
    Billing,
    Phase,
    PollRefused,
    ResilientPollError,
    StillUnknown,
    SubmitInDoubt,
    SubmitRefused,
    TaskCanceled,
    TaskFailed,
)
from tests.specs.services import BY_NAME, KEY, LOST, SERVICES, TROUBLES, WAYS, Run, Scripted, Service
from tests.support.colours import got, run_in

each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.spec.name)
each_way = pytest.mark.parametrize(("colour", "library"), WAYS)


def outcome_of(run: Run, service: Service, **options: Any) -> Any:
    """Start and wait; return the outcome, or the error of ours."""

    async def main() -> Any:
        async with run.client():
            try:
                operation = await run.start(service)
                return await got(operation.wait(**options))
            except ResilientPollError as error:
                return error

    return run_in(run.colour, main)


def in_all_ways(service: Service, steps: list[str], **options: Any) -> tuple[Any, Scripted, Run]:
    """Tell one story in every colour with every library; the traces are the same, and the last one is returned."""
    traces: list[Any] = []
    for colour, library in WAYS:
        scripted = Scripted(service, steps)
        with scripted.server as server:
            run = Run(colour, library, server.url)
            outcome = outcome_of(run, service, **options)
            port = str(server.port)
            asked = [(request.method, request.path) for request in server.requests]
        trace = [str(event).replace(port, "PORT") for event in run.events]
        traces.append((trace, asked, run.clock.slept_s, type(outcome), str(outcome).replace(port, "PORT")[:60]))
        assert all(request.headers["authorization"] == KEY for request in scripted.server.requests)
    assert all(trace == traces[0] for trace in traces)
    return outcome, scripted, run


@each_service
def test_a_success_brings_its_result(service: Service) -> None:
    """One submit leaves, the operation is asked about until it succeeds, and the outcome has what was declared."""
    outcome, scripted, run = in_all_ways(service, ["queued", "running", "succeeded"])
    assert outcome.result == service.result
    assert len(scripted.submits) == 1
    assert outcome.polls == 3
    if service.spec.name.startswith("azure"):
        assert [round(nap) for nap in run.clock.slept_s[-2:]] == [20, 20]  # As the service asked, though it answered.


@each_service
def test_what_says_nothing_of_the_operation_passes(service: Service) -> None:
    """A throttle, a bad gateway, a page of HTML and a cut answer are failed questions, and Retry-After is kept."""
    steps = ["queued", "throttled", "bad gateway", "html", "cut", "succeeded"]
    outcome, scripted, run = in_all_ways(service, steps)
    assert outcome.result == service.result
    assert len(scripted.submits) == 1
    assert max(run.clock.slept_s) == pytest.approx(40.0)


@pytest.mark.parametrize("service", [s for s in SERVICES if "failed" in s.says], ids=lambda s: s.spec.name)
def test_a_failure_is_typed_and_explained(service: Service) -> None:
    """A failed operation is TaskFailed, with the service's own explanation."""
    error, _, _ = in_all_ways(service, ["running", "failed"])
    assert isinstance(error, TaskFailed)
    assert error.standing.message == "It broke."


@pytest.mark.parametrize("service", [s for s in SERVICES if "canceled" in s.says], ids=lambda s: s.spec.name)
def test_a_cancelled_operation_is_typed(service: Service) -> None:
    """A cancelled operation is TaskCanceled, whoever cancelled it."""
    error, _, _ = in_all_ways(service, ["running", "canceled"])
    assert isinstance(error, TaskCanceled)


def test_aborted_is_an_end_that_costs_nothing() -> None:
    """A prediction that never began is an end, and its own word says that it is free, where canceled says a part."""
    service = BY_NAME["replicate-predictions"]
    error, _, _ = in_all_ways(service, ["queued", "aborted"])
    assert isinstance(error, TaskCanceled)
    assert error.billing is Billing.NONE
    error, _, _ = in_all_ways(service, ["running", "canceled"])
    assert error.billing is Billing.PARTIAL_POSSIBLE


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize("service", [s for s in SERVICES if "unlisted" in s.says], ids=lambda s: s.spec.name)
def test_a_word_that_nobody_listed_is_told_and_bounded(service: Service) -> None:
    """An unlisted status is an event, and the wait ends by the policy's limit for it instead of going on for ever."""
    error, _, run = in_all_ways(service, ["running", "unlisted"], timeout=900.0)
    assert isinstance(error, StillUnknown)
    assert error.phase is Phase.UNLISTED
    assert sum(type(event).__name__ == "UnlistedStatus" for event in run.events) == 1
    assert run.clock.now().monotonic_s < 300


@each_service
def test_a_refused_question_leaves_the_operation_as_it_was(service: Service) -> None:
    """A 403 ends the wait as PollRefused, with the service's reason and a token to go on with."""
    error, _, _ = in_all_ways(service, ["running", "refused"])
    assert isinstance(error, PollRefused)
    assert error.http_status == 403
    assert error.resume_token is not None


@each_service
@each_way
def test_a_lost_answer_to_a_submit_is_a_doubt(service: Service, colour: str, library: str) -> None:
    """A submit whose answer is lost, or makes no sense, is sent once and is SubmitInDoubt."""
    answers: list[Callable[[str], bytes]] = [lambda _: LOST, TROUBLES["html"], TROUBLES["bad gateway"], TROUBLES["cut"]]
    for answer in answers:
        scripted = Scripted(service, ["succeeded"], [answer] * 3)
        with scripted.server as server:
            error = outcome_of(Run(colour, library, server.url), service)
        assert isinstance(error, SubmitInDoubt)
        assert len(scripted.submits) == 1


@each_service
def test_a_throttled_submit_is_sent_again_and_a_refused_one_is_not(service: Service) -> None:
    """A 429 accepted nothing, so the submit leaves again after Retry-After; a 403 of the service ends it."""
    for answer, submits in ((TROUBLES["throttled"], 2), (TROUBLES["refused"], 1)):
        scripted = Scripted(service, ["succeeded"], [answer])
        with scripted.server as server:
            run = Run("sync", "httpx", server.url)
            outcome = outcome_of(run, service)
        assert len(scripted.submits) == submits
        if submits == 2:
            assert outcome.result == service.result
            assert run.clock.slept_s[0] == pytest.approx(40.0)
        else:
            assert isinstance(outcome, SubmitRefused)


@pytest.mark.parametrize("service", [s for s in SERVICES if s.spec.cancel is not None], ids=lambda s: s.spec.name)
@each_way
def test_an_operation_is_cancelled(service: Service, colour: str, library: str) -> None:
    """Cancel asks the service where the declaration says, and then tells where the operation stands."""
    scripted = Scripted(service, ["running"])
    with scripted.server as server:
        run = Run(colour, library, server.url)

        async def main() -> Any:
            async with run.client():
                operation = await run.start(service)
                return await got(operation.cancel())

        assert run_in(colour, main).phase is Phase.CANCELED
    assert [request.path for request in server.requests if request.method == "POST"][1].endswith("cancel")


@each_service
@each_way
def test_another_process_goes_on_with_a_token(service: Service, colour: str, library: str) -> None:
    """A token of one client lets another go on with the operation; it holds neither key nor host."""
    scripted = Scripted(service, ["running", "succeeded"])
    with scripted.server as server:
        run = Run(colour, library, server.url)

        async def main() -> tuple[str, Any]:
            async with run.client():
                token = (await run.start(service)).token
            async with run.client():
                return token, await got(run.resume(service.spec, token).wait())

        token, outcome = run_in(colour, main)
    assert outcome.result == service.result
    assert len(scripted.submits) == 1
    assert "canary" not in token
