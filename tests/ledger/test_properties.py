"""What must hold of a ledger, whatever happens to those who use it, in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import settings

from resilient_poll.ledger import moves
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.ledger.ledger_world import LedgerLife, LedgerLifeInAFile, run_machine
from tests.properties.test_machine_leases import for_all, newest_first, of_another, without_an_end
from tests.support.profiles import examples
from tests.support.properties import GENUINE, PLANTED


def test_nothing_is_lost_or_paid_twice() -> None:
    """Whoever dies, pauses, or loses its lock: one send per licence, no id lost, doubts kept, no bill falls, and nobody
    takes what another has leased."""
    run_machine(LedgerLife, settings(GENUINE, max_examples=examples(400)))


def test_nothing_is_lost_or_paid_twice_in_a_file() -> None:
    """The same holds with files and their locks."""
    run_machine(LedgerLifeInAFile, settings(GENUINE, max_examples=examples(15)))


def an_observation_that_is_fenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """UPDATE … WHERE owner = me: who was settled meanwhile writes nothing, and throws its id away."""
    from resilient_poll.ledger.submitting import Submitting  # noqa: PLC0415  # next to what it breaks

    genuine = Submitting._keeping

    def fenced(self, work, entry, task_id, result):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        stands = self.get(entry.entry_id)
        mine = stands.phase is Phase.SUBMITTING and (stands.owner, stands.sends) == (entry.owner, entry.sends)
        return genuine(self, work, entry, task_id, result) if mine else stands

    monkeypatch.setattr(Submitting, "_keeping", fenced)


def a_lease_on_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not answered for a while is taken for dead, and somebody else may send."""
    genuine = moves.licensed

    def leased(entry: Entry, owner: str, now_wall_s: float) -> Entry | None:
        if entry.phase is Phase.SUBMITTING and now_wall_s - (entry.licensed_wall_s or 0.0) > 600:
            return replace(entry, owner=owner, sends=entry.sends + 1, licensed_wall_s=now_wall_s)
        return genuine(entry, owner, now_wall_s)

    monkeypatch.setattr(moves, "licensed", leased)


def the_dead_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a dead owner had out is new again, as if nothing had left."""

    def hopeful(entry: Entry) -> Entry:
        return replace(entry, phase=Phase.NEW, billing=Billing.NONE, owner=None)

    monkeypatch.setattr(moves, "settled", hopeful)


def a_fence_without_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A licence of the same owner counts as the last one, whichever send it was for."""

    def same_owner(entry: Entry, licence: Entry) -> bool:
        return entry.owner == licence.owner and entry.phase in {Phase.SUBMITTING, Phase.IN_DOUBT}

    monkeypatch.setattr(moves, "holds_licence", same_owner)


def an_id_that_hides_a_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id of an earlier send goes into the entry while a later send is in doubt."""
    monkeypatch.setattr(moves, "takes_what_came", lambda entry, _: entry.task_id is None and not entry.is_ended)


def the_last_writer_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old look that is written late overwrites a newer one."""

    def overwritten(entry: Entry, phase: Phase, billing: Billing, *_: object, now_wall_s: float, **__: object) -> Entry:
        ended = now_wall_s if phase in moves.ENDS else None
        return replace(entry, phase=phase, billing=billing, ended_wall_s=ended)

    monkeypatch.setattr(moves, "observed", overwritten)


def a_doubt_that_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """An overruled doubt is forgotten, although its send may have made a task."""

    def forgetful(entry: Entry) -> Entry:
        return replace(entry, phase=Phase.NEW, billing=Billing.NONE, owner=None)

    monkeypatch.setattr(moves, "licensed_anew", forgetful)


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize(
    "plant",
    [
        an_observation_that_is_fenced,
        a_fence_without_a_number,
        an_id_that_hides_a_doubt,
        the_last_writer_wins,
        a_lease_on_sending,
        the_dead_sent_nothing,
        a_doubt_that_is_taken_back,
        without_an_end,
        for_all,
        of_another,
        newest_first,
    ],
    ids=lambda plant: plant.__name__,
)
def test_a_planted_fault_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the faults that ledgers are known for makes the machine fail, those of leases among them."""
    plant(monkeypatch)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_machine(LedgerLife, settings(PLANTED, max_examples=2000))
