"""What nobody may pay twice for unasked, and what is not another's to take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resilient_poll.ledger.errors import ActRefused
from resilient_poll.ledger.logic import LedgerLogic
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.ledger.testing_parts import NOON_S, ended, running, sent
from resilient_poll.machine.lifecycle import ENDS, Billing, Phase

STORES: dict[str, Callable[[Path], LedgerLogic]] = {
    "memory": lambda _: MemoryLedger(),
    "sqlite": lambda folder: SqliteLedger(folder / "ledger.db"),
}
in_each_store = pytest.mark.parametrize("store", STORES)
TASK_ENDS = [phase for phase in Phase if phase in ENDS - {Phase.REFUSED, Phase.ABANDONED}]


@in_each_store
@pytest.mark.parametrize("billing", list(Billing))
def test_only_what_is_free_is_attempted_again_unasked(store: str, billing: Billing, tmp_path: Path) -> None:
    """After any end there is a further attempt unasked if, and only if, nothing can be owed for the one before."""
    with STORES[store](tmp_path) as ledger, ledger.open_owner() as owner:
        for phase in TASK_ENDS:
            over = ended(ledger, running(ledger, owner, phase.value), phase, billing)
            if billing is Billing.NONE:
                assert ledger.begin_attempt(over, now_wall_s=NOON_S).attempt == 2
                continue
            with pytest.raises(ActRefused, match="may be charged"):
                ledger.begin_attempt(over, now_wall_s=NOON_S)
            assert ledger.find(over.namespace, over.key) == over
            assert ledger.begin_attempt(over, accept_second_charge=True, now_wall_s=NOON_S).attempt == 2


@in_each_store
def test_what_another_send_made_is_not_adopted(store: str, tmp_path: Path) -> None:
    """A task that came of one entry's overtaken send, and is recorded beside it, is no other entry's to adopt."""
    with STORES[store](tmp_path) as ledger, ledger.open_owner() as owner:
        overtaken = sent(ledger, owner, "one")
        anew = ledger.license_resubmit(ledger.doubt(overtaken, "?", now_wall_s=NOON_S), now_wall_s=NOON_S)
        licence = ledger.license(anew, owner, now_wall_s=NOON_S)
        assert licence is not None
        one = ledger.accept(licence, "task-2", now_wall_s=NOON_S)
        ledger.accept(overtaken, "task-1", now_wall_s=NOON_S)
        assert [stray.task_id for stray in ledger.strays()] == ["task-1"]
        two = ledger.doubt(sent(ledger, owner, "two"), "?", now_wall_s=NOON_S)
        for task_id in ("task-1", "task-2"):
            with pytest.raises(ActRefused, match=f"belongs to entry {one.entry_id}"):
                ledger.adopt(two, task_id, now_wall_s=NOON_S)
        assert ledger.get(two.entry_id) == two
        assert [stray.task_id for stray in ledger.strays()] == ["task-1"]
        assert ledger.adopt(two, "task-3", now_wall_s=NOON_S).task_id == "task-3"
