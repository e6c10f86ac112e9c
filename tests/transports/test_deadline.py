"""A wait ends by its deadline plus the margin, however slowly the answer comes.

All of this is real time: a drip is a fact of real time. The variants run side by side.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from resilient_poll import StillGoing, SubmitInDoubt, SubmitPolicy
from resilient_poll.machine.policy import DEADLINE_MARGIN_S
from tests.support.colours import INPUT, MODEL, WAYS, dashscope_client, got, run_in
from tests.support.raw_server import Connection, RawServer, http_answer, json_answer

TASK_ID = "11111111-2222-3333-4444-555555555555"
EVERY_S = 0.02
TIMEOUT_S = 0.8
LONG_HEADERS = {f"x-padding-{number}": "p" * 80 for number in range(8)}


def headers_drip(connection: Connection) -> None:
    """Answer with headers that take more than ten seconds."""
    connection.read_request()
    connection.drip(json_answer(200, {}, LONG_HEADERS), EVERY_S)


def body_drips(connection: Connection) -> None:
    """Answer with headers at once, and a body that takes more than ten seconds."""
    connection.read_request()
    head, _, body = json_answer(200, {"output": {"task_id": TASK_ID, "padding": "p" * 500}}).partition(b"\r\n\r\n")
    connection.send(head + b"\r\n\r\n")
    connection.drip(body, EVERY_S)


def says_nothing(connection: Connection) -> None:
    """Take the request and answer nothing."""
    connection.hang()


def compressed_body_drips(connection: Connection) -> None:
    """Announce gzip and send bytes that decode to nothing for a long time."""
    connection.read_request()
    # A gzip header with an extra field: 65,535 bytes of it may come before any content.
    body = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\x03\xff\xff" + b"e" * 600
    head = http_answer(200, b"", {"content-length": str(len(body)), "content-encoding": "gzip"})
    connection.send(head)
    connection.drip(body, EVERY_S)


SCRIPTS = {script.__name__: script for script in (headers_drip, body_drips, says_nothing, compressed_body_drips)}
CASES = [(colour, library, script) for colour, library in WAYS for script in SCRIPTS]


def overshoot_s(colour: str, library: str, script: Callable[[Connection], None]) -> float:
    """Return by how many seconds a wait outlived its timeout."""

    async def main() -> float:
        async with dashscope_client(colour, library, server.url) as client:
            task = client.task(TASK_ID)
            began_s = time.monotonic()
            with pytest.raises(StillGoing) as caught:
                await got(task.wait(timeout=TIMEOUT_S))  # real: a drip is a fact of real time
            ended_s = time.monotonic()
            assert caught.value.task_id == TASK_ID
            assert server.requests, "a query that never came proves nothing"
            return ended_s - began_s - TIMEOUT_S

    with RawServer(script if script is not says_nothing else _reads_then_hangs) as server:
        return run_in(colour, main)


def _reads_then_hangs(connection: Connection) -> None:
    connection.read_request()
    connection.hang()


@pytest.fixture(scope="module")
def measured() -> Iterator[dict[tuple[str, str, str], Future[float]]]:
    # Six at a time: enough to be quick, few enough that two processors do not blur the times.
    with ThreadPoolExecutor(6) as pool:
        yield {case: pool.submit(overshoot_s, case[0], case[1], SCRIPTS[case[2]]) for case in CASES}


@pytest.mark.thorough(plain=6)
@pytest.mark.parametrize(("colour", "library", "script"), CASES)
def test_a_wait_ends_by_its_deadline_plus_the_margin(
    colour: str, library: str, script: str, measured: dict[tuple[str, str, str], Future[float]], record_property: Any
) -> None:
    """A wait whose answer drips ends within the stated margin of its timeout, and not before its last poll."""
    late_s = measured[(colour, library, script)].result()
    record_property("overshoot_s", round(late_s, 4))
    assert late_s <= DEADLINE_MARGIN_S
    assert late_s > -0.3 * TIMEOUT_S, "a wait that gives up long before its time proves nothing"


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize(("colour", "library"), WAYS)
def test_a_create_that_drips_is_not_cut_by_the_submits_timeout(colour: str, library: str) -> None:
    """A create that has started is read to its end, after the submit's time is up, and its id is kept."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.drip(json_answer(200, {"output": {"task_id": TASK_ID}}), 0.005)

    async def main() -> float:
        policy = SubmitPolicy(timeout_s=0.2, minimum_s=0.1)
        async with dashscope_client(colour, library, server.url, submit_policy=policy) as client:
            began_s = time.monotonic()
            task = await got(client.submit(MODEL, INPUT))  # real: a drip is a fact of real time
            assert task.id == TASK_ID
            return time.monotonic() - began_s

    with RawServer(script) as server:
        took_s = run_in(colour, main)
    assert took_s > 0.4, "a create that was quick proves nothing"
    assert len(server.complete("POST")) == 1


@pytest.mark.parametrize(("colour", "library"), [way for way in WAYS if way[1] == "own" or way[0] != "sync"])
def test_a_create_has_a_total_time_of_its_own(colour: str, library: str) -> None:
    """A create that drips beyond the time of its one attempt is given up as a doubt, with the request out."""

    async def main() -> float:
        policy = SubmitPolicy(timeout_s=5.0, attempt_timeout_s=0.4)
        async with dashscope_client(colour, library, server.url, submit_policy=policy) as client:
            began_s = time.monotonic()
            with pytest.raises(SubmitInDoubt):
                await got(client.submit(MODEL, INPUT))  # real: a drip is a fact of real time
            return time.monotonic() - began_s

    with RawServer(headers_drip) as server:
        took_s = run_in(colour, main)
    assert 0.3 < took_s < 0.4 + DEADLINE_MARGIN_S
    assert len(server.complete("POST")) == 1


def test_several_addresses_share_one_total_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with many addresses that do not answer takes no longer to give up on than one."""
    with contextlib.ExitStack() as open_sockets:
        port = 0
        addresses = []
        for number in range(1, 5):
            listener = open_sockets.enter_context(socket.socket())
            listener.bind((f"127.0.0.{number}", port))
            listener.listen(0)
            port = listener.getsockname()[1]
            addresses.append(listener.getsockname())
            # A full queue of connections: Linux drops further attempts, and a connect hangs.
            for _ in range(4):
                crowd = open_sockets.enter_context(socket.socket())
                crowd.setblocking(False)
                crowd.connect_ex(listener.getsockname())
        real = socket.getaddrinfo
        every = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]
        # Names with several addresses are the resolver's business; here is none that has them.
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *args, **more: every if host == "many.test" else real(host, *args, **more),
        )

        async def main() -> float:
            async with dashscope_client("sync", "own", f"http://many.test:{port}") as client:
                began_s = time.monotonic()
                with pytest.raises(StillGoing):
                    await got(client.task(TASK_ID).wait(timeout=TIMEOUT_S))  # real: a connect that hangs
                return time.monotonic() - began_s

        took_s = run_in("sync", main)
    assert took_s <= TIMEOUT_S + DEADLINE_MARGIN_S
    assert took_s > 0.5 * TIMEOUT_S, "a connect that fails at once proves nothing"


def test_an_address_that_hangs_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead address in front of a living one does not use up the whole wait."""
    succeeded = json_answer(
        200, {"output": {"task_id": TASK_ID, "task_status": "SUCCEEDED", "video_url": "http://a/b"}}
    )
    with RawServer.answering(lambda _: succeeded) as server, contextlib.ExitStack() as open_sockets:
        dead = open_sockets.enter_context(socket.socket())
        dead.bind(("127.0.0.2", server.port))
        dead.listen(0)
        for _ in range(4):
            crowd = open_sockets.enter_context(socket.socket())
            crowd.setblocking(False)
            crowd.connect_ex(dead.getsockname())
        real = socket.getaddrinfo
        both = [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, server.port))
            for host in ("127.0.0.2", "127.0.0.1")
        ]
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *args, **more: both if host == "two.test" else real(host, *args, **more)
        )

        async def main() -> Any:
            async with dashscope_client("sync", "own", f"http://two.test:{server.port}") as client:
                return await got(client.task(TASK_ID).wait(timeout=TIMEOUT_S))  # real: a connect that hangs

        assert run_in("sync", main).status == "SUCCEEDED"


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_query_that_was_left_behind_ends_soon(library: str) -> None:
    """A blocking query that was left behind in a body that drips closes its connection at the next bytes."""
    has_left = threading.Event()

    def script(connection: Connection) -> None:
        try:
            body_drips(connection)
        except OSError:
            has_left.set()
            raise

    async def main() -> None:
        async with dashscope_client("sync", library, server.url) as client:
            with pytest.raises(StillGoing):
                await got(client.task(TASK_ID).wait(timeout=0.3))  # real: a drip is a fact of real time
            assert has_left.wait(2.0)

    with RawServer(script) as server:
        run_in("sync", main)
