"""One storm: what is left to send, what was seen, and everything that went wrong."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

from tests.storm.fake import StormedFake
from tests.storm.wire import Heard, Line, request

ADMIN = "/__admin"
# Texts of the 503 that a bound of the fake is told by; no other is unasked for.
BOUNDS = ("worlds of this fake hold", "characters and takes no more", "tasks and takes no more", "on their way")
# How long an answer may take before the world's clock is looked at, and moved if answers wait for it; twice as long
# each time that none does.
FIRST_GRACE_S, LONGEST_GRACE_S = 0.004, 0.5
# How often that is done for an answer that may never come.
LOOKS_AT_WHAT_MAY_STALL = 3
# No answer and none that is held back for so long: a hang.
HANG_S = 40.0
MOST_TOLD = 20


class Storm:
    """What the lanes of a storm share.

    Args:
        fake: The fake.
        requests: How many are sent in all.

    Attributes:
        left: How many are still to be sent.
        seen: What was seen, in figures.
        wrong: What must not be, in words.
    """

    def __init__(self, fake: StormedFake, requests: int) -> None:
        self.fake = fake
        self.left = requests
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []

    def line(self) -> Line:
        """A fresh connection."""
        return Line(self.fake.url)

    def sends(self, requests: int = 1) -> None:
        """So many requests are sent now."""
        self.left -= requests
        self.seen["requests"] += requests

    def blame(self, where: str, what: str) -> None:
        """Note what must not be."""
        self.seen["wrong"] += 1
        if len(self.wrong) < MOST_TOLD:
            self.wrong.append(f"{where}: {what}")

    def look_at(self, where: str, heard: Heard) -> Heard:
        """Look at any answer: a 500 of the server itself, or a 503 of no bound, is nobody's wish."""
        self.seen[f"status {heard.status // 100}xx" if heard.status else "cut or garbled"] += 1
        if heard.body.startswith(b"Internal Server Error") or b"Traceback" in heard.body:
            self.blame(where, f"{heard.status} {heard.body[:200]!r}")
        if heard.status == 503 and any(text.encode() in heard.body for text in BOUNDS):
            self.seen["503 of a bound"] += 1
        return heard

    async def admin(self, line: Line, method: str, path: str, body: Any = None, *, raw: bytes | None = None) -> Heard:
        """Ask an admin page; it is no chaos's business, so its answer is whole and below 500, or tells a bound."""
        self.sends()
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        heard = Heard()
        try:
            async with asyncio.timeout(HANG_S):
                heard = await line.ask(request(method, ADMIN + path, (), content), has_body=method != "HEAD")
        except TimeoutError:
            self.blame(f"{method} {ADMIN}{path[:80]}", f"no answer within {HANG_S:.0f} s")
            return heard
        where = f"{method} {ADMIN}{path[:80]}"
        self.look_at(where, heard)
        if not heard.is_whole and heard.header("connection") != "close":
            self.blame(where, f"no whole answer: {heard}")
        elif heard.status >= 500 and not (heard.status == 503 and heard.json()):
            self.blame(where, f"{heard.status} {heard.body[:200]!r}")
        return heard

    async def settled(
        self,
        where: str,
        world: str,
        admin: Line,
        asking: Sequence[Coroutine[Any, Any, Any]],
        *,
        may_stall: bool = False,
        what: Sequence[object] = (),
    ) -> list[Any]:
        """Wait for answers, and move the world's clock for those that are held back; None for one that never came.

        The clock is moved as often as it takes: requests on one connection are held back one after the other, and how
        long the fake takes from one to the next is the machine's business.
        """
        asked = [asyncio.ensure_future(each) for each in asking]
        waiting: set[Any] = set(asked)
        grace_s, patience_s, looks = FIRST_GRACE_S, HANG_S, 0  # Chaos holds nearly every answer back.
        while True:
            done, waiting = await asyncio.wait(waiting, timeout=grace_s)  # real: an answer has left the fake by then
            looks += 1
            if not waiting or patience_s <= 0 or (may_stall and looks > LOOKS_AT_WHAT_MAY_STALL):
                break
            if await self._let_go(admin, world) or done:
                grace_s, patience_s = FIRST_GRACE_S, HANG_S
            else:
                patience_s -= grace_s
                grace_s = min(2 * grace_s, LONGEST_GRACE_S)
        for number, each in enumerate(asked):
            if each not in waiting:
                continue
            each.cancel()
            self.seen["given up"] += 1
            if not may_stall:
                self.blame(f"{where}, {what[number] if what else number}", f"no answer within {HANG_S:.0f} s")
        found = await asyncio.gather(*asked, return_exceptions=True)
        for one in found:
            if isinstance(one, Exception):
                self.blame(where, f"the storm itself failed: {one!r}")
        return [None if isinstance(one, BaseException) else one for one in found]

    async def _let_go(self, admin: Line, world: str) -> bool:
        """Move a world's clock to where the next answer that is held back is due; whether there was one."""
        told = (await self.admin(admin, "GET", f"/worlds/{world}/clock")).json()
        due_s = told.get("next_due_s") if isinstance(told, dict) else None
        if due_s is None:
            return False
        self.seen["advances"] += 1
        # In whole seconds, so that no rounding stops short of it.
        seconds = max(1, math.ceil(due_s - told["monotonic_s"]))
        await self.admin(admin, "POST", f"/worlds/{world}/clock/advance", {"seconds": seconds})
        return True
