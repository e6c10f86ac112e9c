"""How run and submit come by a task: what was paid for under the same key is gone on with, and else it is created."""

from __future__ import annotations

import time
from pathlib import Path

from resilient_poll.cli.keys import Take, absolute, derived_key, files_there, next_takes, take_of
from resilient_poll.cli.report import Report, report_of_direct, report_of_standing
from resilient_poll.cli.saving import fold_back, is_folder
from resilient_poll.cli.session import Session, Wanted, is_synchronous
from resilient_poll.cli.watched_client import WatchedClient, outcome_of_entry
from resilient_poll.dashscope.direct import file_name_of
from resilient_poll.dashscope.outcome import DirectOutcome, GenerationOutcome
from resilient_poll.dashscope.task import Task
from resilient_poll.errors import ConfigurationError
from resilient_poll.ledger.errors import IdempotencyConflict
from resilient_poll.machine.lifecycle import Phase

__all__ = ["Making"]


class Making:
    """One thing that is to be made.

    Args:
        session: Does it.
        client: Sends.
        wanted: What is to be made.
        submit_timeout_s: Until when a create may start, in seconds.
    """

    def __init__(self, session: Session, client: WatchedClient, wanted: Wanted, submit_timeout_s: float) -> None:
        self._session = session
        self._client = client
        self._wanted = wanted
        self._submit_timeout_s = submit_timeout_s
        self._take: Take | None = None
        self._base: str | None = None
        self._is_derived = False
        self._output: str | None = None
        self._is_new = False

    def check_without_ledger(self, *, key: str | None) -> None:
        """Refuse a key that nobody would remember.

        Raises:
            ConfigurationError: There is one.
        """
        if key is not None:
            raise ConfigurationError("--key needs the ledger that --no-ledger does without; nothing was sent")

    def look_up(self, *, key: str | None, output: str | None = None, is_new: bool = False) -> None:
        """Find out what was made under the same key, and tell it; nothing is sent.

        Args:
            key: The key, or None for the one that follows from what is wanted and where it goes.
            output: Where the result goes.
            is_new: Whether another one is to be paid for.

        Raises:
            ConfigurationError: The options contradict each other, or the key stands for another request.
            LedgerError: The ledger cannot be read.
        """
        if key is not None and is_new:
            raise ConfigurationError("--key and --new contradict each other: give another --key; nothing was sent")
        client, ledger = self._client, self._client.ledger
        assert ledger is not None  # noqa: S101  # the caller asked for one
        digest = client.digest_of(self._wanted, is_synchronous=is_synchronous(self._wanted.endpoint))
        base = key if key is not None else derived_key(client.namespace, digest, output)
        take = take_of(ledger, client.namespace, base, is_derived=key is None)
        if take.entry is not None and take.entry.digest != digest:
            raise IdempotencyConflict(take.entry)
        self._base, self._is_derived, self._output, self._is_new = base, key is None, output, is_new
        client.output = None if output is None else absolute(output)
        if is_new:
            take = next(next_takes(ledger, client.namespace, base))
        self._take = take
        self._session.note_key(take.key)
        if (said := take.told(time.time())) is not None:
            self._session.tell(said)

    @property
    def goes_on(self) -> bool:
        """Whether something was accepted already, so that nothing is sent."""
        return self._take is not None and self._take.goes_on

    def report_of_what_is_there(self, *, overwrite: bool = False) -> Report | None:
        """Return the report of a result that is on disk where it is wanted; None if there is something to do.

        Args:
            overwrite: Whether it is wanted under the very name, and not beside a file that has it.
        """
        entry = None if self._take is None else self._take.entry
        if entry is None or entry.phase is not Phase.SUCCEEDED or self._output is None:
            return None
        files = files_there(entry)
        # Of a derived key, where it goes is a part.
        if files is None or not (self._is_derived or all(_is_wanted_there(file, self._output) for file in files)):
            return None
        if overwrite and any(_is_beside(file, self._output, entry.task_id) for file in files):
            return None
        if entry.task_id is None:
            return report_of_direct(outcome_of_entry(entry), files=files)
        return report_of_standing(self._client.resume(entry.key).standing, files=files)

    def saved(self, made: Task | DirectOutcome, output: str) -> Report:
        """Save what was made, and report it; what an earlier run had saved already is not there twice."""
        client = self._client
        files = self._session.save(client, made, output)
        entry = None if self._take is None or client.ledger is None else self._take.entry
        if entry is not None and client.ledger is not None and (outcome := _outcome_of(made)) is not None:
            name = made.id if isinstance(made, Task) else file_name_of(made)
            files = fold_back(client.ledger, entry, files, output, name, outcome.assets)
        if isinstance(made, DirectOutcome):
            return report_of_direct(made, files=files)
        return report_of_standing(made.standing, files=files)

    def make(self) -> Task | DirectOutcome:
        """Return the task, or the result: what was found, else what is created now.

        Raises:
            ResilientPollError: See :meth:`.DashScope.submit`.
        """
        take = self._take
        if take is None:
            return self._created(None)
        entry = take.entry
        if entry is not None and entry.task_id is not None:
            if take.may_be_tried_again:
                return self._session.retry(self._client, self._wanted, self._submit_timeout_s, take.key)
            return self._session.take_up(self._client.resume(take.key))
        if entry is not None and take.goes_on and entry.result is not None:
            return self._session.take_up_result(outcome_of_entry(entry))
        if entry is not None and entry.phase is Phase.ABANDONED:
            way = "--new pays for another" if self._is_derived else "use another --key"
            raise ConfigurationError(f"what is called {take.key} here was given up, and nothing was sent: {way}")
        if self._is_new:
            return self._newly_created()
        return self._created(take.key)

    def _created(self, key: str | None) -> Task | DirectOutcome:
        return self._session.make(self._client, self._wanted, self._submit_timeout_s, key)

    def _newly_created(self) -> Task | DirectOutcome:
        """Create under a key that nobody has: where another process was quicker with it, under the next."""
        ledger = self._client.ledger
        assert ledger is not None  # noqa: S101  # there is a take
        for take in next_takes(ledger, self._client.namespace, self._base or ""):
            made = self._created(take.key)
            if self._client.has_created:
                return made
        raise AssertionError("there is always another key")


def _outcome_of(made: Task | DirectOutcome) -> GenerationOutcome | DirectOutcome | None:
    return made if isinstance(made, DirectOutcome) else made.outcome


def _is_beside(file: Path, output: str, task_id: str | None) -> bool:
    """Tell whether a file got the task's name because another had the name that was wanted."""
    return task_id is not None and task_id in file.name and not is_folder(output) and "{task_id}" not in output


def _is_wanted_there(file: Path, output: str) -> bool:
    """Tell whether a file is where results go: of that name, or a number beside it, or in that folder."""
    wanted, there = Path(absolute(output)), Path(absolute(str(file)))
    if is_folder(output) or "{" in wanted.name:
        return there.is_relative_to(wanted if is_folder(output) else wanted.parent)
    return there.parent == wanted.parent and there.stem.startswith(wanted.stem)
