"""The calls of the blocking client about idempotency keys, and about what is owed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from resilient_poll.dashscope.checking import checked_consent
from resilient_poll.dashscope.keeping.filing import restored
from resilient_poll.dashscope.keeping.retrying import bill_of, next_create
from resilient_poll.dashscope.parts import ClientPart
from resilient_poll.dashscope.task import Task
from resilient_poll.dashscope.wire.endpoints import VIDEO, Endpoint

if TYPE_CHECKING:
    from resilient_poll.ledger.reading import Bill

__all__ = ["KeyCalls"]


class KeyCalls(ClientPart):
    """The part of :class:`DashScope` for that."""

    def resume(self, key_or_token: str) -> Task:
        """Return a task by its idempotency key or its resume token. Sends nothing.

        Raises:
            ConfigurationError: The ledger knows no task of that key.
            SubmitInDoubt: It is in doubt whether there is one.
            SnapshotError: It is a token that cannot be used here.
        """
        client, core = self._client, self._client._core
        if core.is_token(key_or_token):
            return client.task(key_or_token)
        entry = core.entry_of_key(key_or_token)
        return Task(client, restored(entry, client._clock.now()), entry=entry)

    def retry(
        self,
        idempotency_key: str,
        model: str,
        input: Mapping[str, Any],  # noqa: A002  # the service's own word
        parameters: Mapping[str, Any] | None = None,
        *,
        endpoint: str | Endpoint = VIDEO,
        accept_second_charge: bool = False,
        timeout: float | None = None,
    ) -> Task:
        """Create once more what a key stands for, after an end that cost nothing; the next attempt of the key.

        :meth:`.Task.retry` for who has the key only, after a restart too. The ledger keeps no requests, so the
        request is given again. Two who do it at once make one attempt.

        Args:
            idempotency_key: The key.
            model: As for the attempt that ended.
            input: As for that one.
            parameters: As for that one.
            endpoint: As for that one.
            accept_second_charge: Do it also where that one was, or may have been, charged.
            timeout: See :meth:`.DashScope.submit`.

        Returns:
            The new task. From now on it is what the key stands for.

        Raises:
            ConfigurationError: The ledger knows nothing of the key, nothing of it was sent yet, or the call makes
                no sense; nothing was sent.
            IdempotencyConflict: The key stands for another request; nothing was sent.
            SubmitInDoubt: Whether there is a task of it is in doubt; nothing was sent.
            RetryRefused: Its task is not known to have ended, or both may be charged; nothing was sent.
            ActRefused: It has no task, and both may be charged; nothing was sent.
            SubmitError, GuardRefused, LedgerError: See :meth:`.DashScope.submit`.
        """
        client, core = self._client, self._client._core
        consent = checked_consent(accept_second_charge)
        create = core.create_of_key(idempotency_key, endpoint, model, input, parameters)
        ended = core.entry_to_retry(create)
        if ended.task_id is None:
            return client._submit(next_create(create, ended, consent), timeout)
        task = Task(client, restored(ended, client._clock.now()), create, entry=ended)
        return task.retry(accept_second_charge=consent, timeout=timeout)

    def bill(self, *, since: datetime | None = None, until: datetime | None = None) -> Bill:
        """Return what is owed for what this account sent, by day, model and currency.

        What may yet be billed and what is in doubt stand beside what is billed. Amounts need ``prices``; without
        them the tasks are counted.

        Args:
            since: Of what was sent from then on, with a time zone.
            until: Of what was sent before then, with a time zone.

        Raises:
            ConfigurationError: There is no ledger, or a time makes no sense.
            LedgerError: The ledger cannot be read.
        """
        return bill_of(self._client._core.books, since, until)()
