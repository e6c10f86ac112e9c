"""Write the journeys anew, from the ledger in memory: the others must tell the same."""

from __future__ import annotations

from resilient_poll.ledger.memory import MemoryLedger
from tests.ledger.journeys.journeys import HERE, JOURNEYS, journey

if __name__ == "__main__":
    (HERE / "told").mkdir(exist_ok=True)
    for number in JOURNEYS:
        (HERE / "told" / f"{number}.txt").write_text("".join(f"{line}\n" for line in journey(number, MemoryLedger())))
