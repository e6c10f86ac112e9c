"""An outage in virtual time: what each way of retrying does to the server, and how soon all is well again.

200 clients ask once a second each, whatever becomes of what they asked before. After ten seconds the server answers
503 for a minute, then it is well again, with half of the normal load to spare: what it gets beyond that within a
second it refuses, with 503 too, at no cost of its own. The code of all arms is their real code, in an event loop whose
time is virtual, so nothing is measured and the same comes out each time. ``python -m benchmarks.outage --write`` keeps
the table for the documentation.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module, util
from pathlib import Path
from typing import Any

import httpx

from benchmarks.figures import Row, Scale, Spread
from benchmarks.virtual_loop import run_virtually
from resilient_poll import RetryBudget
from resilient_poll.transports.httpx import async_resilient_transport

__all__ = ["ARMS", "KEPT", "Came", "Plan", "as_table", "measure", "simulated"]

KEPT = Path(__file__).with_suffix(".md")
"""The table as the documentation shows it."""
ANSWERED_AFTER_S = 0.02
MOST_LOAD = 1.25
"""The goal: the load never exceeds the normal one by more than a quarter, in any second."""
LONGEST_RECOVERY_S = 5.0
"""The goal: so long after the server everything is well again."""
_WELL = 0.99
"""This share of the calls that end within a second is normal."""

Ask = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens.

    Attributes:
        clients: How many ask, once a second each.
        before_s: For how many seconds all is well first.
        outage_s: For how many seconds the server answers 503.
        after_s: For how many seconds the simulation goes on.
        spare: How much of the normal load the server can carry besides it.
    """

    clients: int = 200
    before_s: int = 10
    outage_s: int = 60
    after_s: int = 40
    spare: float = 0.5


class Server(httpx.AsyncBaseTransport):
    """Answers 200 while it is well and within what it can carry, and 503 otherwise.

    Args:
        plan: When it is well.

    Attributes:
        arrivals_s: When each request came.
    """

    def __init__(self, plan: Plan) -> None:
        self._down_s = (plan.before_s, plan.before_s + plan.outage_s)
        self._most = plan.clients * (1 + plan.spare)
        self._served: deque[float] = deque()
        self.arrivals_s: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        now_s = asyncio.get_running_loop().time()
        self.arrivals_s.append(now_s)
        while self._served and self._served[0] <= now_s - 1.0:
            self._served.popleft()
        is_well = not self._down_s[0] <= now_s < self._down_s[1] and len(self._served) < self._most
        if is_well:
            self._served.append(now_s)
        await asyncio.sleep(ANSWERED_AFTER_S)
        return httpx.Response(200 if is_well else 503, request=request)


@dataclass(frozen=True, slots=True)
class Came:
    """What came of it.

    Attributes:
        peak_per_s: The highest load in any second over the normal load.
        peak_per_tenth: The highest load in any tenth of a second over the normal load.
        requests: How many requests the server got during the outage, over the normal number.
        recovered_s: So long after the server's recovery 99 % of the calls that ended within a second succeeded.
        failed: The share of all calls that failed in the end.
    """

    peak_per_s: float
    peak_per_tenth: float
    requests: float
    recovered_s: float
    failed: float


def _asking(transport: httpx.AsyncBaseTransport) -> Ask:
    """Return what asks once through a transport. A client around it would only make the simulation slower."""

    async def ask() -> bool:
        response = await transport.handle_async_request(httpx.Request("GET", "http://service.test/"))
        return response.status_code == 200

    return ask


def _plain(server: Server) -> Callable[[], Ask]:
    return lambda: _asking(server)


def _naive(server: Server) -> Callable[[], Ask]:
    once = _asking(server)

    async def ask() -> bool:
        for _ in range(4):
            if await once():
                return True
            await asyncio.sleep(1.0)
        return await once()

    return lambda: ask


def _httpx_retries(**options: Any) -> Callable[[Server], Callable[[], Ask]]:
    def make(server: Server) -> Callable[[], Ask]:
        library = import_module("httpx_retries")
        return lambda: _asking(library.RetryTransport(server, library.Retry(**options)))

    return make


class _Failed(Exception):
    """What tenacity and stamina want to see."""


def _raising(once: Ask) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        if not await once():
            raise _Failed
        return True

    return ask


def _or_false(ask: Callable[[], Awaitable[bool]]) -> Ask:
    async def told() -> bool:
        try:
            return await ask()
        except _Failed:
            return False

    return told


def _tenacity(server: Server) -> Callable[[], Ask]:
    tenacity = import_module("tenacity")
    patient = tenacity.retry(
        stop=tenacity.stop_after_attempt(5),
        wait=tenacity.wait_random_exponential(multiplier=1, max=60),
        retry=tenacity.retry_if_exception_type(_Failed),
        reraise=True,
    )
    return lambda: _or_false(patient(_raising(_asking(server))))


def _stamina(server: Server) -> Callable[[], Ask]:
    stamina = import_module("stamina")
    stamina.instrumentation.set_on_retry_hooks([])  # It would log hundreds of thousands of lines.
    return lambda: _or_false(stamina.retry(on=_Failed)(_raising(_asking(server))))


def _ours(budget: Callable[[], RetryBudget | None]) -> Callable[[Server], Callable[[], Ask]]:
    return lambda server: lambda: _asking(async_resilient_transport(server, budget=budget()))


def _ours_shared(server: Server) -> Callable[[], Ask]:
    budget = RetryBudget()
    return _ours(lambda: budget)(server)


ARMS: Mapping[str, tuple[str | None, Callable[[Server], Callable[[], Ask]]]] = {
    "no retries": (None, _plain),
    "a loop of 5 attempts, 1 s between": (None, _naive),
    "httpx-retries, as it comes": ("httpx_retries", _httpx_retries()),
    "httpx-retries, `Retry(total=5, backoff_factor=0.5)`": (
        "httpx_retries",
        _httpx_retries(total=5, backoff_factor=0.5),
    ),
    "tenacity, 5 attempts, `wait_random_exponential(max=60)`": ("tenacity", _tenacity),
    "stamina, as it comes": ("stamina", _stamina),
    "ours, as it comes": (None, _ours(lambda: None)),
    "ours, one budget passed to all": (None, _ours_shared),
    "ours, a budget for each client, as in 200 processes": (None, _ours(RetryBudget)),
}
"""By name: the package that it needs, and what makes what makes a client."""
OURS = "ours, as it comes"


def simulated(arm: str, plan: Plan) -> Came:
    """Let one arm go through the outage.

    Args:
        arm: Its name.
        plan: What happens.
    """
    # The peers draw from here as well. They cannot be given a generator of their own.
    random.seed(1)
    return run_virtually(_simulate(ARMS[arm][1], plan))


async def _simulate(arm: Callable[[Server], Callable[[], Ask]], plan: Plan) -> Came:
    server = Server(plan)
    make_client = arm(server)
    ends: list[tuple[float, bool]] = []
    loop = asyncio.get_running_loop()

    async def call(ask: Ask) -> None:
        is_well = await ask()
        ends.append((loop.time(), is_well))

    clients = [make_client() for _ in range(plan.clients)]
    async with asyncio.TaskGroup() as calls:
        for second in range(plan.before_s + plan.outage_s + plan.after_s):
            for number, ask in enumerate(clients):
                await asyncio.sleep(second + number / plan.clients - loop.time())
                calls.create_task(call(ask))
    return _judged(server.arrivals_s, ends, plan)


def _judged(arrivals_s: list[float], ends: list[tuple[float, bool]], plan: Plan) -> Came:
    back_s = plan.before_s + plan.outage_s
    last_s = back_s + plan.after_s
    within = [at_s for at_s in arrivals_s if at_s < last_s]
    in_outage = sum(plan.before_s <= at_s < back_s for at_s in within)
    # Rounding: the requests of a tenth of a second begin exactly with it.
    tenths = Counter(int(at_s * 10 + 1e-6) for at_s in within)
    per_s = max(sum(tenths[first + more] for more in range(10)) for first in range(last_s * 10 - 9))
    ended: Counter[int] = Counter()
    well: Counter[int] = Counter()
    for at_s, is_well in ends:
        second = int(at_s - ANSWERED_AFTER_S + 1e-6)
        ended[second] += 1
        well[second] += is_well
    unwell = [second for second in range(back_s, last_s) if well[second] < _WELL * ended[second]]
    return Came(
        peak_per_s=per_s / plan.clients,
        peak_per_tenth=max(tenths.values()) / (plan.clients / 10),
        requests=in_outage / (plan.clients * plan.outage_s),
        recovered_s=float(max(unwell, default=back_s - 1) + 1 - back_s),
        failed=sum(not is_well for _, is_well in ends) / len(ends),
    )


def _available() -> list[str]:
    return [arm for arm, (needs, _) in ARMS.items() if needs is None or util.find_spec(needs) is not None]


def as_table(came: Mapping[str, Came]) -> str:
    """Return the table of the documentation, in Markdown."""
    head = ["way of retrying", "most load in a second", "in a tenth of one", "mean in the outage", "well again after"]
    rows = [
        [
            arm,
            f"{one.peak_per_s:.2f}",
            f"{one.peak_per_tenth:.1f}",
            f"{one.requests:.2f}",
            "at once" if not one.recovered_s else f"{one.recovered_s:.0f} s",
        ]
        for arm, one in came.items()
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def measure(scale: Scale) -> list[Row]:
    """Simulate, once: nothing in it is left to chance."""
    plan = Plan(outage_s=5, before_s=2, after_s=8) if scale.is_quick else Plan()
    came = {arm: simulated(arm, plan) for arm in _available()}
    ours = came[OURS]
    rows = []
    for arm, other in came.items():
        if arm == OURS:
            continue
        rows.append(
            Row(
                f"peak load in an outage of {plan.outage_s} s, {plan.clients} clients: {OURS} / {arm}",
                _exactly(ours.peak_per_s * plan.clients),
                "/s",
                _exactly(other.peak_per_s * plan.clients),
                _exactly(ours.peak_per_s / other.peak_per_s),
                f"at most {MOST_LOAD:g} times the normal load",
                ours.peak_per_s <= MOST_LOAD,
            )
        )
    rows.append(
        Row(
            f"well again after the server: {OURS}",
            _exactly(ours.recovered_s),
            "s",
            goal=f"within {LONGEST_RECOVERY_S:g} s",
            is_reached=ours.recovered_s <= LONGEST_RECOVERY_S,
        )
    )
    return rows


def _exactly(value: float) -> Spread:
    return Spread(value, value, value)


def main() -> None:
    """Make the table anew; ``--write`` keeps it for the documentation."""
    told = as_table({arm: simulated(arm, Plan()) for arm in _available()}) + "\n"
    if sys.argv[1:] == ["--write"]:
        KEPT.write_text(told)
    sys.stdout.write(told)


if __name__ == "__main__":
    main()
