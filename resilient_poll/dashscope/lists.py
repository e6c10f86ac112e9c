"""The service's own list of tasks, for code that blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from resilient_poll.dashscope.wire.listing import ListedTask, Listing, ListQuestion, Page
from resilient_poll.dashscope.wire.requests import list_request
from resilient_poll.drive.sync_driver import run
from resilient_poll.http.messages import ExchangeFailed, HttpRequest
from resilient_poll.machine.commands import Query, Submit
from resilient_poll.machine.observations import Observation

if TYPE_CHECKING:
    from resilient_poll.dashscope.client import DashScope

__all__ = ["listed"]


def listed(client: DashScope, asked: tuple[ListQuestion, ...], timeout_s: float) -> Iterator[ListedTask]:
    """Yield what the service lists; see :meth:`.DashScope.list_remote`.

    Args:
        client: Whose account it is.
        asked: The windows.
        timeout_s: How long to go on asking for each page.

    Raises:
        ListingFailed: A page did not come.
    """
    pages = Listing(asked)
    while (parameters := pages.next_page()) is not None:
        request = list_request(client._core.settings, parameters)  # noqa: SLF001  # a part of the client
        yield from pages.receive(_page(client, request, pages.number, timeout_s))


def _page(client: DashScope, request: HttpRequest, number: int, timeout_s: float) -> Page:
    core, clock, exchange = client._core, client._clock, client._exchange  # noqa: SLF001  # as above

    def perform(command: Submit | Query) -> Observation:
        try:
            answer = exchange.query(request, command.timeout_s)
        except ExchangeFailed as failure:
            return core.failure_of_query(failure)
        return core.after_listing(answer, clock.now(), number)

    lookup = core.new_lookup(timeout_s, clock.now())
    done = run(core.query_in_turn(lookup), perform, clock, core.publish)
    return core.page_of(lookup, done, clock.now())
