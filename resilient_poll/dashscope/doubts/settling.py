"""What a human decides about a doubt: which task it is, that it may be sent again, or that it is given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.dashscope.doubts import filed
from resilient_poll.dashscope.doubts.likeness import Likeness, compared
from resilient_poll.dashscope.doubts.searching import LOOK_S
from resilient_poll.dashscope.doubts.steps import Asked, Call, Question, Steps, about_a_task
from resilient_poll.dashscope.wire.dialects import LIFECYCLE
from resilient_poll.dashscope.wire.listing import LIST_S
from resilient_poll.dashscope.wire.requests import checked_task_id, list_request
from resilient_poll.drive.outcome import cause_of
from resilient_poll.errors import ListingFailed
from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.errors import ActRefused
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.lookup import Lookup
from resilient_poll.machine.observations import Refused, StatusSeen

__all__ = ["Settling"]


@dataclass(frozen=True, slots=True)
class Settling:
    """What a human's decision about one doubt takes.

    Attributes:
        core: Whose doubt it is.
        now: What time it is.
    """

    core: ClientCore
    now: Callable[[], Instant]

    def adopting(self, key: str, task_id: str) -> Steps[Entry]:
        """Say which task a doubt made: the service is asked about it first.

        Args:
            key: The doubt's idempotency key.
            task_id: The task.

        Raises:
            ConfigurationError: It is no task id, or the ledger knows nothing of the key.
            ActRefused: The key is not in doubt; or the task cannot be its own.
            ListingFailed: The service did not say.
        """
        core, at, task_id = self.core, self.now(), checked_task_id(task_id)
        books = filed.books_of(core)
        entry: Entry = yield Call(lambda: filed.latest_of(books, key, at))
        if entry.task_id == task_id:
            return entry
        entry = yield Call(lambda: filed.doubt_of(books, key, at))
        asked: Asked = yield about_a_task(core, task_id, at, LOOK_S)
        if asked.lookup.answered is None:
            raise self._not_told(task_id, asked.lookup)
        seen: StatusSeen = asked.lookup.answered.result
        if LIFECYCLE.phase_of(seen.status) is Phase.UNRECOGNIZED:
            raise ActRefused(
                f"the service knows no task {task_id} in this account (any more), so {entry} was not changed", entry
            )
        if compared(entry, seen.result).likeness is Likeness.OTHER:
            raise ActRefused(
                f"task {task_id} was made of another prompt than was sent here, so {entry} was not changed", entry
            )
        yield from self._compare_models(entry, task_id)
        now = self.now()
        taken: Entry = yield Call(lambda: filed.adopt(books, entry, task_id, seen, now))
        return taken

    def permitting(self, key: str) -> Steps[Entry]:
        """Let the next submit of a key in doubt send it once more."""
        books, now = filed.books_of(self.core), self.now()

        def permit() -> Entry:
            return books.ledger.license_resubmit(filed.doubt_of(books, key, now), now_wall_s=now.wall_s)

        entry: Entry = yield Call(permit)
        return entry

    def abandoning(self, key: str, reason: str) -> Steps[Entry]:
        """Give an entry up."""
        books, now = filed.books_of(self.core), self.now()

        def abandon() -> Entry:
            return books.ledger.abandon(filed.latest_of(books, key, now), reason, now_wall_s=now.wall_s)

        entry: Entry = yield Call(abandon)
        return entry

    def _compare_models(self, entry: Entry, task_id: str) -> Steps[None]:
        """Compare the models, where the service lists its tasks and shows them.

        Raises:
            ActRefused: They are two.
        """
        core, model = self.core, entry.about.get("model", "")
        if not core.settings.dialect.can_list or not model:
            return
        parameters = {"task_id": task_id, "page_no": "1", "page_size": "10"}
        request = list_request(core.settings, parameters)
        came: Asked = yield Question(request, lambda answer, at: core.after_listing(answer, at, 1), LIST_S)
        if came.lookup.answered is None:
            return  # It is only one more look: the task itself was shown.
        for task in came.lookup.answered.result.tasks:
            if task.task_id == task_id and task.model not in {None, model}:
                raise ActRefused(
                    f"task {task_id} is of model {task.model!r:.80} and {model!r:.80} was asked for, so {entry} was "
                    "not changed",
                    entry,
                )

    def _not_told(self, task_id: str, lookup: Lookup) -> ListingFailed:
        last = lookup.last
        why = "it refuses" if isinstance(last, Refused) else getattr(last, "reason", "it asked to be left alone")
        told = last if isinstance(last, Refused) else None
        return ListingFailed(
            f"the service did not say where task {task_id} stands: {why}",
            cause=cause_of(told, self.core.classify) if told is not None else None,
            request_id=None if last is None else last.request_id,
        )
