"""Each counter of the simulator rises when the rule that keeps it at zero is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fake_server.rules.journal import Journal
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.scenario.model import Quotas
from resilient_poll.dashscope.doubts import decide
from resilient_poll.dashscope.wire import translate
from resilient_poll.ledger import moves
from resilient_poll.machine.commands import Query
from resilient_poll.machine.floor import Floor
from resilient_poll.machine.lifecycle import Billing, Phase
from resilient_poll.machine.lifecycle import Lifecycle as Table
from resilient_poll.machine.observations import Accepted, Unreachable
from resilient_poll.machine.policy import WaitPolicy
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.schedules import Fixed
from tests.simulation import __main__ as program
from tests.simulation import process
from tests.simulation.desks import PureDesk
from tests.simulation.judge import COUNTERS
from tests.simulation.plan import Kill, a_plan
from tests.simulation.world import World, simulate

SEED = 20
FEW = frozenset(range(40))
KEPT = 113
"""A world in which doubts are looked into."""
WORLDS = (*range(12), KEPT, *range(12, 30))
Patch = pytest.MonkeyPatch


def sends_again_after_silence(patch: Patch) -> None:
    """A create without an answer is taken for one that was not sent."""
    patch.setattr(translate, "create_failed", lambda failure: Unreachable(reason=failure.reason))


def forgets_the_dead(patch: Patch) -> None:
    """What a dead process was sending is taken for refused."""

    def settled(entry: Any) -> Any:
        return replace(entry, phase=Phase.REFUSED, billing=Billing.NONE, ended_wall_s=entry.updated_wall_s)

    patch.setattr(moves, "settled", settled)


def says_of_a_phase(patch: Patch, phase: Phase, billing: Billing) -> None:
    """One phase has another word for the bill."""
    original = Table.billing_of
    patch.setattr(Table, "billing_of", lambda self, of: billing if of is phase else original(self, of))


def canceled_is_free(patch: Patch) -> None:
    """CANCELED is said to cost nothing."""
    says_of_a_phase(patch, Phase.CANCELED, Billing.NONE)


def failed_is_billed(patch: Patch) -> None:
    """FAILED is said to be billed."""
    says_of_a_phase(patch, Phase.FAILED, Billing.BILLED)


def nobody_goes_on(patch: Patch) -> None:
    """A process that comes back takes everything for done."""
    patch.setattr(PureDesk, "is_done", lambda *_: True)
    patch.setattr("tests.simulation.world.ASKS_AGAIN", 10**9 + 7)


def floors_do_not_rise(patch: Patch) -> None:
    """Nobody stays away."""
    patch.setattr(Floor, "raise_to", lambda *_: None)


def asks_all_the_time(patch: Patch) -> None:
    """A schedule of five a second has no floor beneath it."""
    hasty = {"minimum_interval_s": 0.0, "schedule": Fixed(0.2)}
    patch.setattr(process, "WaitPolicy", lambda **given: WaitPolicy(**{**given, **hasty}))


def looks_once_more(patch: Patch) -> None:
    """A success is asked about once more."""
    patch.setattr(
        Poller, "_result_is_missing", lambda self: self.record.phase is Phase.SUCCEEDED and self._wait.answers < 2
    )


def queries_are_not_cut(patch: Patch) -> None:
    """A query may take longer than what is left of the wait."""
    original = Poller.next_command

    def next_command(self: Poller, now: Any) -> Any:
        command = original(self, now)
        return replace(command, timeout_s=15.0) if isinstance(command, Query) else command

    patch.setattr(Poller, "next_command", next_command)


def patience_has_no_end(patch: Patch) -> None:
    """An id that the service has forgotten is asked for for ever."""
    patch.setattr(Poller, "_patience_is_over", lambda *_: False)
    patch.setattr("tests.simulation.world.BOUND_S", 600.0)  # Thousands of polls later it is no different.


def journal_skips(patch: Patch) -> None:
    """The fake's journal does not count every request."""
    original = Journal.add

    def add(self: Journal, request: Any, **fields: Any) -> Any:
        entry = original(self, request, **fields)
        self.counters["requests"] -= entry.ordinal == 20
        return entry

    patch.setattr(Journal, "add", add)


def reading_breaks(patch: Patch) -> None:
    """The client breaks on an answer."""

    def broken(*_: Any) -> Any:
        raise ValueError("not today")

    patch.setattr(translate, "translate_query", broken)


def answers_are_mixed_up(patch: Patch) -> None:
    """Every answer to a create is taken for the first one's."""
    original, ids = translate.translate_create, []

    def mixed_up(*given: Any) -> Any:
        came = original(*given)
        if isinstance(came, Accepted):
            ids.append(came.task_id)
            return replace(came, task_id=ids[0])
        return came

    patch.setattr(translate, "translate_create", mixed_up)


def the_list_shows_nothing(patch: Patch) -> None:
    """No task of the service's list is taken for one that a doubt may have made."""
    patch.setattr(decide.Rows, "covered", lambda *_, **__: [])


PLANTED: list[tuple[Callable[[Patch], None], tuple[str, ...]]] = [
    (sends_again_after_silence, ("duplicates",)),
    (forgets_the_dead, ("losses",)),
    (canceled_is_free, ("understated bills",)),
    (failed_is_billed, ("overstated bills",)),
    (nobody_goes_on, ("forgotten intents", "unsettled intents")),
    (floors_do_not_rise, ("creates before Retry-After", "polls before Retry-After")),
    (asks_all_the_time, ("polls faster than the floor",)),
    (looks_once_more, ("polls after an end",)),
    (queries_are_not_cut, ("late deadlines",)),
    (patience_has_no_end, ("unfinished jobs",)),
    (journal_skips, ("journal disagrees",)),
    (answers_are_mixed_up, ("mixed up tasks",)),
    (the_list_shows_nothing, ("false all-clears",)),
    (reading_breaks, ("errors",)),
]


@pytest.mark.parametrize(("plant", "counters"), PLANTED, ids=[plant.__name__ for plant, _ in PLANTED])
def test_each_counter_can_rise(plant: Callable[[Patch], None], counters: tuple[str, ...], monkeypatch: Patch) -> None:
    """With the rule broken that keeps it at zero, a counter rises within a few small worlds."""
    plant(monkeypatch)
    missing = set(counters)
    for number in WORLDS:
        result = simulate(SEED, number, wanted=FEW)
        missing -= {name for name, count in result.counts.items() if count}
        if not missing:
            return
    raise AssertionError(f"never seen: {missing}")


def test_every_counter_is_shown_to_rise() -> None:
    """There is a planted fault for every counter."""
    assert {name for _, counters in PLANTED for name in counters} == set(COUNTERS)


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("is_kept", [False, True])
def test_what_the_ledger_keeps_of_a_hint_is_judged(is_kept: bool, forgets: bool, monkeypatch: Patch) -> None:
    """Told to come back later, killed and alive again, a process sends too early if the ledger forgets the hint."""
    if forgets:
        original = moves.given_back
        monkeypatch.setattr(moves, "given_back", lambda entry, licence, _, *rest: original(entry, licence, None, *rest))
    plan = a_plan(SEED, 0)
    life = Lifecycle((Step("RUNNING", 30.0), Step("SUCCEEDED")))
    intents = tuple(
        replace(plan.intents[number], starts_s=float(number), processes=(0,), lives=(life,)) for number in (0, 1)
    )
    calm = {"dialect": "aisa", "is_kept": is_kept, "processes": 1, "skews_s": (0.0,), "trouble": 0.0, "calm_s": 10.0}
    world = World(
        replace(plan, quotas=Quotas(concurrent_tasks=1), intents=intents, faults={"k": Kill(0, 3.0, 1.0)}, **calm)
    )
    counts = world.run().counts
    assert {name for name, count in counts.items() if count} == ({"creates before Retry-After"} if forgets else set())


def test_a_failing_world_says_how_to_run_it_again(monkeypatch: Patch, capsys: pytest.CaptureFixture[str]) -> None:
    """The seed is said first; of a world that fails, the line that replays it, and the few faults that are enough."""
    sends_again_after_silence(monkeypatch)
    assert program.main(["--seed", str(SEED), "--world", "0"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"seed {SEED}"
    (again,) = [line.strip() for line in said if "--faults" in line]
    assert program.main(again.split()[3:]) == 1
    replayed = capsys.readouterr().out.splitlines()
    assert any(line.startswith("duplicates: ") for line in replayed)
    faults = again.partition("--faults ")[2].partition(" ")[0].split(",")
    tasks = again.partition("--tasks ")[2].split(",")
    assert len(faults) <= 2
    assert len(tasks) == 1
