"""What both runners show of an operation."""

from __future__ import annotations

from typing import Any

from resilient_poll.errors import ConfigurationError, Standing
from resilient_poll.machine.lifecycle import Billing, Phase
from resilient_poll.operations.core import OperationCore

__all__ = ["OperationFace"]


class OperationFace:
    """What is known of one operation."""

    def __init__(self, core: OperationCore) -> None:
        self._core = core

    def __repr__(self) -> str:
        record = self._core.poller.record
        return f"<{type(self).__name__} {record.task_id} {record.phase} {record.billing}>"

    @property
    def task_id(self) -> str:
        """The service's id; the URL that it is asked about at, where the service gives none."""
        return self._core.task_id

    @property
    def phase(self) -> Phase:
        """Where it stood when it was last heard of."""
        return self._core.poller.phase

    @property
    def billing(self) -> Billing:
        """What may be owed, as far as it was heard."""
        return self._core.poller.billing

    @property
    def status(self) -> str | None:
        """The service's own last word."""
        return self._core.poller.record.status

    @property
    def progress(self) -> Any:
        """What the service last said of how far it is, if the declaration says where that stands."""
        return self._core.progress

    @property
    def standing(self) -> Standing:
        """Everything that is known of it now, as an error would carry it."""
        return self._core.standing()

    @property
    def token(self) -> str:
        """One line that lets another process go on with it. It holds no key.

        Raises:
            ConfigurationError: The service named a URL that is a key by itself (``sig=``, ``code=`` …), and without it
                nobody can ask.
        """
        if (token := self._core.token()) is None:
            raise ConfigurationError(
                f"operation {self.task_id} is asked about at a URL that is a key by itself, so there is no token "
                "without secrets: go on in this process, or keep that URL yourself"
            )
        return token
