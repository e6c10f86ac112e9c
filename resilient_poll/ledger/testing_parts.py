"""What the checks of :mod:`.testing` are written with: entries at every stage, and how to fail."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from resilient_poll.errors import ResilientPollError
from resilient_poll.ledger.entry import Charge, Entry, Namespace
from resilient_poll.ledger.guards import Guards
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.rows import Owner
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["ELSEWHERE", "HERE", "NOON_S", "PRICE", "begun", "ended", "must", "refused", "running", "sent"]

HERE = Namespace("https://api.test/v1", "generic", "main")
ELSEWHERE = Namespace("http://127.0.0.1:8080/v1", "generic", "main")
NOON_S = 1_700_000_000.0
PRICE = Charge(Decimal("0.50"), "USD", "second", Decimal(5))


def must(condition: object, said: str) -> None:
    """Fail with a sentence unless a condition holds."""
    if not condition:
        raise AssertionError(said)


def refused(kind: type[ResilientPollError], act: Callable[[], object]) -> ResilientPollError:
    """Return the error that an act must raise."""
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"it should raise {kind.__name__}")


def begun(ledger: Ledger, key: str = "key", **more: Charge | Guards | None) -> Entry:
    """Return an entry that begins."""
    return ledger.begin(HERE, key, "digest", {"model": "m"}, now_wall_s=NOON_S, **more)  # type: ignore[arg-type]  # a charge or guards


def sent(ledger: Ledger, owner: Owner, key: str = "key", **more: Charge | None) -> Entry:
    """Return the licence of an entry that is being sent."""
    licence = ledger.license(begun(ledger, key, **more), owner, now_wall_s=NOON_S)
    must(licence is not None, "a new entry can be licensed")
    return licence or begun(ledger, key)


def running(ledger: Ledger, owner: Owner, key: str, **more: Charge | None) -> Entry:
    """Return the entry of a task that goes on."""
    return ledger.accept(sent(ledger, owner, key, **more), f"task-{key}", now_wall_s=NOON_S)


def ended(ledger: Ledger, entry: Entry, phase: Phase, billing: Billing, result: str | None = None) -> Entry:
    """Return an entry whose end was seen."""
    return ledger.observe(entry, phase=phase, billing=billing, result=result, now_wall_s=NOON_S + 9)
