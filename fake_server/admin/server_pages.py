"""Pages about the whole server: its state, its scenarios, its worlds."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from fake_server.admin import shapes
from fake_server.admin.asking import AdminError, Ask, refuse_mistakes
from fake_server.admin.pages import Body, Page
from fake_server.admin.places import places_of
from fake_server.names import Refusal
from fake_server.scenario.library import load_scenario_text
from fake_server.scenario.yaml_nodes import ScenarioErrors, did_you_mean
from fake_server.version import version

if TYPE_CHECKING:
    from fake_server.moment import Moment
    from fake_server.scenario.model import Scenario
    from fake_server.worlds import World, Worlds

# What an unnamed scenario is called while it is looked at.
_UNNAMED = "scenario"
_EXAMPLE_SCENARIO = """\
version: 1
summary: A video that takes its time.
tasks: [PENDING 2s -> RUNNING 60s -> SUCCEEDED]
expect: {outcome: SUCCEEDED}
"""
# The grammar has a schema of its own; of a text no JSON Schema can say what is in it.
_SCENARIO_BODY = Body({}, _EXAMPLE_SCENARIO, required=False, media_type="application/yaml")


async def health(ask: Ask) -> dict[str, Any]:
    """Whether the server is up, and what it holds."""
    worlds = ask.worlds
    return {
        "status": "ok",
        "worlds": len(worlds.names()),
        "most_worlds": worlds.most_worlds,
        "dropped": worlds.dropped,
        "last_dropped": [dropped._asdict() for dropped in worlds.last_dropped],
    }


async def read_version(ask: Ask) -> dict[str, Any]:  # noqa: ARG001 - one signature for all pages
    """Which version it is."""
    return {"version": version()}


async def list_all_scenarios(ask: Ask) -> dict[str, Any]:
    """Every scenario."""
    return {"default": ask.worlds.default, "scenarios": list_scenarios(ask.worlds)}


async def read_scenario(ask: Ask) -> dict[str, Any]:
    """One scenario."""
    name = ask.path("scenario")
    if name not in ask.worlds.scenarios:
        raise AdminError(404, f"there is no scenario of this name{did_you_mean(name, ask.worlds.scenarios)}")
    return _scenario_row(ask.worlds, name)


async def load_scenario(ask: Ask) -> dict[str, Any]:
    """Take a scenario."""
    scenario = await _read(ask, ask.path("scenario"))
    refusal = ask.worlds.post(scenario)
    if refusal is not None:
        raise AdminError(refusal.status, refusal.message)
    return describe_scenario(scenario)


async def validate_scenario(ask: Ask) -> dict[str, Any]:
    """Look at a scenario without taking it."""
    try:
        scenario = await _read(ask, _UNNAMED)
    except AdminError as error:
        if not error.places:
            raise
        return {"valid": False, "errors": error.rows()}
    return {"valid": True, "summary": scenario.summary, "errors": []}


async def list_worlds(ask: Ask) -> dict[str, Any]:
    """The worlds."""
    found = [world for name in ask.worlds.names() if (world := ask.worlds.named(name)) is not None]
    return {"worlds": [describe_world(world) for world in found]}


async def make_world(ask: Ask) -> dict[str, Any]:
    """Make a world."""
    fields = await ask.fields(("key", "world"))
    key, name = fields.text("key", "an API key", 10_000), fields.text("world", "the name of a world")
    if fields.has("key") and fields.has("world"):
        fields.wrong("world", "found a world beside a key, expected one of them")
    elif not fields.has("key") and not fields.has("world"):
        fields.wrong("key", "found no key, expected the API key whose world to make, or the name of a world as world")
    refuse_mistakes(fields)
    world = ask.worlds.for_key(key) if key else ask.worlds.make_named(name or "")
    if isinstance(world, Refusal):
        raise AdminError(world.status, world.message, "/key" if key else "/world")
    return describe_world(world)


async def reset_all(ask: Ask) -> dict[str, Any]:
    """Begin every world anew."""
    found = [world for name in ask.worlds.names() if (world := ask.worlds.named(name)) is not None]
    return {"worlds": [describe_world(ask.worlds.reset(world)) for world in found]}


def list_scenarios(worlds: Worlds) -> list[dict[str, Any]]:
    """Every scenario with its summary; a broken one with its first complaint instead."""
    return [_scenario_row(worlds, name) for name in worlds.scenarios]


def describe_scenario(scenario: Scenario) -> dict[str, Any]:
    """A scenario as pages show it."""
    return {
        "name": scenario.name,
        "summary": scenario.summary,
        "dialects": list(scenario.dialects),
        "needs_socket": scenario.needs_socket,
        "client": asdict(scenario.client),
        "expect": {"outcomes": list(scenario.expect.outcomes), **scenario.expect.counts},
    }


def describe_world(world: World) -> dict[str, Any]:
    """A world as pages show it."""
    return {
        "world": world.name,
        "scenario": world.engine.scenario.name,
        "requests": world.engine.journal.counters["requests"],
        "clock": describe_clock(world, world.now()),
    }


def describe_clock(world: World, now: Moment) -> dict[str, Any]:
    """A clock as pages show it, with the answers that wait for it, and when the first of them is due."""
    clock = world.clock
    return {
        "kind": "manual" if clock.is_manual else "real",
        "monotonic_s": now.monotonic_s,
        "wall_s": now.wall_s,
        "held_back": clock.waiting,
        "next_due_s": clock.next_due_s,
    }


def _scenario_row(worlds: Worlds, name: str) -> dict[str, Any]:
    try:
        return describe_scenario(worlds.load(name))
    except ScenarioErrors as errors:
        return {"name": name, "error": next(errors.lines())}


async def _read(ask: Ask, name: str) -> Scenario:
    """The scenario in the body. A large one takes a second to read, in which others are answered."""
    raw = await ask.raw()
    try:
        return await run_in_threadpool(load_scenario_text, name, raw)
    except ScenarioErrors as errors:
        mistakes, places = await run_in_threadpool(places_of, raw, errors)
        refusal = AdminError(400, mistakes)
        refusal.places = places
        raise refusal from None


_DROPPED = shapes.record(
    {"world": shapes.TEXT, "requests": shapes.COUNT, "billed_tasks": shapes.COUNT, "total": shapes.TEXT}
)
_HEALTH = shapes.record(
    {
        "status": {"const": "ok"},
        "worlds": shapes.COUNT,
        "most_worlds": shapes.COUNT,
        "dropped": shapes.COUNT,
        "last_dropped": shapes.rows(_DROPPED),
    }
)
_VALID = shapes.record(
    {"valid": shapes.FLAG, "errors": {"type": "array", "items": {"type": "object"}}}, {"summary": shapes.TEXT}
)
_WORLDS = shapes.record({"worlds": shapes.rows(shapes.WORLD)})
_WORLD_BODY = Body(
    {
        "oneOf": [
            shapes.record({"key": {"type": "string", "minLength": 1}}),
            shapes.record({"world": {"type": "string", "minLength": 1}}),
        ]
    },
    {"world": "bad-gateway.mine"},
)

PAGES = (
    Page("GET", "/health", health, "whether the server is up, how many worlds it holds, and which it gave up", _HEALTH),
    Page("GET", "/version", read_version, "which version it is", shapes.record({"version": shapes.TEXT})),
    Page(
        "GET",
        "/scenarios",
        list_all_scenarios,
        "every scenario, and what a good client makes of it",
        shapes.record({"default": shapes.TEXT, "scenarios": shapes.rows(shapes.SCENARIO)}),
    ),
    Page("GET", "/scenarios/{scenario}", read_scenario, "one of them", shapes.SCENARIO, fails=(404,)),
    Page(
        "POST",
        "/scenarios/{scenario}",
        load_scenario,
        "take a scenario in YAML or JSON; worlds made from now on play it. One that was handed in can be replaced",
        shapes.SCENARIO,
        body=_SCENARIO_BODY,
        status=201,
        fails=(409, 503),
    ),
    Page(
        "POST",
        "/validate",
        validate_scenario,
        "look at a scenario: every mistake with its pointer, line and column",
        _VALID,
        body=_SCENARIO_BODY,
    ),
    Page("GET", "/worlds", list_worlds, "the worlds, each with its scenario and its clock", _WORLDS),
    Page(
        "POST",
        "/worlds",
        make_world,
        'make a world before its first request; also by key: `{"key": "sk-bad-gateway.mine"}`',
        shapes.WORLD,
        body=_WORLD_BODY,
        status=201,
        fails=(401, 404, 503),
    ),
    Page("POST", "/reset", reset_all, "begin every world anew", _WORLDS),
)
