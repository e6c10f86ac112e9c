"""Two worlds of one server: what is used up in one of them is there in the other."""

from __future__ import annotations

import pytest

from fake_server.engine import Reply, Request
from fake_server.scenario import shipped_scenarios
from fake_server.worlds import World, Worlds
from tests.fake_server.driving import ASYNC, BODY, VIDEO

NAMES = shipped_scenarios()
MOST_QUERIES = 40


def ask(world: World, method: str, path: str) -> int:
    """Send a request to a world, and return its status."""
    headers = (("Authorization", f"Bearer sk-{world.name}"), *((ASYNC,) if method == "POST" else ()))
    request = Request(method, path, "", headers, BODY if method == "POST" else b"", "http://fake.test")
    reply = world.engine.handle(request, world.now())
    assert isinstance(reply, Reply)
    return reply.status


def until_throttled(world: World, method: str, path: str) -> int:
    """Send a request until it is one too many; how many were not."""
    for number in range(MOST_QUERIES):
        if ask(world, method, path) == 429:
            return number
    raise AssertionError(f"{MOST_QUERIES} requests at once were not too many")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/tasks/00000000-0000-4000-8000-000000000000"), ("POST", f"/apis/v1{VIDEO}")]
)
def test_limits_are_each_world_s_own(method: str, path: str) -> None:
    """One world that is throttled, for its queries or for its tasks, takes nothing from a world beside it, nor from
    the one that it is after a reset."""
    worlds = Worlds(NAMES, "stuck-running", manual=True)
    found = [worlds.for_key(f"sk-stuck-running.{name}") for name in "ab"]
    one, other = (world for world in found if isinstance(world, World))
    usual = until_throttled(one, method, path)
    assert usual > 0
    assert until_throttled(other, method, path) == usual
    worlds.reset(one)
    assert until_throttled(one, method, path) == usual
