"""The calls of the blocking client that find tasks by their idempotency keys."""

from __future__ import annotations

from resilient_poll.dashscope.keeping.filing import restored
from resilient_poll.dashscope.parts import ClientPart
from resilient_poll.dashscope.task import Task

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
