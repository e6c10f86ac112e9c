"""What an outage is made worse by: all that everybody retries, together."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

import anyio
import pytest

from benchmarks.outage import ANSWERED_AFTER_S, LONGEST_RECOVERY_S, MOST_LOAD, OURS, Plan, simulated
from benchmarks.virtual_loop import run_virtually
from resilient_poll import Backoff, RetryBudget, RetryPolicy
from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import LIBRARIES, got, run_in
from tests.transports.scripted import EACH_WAY, Says, Script, inner_of, transport

SHORT = Plan(before_s=5, outage_s=20, after_s=10)


@pytest.mark.parametrize("arm", [OURS, "ours, one budget passed to all"])
def test_an_outage_is_not_made_worse(arm: str) -> None:
    """200 clients never send more than 1.25 times the normal load, and are well within 5 s of the server."""
    came = simulated(arm, SHORT)
    assert came.peak_per_s <= MOST_LOAD
    assert came.requests <= 1.0 + RetryBudget().share + 0.06
    assert came.recovered_s <= LONGEST_RECOVERY_S
    assert came.peak_per_s > 1.05, "nothing was retried, so nothing was shown"


@pytest.mark.thorough
def test_the_simulation_sees_what_makes_an_outage_worse() -> None:
    """A plain loop of five attempts shows five times the load, and no retries the normal one."""
    naive = simulated("a loop of 5 attempts, 1 s between", SHORT)
    assert naive.peak_per_s == pytest.approx(5.0, abs=0.1)
    assert naive.recovered_s > 0
    nothing = simulated("no retries", SHORT)
    assert (nothing.peak_per_s, nothing.peak_per_tenth, nothing.recovered_s) == (1.0, 1.0, 0.0)


def test_virtual_time_passes_without_waiting() -> None:
    """A virtual loop sleeps a day at once, in order, and says so where everything would wait for ever."""

    async def main() -> list[float]:
        loop, at_s = asyncio.get_running_loop(), []
        for seconds in (86_400.0, ANSWERED_AFTER_S):
            await asyncio.sleep(seconds)  # virtual
            at_s.append(loop.time())
        return at_s

    assert run_virtually(main()) == pytest.approx([86_400.0, 86_400.02])
    with pytest.raises(RuntimeError, match="for ever"):
        run_virtually(asyncio.Event().wait())


def unwell(library: str) -> tuple[Any, Script]:
    script = Script([Says(503)], VirtualClock())
    return inner_of(library, script), script


def once(library: str, colour: str, inner: Any, url: str) -> Any:
    """Return what asks once through a new transport with the defaults, that never pauses."""
    module = import_module(f"resilient_poll.transports.{library}")
    policy = RetryPolicy(backoff=Backoff(first_s=1e-9, longest_s=1e-9))
    request = LIBRARIES[library].Request("GET", url)
    if colour == "sync":
        return lambda: module.RetryTransport(inner, policy).handle_request(request)
    return lambda: module.AsyncRetryTransport(inner, policy).handle_async_request(request)


@pytest.mark.parametrize("library", LIBRARIES)
def test_clients_of_one_process_share_what_may_be_retried(library: str) -> None:
    """Blocking clients and those of several event loops share one budget for each origin, as theirs is one clock."""
    inner, script = unwell(library)
    url = f"http://shared-{library}.test/"
    for number in range(20):
        ask = once(library, "sync" if number % 2 else "async", inner, url)
        if number % 2:
            ask()
        else:
            asyncio.run(ask())
    # Twenty first ones, the ten retries that were saved up, and the two that twenty first ones pay for.
    assert len(script.requests) == pytest.approx(20 + 10 + 20 * 0.1, abs=1)
    elsewhere, other = unwell(library)
    once(library, "sync", elsewhere, f"http://other-{library}.test/")()
    assert len(other.requests) == 3


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_clients_of_one_run_of_trio_share_a_budget(library: str) -> None:
    """Within a run of trio, whose clock is its own, clients share a budget; the next run begins anew."""

    async def many() -> int:
        inner, script = unwell(library)
        for _ in range(20):
            await once(library, "async", inner, "http://service.test/")()
        return len(script.requests)

    counts = [anyio.run(many, backend="trio") for _ in range(2)]
    assert counts == [pytest.approx(32, abs=1)] * 2


@pytest.mark.parametrize(("colour", "library"), EACH_WAY)
def test_a_clock_that_is_passed_in_has_a_budget_of_its_own(colour: str, library: str) -> None:
    """Transports with a clock of their own share nothing with others: their instants cannot be compared."""

    async def ask() -> int:
        script = Script([Says(503)], VirtualClock())
        over = transport(colour, library, "RetryTransport", inner_of(library, script), clock=script.clock)
        request = LIBRARIES[library].Request("GET", "http://service.test/")
        await got(over.handle_request(request) if colour == "sync" else over.handle_async_request(request))
        return len(script.requests)

    assert [run_in(colour, ask) for _ in range(8)] == [3] * 8
