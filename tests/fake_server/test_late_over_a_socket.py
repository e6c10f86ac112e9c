"""A request that a fault lets come late, over a real socket: it waits for the world's clock, not for its client."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import get_args

import pytest

from fake_server.clock import ManualClock
from fake_server.server import Loop
from tests.fake_server.driving import BODY, VIDEO
from tests.fake_server.faulty import fault
from tests.fake_server.spoilt_wire import Spoilt, is_held, running, until
from tests.storm.wire import request

LATE_S = 30.0


@pytest.fixture(scope="module", params=get_args(Loop))
def fake(request: pytest.FixtureRequest) -> Iterator[Spoilt]:
    """The fake on either loop."""
    with running(request.param) as spoilt:
        yield spoilt


@pytest.mark.parametrize("leaves", [False, True])
def test_over_a_socket_a_late_request_waits_for_the_clock_and_not_for_its_client(fake: Spoilt, leaves: bool) -> None:
    """A create comes when the world's clock says so, and makes a task, also where its client has gone before."""
    key, world, spoiling = fake.world()
    assert isinstance(world.clock, ManualClock)
    engine = spoiling.engine
    engine.arm(fault("latency", fixed="30s", when="before_commit", on="create"))
    headers = (
        ("authorization", f"Bearer {key}"),
        ("x-dashscope-async", "enable"),
        ("content-type", "application/json"),
    )
    with socket.create_connection(("127.0.0.1", fake.port), timeout=20) as connection:
        connection.sendall(request("POST", f"/api/v1{VIDEO}", headers, BODY))
        until(lambda: is_held(world))
        assert (len(engine.tasks), len(engine.journal.entries)) == (0, 0)
        if not leaves:
            world.clock.advance(LATE_S)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    if leaves:
        until(lambda: not fake.server.server_state.connections)
        world.clock.advance(LATE_S)
    until(lambda: engine.tasks)
    assert [entry.status for entry in engine.journal.entries] == [200]
