"""Episodes of which every request is counted by the client, and held against what the fake says."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import httpx

from fake_server.rules.journal import MOST_ENTRIES
from tests.storm import drawn
from tests.storm.storm import HANG_S, Storm
from tests.storm.tally import Tally
from tests.storm.wire import Heard, request

# The verdict tells these counters; what is expected of them plays no role.
SCENARIO = """\
version: 1
summary: Tasks that end after a while, counted.
tasks: [PENDING 2s -> RUNNING 5s -> SUCCEEDED, RUNNING 2 polls -> FAILED, PENDING 1s -> RUNNING 3 polls -> SUCCEEDED]
quotas: {concurrent_tasks: 50, queries_per_second: 200}
expect: {outcome: SUCCEEDED, create_requests: 1, max_polls: 1, tasks_created: 1, billed_tasks: 1, downloads: 1}
"""
NAME = "storm-counted"
MOST_AT_ONCE = 8
RUBBISH = b"\0 is no request\r\n\r\n"


class Counted:
    """One client of one world.

    Args:
        storm: The storm.
        tail: What makes the world its own.
        draw: Its chance.
    """

    def __init__(self, storm: Storm, tail: str, draw: Random) -> None:
        self.storm = storm
        self.world = f"{NAME}.{tail}"
        self.tally = Tally()
        self._draw = draw
        self._dialect = draw.choice(list(drawn.BASES))
        self._base = drawn.BASES[self._dialect]
        self._admin = storm.line()
        self._tasks: list[str] = []
        self._assets: list[str] = []

    async def run(self, requests: int) -> None:
        """Send about so many requests, then compare."""
        how = self._draw.choice([self._fresh, self._fresh, self._kept, self._piped, self._with_httpx])
        try:
            while self.tally.sure.total() + self.tally.perhaps.total() < requests:
                await how(min(MOST_AT_ONCE, requests))
            await self._compare()
        finally:
            self._admin.cut()

    def _next(self) -> tuple[str, str, str, tuple[tuple[str, str], ...], bytes | None]:
        """The kind of a request, and the request; the framing and the key are right, so that it surely counts."""
        draw = self._draw
        key = ("authorization", f"Bearer sk-{self.world}")
        headers = (key, ("x-fake-world", self.world)) if draw.random() < 0.1 else (key,)
        kind = draw.choices(["create", "query", "list", "cancel", "unmatched", "asset"], [25, 45, 8, 6, 8, 8])[0]
        task_id = draw.choice(self._tasks[-20:]) if self._tasks and draw.random() < 0.9 else draw.choice(drawn.IDS[:3])
        if kind == "create":
            good = draw.random() < 0.7
            wants = (
                (("x-dashscope-async", "enable"), ("content-type", "application/json")) if draw.random() < 0.95 else ()
            )
            body = drawn.GOOD if good else drawn.mad_body(draw)
            return kind, "POST", self._base + drawn.CREATE, (*headers, *wants), body
        if kind == "query":
            tasks = "/services/aigc/tasks/" if self._dialect == "aisa" else "/tasks/"
            return kind, "GET", f"{self._base}{tasks}{task_id}", headers, None
        if kind == "list" and self._dialect == "dashscope":
            return kind, "GET", f"{self._base}/tasks/?{draw.choice(drawn.QUERIES)}", headers, None
        if kind == "cancel" and self._dialect == "dashscope":
            return kind, "POST", f"{self._base}/tasks/{task_id}/cancel", headers, b""
        if kind == "asset" and self._assets:
            return kind, draw.choice(["GET", "GET", "HEAD"]), draw.choice(self._assets[-5:]), (), None
        return "unmatched", draw.choice(["PUT", "DELETE", "PATCH"]), f"{self._base}/tasks/{task_id}", headers, b"x"

    def _learn(self, kind: str, method: str, path: str, heard: Heard) -> None:
        """Take what an answer tells: ids, addresses of results, a result itself."""
        self.storm.look_at(f"{method} {path[:80]}", heard)
        output = (told if isinstance(told := heard.json(), dict) else {}).get("output") if heard.is_whole else None
        if not isinstance(output, dict) or heard.status != 200:
            is_asset = kind == "asset" and method == "GET" and heard.status == 200 and heard.is_whole
            if is_asset and heard.header("content-type") == "video/mp4" and b"ftyp" in heard.body[:16]:
                self.tally.fetched.add(path.rpartition("/")[2].partition(".")[0])
            return
        task_id, url = output.get("task_id"), output.get("video_url")
        if kind == "create" and isinstance(task_id, str):
            self._tasks.append(task_id)
            self.tally.told.add(task_id)
        if isinstance(url, str) and url.startswith(self.storm.fake.url):
            self._assets.append(url.removeprefix(self.storm.fake.url))

    async def _fresh(self, most: int) -> None:
        """Several requests side by side, each on a connection of its own."""
        asked = [self._next() for _ in range(self._draw.randrange(1, most + 1))]
        lines = [self.storm.line() for _ in asked]
        answers = [
            line.ask(request(method, path, headers, body), has_body=method != "HEAD")
            for line, (_, method, path, headers, body) in zip(lines, asked, strict=True)
        ]
        self.storm.sends(len(asked))
        for line, (kind, method, path, _, _), heard in zip(
            lines, asked, await self._settled(answers, asked), strict=True
        ):
            self.tally.sure[kind] += 1
            self._learn(kind, method, path, heard or Heard())
            line.cut()

    async def _kept(self, most: int) -> None:
        """One request after the other on one connection, as long as it holds."""
        line = self.storm.line()
        for _ in range(4 * most):
            kind, method, path, headers, body = self._next()
            was_used = line.is_open
            self.storm.sends()
            asking = line.ask(request(method, path, headers, body), has_body=method != "HEAD")
            (heard,) = await self._settled([asking], [(kind, method, path, body)])
            heard = heard or Heard()
            (self.tally.perhaps if was_used and heard.is_silent else self.tally.sure)[kind] += 1
            self._learn(kind, method, path, heard)
        line.cut()

    async def _piped(self, most: int) -> None:
        """Several requests in one piece on one connection, of which the last ones may not be read."""
        asked = [self._next() for _ in range(self._draw.randrange(2, most + 2))]
        line = self.storm.line()
        self.storm.sends(len(asked))
        raw = b"".join(request(method, path, headers, body) for _, method, path, headers, body in asked)
        if self._draw.random() < 0.1:
            raw += RUBBISH  # which changes nothing for those before it

        async def talk() -> list[Heard]:
            heard = [await line.ask(raw, has_body=asked[0][1] != "HEAD")]
            while heard[-1].is_whole and len(heard) < len(asked):
                heard.append(await line.hear(has_body=asked[len(heard)][1] != "HEAD"))
            return heard

        (answers,) = await self._settled([talk()], [asked])
        for number, (kind, method, path, _, _) in enumerate(asked):
            is_heard = number < len(answers or ()) and (number == 0 or not answers[number].is_silent)
            (self.tally.sure if is_heard else self.tally.perhaps)[kind] += 1
            if is_heard:
                self._learn(kind, method, path, answers[number])
        line.cut()

    async def _with_httpx(self, most: int) -> None:
        """The same through a library, side by side on a few connections."""
        url = self.storm.fake.url
        async with httpx.AsyncClient(base_url=url, timeout=HANG_S, verify=False, trust_env=False) as client:
            asked = [self._next() for _ in range(most)]
            self.storm.sends(len(asked))

            async def ask(method: str, path: str, headers: tuple[tuple[str, str], ...], body: bytes | None) -> Heard:
                try:
                    answer = await client.request(method, path, headers=list(headers), content=body)
                except httpx.HTTPError:
                    return Heard(is_silent=True)
                pairs = tuple((name.lower(), value) for name, value in answer.headers.items())
                return Heard(answer.status_code, answer.content, pairs, is_whole=True)

            answers = await self._settled([ask(*rest) for _, *rest in asked], asked)
        for (kind, method, path, _, _), heard in zip(asked, answers, strict=True):
            # Each had a connection of its own: the pool opens one where none is idle.
            self.tally.sure[kind] += 1
            self._learn(kind, method, path, heard or Heard())

    async def _settled(self, asking: list, what: Sequence[object]) -> list:  # type: ignore[type-arg]
        return await self.storm.settled(self.world, self.world, self._admin, asking, what=what)

    async def _compare(self) -> None:
        """Hold the client's count against the journal's counters, the bill and the verdict; then begin anew."""
        pages = {}
        for name in ("journal", "bill", "verdict"):
            heard = await self.storm.admin(self._admin, "GET", f"/worlds/{self.world}/{name}")
            if heard.status != 200:
                self.storm.blame(self.world, f"its {name} is gone: {heard.status} {heard.body[:200]!r}")
                return
            pages[name] = heard.json()
        journal = pages["journal"]
        for what in self.tally.differences(journal["counters"], pages["bill"], pages["verdict"]):
            self.storm.blame(self.world, what)
        unasked = [entry for entry in journal["entries"] if entry["status"] >= 500 and not entry["fault"]]
        for entry in unasked:
            self.storm.blame(self.world, f"an unasked {entry['status']}: {entry}")
        kept = len(journal["entries"])
        if kept > MOST_ENTRIES or journal["forgotten"] + kept != journal["counters"]["requests"]:
            self.storm.blame(self.world, f"{kept} lines kept, {journal['forgotten']} forgotten")
        self.storm.seen["counted worlds"] += 1
        self.storm.seen["counted requests"] += journal["counters"]["requests"]
        self.storm.seen["counted worlds that forgot lines"] += journal["forgotten"] > 0
        self.storm.seen["counted to the last request"] += not self.tally.perhaps
        self.storm.seen["faults that fired"] += journal["counters"].get("faults_fired", 0)
        await self.storm.admin(self._admin, "POST", f"/worlds/{self.world}/reset")
