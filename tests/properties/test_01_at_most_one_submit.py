"""Property 1: at most one accepted submit."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import httpx2
import pytest
from hypothesis import strategies as st

from resilient_poll import DashScope, SubmitError, SubmitInDoubt, SubmitRefused, Task
from resilient_poll.dashscope.wire import translate
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.http import sent
from resilient_poll.http.messages import ExchangeFailed
from resilient_poll.machine import (
    Accepted,
    Done,
    Instant,
    LostAnswer,
    Observation,
    Phase,
    Refused,
    Submission,
    Submit,
    SubmitPolicy,
    SubmitStarted,
    Throttled,
    Unreachable,
)
from resilient_poll.transports.once_body import OnceBytes
from tests.support.honest_service import ACCEPTING, Fate, HonestService
from tests.support.properties import Property

LIBRARIES = {"httpx": httpx, "httpx2": httpx2}
fates = st.lists(st.sampled_from(Fate), min_size=1, max_size=8)


def submit_once(fates: Sequence[Fate], library: str, dialect: str) -> tuple[HonestService, Task | SubmitError]:
    service = HonestService(fates, LIBRARIES[library], dialect)
    with (
        LIBRARIES[library].Client(transport=service.transport()) as http_client,
        DashScope(
            dialect=dialect,
            api_key="sk-test",
            base_url="http://api.test/v1",
            http_client=http_client,
            clock=VirtualClock(),
            make_seed=lambda: "seed",
        ) as client,
    ):
        try:
            return service, client.submit("model", {"prompt": "a cat"})
        except SubmitError as error:
            return service, error


def accepted_once(fates: Sequence[Fate], library: str, dialect: str) -> None:
    service, result = submit_once(fates, library, dialect)
    assert service.accepted <= 1
    if isinstance(result, Task):
        assert service.accepted == 1
    elif service.accepted == 1:
        # The service has a task that we have no id of: the only honest word is doubt.
        assert isinstance(result, SubmitInDoubt)
    if isinstance(result, SubmitError) and result.safe_to_submit_again == "yes":
        assert service.accepted == 0
    doubtful = [fate for fate in fates[: service.creates] if fate in ACCEPTING or fate is Fate.LOST_ON_THE_WAY]
    assert len(doubtful) <= 1, "sent again after what may have been accepted"


answers: st.SearchStrategy[Observation] = st.one_of(
    st.builds(Accepted, task_id=st.just("task-1")),
    st.builds(Throttled, retry_after_s=st.none() | st.floats(0, 10)),
    st.builds(Unreachable, reason=st.just("refused")),
    st.builds(Refused, http_status=st.just(400)),
    st.builds(LostAnswer, reason=st.just("gone")),
)


def licensed_once(heard: Sequence[Observation], late: Sequence[Observation]) -> None:
    now = Instant(0.0, 0.0)
    submission = Submission(SubmitPolicy(timeout_s=1000.0), now, seed="seed")
    for observation in heard:
        command = submission.next_command(now)
        while not isinstance(command, Submit | Done):
            now = Instant(command.at_s, command.at_s)
            command = submission.next_command(now)
        if isinstance(command, Done):
            return
        submission.receive(SubmitStarted(), now)
        # Between the sending and its answer nothing is commanded but to stop.
        assert isinstance(submission.next_command(now), Done)
        submission.receive(observation, now)
        if submission.phase is Phase.IN_DOUBT:
            for another in late:
                submission.receive(another, now)
                later = Instant(now.monotonic_s + 500.0, 0.0)
                assert isinstance(submission.next_command(later), Done), "a doubt licensed another sending"


AT_MOST_ONE = Property(
    accepted_once,
    examples=400,
    fates=fates,
    library=st.sampled_from(sorted(LIBRARIES)),
    dialect=st.sampled_from(["aisa", "dashscope"]),
)
LICENSED_ONCE = Property(
    licensed_once, examples=400, heard=st.lists(answers, max_size=6), late=st.lists(answers, max_size=4)
)


def test_at_most_one_submit_is_accepted() -> None:
    """Whatever is lost, cut, throttled or answered by others, the service accepts at most one."""
    AT_MOST_ONE.holds()


def test_a_sending_is_licensed_once() -> None:
    """After a sending only an honest refusal licenses another, and a doubt never does, whatever comes late."""
    LICENSED_ONCE.holds()


@pytest.mark.parametrize("dialect", ["aisa", "dashscope"])
def test_refused_for_now_is_tried_again(dialect: str) -> None:
    """The property is not won by never trying: throttles and missing connections are got over."""
    service, result = submit_once([Fate.THROTTLED, Fate.NOT_CONNECTED, Fate.THROTTLED, Fate.ACCEPTED], "httpx", dialect)
    assert isinstance(result, Task)
    assert (service.creates, service.accepted) == (4, 1)
    assert isinstance(submit_once([Fate.REFUSED], "httpx", dialect)[1], SubmitRefused)


def test_a_replay_after_a_lost_answer_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a lost answer is treated as a request that never arrived, as four vendor packages do."""

    def replay(failure: ExchangeFailed) -> Observation:
        return Unreachable(reason=failure.reason)

    monkeypatch.setattr(translate, "create_failed", replay)
    AT_MOST_ONE.catches_the_planted_fault()


def test_trust_in_the_last_error_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: any answer of 429 is believed to be the service's, a gateway's page included."""
    genuine = translate.translate_create

    def trusting(answer, dialect, now_wall_s, **more):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202
        return Throttled() if answer.status == 429 else genuine(answer, dialect, now_wall_s, **more)

    monkeypatch.setattr(translate, "translate_create", trusting)
    AT_MOST_ONE.catches_the_planted_fault()


def test_a_doubt_that_thaws_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a late "throttled" makes a doubtful submit new again."""
    genuine = Submission.receive

    def thaw(self: Submission, observation: Observation, now: Instant) -> object:
        if self.phase is Phase.IN_DOUBT and isinstance(observation, Throttled):
            self.phase = Phase.NEW
            return ()
        return genuine(self, observation, now)

    monkeypatch.setattr(Submission, "receive", thaw)
    LICENSED_ONCE.catches_the_planted_fault()


def test_a_body_that_is_not_watched_is_no_evidence() -> None:
    """A connect error after the body was read does not mean "surely not sent"."""
    body = OnceBytes(b"{}")
    assert b"".join(body) == b"{}"
    error = httpx.ConnectError("refused")
    assert sent.surely_not_sent(error, body_was_read=None)
    assert not sent.surely_not_sent(error, body_was_read=body.was_read)
