"""Send like :mod:`.exchange_async`, and tell of each request, where somebody listens."""

from __future__ import annotations

from typing import Any

import anyio

from resilient_poll.http.messages import Answer
from resilient_poll.transports.exchange_async import AsyncExchange
from resilient_poll.transports.exchange_telling import Telling
from resilient_poll.transports.once_body import OnceBytes

__all__ = ["AsyncTellingExchange"]


class AsyncTellingExchange(AsyncExchange):
    """An exchange that tells of each request when its answer was read, or did not come.

    Args:
        http_client: See :class:`.AsyncExchange`.
        telling: How it tells.
    """

    def __init__(self, http_client: Any | None, telling: Telling) -> None:
        super().__init__(http_client)
        self._telling = telling

    async def _send_within(
        self,
        client: Any,
        built: Any,
        body: OnceBytes | None,
        timeout_s: float,
        places: anyio.Semaphore | None = None,
    ) -> Answer:
        telling = self._telling
        began_s = telling.now_s()
        try:
            answer = await super()._send_within(client, built, body, timeout_s, places)
        except BaseException as error:
            telling.tell(built, began_s, error)
            raise
        telling.tell(built, began_s, answer)
        return answer
