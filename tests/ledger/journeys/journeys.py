"""Journeys: every act of a ledger, legal or not, in an order that a fixed number draws."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from resilient_poll.errors import ResilientPollError
from resilient_poll.ledger.entry import Charge, Entry, Namespace, Said, SavedFile
from resilient_poll.ledger.guards import Guards, SpendLimit
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.support.written import shown

HERE = Path(__file__).parent
JOURNEYS = range(8)
STEPS = 90
WALL_S = 1_750_000_000.0
PLACES = (Namespace("https://a.test/v1", "generic", "main"), Namespace("https://b.test/v1", "generic", "main"))
CHARGES = (
    None,
    Charge(Decimal("0.5"), "USD", "second", Decimal(5)),
    Charge(Decimal(2), "USD"),
    Charge(Decimal(7), "CNY"),
)
GUARDS = (
    None,
    None,
    None,
    Guards(max_open_tasks=3),
    Guards(max_tasks_per_day=9),
    Guards(max_spend=(SpendLimit(Decimal(9), "USD"),)),
)
SAYS = (
    Said(),
    Said(status="working", request_id="r-1", snapshot='{"a":1}'),
    Said(code="Broken", message="it is broken"),
)
OPEN = (Phase.QUEUED, Phase.RUNNING, Phase.UNRECOGNIZED, Phase.UNLISTED)
SEEN = (*OPEN, Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELED, Phase.EXPIRED, Phase.SUCCEEDED)


class Journey:
    """One ledger, what is known of it, and the draws."""

    def __init__(self, number: int, ledger: Ledger) -> None:
        self.chance = Random(number)  # noqa: S311  # a journey, no secret
        self.ledger = ledger
        self.now_s = WALL_S
        self.owners = [ledger.open_owner() for _ in range(2)]
        self.known: list[Entry] = []
        self.tasks = 0

    def entry(self) -> Entry:
        """Return some entry, as it stands or, now and then, as it stood."""
        entry = self.known[self.chance.randrange(max(0, len(self.known) - 12), len(self.known))]
        return self.ledger.get(entry.entry_id) if self.chance.random() < 0.85 else entry

    def keep(self, entry: Entry | None) -> Entry | None:
        """Remember what an act returned."""
        if entry is not None:
            self.known.append(entry)
        return entry

    def task_id(self) -> str:
        """Return a new id, or now and then one that is taken."""
        self.tasks += self.chance.random() < 0.8
        return f"task-{self.tasks}"

    def begin(self) -> Entry | None:
        """Want something."""
        chance = self.chance
        digest = chance.choice(["d-1", "d-1", "d-1", "d-2"])
        about = chance.choice([None, {"model": "m-1"}, {"model": "m-2", "endpoint": "video"}])
        made = self.ledger.begin(
            chance.choice(PLACES), f"key-{chance.randrange(14)}", digest, about,
            guards=chance.choice(GUARDS), charge=chance.choice(CHARGES), now_wall_s=self.now_s,
        )  # fmt: skip
        return self.keep(made)

    def send(self) -> Entry | None:
        """Take a licence, if there is one to be had."""
        given = self.ledger.license(
            self.entry(), self.chance.choice(self.owners), guards=self.chance.choice(GUARDS),
            slots=self.chance.choice([None, None, 4]), now_wall_s=self.now_s,
        )  # fmt: skip
        return self.keep(given)

    def hear(self) -> Entry | None:
        """Tell what came of a send."""
        chance, entry, now_s = self.chance, self.entry(), self.now_s
        said = chance.choice(SAYS)
        match chance.randrange(6):
            case 0:
                hint_s = chance.choice([None, now_s + 5])
                return self.keep(self.ledger.give_back(entry, not_before_wall_s=hint_s, said=said, now_wall_s=now_s))
            case 1:
                return self.keep(self.ledger.refuse(entry, said=said, now_wall_s=now_s))
            case 2:
                return self.keep(self.ledger.doubt(entry, "no answer", said=said, now_wall_s=now_s))
            case 3:
                billing = chance.choice([Billing.BILLED, Billing.NONE])
                charge = chance.choice(CHARGES)
                answered = self.ledger.answered(
                    entry, '{"made": 1}', billing=billing, charge=charge, said=said, now_wall_s=now_s
                )
                return self.keep(answered)
        phase = chance.choice([Phase.QUEUED, Phase.QUEUED, Phase.RUNNING, Phase.SUCCEEDED])
        return self.keep(self.ledger.accept(entry, self.task_id(), phase=phase, said=said, now_wall_s=now_s))

    def look(self) -> Entry | None:
        """Tell what a poll saw."""
        chance = self.chance
        seen = self.ledger.observe(
            self.entry(), phase=chance.choice(SEEN), billing=chance.choice([*Billing]), said=chance.choice(SAYS),
            result=chance.choice([None, '{"url": "u"}']), charge=chance.choice(CHARGES), now_wall_s=self.now_s,
        )  # fmt: skip
        return self.keep(seen)

    def settle(self) -> Any:
        """What people and workers do with doubts, ends and leases."""
        chance, ledger, now_s, place = self.chance, self.ledger, self.now_s, self.chance.choice((None, *PLACES))
        worker, for_s, most = chance.choice(["w-1", "w-2"]), chance.choice([5.0, 60.0]), chance.choice([1, 3, 100])
        match chance.randrange(13):
            case 0:
                return ledger.settle_the_dead(now_wall_s=now_s)
            case 1:
                return self.keep(ledger.adopt(self.entry(), self.task_id(), now_wall_s=now_s))
            case 2 if chance.random() < 0.5:
                return self.keep(ledger.abandon(self.entry(), "enough", now_wall_s=now_s))
            case 3:
                return self.keep(ledger.license_resubmit(self.entry(), now_wall_s=now_s))
            case 4:
                again = chance.random() < 0.5
                return self.keep(ledger.begin_attempt(self.entry(), accept_second_charge=again, now_wall_s=now_s))
            case 5:
                return ledger.claim(place, worker, for_s=for_s, limit=most, now_wall_s=now_s)
            case 6:
                return ledger.claim_ends(place, worker, for_s=for_s, limit=most, now_wall_s=now_s)
            case 7:
                return ledger.renew(self.entry(), worker, for_s=for_s, now_wall_s=now_s)
            case 8:
                return ledger.release(self.entry(), worker, now_wall_s=now_s)
            case 9:
                return self.keep(ledger.delivered(self.entry(), now_wall_s=now_s))
            case 10:
                file = SavedFile(chance.choice(["a.mp4", "b.mp4"]), chance.randrange(9), "ab" * 32)
                return self.keep(ledger.saved(self.entry(), file, now_wall_s=now_s))
            case 11:
                strays = ledger.strays(place)
                return ledger.dismiss_stray(strays[0]) if strays and chance.random() < 0.3 else strays
        if chance.random() < 0.3:
            at = chance.randrange(2)
            self.owners[at].close()
            self.owners[at] = ledger.open_owner()
            return "an owner died"
        return ledger.archive(
            now_s - 30, namespace=place, including_not_downloaded=chance.random() < 0.3, now_wall_s=now_s
        )

    def ask(self) -> Any:
        """Read."""
        chance, ledger, place = self.chance, self.ledger, self.chance.choice((None, *PLACES))
        since_s = chance.choice([None, WALL_S + 40, self.now_s - 86_400])
        until_s = chance.choice([None, self.now_s, WALL_S + 90_000])
        match chance.randrange(9):
            case 0:
                return ledger.undelivered(place, limit=chance.choice([1, 100]))
            case 1:
                return ledger.counts(place)
            case 2 | 3:
                return ledger.bill(place, since_wall_s=since_s, until_wall_s=until_s)
            case 4:
                return ledger.find(chance.choice(PLACES), f"key-{chance.randrange(16)}")
            case 5:
                return ledger.by_task(chance.choice(PLACES), f"task-{chance.randrange(20)}")
            case 6:
                ledger.set_setting("name", f"{chance.randrange(3)}")
                return [ledger.setting("name"), ledger.setting("other")]
            case 7 if chance.random() < 0.2:
                return ledger.vacuum(self.now_s - 100)
        return ledger.entries(
            namespace=place, phases=chance.choice([None, {Phase.QUEUED, Phase.SUCCEEDED}, set()]),
            key=chance.choice([None, None, "key-3"]), since_wall_s=since_s, until_wall_s=until_s,
            before_entry_id=chance.choice([None, 9]), with_archived=chance.random() < 0.3, limit=chance.choice([3, 50]),
        )  # fmt: skip


def journey(number: int, ledger: Ledger) -> Iterator[str]:
    """Tell a journey: each act, and what it returned or why it was refused."""
    own = Journey(number, ledger)
    names: dict[str, str] = {}

    def told(thing: Any) -> str:
        if isinstance(thing, tuple | list):
            thing = tuple(thing)
        text = shown(thing)
        for entry in own.known:
            if entry.owner:
                names.setdefault(entry.owner, f"owner-{len(names)}")
        for name, short in names.items():
            text = text.replace(name, short)
        return re.sub(r"1750(\d{6})", lambda found: f"+{int(found[1])}", text).replace("https://", "")

    for step in range(STEPS):
        acts: list[Callable[[], Any]] = [own.begin, own.send, own.send, own.hear, own.hear, own.look, own.look]
        acts += [own.settle, own.settle, own.ask]
        act = own.begin if step < 3 else own.chance.choice(acts)
        try:
            outcome = told(act())
        except ResilientPollError as error:
            outcome = told(f"{type(error).__name__}: {error}")
        yield f"{step} {act.__name__}: {outcome}"
        own.now_s += own.chance.choice([0.0, 1.0, 7.0, 40.0, 9000.0 if step % 30 == 29 else 0.5])
    for place in PLACES:
        yield told(ledger.bill(place))
        yield told(ledger.entries(namespace=place, with_archived=True))
    yield told(ledger.strays())
    for owner in own.owners:
        owner.close()
