"""A user's file: the transports under clients of both libraries. It is checked by a strict type checker, not run."""

from __future__ import annotations

from typing import assert_type

import httpx
import httpx2

from resilient_poll import BreakerPolicy, CircuitOpen, Rate, RequestEvent, RetryBudget, RetryPolicy, TransportProblem
from resilient_poll.transports import httpx as for_httpx
from resilient_poll.transports import httpx2 as for_httpx2


def told(event: RequestEvent) -> None:
    """Listen."""
    assert_type(event.address, str)


def blocking() -> None:
    """Put each under a blocking client."""
    beneath = for_httpx.RateLimitTransport(httpx.HTTPTransport(http2=False), Rate.per_second(5), on_event=told)
    over = for_httpx.CircuitBreakerTransport(beneath, BreakerPolicy(), key=lambda request: request.headers["x-tenant"])
    with httpx.Client(transport=for_httpx.RetryTransport(over, RetryPolicy(), budget=RetryBudget())) as client:
        assert_type(client.get("http://api.test"), httpx.Response)
    with httpx2.Client(transport=for_httpx2.resilient_transport(places=3)) as other:
        assert_type(other.get("http://api.test"), httpx2.Response)
    assert_type(for_httpx.resilient_transport(), for_httpx.ResilientTransport)
    mounts: dict[str, httpx.BaseTransport | None] = {"all://": for_httpx.TimeoutTransport(total_s=3)}
    httpx.Client(mounts=mounts)


async def awaiting() -> None:
    """Put each under an awaiting client."""
    beneath = for_httpx2.AsyncConcurrencyTransport(httpx2.AsyncHTTPTransport(), 3, max_wait_s=1)
    async with httpx2.AsyncClient(transport=for_httpx2.AsyncHeadroomTransport(beneath)) as client:
        assert_type(await client.get("http://api.test"), httpx2.Response)
    async with httpx.AsyncClient(transport=for_httpx.async_resilient_transport(total_s=None)) as other:
        try:
            assert_type(await other.get("http://api.test"), httpx.Response)
        except CircuitOpen as error:
            assert_type(error.come_back_in_s, float | None)
        except TransportProblem as error:
            assert_type(error.surely_not_sent, bool)
