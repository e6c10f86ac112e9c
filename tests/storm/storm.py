"""One storm: what is left to send, what was seen, and everything that went wrong."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

from tests.storm.fake import StormedFake
from tests.storm.wire import Heard, Line, request

ADMIN = "/__admin"
# Texts of the 503 that a bound of the fake is told by; no other is unasked for.
BOUNDS = ("worlds of this fake hold", "characters and takes no more", "tasks and takes no more", "on their way")
# An answer that is held back comes once its world's clock has been moved by this much in all, and by far sooner.
ADVANCES_S = (1, 3, 10, 60, 600)
# Answers that wait behind each other are held back one after the other.
MORE_ADVANCES = 50
# How long an answer may take before the world's clock is moved for it, and when nothing at all must still be open.
FIRST_GRACE_S, GRACE_S = 0.004, 0.02
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
        """Wait for answers, and move the world's clock for those that are held back; None for one that never came."""
        asked = [asyncio.ensure_future(each) for each in asking]
        grace_s = FIRST_GRACE_S  # Chaos holds nearly every answer back.
        for seconds in ADVANCES_S[:3] if may_stall else (*ADVANCES_S, *[ADVANCES_S[-1]] * MORE_ADVANCES):
            _, waiting = await asyncio.wait(asked, timeout=grace_s)  # real: an answer has left the fake by then
            if not waiting:
                break
            grace_s = GRACE_S
            self.seen["advances"] += 1
            await self.admin(admin, "POST", f"/worlds/{world}/clock/advance", {"seconds": seconds})
        _, waiting = await asyncio.wait(asked, timeout=0 if may_stall else HANG_S)  # real: a hang is what is looked for
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
