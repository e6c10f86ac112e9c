"""The judge: what the fake's own bill, the ledger, the disk and the application's own record say together."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resilient_poll.ledger.entry import Entry, Stray
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.lifecycle import ENDS, OPEN, Billing, Phase
from tests.crash.requests import key_of_task

__all__ = ["Facts", "Verdict", "facts_of", "judge", "left_to_do"]

_CLAIMS = {
    Billing.NONE: (False,),
    Billing.BILLED: (True,),
}
"""What the true bill must say where the ledger says it exactly."""


@dataclass(frozen=True)
class Facts:
    """What is known when everything is at rest.

    Attributes:
        bill: The lines of the fake's bill.
        entries: All of the ledger's.
        strays: All of the ledger's.
        heard: Ids whose acceptance the ledger has confirmed to a process.
        handled: What the application's handler kept: key, task and phase.
        files: By name, the SHA-256 of what is on disk under a final name.
        whole: The SHA-256 of what the fake serves.
        permits: By key, how many further submits a human has permitted.
    """

    bill: tuple[Mapping[str, Any], ...]
    entries: tuple[Entry, ...]
    strays: tuple[Stray, ...]
    heard: frozenset[str]
    handled: tuple[Mapping[str, Any], ...]
    files: Mapping[str, str]
    whole: str
    permits: Mapping[str, int] = field(default_factory=dict)

    @property
    def halves(self) -> tuple[str, ...]:
        """The files under a final name that are not what the service made."""
        return tuple(name for name, found in self.files.items() if found != self.whole)


@dataclass
class Verdict:
    """Figures, and a sentence for each that should be zero.

    Attributes:
        figures: By name.
        wrong: What is wrong.
    """

    figures: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def blame(self, figure: str, sentence: str) -> None:
        """Count something that should not be."""
        self.figures[figure] += 1
        self.wrong.append(f"{figure}: {sentence}")

    def add(self, other: Verdict) -> None:
        """Take in another one's."""
        self.figures.update(other.figures)
        self.wrong += other.wrong


def judge(facts: Facts) -> Verdict:
    """Return the verdict on what is at rest."""
    verdict = Verdict()
    verdict.figures["tasks"] = len(facts.bill)
    for word in ("strays", "duplicates", "lost", "undelivered", "unsaved", "misadopted", "misbilled", "unfinished"):
        verdict.figures[word] = 0
    _judge_tasks(facts, verdict)
    _judge_entries(facts, verdict)
    for name in facts.halves:
        verdict.blame("unsaved", f"{name} is under its final name and is not what the service made")
    return verdict


def _judge_tasks(facts: Facts, verdict: Verdict) -> None:
    """Judge from the bill: nothing twice, nothing forgotten."""
    holders = {entry.task_id: entry for entry in facts.entries if entry.task_id is not None}
    beside = {stray.task_id for stray in facts.strays}
    doubts: Counter[str] = Counter()  # Of all attempts of a key.
    for entry in facts.entries:
        doubts[entry.key] += len(entry.doubtful_sends) + (entry.phase is Phase.IN_DOUBT)
    for key, count in Counter(key_of_task(dict(row)) for row in facts.bill).items():
        for _ in range(count - 1 - facts.permits.get(key, 0)):
            verdict.blame("duplicates", f"{key} has {count} tasks at the service")
    for row in facts.bill:
        task_id, key = str(row["task_id"]), key_of_task(dict(row))
        if task_id in holders:
            if holders[task_id].key != key:
                verdict.blame("misadopted", f"task {task_id} of {key} is held by {holders[task_id]}")
            verdict.figures["in the ledger"] += 1
        elif task_id in beside:
            verdict.figures["strays"] += 1
        elif task_id in facts.heard:
            verdict.blame("lost", f"task {task_id} of {key}: the ledger confirmed its id, and does not have it")
        elif doubts[key] > 0:
            doubts[key] -= 1
            verdict.figures["behind a doubt"] += 1
        else:
            verdict.blame("lost", f"task {task_id} of {key} is neither in the ledger nor behind a doubt")
    for entry in facts.entries:
        verdict.figures["doubts"] += entry.phase is Phase.IN_DOUBT


def _judge_entries(facts: Facts, verdict: Verdict) -> None:
    """Judge from the ledger: everything at rest, handed over, on disk, and billed as it is."""
    rows = {str(row["task_id"]): row for row in facts.bill}
    handled = {(line["key"], line["task_id"]) for line in facts.handled}
    for entry in facts.entries:
        if entry.phase in OPEN or entry.phase in {Phase.NEW, Phase.SUBMITTING}:
            verdict.blame("unfinished", f"{entry} is not at rest")
        if entry.phase in ENDS:
            verdict.figures["ends"] += 1
            # Who submits is told of a refusal there and then.
            if entry.phase is not Phase.REFUSED and (entry.key, entry.task_id) not in handled:
                verdict.blame("undelivered", f"nobody was handed {entry}")
            if entry.delivered_wall_s is None:
                verdict.blame("undelivered", f"the ledger does not know that {entry} was handed over")
        if entry.task_id is None:
            continue
        row = rows.get(entry.task_id)
        if row is None:
            verdict.blame("lost", f"{entry} is no task of the service's")
            continue
        if entry.phase in ENDS and entry.phase.value != row["status"]:
            verdict.blame("misbilled", f"{entry} is {row['status']} at the service")
        if entry.phase in ENDS and row["billed"] not in _CLAIMS.get(entry.billing, (True, False)):
            verdict.blame("misbilled", f"{entry}: {entry.billing}, and the service's bill says {row['billed']}")
        if entry.phase is Phase.SUCCEEDED and facts.files.get(f"{entry.task_id}.mp4") != facts.whole:
            verdict.blame("unsaved", f"what {entry} made is not on disk")


def left_to_do(facts: Facts, keys: Iterable[str]) -> list[str]:
    """Return the keys of which something is still to be done by somebody who does not decide doubts."""
    latest: dict[str, Entry] = {}
    for entry in facts.entries:
        if entry.key not in latest or entry.attempt > latest[entry.key].attempt:
            latest[entry.key] = entry
    handled = {(line["key"], line["task_id"]) for line in facts.handled}
    left = []
    for key in keys:
        found = latest.get(key)
        is_settled = found is not None and found.phase in {Phase.IN_DOUBT, Phase.REFUSED}
        is_told = found is not None and found.phase in ENDS and (key, found.task_id) in handled
        if not is_settled and not (is_told and found is not None and found.delivered_wall_s is not None):
            left.append(key)
    return left


def facts_of(path: Path, folder: Path, bill: Iterable[Mapping[str, Any]], whole: bytes, **more: Any) -> Facts:
    """Collect the facts.

    Args:
        path: The ledger.
        folder: Where the workers leave what they say and save.
        bill: The fake's.
        whole: What the fake serves.
        more: Further facts.
    """
    with SqliteLedger(path) as ledger:
        listed = ledger.entries(with_archived=True, limit=1_000_000)
        assert not listed.corrupt
        strays = ledger.strays()
    return Facts(
        bill=tuple(bill),
        entries=listed.entries,
        strays=strays,
        heard=frozenset(line["task_id"] for line in _lines(folder / "heard")),
        handled=tuple(_lines(folder / "handled")),
        files={
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in (folder / "files").iterdir()
            if file.suffix == ".mp4"
        },
        whole=hashlib.sha256(whole).hexdigest(),
        **more,
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
