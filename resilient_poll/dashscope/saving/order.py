"""One download: which assets, to which files, which of them are there already, and what the ledger learns of it.

What reads or writes the ledger or a disk blocks. Code that awaits has it run elsewhere.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from resilient_poll.dashscope.checking import checked_seconds
from resilient_poll.dashscope.direct import file_name_of
from resilient_poll.dashscope.keeping.books import Books
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.saving.download import Saving, target_paths
from resilient_poll.dashscope.saving.partial import PartialFile, sha256_of
from resilient_poll.dashscope.saving.rules import DownloadProblem, Gone
from resilient_poll.dashscope.wire.results import Asset
from resilient_poll.drive.telling import logger
from resilient_poll.errors import ResilientPollError
from resilient_poll.ledger.entry import Entry, SavedFile
from resilient_poll.machine.instant import Instant

if TYPE_CHECKING:
    from resilient_poll.dashscope.client_core import ClientCore
    from resilient_poll.dashscope.task_core import TaskCore

__all__ = [
    "NO_TASK_TO_ASK",
    "Order",
    "is_whole",
    "name_in_ledger",
    "order_of_bytes",
    "order_of_result",
    "order_of_task",
]

NO_TASK_TO_ASK = "it came without a task that could be asked for a new one"


@dataclass(slots=True)
class Order:
    """What is to be saved.

    Attributes:
        assets: What was made, by the latest answer.
        targets: The files, one for each.
        deadline_s: Until when, in monotonic seconds.
        books: The client's side of a ledger; None where there is none.
        find: Returns the ledger's entry of the result.
        made_now: Returns what the latest answer says; None where nobody can be asked.
    """

    assets: Sequence[Asset]
    targets: tuple[Path, ...]
    deadline_s: float
    books: Books | None = None
    find: Callable[[], Entry | None] = lambda: None
    made_now: Callable[[], Sequence[Asset]] | None = None
    was_asked_anew: bool = False
    saving: Saving = field(init=False)
    _entry: Entry | None = None

    def __post_init__(self) -> None:
        self.saving = Saving(self.targets)

    def known_files(self) -> Mapping[str, SavedFile]:
        """Return what the ledger knows to be on disk, by :func:`name_in_ledger`. A fault is only logged."""
        if self.books is None:
            return {}
        try:
            self._entry = self.find()
        except ResilientPollError as error:
            logger.error("which files are on disk already could not be read: %s", error)
        return {} if self._entry is None else {file.path: file for file in self._entry.files}

    def note(self, target: Path, file: PartialFile, now: Instant) -> None:
        """Record that a file is on disk. A fault is only logged: the file is there, and can be fetched again."""
        books, entry = self.books, self._entry
        if books is None or entry is None:
            return
        saved = SavedFile(name_in_ledger(target), file.size, file.sha256)
        try:
            books.ledger.saved(entry, saved, now_wall_s=now.wall_s)
        except ResilientPollError as error:
            logger.error("that %s of %s is on disk could not be written down: %s", saved.path, entry, error)

    def may_ask_anew(self, gone: Gone) -> None:
        """Check that the task may be asked for another URL, which is done once.

        Raises:
            DownloadProblem: It may not.
        """
        if self.made_now is None:
            raise DownloadProblem(f"{gone}, and it came without a task that could be asked for a new one") from gone
        if self.was_asked_anew:
            raise DownloadProblem(f"{gone}, also after the task was asked anew") from gone
        self.was_asked_anew = True

    def url_of(self, index: int, gone: Gone) -> str:
        """Return where an asset is by the latest answer.

        Raises:
            DownloadProblem: It names another number of them, so nobody knows which is which.
        """
        now = self.assets if self.made_now is None else self.made_now()
        if len(now) != len(self.assets):
            raise DownloadProblem(f"{gone}, and the task, asked anew, names {len(now)} results") from gone
        self.assets = now
        return now[index].url

    def not_asked_anew(self, gone: Gone, error: ResilientPollError) -> DownloadProblem:
        """Return the problem of an asset whose task did not answer."""
        return DownloadProblem(f"{gone}, and the task could not be asked for another one ({type(error).__name__})")


def order_of_task(task: TaskCore, path: str | os.PathLike[str], timeout: float) -> Order:
    """Return what saves everything that a task made.

    Args:
        task: The task.
        path: A folder, a file or a template.
        timeout: How many seconds all of it may take.

    Raises:
        ConfigurationError: The path or the time makes no sense; nothing was sent.
        TaskError: There is nothing to save.
    """
    core = task._core  # noqa: SLF001  # what a task makes is saved here and nowhere else
    assets = task._made_or_raise().assets  # noqa: SLF001  # as above
    return Order(
        assets,
        target_paths(path, task.id, assets, task._default_extension()),  # noqa: SLF001  # as above
        task._now().monotonic_s + checked_seconds("timeout", timeout, or_zero=True),  # noqa: SLF001  # as above
        core.books,
        find=partial(_entry_of_task, core.books, task.id),
        made_now=lambda: task._made_or_raise().assets,  # noqa: SLF001  # as above
    )


def order_of_bytes(task: TaskCore) -> Order:
    """Return what hands out the bytes of the one thing that a task made, however long the caller takes over them.

    Raises:
        TaskError: There is nothing to hand out, or there are several results.
    """
    asset = task._single_asset()  # noqa: SLF001  # as above
    return Order([asset], (), math.inf, made_now=lambda: task._made_or_raise().assets)  # noqa: SLF001  # as above


def order_of_result(
    core: ClientCore, outcome: DirectOutcome, path: str | os.PathLike[str], timeout: float, now: Instant
) -> Order:
    """Return what saves everything that an answer brought at once; see :func:`order_of_task`."""
    name = file_name_of(outcome)
    return Order(
        outcome.assets,
        target_paths(path, name, outcome.assets, outcome.extension),
        now.monotonic_s + checked_seconds("timeout", timeout, or_zero=True),
        core.books,
        find=partial(_entry_numbered, core.books, outcome.entry_id),
    )


def is_whole(known: SavedFile | None, target: Path) -> bool:
    """Tell whether a file is what the ledger says was saved there: its size is looked at first, then its hash.

    Args:
        known: What the ledger says of it, if anything.
        target: The file.
    """
    if known is None:
        return False
    try:
        is_there = target.is_file() and target.stat().st_size == known.size_bytes
        is_same = is_there and sha256_of(target) == known.sha256
    except (OSError, ValueError):
        return False
    if is_same:
        logger.info("%s is on disk already, as it was saved: nothing was fetched", known.path)
    return is_same


def name_in_ledger(target: Path) -> str:
    """Return how a ledger calls a file: wherever the next process is started, and whatever letters its name has."""
    return os.path.abspath(target).encode("utf-8", "backslashreplace").decode()  # noqa: PTH100  # links stay


def _entry_of_task(books: Books | None, task_id: str) -> Entry | None:
    return None if books is None else books.entry_of_task(task_id)


def _entry_numbered(books: Books | None, entry_id: int | None) -> Entry | None:
    return None if books is None or entry_id is None else books.ledger.get(entry_id)
