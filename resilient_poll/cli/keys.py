"""The idempotency keys of the command line: the same words in the same folder are the same wanted result."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, count
from pathlib import Path

from resilient_poll.cli.saving import is_folder
from resilient_poll.ledger.entry import Entry, Namespace
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.machine.lifecycle import OPEN, Billing, Phase

__all__ = ["Take", "absolute", "ago", "derived_key", "files_there", "next_takes", "take_of"]

_DIGITS = 16
"""Hexadecimal digits of a derived key: 64 bits, so that two of a billion are the same by a chance of 1 : 40."""


@dataclass(frozen=True, slots=True)
class Take:
    """What is made under one key.

    Attributes:
        key: The key.
        entry: What the ledger has of it; None if it is new.
    """

    key: str
    entry: Entry | None = None

    @property
    def goes_on(self) -> bool:
        """Whether something was accepted for it, so that nothing is to be sent."""
        return self.entry is not None and (self.entry.task_id is not None or self.entry.phase is Phase.SUCCEEDED)

    @property
    def may_be_tried_again(self) -> bool:
        """Whether it failed, cost nothing, and somebody was told so."""
        entry = self.entry
        return (
            entry is not None
            and entry.phase is Phase.FAILED
            and entry.billing is Billing.NONE
            and entry.delivered_wall_s is not None
        )

    def told(self, now_wall_s: float) -> str | None:
        """Return what to say of it before anything is done, or None if it is new.

        Args:
            now_wall_s: When, in seconds since 1970.
        """
        entry = self.entry
        if entry is None or not (self.goes_on or entry.phase in {Phase.SUBMITTING, Phase.IN_DOUBT}):
            return None
        at_s = entry.created_wall_s if entry.licensed_wall_s is None else entry.licensed_wall_s
        when = f"submitted {ago(now_wall_s - at_s)} ago"
        what = f"task {entry.task_id}" if entry.task_id is not None else "a submit"
        if self.may_be_tried_again:
            return f"found {what}, {when}: it failed and cost nothing, so it is tried again (key {self.key})"
        if entry.phase in OPEN:
            return f"found {what}, {when}, goes on (key {self.key}; --new pays for another)"
        if entry.phase is Phase.SUCCEEDED:
            found = what if entry.task_id is not None else "its result"
            return f"found {found}, {when}: it is made and paid (key {self.key}; --new pays for another)"
        return f"found {what}, {when}, {entry.phase} (key {self.key})"


def derived_key(namespace: Namespace, digest: str, output: str | None, *, kind: str = "run") -> str:
    """Return the key of a run: of the service, the account, the request and where its result goes.

    Args:
        namespace: The service and the account.
        digest: Of the request.
        output: Where the result goes, as it was typed.
        kind: What the key begins with.
    """
    place = "" if output is None else absolute(output)
    text = "\n".join((namespace.origin, namespace.dialect, namespace.account, digest, place))
    return f"{kind}-{sha256(text.encode(errors='surrogateescape')).hexdigest()[:_DIGITS]}"


def absolute(output: str) -> str:
    """Return where results go, however it was spelt; a folder is one by its last character."""
    folder, name = (output, "") if is_folder(output) else os.path.split(output)
    return os.path.join(os.path.realpath(folder or "."), name)  # noqa: PTH118  # an empty name keeps the separator


def take_of(ledger: Ledger, namespace: Namespace, key: str, *, is_derived: bool) -> Take:
    """Return what the ledger has of a key; of a derived one, the last that ``--new`` paid for.

    Args:
        ledger: The ledger.
        namespace: The service and the account.
        key: The key.
        is_derived: Whether it is this program's own, to which ``--new`` adds numbers.

    Raises:
        LedgerError: It cannot be read.
    """
    take = Take(key, ledger.find(namespace, key))
    if take.entry is None or not is_derived:
        return take
    for further in _numbered(key):
        entry = ledger.find(namespace, further)
        if entry is None:
            break
        take = Take(further, entry)
    return take


def next_takes(ledger: Ledger, namespace: Namespace, key: str) -> Iterator[Take]:
    """Yield takes that nobody has yet: the next one is needed where somebody else was quicker."""
    yield from (Take(one) for one in chain([key], _numbered(key)) if ledger.find(namespace, one) is None)


def _numbered(key: str) -> Iterator[str]:
    return (f"{key}.{number}" for number in count(2))


def files_there(entry: Entry) -> tuple[Path, ...] | None:
    """Return the files that hold a result, if each that was saved is still there, under one of its names; else None."""
    there = {file.sha256: Path(file.path) for file in entry.files if _size_of(Path(file.path)) == file.size_bytes}
    wanted = dict.fromkeys(file.sha256 for file in entry.files)
    return tuple(there[mark] for mark in wanted) if wanted and there.keys() == wanted.keys() else None


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return None


def ago(seconds: float) -> str:
    """Return how long ago something was, for people: ``3 min``."""
    for unit_s, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{int(seconds // unit_s)} {name}"
    return f"{int(max(0.0, seconds))} s"
