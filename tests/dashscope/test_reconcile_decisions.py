"""Which task settles which doubt: never a wrong one, none without proof, and all of them where all can be seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from resilient_poll import Verdict
from resilient_poll.dashscope.doubts import decide as deciding
from resilient_poll.dashscope.doubts.decide import Decision
from tests.dashscope.reconcile_world import AGO_S, PROMPTS, Sent, World, worlds
from tests.support.properties import Property


def check_no_wrong_adoption(world: World) -> None:
    """Check that no task is adopted that somebody else may own, and none twice."""
    decisions = world.decide()
    adopted = [decision.task.task_id for decision in decisions.values() if decision.task is not None]
    assert len(adopted) == len(set(adopted))
    for number, decision in decisions.items():
        assert (decision.task is not None) == (decision.verdict is Verdict.ADOPTED)
        if decision.task is not None:
            assert not world.is_wrong(number, decision.task.task_id), (number, decision)


def check_none_has_a_canary(world: World) -> None:
    """Check that "none" is said only where the list shows a known task of that model, and what was made."""
    decisions = world.decide()
    for number, decision in decisions.items():
        doubt = world.submits[number]
        if decision.verdict is not Verdict.NONE_FOUND:
            continue
        assert any(sent.fate == "known" and sent.is_listed and sent.model == doubt.model for sent in world.submits), (
            "a list that shows nothing proves nothing"
        )
        if doubt.fate == "lost" and doubt.is_listed:
            adopted = {other.task.task_id for other in decisions.values() if other.task is not None}
            assert f"task-{number}" in adopted, "there was one, and no twin of it got it"


COMPARABLE = st.builds(
    Sent,
    fate=st.sampled_from(["known", "lost", "lost", "never arrived"]),
    sent_ago_s=AGO_S,
    took_s=st.sampled_from([0.5, 40.0]),
    prompt=st.sampled_from(PROMPTS),
    duration=st.sampled_from([5, 10]),
)


def check_all_are_found(submits: list[Sent], zone_s: float) -> None:
    """Check that as many are adopted of each request as were made without being heard of."""
    world = World(tuple(submits), zone_s)
    decisions = world.decide()
    for number in world.doubts:
        request = world.submits[number].request
        twins = [other for other in world.doubts if world.submits[other].request == request]
        assert sum(decisions[other].task is not None for other in twins) == world.tasks_of(request)


CROWDED = st.builds(
    Sent,
    fate=st.sampled_from(["lost", "never arrived", "stranger"]),
    sent_ago_s=st.sampled_from([3_000.0, 3_010.0]),
    prompt=st.sampled_from(PROMPTS[:2]),
    duration=st.sampled_from([5, 5, 10]),
    took_s=st.sampled_from([1.0, 1.0, 700.0]),
    ended=st.sampled_from(["SUCCEEDED", "SUCCEEDED", "RUNNING"]),
)


def check_no_wrong_adoption_in_a_crowd(submits: list[Sent]) -> None:
    """Check the same where strangers send the very same requests."""
    check_no_wrong_adoption(World(tuple(submits)))


IN_A_CROWD = Property(
    check_no_wrong_adoption_in_a_crowd, examples=150, submits=st.lists(CROWDED, min_size=1, max_size=5)
)
NO_WRONG_ADOPTION = Property(check_no_wrong_adoption, examples=400, world=worlds())
NONE_HAS_A_CANARY = Property(check_none_has_a_canary, examples=300, world=worlds())
ALL_ARE_FOUND = Property(
    check_all_are_found,
    examples=200,
    submits=st.lists(COMPARABLE, min_size=1, max_size=8),
    zone_s=st.sampled_from([0.0, 8 * 3600.0, -8 * 3600.0]),
)


def test_no_adoption_is_wrong() -> None:
    """With several submitters, an unreliable list and any zone, no doubt is settled by a task that may be another's."""
    NO_WRONG_ADOPTION.holds()
    IN_A_CROWD.holds()


def test_none_is_said_with_a_canary_only() -> None:
    """That nothing was made is said only where the list shows a known task of that model, and then it is true."""
    NONE_HAS_A_CANARY.holds()


def test_all_that_can_be_compared_are_found() -> None:
    """Where every request can be compared and everything ended, every task of a lost answer is adopted."""
    ALL_ARE_FOUND.holds()


KNOWN, LOST, NEVER = Sent("known", 3_000.0), Sent("lost", 3_000.0), Sent("never arrived", 3_000.0)
IMAGE = "https://images.test/1"


@pytest.mark.parametrize(
    ("world", "verdict", "said"),
    [
        (World((LOST,)), "ADOPTED", "this very request"),
        (World((LOST,), zone_s=8 * 3600.0), "ADOPTED", "this very request"),
        (World((replace(LOST, ended="RUNNING"),)), "UNCLEAR", "task-0 still runs"),
        (World((replace(LOST, ended="RUNNING"),), is_sole=True), "ADOPTED", "the only one"),
        (World((replace(LOST, ended="FAILED"),)), "UNCLEAR", "task-0 (FAILED): its answer is not known"),
        (World((replace(LOST, image=IMAGE),)), "UNCLEAR", "does not show input.img_url"),
        (World((replace(LOST, image=IMAGE),), is_sole=True), "ADOPTED", "the only one"),
        (World((LOST, replace(LOST, image=IMAGE))), "UNCLEAR", "the submit under 'key 1'"),
        (World((LOST, replace(LOST, fate="out"))), "UNCLEAR", "the submit under 'key 1'"),
        (World((LOST, replace(LOST, fate="stranger", ended="RUNNING"))), "UNCLEAR", "task-1 may be it too"),
        (World((LOST, replace(LOST, fate="stranger"))), "UNCLEAR", "somebody else sends it too"),
        (World((replace(LOST, took_s=700.0), replace(LOST, fate="stranger"))), "UNCLEAR", "somebody else sends it too"),
        (World((LOST, replace(LOST, fate="given up"))), "ADOPTED", "this very request"),
        (World((LOST, replace(LOST, prompt="a dog"))), "ADOPTED", "this very request"),
        (World((replace(LOST, took_s=700.0), KNOWN)), "UNCLEAR", "task-0 came later"),
        (World((LOST,), is_steady=False), "UNCLEAR", "not the same in two readings"),
        (World((NEVER,)), "UNCLEAR", "proves nothing"),
        (World((NEVER, KNOWN)), "NONE_FOUND", "others of that time such as task-1"),
        (World((NEVER, KNOWN), zone_s=-8 * 3600.0), "NONE_FOUND", "others of that time such as task-1"),
        (World((NEVER, replace(KNOWN, is_listed=False))), "UNCLEAR", "proves nothing"),
        (World((NEVER, replace(KNOWN, model="video-2"))), "UNCLEAR", "proves nothing"),
        (World((NEVER, replace(KNOWN, sent_ago_s=93_000.0))), "UNCLEAR", "proves nothing"),
        (World((NEVER, replace(LOST, prompt="a dog", ended="FAILED")), is_sole=True), "UNCLEAR", "under 'key 1'"),
        (World((NEVER, replace(LOST, fate="out", prompt="a dog", ended="FAILED")), is_sole=True), "UNCLEAR", "'key 1'"),
        (World((NEVER, KNOWN, replace(LOST, fate="stranger", prompt="a dog"))), "NONE_FOUND", "permit_resubmit()"),
        (World((NEVER, KNOWN, replace(LOST, fate="stranger", duration=10))), "UNCLEAR", "its duration is not"),
        (World((NEVER, KNOWN, replace(LOST, fate="stranger", model="video-2"))), "NONE_FOUND", "of that time"),
        (World((replace(NEVER, sent_ago_s=900.0), KNOWN)), "UNCLEAR", "reconcile again in 6 min"),
        (World((replace(NEVER, sent_ago_s=85_000.0), KNOWN)), "UNCLEAR", "remembers tasks for a day only"),
    ],
)
def test_each_doubt_gets_its_verdict_and_the_reason(world: World, verdict: str, said: str) -> None:
    """A doubt is settled, or its sentence says what stands in the way and names the tasks or submits concerned."""
    decision = world.decide()[0]
    assert (decision.verdict, said in decision.why) == (verdict, True), decision


def test_a_row_of_another_time_is_no_candidate_once_the_zone_is_proved() -> None:
    """A task that fits in another zone only is a candidate while the zone is not known, and none when it is."""
    stranger = replace(LOST, fate="stranger", sent_ago_s=3_000.0 + 8 * 3600.0, ended="FAILED")
    assert [task.task_id for task in World((NEVER, stranger)).decide()[0].candidates] == ["task-1"]
    assert World((NEVER, stranger, KNOWN)).decide()[0].verdict is Verdict.NONE_FOUND


@pytest.mark.parametrize("is_sole", [False, True])
def test_a_row_without_a_time_is_a_candidate_and_never_adopted(is_sole: bool) -> None:
    """A task of which the list does not say when it was created may be anybody's: it is named, and settles nothing."""
    evidence = World((LOST, KNOWN), is_sole=is_sole).evidence
    untimed = tuple(
        replace(task, submitted_at=None) if task.task_id == "task-0" else task for task in evidence.listed or ()
    )
    decision = deciding.decide([0], replace(evidence, listed=untimed))[0]
    assert (decision.verdict, [task.task_id for task in decision.candidates]) == (Verdict.UNCLEAR, ["task-0"])


def test_a_known_task_without_a_time_proves_nothing() -> None:
    """A known task of which the list does not say when it was created is no canary."""
    evidence = World((NEVER, KNOWN)).evidence
    untimed = tuple(replace(task, submitted_at=None) for task in evidence.listed or ())
    assert deciding.decide([0], replace(evidence, listed=untimed))[0].verdict is Verdict.UNCLEAR


def test_none_is_not_said_by_a_clock_that_was_wrong() -> None:
    """Where the list shows another time for a known task than the ledger has, a lost one may have any time too."""
    evidence = World((NEVER, KNOWN, KNOWN)).evidence
    assert deciding.decide([0], evidence)[0].verdict is Verdict.NONE_FOUND
    known = evidence.entries[2]
    assert known.licensed_wall_s is not None
    ahead = replace(known, licensed_wall_s=known.licensed_wall_s + 3_600.0)
    entries = (*evidence.entries[:2], ahead)
    assert deciding.decide([0], replace(evidence, entries=entries))[0].verdict is Verdict.UNCLEAR


def test_a_task_under_another_name_of_its_model_is_found() -> None:
    """Where the list calls a model otherwise than the request, known tasks show its name, and the lost one is found."""
    evidence = World((LOST, KNOWN)).evidence
    renamed = tuple(replace(task, model="video-1-preview") for task in evidence.listed or ())
    assert deciding.decide([0], replace(evidence, listed=renamed))[0].verdict is Verdict.ADOPTED
    unnamed = tuple(replace(task, model=None) for task in evidence.listed or ())
    assert deciding.decide([0], replace(evidence, listed=unnamed))[0].verdict is Verdict.ADOPTED
    unproved = World((LOST,)).evidence
    renamed = tuple(replace(task, model="video-1-preview") for task in unproved.listed or ())
    assert deciding.decide([0], replace(unproved, listed=renamed))[0].verdict is Verdict.UNCLEAR


def test_each_sending_may_have_made_a_task() -> None:
    """An entry that was sent twice in doubt takes one of its two tasks, where a third would be somebody else's."""
    for number, verdict in ((1, Verdict.ADOPTED), (2, Verdict.ADOPTED), (3, Verdict.UNCLEAR)):
        strangers = (replace(LOST, fate="stranger"),) * (number - 1)
        evidence = World((LOST, *strangers)).evidence
        twice = replace(evidence.entries[0], sends=2, doubtful_sends=(1,))
        assert deciding.decide([0], replace(evidence, entries=(twice,)))[0].verdict is verdict


def test_what_was_given_up_with_its_task_claims_no_other() -> None:
    """An entry whose task is known and that was given up stands in nobody's way."""
    failed = replace(LOST, ended="FAILED")
    evidence = World((failed, replace(failed, fate="given up", prompt="a dog")), is_sole=True).evidence
    assert deciding.decide([0], evidence)[0].verdict is Verdict.UNCLEAR
    held = replace(evidence.entries[1], task_id="task-1")
    assert deciding.decide([0], replace(evidence, entries=(evidence.entries[0], held)))[0].verdict is Verdict.ADOPTED


def test_what_cannot_be_read_decides_nothing() -> None:
    """Where an entry of the ledger is damaged, no doubt is settled: it may hold any task."""
    decisions = deciding.decide([0], replace(World((LOST,)).evidence, is_damaged=True))
    assert (decisions[0].verdict, "damaged" in decisions[0].why) == (Verdict.UNCLEAR, True)


def test_what_the_ledger_holds_beside_its_entries_is_never_adopted() -> None:
    """A task that came for a send whose entry had moved on is no candidate."""
    decisions = deciding.decide([0], replace(World((LOST, KNOWN)).evidence, beside=frozenset({"task-0"})))
    assert decisions[0].verdict is Verdict.NONE_FOUND


def test_without_marks_only_a_sole_submitter_adopts() -> None:
    """An entry that holds no marks of its request is settled only by being the only one."""
    for is_sole, verdict in ((False, Verdict.UNCLEAR), (True, Verdict.ADOPTED)):
        evidence = World((LOST,), is_sole=is_sole).evidence
        entry = replace(evidence.entries[0], about={"model": "video-1"})
        assert deciding.decide([0], replace(evidence, entries=(entry,)))[0].verdict is verdict


def test_none_without_a_canary_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saying that nothing was made without a known task in the list makes the property fail."""
    row = World((Sent("known", 3_000.0),)).evidence.listed
    assert row is not None
    monkeypatch.setattr(deciding._Search, "_canary", lambda *_: row[0])
    NONE_HAS_A_CANARY.catches_the_planted_fault()


def test_adopting_the_only_candidate_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adopting the only candidate though others submit as well makes the property fail."""

    def only_one(self: deciding._Search, claim: deciding.Claim) -> Decision | None:
        candidates = self.candidates(claim)
        return Decision(Verdict.ADOPTED, "", task=candidates[0]) if len(candidates) == 1 else None

    monkeypatch.setattr(deciding._Search, "_only_one", only_one)
    NO_WRONG_ADOPTION.catches_the_planted_fault()


def test_forgetting_the_other_submits_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adopting what another live or doubtful submit may have made as well makes the property fail."""
    monkeypatch.setattr(deciding._Search, "_others", lambda *_, **__: [])
    NO_WRONG_ADOPTION.catches_the_planted_fault()


def test_not_counting_the_sendings_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adopting one of more equal tasks than were sent makes the property fail."""

    def as_many_as_fit(fits: dict[str, list[int]]) -> dict[str, int]:
        return {task_id: places[0] for task_id, places in fits.items() if places}

    monkeypatch.setattr(deciding, "matched", as_many_as_fit)
    IN_A_CROWD.catches_the_planted_fault()


def test_not_comparing_the_parameters_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking an equal prompt for an equal request makes the property fail."""
    genuine = deciding.compared

    def by_prompt(entry: deciding.Entry, answer: object) -> deciding.Comparison:
        found = genuine(entry, answer)
        is_alike = answer is not None and found.likeness is not deciding.Likeness.OTHER
        return deciding.Comparison(deciding.Likeness.SAME) if is_alike else found

    monkeypatch.setattr(deciding, "compared", by_prompt)
    IN_A_CROWD.catches_the_planted_fault()
