"""The service's own list of tasks, for code that awaits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from resilient_poll.dashscope.wire.listing import ListedTask, Listing, ListQuestion, Page
from resilient_poll.dashscope.wire.requests import list_request
from resilient_poll.drive.async_driver import run
from resilient_poll.http.messages import ExchangeFailed, HttpRequest
from resilient_poll.machine.commands import Query, Submit
from resilient_poll.machine.observations import Observation

if TYPE_CHECKING:
    from resilient_poll.dashscope.client_async import AsyncDashScope

__all__ = ["listed"]


async def listed(
    client: AsyncDashScope, asked: tuple[ListQuestion, ...], timeout_s: float
) -> AsyncIterator[ListedTask]:
    """Yield what the service lists; see :func:`resilient_poll.dashscope.lists.listed`."""
    pages = Listing(asked)
    while (parameters := pages.next_page()) is not None:
        request = list_request(client._core.settings, parameters)  # noqa: SLF001  # a part of the client
        for task in pages.receive(await _page(client, request, pages.number, timeout_s)):
            yield task


async def _page(client: AsyncDashScope, request: HttpRequest, number: int, timeout_s: float) -> Page:
    core, clock, exchange = client._core, client._clock, client._exchange  # noqa: SLF001  # as above

    async def perform(command: Submit | Query) -> Observation:
        try:
            answer = await exchange.query(request, command.timeout_s)
        except ExchangeFailed as failure:
            return core.failure_of_query(failure)
        return core.after_listing(answer, clock.now(), number)

    lookup = core.new_lookup(timeout_s, clock.now())
    done = await run(core.query_in_turn(lookup), perform, clock, core.publish)
    return core.page_of(lookup, done, clock.now())
