"""Those who send in a ledger's world, what became of each send, and what they hear of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from enum import StrEnum

from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.rows import Owner
from tests.oracle.ledger import Sent

NAMES = itertools.count(1)


class Fate(StrEnum):
    """What the service makes of a send, and what its sender will hear."""

    ACCEPTED = "accepted"
    ACCEPTED_AND_LOST = "accepted, answer lost"
    ACCEPTED_AND_LATE = "accepted, answer late"
    ANSWERED = "answered"
    THROTTLED = "throttled"
    REFUSED = "refused"
    LOST = "lost"


FATES = (*Fate, *[Fate.THROTTLED] * 2, *[Fate.ACCEPTED_AND_LATE] * 3)
TASKS = {Fate.ACCEPTED, Fate.ACCEPTED_AND_LOST, Fate.ACCEPTED_AND_LATE}


@dataclass
class Process:
    """One that sends and polls: the lock that says that it lives, its name as a worker, and whether it runs."""

    owner: Owner
    worker: str = field(default_factory=lambda: f"worker-{next(NAMES)}")
    is_dead: bool = False
    is_paused: bool = False
    has_lost_its_lock: bool = False

    @property
    def can_act(self) -> bool:
        return not self.is_dead and not self.is_paused


@dataclass
class Send:
    """One request that left, and the truth about it."""

    process: Process
    licence: Entry
    fate: Fate
    judged: Sent
    heard: int = 0

    @property
    def made(self) -> str:
        return self.judged.name

    @property
    def is_known(self) -> bool:
        """Whether its sender told the ledger what the service made."""
        needed = {Fate.ACCEPTED: 1, Fate.ANSWERED: 1, Fate.ACCEPTED_AND_LATE: 2}
        return self.heard >= needed.get(self.fate, self.heard + 1)
