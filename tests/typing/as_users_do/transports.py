"""The transports under clients of both libraries. Checked, not run."""

from typing import assert_type

import httpx
import httpx2

from resilient_poll import (
    Attempt,
    Backoff,
    BreakerPolicy,
    CircuitOpen,
    ComeBackLater,
    HeadroomPolicy,
    Rate,
    RequestEvent,
    RetryBudget,
    RetryPolicy,
    Slots,
    TransportProblem,
)
from resilient_poll.transports import httpx as for_httpx
from resilient_poll.transports import httpx2 as for_httpx2


class Shared:
    """Slots of one's own."""

    look_again_s = 1.0

    def take(self, key: str) -> str | None:
        """Take one."""
        return key

    def give_back(self, held: str) -> None:
        """Give it back."""


def told(event: RequestEvent) -> None:
    """Listen."""
    assert_type(event.address, str)


def blocking() -> None:
    """Under clients that block."""
    slots: Slots = Shared()
    policy = RetryPolicy(attempts=4, backoff=Backoff(first_s=0.5), too_late="return")
    stack = for_httpx.resilient_transport(
        httpx.HTTPTransport(http2=False),
        total_s=60,
        retry=policy,
        budget=RetryBudget(share=0.1),
        breaker=BreakerPolicy(),
        places=3,
        slots=slots,
        rate=Rate.per_minute(60),
        headroom=HeadroomPolicy(),
        key=lambda request: str(request.headers["x-tenant"]),
        on_event=told,
    )
    assert_type(stack, for_httpx.ResilientTransport)
    with httpx.Client(transport=stack) as client:
        response = client.get("https://api.test")
        assert_type(response, httpx.Response)
        attempts: list[Attempt] = response.request.extensions["resilient_poll.attempts"]
        assert_type(attempts[0].status, int | None)
    mounts: dict[str, httpx2.BaseTransport | None] = {"all://": for_httpx2.TimeoutTransport(total_s=3)}
    with httpx2.Client(mounts=mounts) as other:
        assert_type(other.get("https://api.test"), httpx2.Response)


async def awaiting() -> None:
    """Under clients that await."""
    beneath = for_httpx2.AsyncConcurrencyTransport(httpx2.AsyncHTTPTransport(), 3, max_wait_s=1)
    async with httpx2.AsyncClient(transport=for_httpx2.AsyncHeadroomTransport(beneath)) as client:
        assert_type(await client.get("https://api.test"), httpx2.Response)
    async with httpx.AsyncClient(transport=for_httpx.async_resilient_transport(total_s=None)) as other:
        try:
            await other.get("https://api.test")
        except CircuitOpen as error:
            assert_type(error.come_back_in_s, float | None)
        except ComeBackLater as error:
            assert_type(error.status_code, int)
        except TransportProblem as error:
            assert_type(error.surely_not_sent, bool)
