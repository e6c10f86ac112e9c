"""Properties 1, 2 and 4 for many at once: nobody is lost, accepted twice, sent too soon or overtaken."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st

from resilient_poll.machine import DoneReason, SubmitPolicy, WaitPolicy
from resilient_poll.machine.line import Line
from resilient_poll.machine.pace import Gate, Pace, Place
from resilient_poll.machine.slots import Account, Slots
from resilient_poll.machine.watch import Watch
from tests.oracle.line import most_within, overtaken
from tests.support.batch_world import Job, Ran, Service, run_batch
from tests.support.properties import Property

ROUNDING_S = 1e-6
TROUBLES = ("unreachable", "throttled", "refused", "lost")

jobs = st.lists(
    st.builds(
        Job,
        work_s=st.sampled_from([0.0, 1.0, 7.0, 20.0, 33.3]),
        troubles=st.lists(st.sampled_from(TROUBLES), max_size=2).map(tuple),
    ),
    max_size=14,
)
services = st.builds(
    Service,
    cap=st.integers(1, 4),
    refuses=st.booleans(),
    latency_s=st.sampled_from([0.0, 0.1, 1.7]),
    hints=st.booleans(),
)
turns = st.integers(1, 6)
deadlines = st.none() | st.sampled_from([1.0, 30.0, 100.0])


def fresh(service: Service) -> Service:
    """A service of the same kind without a past: Hypothesis may hand the same one out again."""
    return Service(service.cap, service.refuses, service.latency_s, service.hints)


def run(
    jobs: Sequence[Job],
    service: Service,
    turns: int,
    *,
    declared: int | None = None,
    deadline_s: float | None = None,
    account: Account | None = None,
) -> tuple[Service, Ran]:
    service = fresh(service)
    account = account or Account(slots=Slots(declared, refuses=service.refuses))
    policy = WaitPolicy(timeout_s=200.0)
    submits = SubmitPolicy(timeout_s=60.0)
    return service, run_batch(
        jobs,
        service,
        account,
        turns_at_once=turns,
        wait_policy=policy,
        submit_policy=submits,
        deadline_s=deadline_s,
    )


def nobody_is_lost(jobs: Sequence[Job], service: Service, turns: int, deadline_s: float | None) -> None:
    service, ran = run(jobs, service, turns, deadline_s=deadline_s)
    assert sorted(ordinal for ordinal, _ in ran.finished) == list(range(len(jobs)))
    assert len(service.accepted) == len(set(service.accepted)), "a job was accepted twice"
    for ordinal, reason in ran.finished:
        if ordinal in service.accepted:
            assert reason in {DoneReason.ENDED, DoneReason.DEADLINE, DoneReason.COME_BACK_LATER}
        else:
            assert reason is not DoneReason.ENDED


def never_too_many(jobs: Sequence[Job], service: Service, turns: int, declared: int) -> None:
    service, _ = run(jobs, Service(1000, True, service.latency_s, service.hints), turns, declared=declared)
    assert service.most_open <= declared


def nothing_avoidable(jobs: Sequence[Job], service: Service, turns: int) -> None:
    calm = [Job(job.work_s) for job in jobs]
    service, _ = run(calm, Service(service.cap, True, service.latency_s), turns, declared=service.cap)
    assert service.throttles == 0


def never_before_retry_after(jobs: Sequence[Job], service: Service, turns: int) -> None:
    service, _ = run(jobs, service, turns)
    for refused_s, until_s in service.refused_until:
        heard_s = refused_s + service.latency_s
        early = [sent_s for sent_s, _ in service.creates if heard_s < sent_s < until_s - ROUNDING_S]
        assert not early, f"created at {early}, told at {heard_s} to stay away until {until_s}"


def nobody_is_overtaken(jobs: Sequence[Job], service: Service, turns: int) -> None:
    service, _ = run(jobs, service, turns)
    assert not overtaken(service.creates, service.latency_s)


def within_the_pace(jobs: Sequence[Job], service: Service, turns: int, creates: int, both: int) -> None:
    minute = Pace(both, 10.0)
    gates = Gate([Pace(creates, 5.0), minute]), Gate([minute, Pace(2, 1.0)])
    account = Account(create_gate=gates[0], query_gate=gates[1], slots=Slots(None, refuses=service.refuses))
    service, _ = run(jobs, service, turns, account=account)
    sent = [sent_s for sent_s, _ in service.creates]
    for starts, window_s, most in (
        (sent, 5.0, creates),
        (sent + service.queries_s, 10.0, both),
        (service.queries_s, 1.0, 2),
    ):
        assert most_within(starts, window_s) <= most


def takes_no_more_than_it_can_use(jobs: Sequence[Job], service: Service, turns: int) -> None:
    service, ran = run(jobs, service, turns, declared=service.cap)
    assert ran.most_taken <= service.cap + turns + 1


NOBODY_IS_LOST = Property(nobody_is_lost, jobs=jobs, service=services, turns=turns, deadline_s=deadlines)
NEVER_TOO_MANY = Property(never_too_many, jobs=jobs, service=services, turns=turns, declared=st.integers(1, 4))
NOTHING_AVOIDABLE = Property(nothing_avoidable, jobs=jobs, service=services, turns=turns)
NEVER_BEFORE_RETRY_AFTER = Property(never_before_retry_after, jobs=jobs, service=services, turns=turns)
NOBODY_IS_OVERTAKEN = Property(nobody_is_overtaken, jobs=jobs, service=services, turns=turns)
WITHIN_THE_PACE = Property(
    within_the_pace, jobs=jobs, service=services, turns=turns, creates=st.integers(1, 3), both=st.integers(4, 9)
)
TAKES_NO_MORE = Property(takes_no_more_than_it_can_use, jobs=jobs, service=services, turns=turns)


def test_nobody_is_lost() -> None:
    """Every job finishes once, whatever the service does and whenever the batch ends."""
    NOBODY_IS_LOST.holds()


def test_never_more_open_than_declared() -> None:
    """At no instant are more tasks open at the service than were declared."""
    NEVER_TOO_MANY.holds()


def test_with_the_cap_declared_nothing_is_refused_for_it() -> None:
    """With the cap declared and the account to itself, a batch hears not one throttle."""
    NOTHING_AVOIDABLE.holds()


def test_never_a_create_before_the_retry_after() -> None:
    """Once a Retry-After is heard, no job of the batch is submitted before it is over."""
    NEVER_BEFORE_RETRY_AFTER.holds()


def test_nobody_is_overtaken() -> None:
    """Submits go in the order of the jobs, and who has to come again goes before all who came later."""
    NOBODY_IS_OVERTAKEN.holds()


def test_the_declared_paces_are_kept() -> None:
    """No window holds more creates, queries, or both together, than were declared."""
    WITHIN_THE_PACE.holds()


def test_no_more_jobs_are_taken_than_can_be_used() -> None:
    """The jobs in memory are those that are open or out, and the next."""
    TAKES_NO_MORE.holds()


def test_the_checks_find_a_batch_that_loses_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a throttled submit were not put back into the line, the first property would fail."""
    receive = Line.receive

    def forgetful(self, ordinal, observation, now):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  # as the original
        settled = receive(self, ordinal, observation, now)
        if settled is None:
            self._order.remove(ordinal)
            del self._entries[ordinal]
        return settled

    monkeypatch.setattr(Line, "receive", forgetful)
    NOBODY_IS_LOST.catches_the_planted_fault()


def test_the_checks_find_a_batch_that_takes_too_many_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """If submits that are out did not count, the second and third properties would fail."""
    monkeypatch.setattr(Slots, "in_flight", property(lambda slots: len(slots._open)))
    NEVER_TOO_MANY.catches_the_planted_fault()
    NOTHING_AVOIDABLE.catches_the_planted_fault()


def test_the_checks_find_a_batch_that_ignores_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the account's floor were ignored, the fourth property would fail."""
    monkeypatch.setattr("resilient_poll.machine.floor.Floor.raise_to", lambda floor, at_s: None)  # noqa: ARG005  # the fault
    NEVER_BEFORE_RETRY_AFTER.catches_the_planted_fault()


def test_the_checks_find_a_batch_that_sends_the_last_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """If those who come again queued at the end, the fifth property would fail."""
    monkeypatch.setattr("resilient_poll.machine.line.heappush", lambda heap, ordinal: heap.append(ordinal))
    monkeypatch.setattr("resilient_poll.machine.line.heappop", lambda heap: heap.pop(0))
    take = Line.next

    def eager(self, now, *, is_busy, mine):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  # as the original
        # Takes a new job although one waits: the line is then longer than one.
        if self._order and self.has_more and len(self._order) < 3:
            waiting, self._order = self._order, []
            command = take(self, now, is_busy=is_busy, mine=mine)
            self._order = waiting + self._order
            return command
        return take(self, now, is_busy=is_busy, mine=mine)

    monkeypatch.setattr(Line, "next", eager)
    NOBODY_IS_OVERTAKEN.catches_the_planted_fault()


def test_the_checks_find_a_batch_without_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """If turns were given at once, the sixth property would fail."""
    monkeypatch.setattr(Place, "turn_s", lambda place, now_s: now_s)  # noqa: ARG005  # the fault
    WITHIN_THE_PACE.catches_the_planted_fault()


@pytest.mark.thorough  # each batch that loses somebody goes on to its last second
def test_the_checks_find_waits_that_are_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a task's end did not free its slot, nobody behind it would ever have a turn."""
    monkeypatch.setattr(Watch, "_drop", lambda watch, ordinal, entry, now: watch._entries.pop(ordinal))  # noqa: ARG005  # the fault
    NOBODY_IS_LOST.catches_the_planted_fault()
