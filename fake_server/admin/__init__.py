"""The admin pages under `/__admin/`: what happened, what it cost, what time it is.

They answer to the loopback only, and check Host and Origin: a page in a browser on this machine must not be
able to reach them through a name that it made point here (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route

from fake_server.clock import ManualClock
from fake_server.names import Refusal
from fake_server.scenario.yaml_nodes import ScenarioErrors
from fake_server.version import version

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from fake_server.moment import Moment
    from fake_server.worlds import World, Worlds

    Handler = Callable[[Request], Awaitable[Response]]

# Admin bodies are a handful of fields.
LARGEST_BODY_BYTES = 100_000
# Rows of a bill that a page shows, the latest: more would hold the server up, and no reader reads them.
MOST_BILL_ROWS = 10_000
ROOT = "/__admin"
_VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class AdminPage(JSONResponse):
    """A page of JSON in ASCII: what clients sent may hold half a surrogate, which no UTF-8 can carry."""

    def render(self, content: Any) -> bytes:
        """The page on the wire."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class AdminError(Exception):
    """A request that cannot be done: the HTTP status, a pointer into the body or query, and why."""

    def __init__(self, status: int, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.pointer = pointer


class _Entry(NamedTuple):
    """One page: its verb, its path below the root, what answers, an example of its query, and a line for the index."""

    verb: str
    path: str
    handler: Handler
    query: str
    what: str


def admin_routes(worlds: Worlds, own_hosts: frozenset[str], admin_token: str | None = None) -> list[BaseRoute]:  # noqa: ARG001 - taken next
    """The routes at and below `/__admin`.

    Args:
        worlds: What they show.
        own_hosts: Host names beside the loopback's that are ours.
        admin_token: What a request must carry, or None.
    """
    pages = _Pages(worlds)
    index = _guarded(pages.index, own_hosts)
    below = [Route(entry.path, _guarded(entry.handler, own_hosts), methods=[entry.verb]) for entry in pages.table]
    nothing = Route("/{rest:path}", _guarded(_nothing_here, own_hosts), methods=_VERBS)
    return [Route(ROOT, index), Mount(ROOT, routes=[Route("/", index), *below, nothing])]


async def _nothing_here(request: Request) -> Response:
    raise AdminError(404, f"no admin page answers {request.method} here; GET {ROOT}/ lists them")


class _Pages:
    """One method a page."""

    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds
        self.table = (
            _Entry("GET", "/health", self.health, "", "whether the server is up, and how many worlds it holds"),
            _Entry("GET", "/version", self.version, "", "which version it is"),
            _Entry("GET", "/scenarios", self.scenarios, "", "every scenario, and what a good client makes of it"),
            _Entry("GET", "/worlds", self.worlds, "", "the worlds, each with its scenario and its clock"),
            _Entry("POST", "/worlds", self.make_world, "", 'make the world of a key: {"key": "sk-bad-gateway.mine"}'),
            _Entry(
                "POST", "/worlds/{world}/reset", self.reset, "", "begin anew: no tasks, bill or journal; time goes on"
            ),
            _Entry("GET", "/worlds/{world}/journal", self.journal, "", "the latest requests and answers, and counters"),
            _Entry("GET", "/worlds/{world}/bill", self.bill, "", "the true bill, whatever any client saw"),
            _Entry(
                "GET",
                "/worlds/{world}/verdict",
                self.verdict,
                "?outcome=SUCCEEDED",
                "the expectations of the scenario, judged; one outcome for each task is what your client reported",
            ),
            _Entry("GET", "/worlds/{world}/clock", self.clock, "", "what time it is in a world"),
            _Entry("POST", "/worlds/{world}/clock/advance", self.advance, "", 'move a manual clock: {"seconds": 2.5}'),
        )

    async def index(self, request: Request) -> Response:  # noqa: ARG002 - one signature for all pages
        rows = [{"method": row.verb, "path": ROOT + row.path + row.query, "what": row.what} for row in self.table]
        return AdminPage({"pages": rows})

    async def health(self, request: Request) -> Response:  # noqa: ARG002 - one signature for all pages
        return AdminPage({"status": "ok", "worlds": len(self._worlds.names()), "dropped": self._worlds.dropped})

    async def version(self, request: Request) -> Response:  # noqa: ARG002 - one signature for all pages
        return AdminPage({"version": version()})

    async def worlds(self, request: Request) -> Response:  # noqa: ARG002 - one signature for all pages
        names = self._worlds.names()
        found = [world for name in names if (world := self._worlds.named(name)) is not None]
        return AdminPage({"worlds": [_describe(world) for world in found]})

    async def make_world(self, request: Request) -> Response:
        body = await _read_object(request)
        key = body.get("key")
        if not isinstance(key, str) or not key:
            raise AdminError(400, "found no key, expected the API key whose world to make", "/key")
        world = self._worlds.for_key(key)
        if isinstance(world, Refusal):
            raise AdminError(world.status, world.message, "/key")
        return AdminPage(_describe(world), status_code=201)

    async def reset(self, request: Request) -> Response:
        return AdminPage(_describe(self._worlds.reset(self._find(request))))

    async def scenarios(self, request: Request) -> Response:  # noqa: ARG002 - one signature for all pages
        return AdminPage({"default": self._worlds.default, "scenarios": list_scenarios(self._worlds)})

    async def clock(self, request: Request) -> Response:
        world = self._find(request)
        return AdminPage(_clock(world, world.now()))

    async def advance(self, request: Request) -> Response:
        world = self._find(request)
        body = await _read_object(request)
        if not isinstance(world.clock, ManualClock):
            raise AdminError(409, "this world's clock is real; only --clock manual makes one to advance")
        seconds = body.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise AdminError(400, "found no number, expected seconds to advance by", "/seconds")
        try:
            now = world.clock.advance(float(seconds))
        except (ValueError, OverflowError) as error:
            raise AdminError(400, str(error), "/seconds") from None
        return AdminPage(_clock(world, now))

    async def journal(self, request: Request) -> Response:
        journal = self._find(request).engine.journal
        return AdminPage(
            {
                "entries": [asdict(entry) for entry in journal.entries],
                "counters": dict(journal.counters),
                "forgotten": journal.forgotten,
            }
        )

    async def bill(self, request: Request) -> Response:
        world = self._find(request)
        bill = world.engine.bill(world.now(), most_rows=MOST_BILL_ROWS)
        # Amounts are text: a JSON number would be read as a binary float somewhere.
        rows = [
            {key: str(value) if isinstance(value, Decimal) else value for key, value in asdict(row).items()}
            for row in bill.tasks
        ]
        sums = {"billed_tasks": bill.billed_tasks, "total": str(bill.total)}
        return AdminPage({"tasks": rows, "left_out": bill.left_out, **sums})

    async def verdict(self, request: Request) -> Response:
        world = self._find(request)
        outcomes = request.query_params.getlist("outcome")
        rows = world.engine.verdict(world.now(), outcomes)
        verdicts = {row.verdict for row in rows}
        worst = next((word for word in ("FAIL", "NOT_EXERCISED") if word in verdicts), "PASS")
        return AdminPage({"verdict": worst, "expectations": [asdict(row) for row in rows]})

    def _find(self, request: Request) -> World:
        name = request.path_params["world"]
        world = self._worlds.named(name)
        if world is None:
            raise AdminError(404, "there is no world of this name; POST /__admin/worlds makes one")
        return world


def list_scenarios(worlds: Worlds) -> list[dict[str, Any]]:
    """Every scenario with its summary; a broken one with its first complaint instead."""
    rows: list[dict[str, Any]] = []
    for name in worlds.scenarios:
        try:
            scenario = worlds.load(name)
        except ScenarioErrors as errors:
            rows.append({"name": name, "error": next(errors.lines())})
        else:
            expect = {"outcomes": list(scenario.expect.outcomes), **scenario.expect.counts}
            rows.append(
                {
                    "name": name,
                    "summary": scenario.summary,
                    "dialects": list(scenario.dialects),
                    "needs_socket": scenario.needs_socket,
                    "client": asdict(scenario.client),
                    "expect": expect,
                }
            )
    return rows


def _describe(world: World) -> dict[str, Any]:
    engine = world.engine
    return {
        "world": world.name,
        "scenario": engine.scenario.name,
        "requests": engine.journal.counters["requests"],
        "clock": _clock(world, world.now()),
    }


def _clock(world: World, now: Moment) -> dict[str, Any]:
    kind = "manual" if world.clock.is_manual else "real"
    return {"kind": kind, "monotonic_s": now.monotonic_s, "wall_s": now.wall_s}


def _guarded(handler: Handler, own_hosts: frozenset[str]) -> Handler:
    """Let only this machine in, and answer mistakes as a list of errors."""

    async def guarded(request: Request) -> Response:
        try:
            _check_caller(request, own_hosts)
            return await handler(request)
        except AdminError as error:
            return AdminPage({"errors": [{"pointer": error.pointer, "detail": error.detail}]}, status_code=error.status)

    return guarded


def _check_caller(request: Request, own_hosts: frozenset[str]) -> None:
    if request.client is None or not _is_loopback(request.client.host):
        raise AdminError(403, "the admin pages answer to this machine only")
    allowed = _LOOPBACK_NAMES | own_hosts
    if _host_of(f"//{request.headers.get('host', '')}") not in allowed:
        raise AdminError(403, "the Host of this request is not one of this server's names")
    origin = request.headers.get("origin")
    if origin is not None and origin.lower().partition("://")[2] != request.headers.get("host", "").lower():
        raise AdminError(403, "this request comes from a page of another origin")


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _read_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object, of a bounded size."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST_BODY_BYTES:
            raise AdminError(413, f"found more than {LARGEST_BODY_BYTES} bytes, expected a small object")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise AdminError(400, "found a body that is not JSON, expected an object") from None
    if not isinstance(body, dict):
        raise AdminError(400, "found no object, expected one")
    return body
