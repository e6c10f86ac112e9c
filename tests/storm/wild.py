"""Episodes that nobody counts: garbage, cut connections, slow senders, the admin pages, streams, floods of worlds."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

from fake_server.admin import PAGES
from tests.storm import drawn
from tests.storm.storm import ADMIN, Storm
from tests.storm.wire import Line, request

WORLDS = (
    "succeeds.wild",
    "stuck-running.wild",
    "concurrency-cap.wild",
    "images-succeed.wild",
    "~lobby",
    "nobody",
    "%00",
)
STREAMS = "text/event-stream"
SCENARIOS = (
    b"version: 1\nsummary: Handed in.\ntasks: [PENDING 1s -> SUCCEEDED]\nexpect: {outcome: SUCCEEDED}\n",
    b"version: 1\nsummary: [\n",
    b"a: &x [*x, *x]\n",
    b"\t",
    b"x" * 200_000,
    b"version: 1\nversion: 1\nsummary: a\n",
)


async def garbage(storm: Storm, draw: Random, requests: int) -> None:
    """Requests that nobody should send, each on a connection of its own; some leave before they are answered."""
    clock = storm.line()
    for _ in range(requests):
        key = ("authorization", f"Bearer sk-{draw.choice(['succeeds.mad', 'sucseeds', 'invalid', 'x' * 40])}")
        method = draw.choice([*drawn.METHODS, "BREW", "get", "M" * 50])
        headers = [key, *drawn.mad_headers(draw)] if draw.random() < 0.7 else drawn.mad_headers(draw)
        body = drawn.mad_body(draw) if draw.random() < 0.5 else None
        path = drawn.mad_path(draw) if draw.random() < 0.8 else drawn.BASES["aisa"] + drawn.CREATE
        raw = request(method, path, tuple(headers), body)
        if draw.random() < 0.4:
            raw = drawn.mad_bytes(draw)
        if draw.random() < 0.003:
            size = drawn.LARGE_BYTES + draw.choice([-100, 100])
            raw = request("POST", drawn.BASES["dashscope"] + drawn.CREATE, (key,), b'{"model": "' + b"x" * size)
        storm.sends()
        await _throw(storm, draw, clock, raw, method)
    clock.cut()


async def _throw(storm: Storm, draw: Random, clock: Line, raw: bytes, method: str) -> None:
    """Send bytes whole, in pieces, or in part; listen, or leave."""
    line = storm.line()
    how = draw.choice(["whole", "whole", "pieces", "part", "leave"])
    with contextlib.suppress(OSError):
        writer = await line.open()
        pieces = [raw]
        if how == "pieces":
            size = max(1, len(raw) // draw.randrange(2, 30))
            pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
        elif how == "part":
            pieces = [raw[: draw.randrange(len(raw) + 1)]]
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # real: others have their turn, and time does not pass
        if how in ("whole", "pieces"):
            if writer.can_write_eof() and draw.random() < 0.7:
                writer.write_eof()  # What is not whole by now never will be.
            (heard,) = await storm.settled(
                "garbage", "succeeds.mad", clock, [line.hear(has_body=method != "HEAD")], may_stall=True
            )
            if heard is not None:
                storm.look_at(f"garbage {raw[:120]!r}", heard)
    line.cut()


async def admin(storm: Storm, draw: Random, requests: int) -> None:
    """The admin pages, rightly and wrongly used; with a client of the service in between."""
    line, client = storm.line(), storm.line()
    task_ids = ["nobody"]
    for _ in range(requests):
        if draw.random() < 0.3:
            await _live(storm, draw, client, line, task_ids)
            continue
        page = draw.choice(PAGES)
        if page.media_type == STREAMS or page.path == "/reset":
            continue  # streams have an episode of their own, and "everything anew" would undo what others count
        path = page.path.replace("{world}", draw.choice(WORLDS)).replace("{task_id}", draw.choice(task_ids))
        path = path.replace("{scenario}", draw.choice(["storm-posted", "succeeds", "nobody"]))
        path = path.replace("{fault}", draw.choice(["a1", "a2", "c1", "nobody"]))
        verb = page.verb if draw.random() < 0.95 else draw.choice(drawn.METHODS)
        if verb in ("GET", "HEAD"):
            await storm.admin(line, verb, path + draw.choice(["", "", "?limit=5", "?after=x", "?outcome=FAILED"]))
        elif "scenario" in page.path or page.path == "/validate":
            await storm.admin(line, verb, path, raw=draw.choice(SCENARIOS))
        elif draw.random() < 0.15:
            await storm.admin(line, verb, path, raw=drawn.mad_body(draw))
        else:
            await storm.admin(line, verb, path, _sensible(draw, page.path, page.body.example if page.body else None))
    for world in WORLDS[:4]:  # nothing is left that could still be billed, and no fault
        await storm.admin(line, "POST", f"/worlds/{world}/reset")
    line.cut()
    client.cut()


def _sensible(draw: Random, path: str, example: object) -> object:
    if path.endswith("/faults"):
        return draw.choice(drawn.FAULTS)
    if path.endswith("/advance"):
        return {"seconds": draw.choice([0, 0.5, 2, "3s", -1, 1e300, 86_400])}
    if path.endswith("/speed"):
        return {"speed": draw.choice([0.5, 1, 60, 0, -1, 1e9, "fast"])}
    return example


async def _live(storm: Storm, draw: Random, client: Line, line: Line, task_ids: list[str]) -> None:
    """A create or a poll in one of the worlds that are meddled with."""
    world = draw.choice(WORLDS[:4])
    headers = (("authorization", f"Bearer sk-{world}"), ("x-dashscope-async", "enable"))
    path = drawn.BASES["dashscope"]
    if draw.random() < 0.4:
        raw = request("POST", path + drawn.CREATE, headers, drawn.GOOD)
    else:
        raw = request("GET", f"{path}/tasks/{draw.choice(task_ids)}", headers[:1])
    storm.sends()
    (heard,) = await storm.settled("admin", world, line, [client.ask(raw)], may_stall=True)
    if heard is None:
        client.cut()
        return
    storm.look_at("admin", heard)
    told = heard.json()
    if isinstance(told, dict) and isinstance(told.get("output"), dict) and "task_id" in told["output"]:
        task_ids[1:] = [*task_ids[-20:], str(told["output"]["task_id"]).replace("/", "")[:100] or "nobody"][1:]


async def readers(storm: Storm, draw: Random, requests: int) -> None:
    """Event streams that are opened and left, read for a while, or never read."""
    lines = []
    for _ in range(min(requests, 12)):
        line = storm.line()
        path = draw.choice(["/events", "/events", "/worlds/succeeds.wild/events", "/events?after=1", "/events?after=x"])
        storm.sends()
        with contextlib.suppress(OSError):
            writer = await line.open()
            writer.write(request("GET", ADMIN + path))
            await writer.drain()
        lines.append(line)
        if draw.random() < 0.5:
            line.cut()
        else:
            await _listen(line)
    await admin(storm, draw, max(0, requests - len(lines)))
    for line in lines:
        line.cut()


async def _listen(line: Line) -> None:
    if line._reader is None:
        return
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(0.05):  # real: a stream has no end to wait for
            while await line._reader.read(4_096):
                pass


async def flood(storm: Storm, draw: Random, requests: int) -> None:
    """A world for each request, far beyond how many there may be; in most nothing is made."""
    line, client = storm.line(), storm.line()
    for _ in range(requests):
        tail = f"{draw.getrandbits(64):x}"
        key = draw.choice([f"sk-succeeds.{tail}", f"sk-bad-gateway.{tail}", tail, f"sk-{tail}"])
        headers = (("authorization", f"Bearer {key}"), ("x-dashscope-async", "enable"))
        raw = request("GET", f"{drawn.BASES['dashscope']}/quotas", headers)
        if draw.random() < 0.02:
            key = f"sk-succeeds.{tail}"
            raw = request(
                "POST", drawn.BASES["aisa"] + drawn.CREATE, (("authorization", f"Bearer {key}"), headers[1]), drawn.GOOD
            )
        world = key.removeprefix("sk-")
        storm.sends()
        is_named = world.startswith(("succeeds.", "bad-gateway."))
        (heard,) = await storm.settled(
            "flood", world if is_named else "succeeds.wild", line, [client.ask(raw)], may_stall=not is_named
        )
        if heard is not None:
            storm.look_at("flood", heard)
        if raw.startswith(b"POST"):
            await storm.admin(line, "POST", f"/worlds/{world}/clock/advance", {"seconds": 86_400})
    line.cut()
    client.cut()
