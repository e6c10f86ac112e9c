"""What a run does with each line, given what an earlier run left. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from resilient_poll.cli.batch.jobs import Line
from resilient_poll.cli.batch.state import Entry, Step
from resilient_poll.errors import ConfigurationError
from resilient_poll.ledger.entry import Entry as LedgerEntry
from resilient_poll.machine.lifecycle import Phase

__all__ = ["Fate", "Wishes", "fates_of", "learn_from_ledger", "note_on_strangers"]

MOST_TOLD = 20


class Fate(Enum):
    """What is done with a line."""

    SEND = auto()
    """It goes out: it never did, or surely nothing came of it."""
    GO_ON = auto()
    """It has a task, which is waited for."""
    FETCH = auto()
    """All was done, and its files are gone: they are fetched again."""
    SAVE = auto()
    """Its result came without a task, and is not on disk."""
    REPEAT = auto()
    """All is done: what was printed is printed again."""
    DOUBT = auto()
    """It was sent, and nobody knows what came of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the caller takes upon themselves.

    Attributes:
        resubmit_doubtful: Send again what may have been accepted.
        retry_failed: Send again what failed and cost nothing.
    """

    resubmit_doubtful: bool = False
    retry_failed: bool = False


def fates_of(
    lines: Iterable[Line], entries: Mapping[str, Entry], wishes: Wishes, exists: Callable[[str], bool]
) -> dict[str, Fate]:
    """Return what is done with each line, by its key.

    Args:
        lines: The file's jobs.
        entries: What an earlier run left.
        wishes: What the caller takes upon themselves.
        exists: Tells whether a file is there.

    Raises:
        ConfigurationError: The state knows of jobs that the file does not hold any more, and that are not over.
    """
    fates: dict[str, Fate] = {}
    complaints: list[str] = []
    for line in lines:
        entry = entries.get(line.key)
        # A job that cost nothing may be mended by its author and keep its id.
        if entry is None or (entry.digest != line.digest and _is_free(entry)):
            fates[line.key] = Fate.SEND
            continue
        fates[line.key] = _fate(entry, wishes, exists)
        if entry.digest != line.digest:
            complaints.append(f"  line {line.number}: the id {line.id!r} was another request when it was sent")
    for key, entry in entries.items():
        if key not in fates and entry.step in _OPEN:
            task = f", task {entry.task_id}" if entry.task_id else ""
            complaints.append(f"  {_name(key)} what was line {entry.line} ({entry.step}{task})")
    if complaints:
        raise _refused(complaints)
    return fates


def learn_from_ledger(entries: MutableMapping[str, Entry], ledger_entry: Callable[[str], LedgerEntry | None]) -> None:
    """Take over what the ledger knows of jobs whose answer the state never got.

    Args:
        entries: What an earlier run left; changed.
        ledger_entry: Returns what the ledger has of a job, by its key.
    """
    for key, entry in entries.items():
        known = ledger_entry(key) if entry.step is Step.SUBMITTING else None
        if known is not None and known.task_id is not None:
            entries[key] = replace(entry, step=Step.ACCEPTED, task_id=known.task_id)
        elif known is not None and known.phase is Phase.NEW:
            entries[key] = replace(entry, step=Step.FREE)


def note_on_strangers(lines: Iterable[Line], entries: Mapping[str, Entry], fates: Mapping[str, Fate]) -> str | None:
    """Return what to say where lines may be taken for new ones only because their options have changed, or None.

    Args:
        lines: The file's jobs.
        entries: What an earlier run left.
        fates: What is done with each job.
    """
    gone = sum(key not in fates and not key.startswith("id:") and not _is_free(entry) for key, entry in entries.items())
    new = sum(line.id is None and line.key not in entries and fates[line.key] is Fate.SEND for line in lines)
    if not gone or not new:
        return None
    were = "job of an earlier run is" if gone == 1 else "jobs of an earlier run are"
    are = "line is new" if new == 1 else "lines are new"
    return (
        f"! {gone} {were} not among these lines; {new} {are} and will be paid. "
        'Give lines an "id" to tell them apart from changed options'
    )


_OPEN = frozenset({Step.SUBMITTING, Step.ACCEPTED, Step.ANSWERED})


def _fate(entry: Entry, wishes: Wishes, exists: Callable[[str], bool]) -> Fate:
    match entry.step:
        case Step.FREE:
            return Fate.SEND
        case Step.SUBMITTING:
            return Fate.SEND if wishes.resubmit_doubtful else Fate.DOUBT
        case Step.ACCEPTED:
            return Fate.GO_ON
        case Step.ANSWERED:
            return Fate.SAVE
        case Step.ENDED:
            if wishes.retry_failed and _is_free(entry):
                return Fate.SEND
            files = (entry.report or {}).get("files") or []
            if all(exists(file) for file in files):
                return Fate.REPEAT
            return Fate.SAVE if entry.task_id is None else Fate.FETCH


def _is_free(entry: Entry) -> bool:
    """Tell whether nothing is owed for it, so that it can be sent again."""
    if entry.step is Step.ENDED:
        return (entry.report or {}).get("safe_to_submit_again") == "yes"
    return entry.step is Step.FREE


def _name(key: str) -> str:
    return f"the id {key.removeprefix('id:')!r}," if key.startswith("id:") else "gone:"


def _refused(complaints: list[str]) -> ConfigurationError:
    told = complaints[:MOST_TOLD]
    if len(complaints) > MOST_TOLD:
        told.append(f"  and {len(complaints) - MOST_TOLD} more")
    head = (
        "the state knows of jobs that were sent and that the file does not hold any more: give a changed job another "
        "id, put back what is gone, or name another --state; nothing was sent"
    )
    return ConfigurationError("\n".join([head, *told]))
