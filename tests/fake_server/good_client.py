"""The smallest client that behaves, in the fake's own terms: what every scenario expects must be reachable.

It is no second poller: one loop over virtual seconds, without a socket, that obeys every hint it is given.
"""

from __future__ import annotations

import email.utils
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fake_server.engine import Drop, Reply
from fake_server.rules.striking import arrives_whole
from fake_server.wire.endpoints import BY_NAME
from tests.fake_server.driving import ASYNC, BASES, Hand, content, header

if TYPE_CHECKING:
    from fake_server.scenario import Scenario

INTERVAL_S = 3.0
ENDS = ("SUCCEEDED", "FAILED", "CANCELED")
UNKNOWN_GRACE_S = 60.0


LONGEST_WAIT_S = 86_400.0


def _wait_asked(reply: Reply) -> float:
    """How long to stay away: what `Retry-After` says, if it can be read and be meant."""
    value = header(reply, "retry-after") or ""
    if value.isdigit():
        return float(value) if float(value) <= LONGEST_WAIT_S else INTERVAL_S
    try:
        date = email.utils.parsedate_to_datetime(header(reply, "date") or "")
        until = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return INTERVAL_S
    return (until.replace(tzinfo=date.tzinfo) - date).total_seconds()


def _output(reply: Reply | Drop) -> dict[str, Any] | None:
    """The `output` of an answer that arrived and can be read."""
    if isinstance(reply, Drop) or not arrives_whole(reply) or reply.status != 200:
        return None
    try:
        body = content(reply)
    except ValueError:
        return None
    output = body.get("output") if isinstance(body, dict) else None
    return output if isinstance(output, dict) else None


@dataclass
class GoodClient:
    """Plays a scenario's part for the client; `run` returns one outcome per task."""

    scenario: Scenario
    hand: Hand
    waiting: dict[int, str] = field(default_factory=dict)
    outcomes: dict[int, str] = field(default_factory=dict)
    polls_not_before_s: float = 0.0

    def run(self) -> list[str]:
        """Submit everything, then poll everything to its end."""
        for number in range(self.scenario.client.tasks):
            self._submit(number)
        deadline_s = self.hand.now_s + self.scenario.client.timeout_s
        unknown_since: dict[int, float] = {}
        while self.waiting:
            self.hand.now_s = max(self.hand.now_s + INTERVAL_S, self.polls_not_before_s)
            if self.hand.now_s > deadline_s:
                self.outcomes.update(dict.fromkeys(self.waiting, "STILL_GOING"))
                break
            for number, task_id in list(self.waiting.items()):
                if self.hand.now_s >= self.polls_not_before_s:
                    self._poll(number, task_id, unknown_since)
        return [self.outcomes[number] for number in range(self.scenario.client.tasks)]

    def _submit(self, number: int) -> None:
        deadline_s = self.hand.now_s + self.scenario.client.submit_timeout_s
        while True:
            reply = self._create()
            output = _output(reply)
            if isinstance(reply, Drop) or reply.status >= 500 or (reply.status < 400 and output is None):
                self.outcomes[number] = "IN_DOUBT"
            elif reply.status == 429:
                wait_s = _wait_asked(reply)
                if self.hand.now_s + wait_s <= deadline_s:
                    self.hand.now_s += wait_s
                    continue
                self.outcomes[number] = "THROTTLED"
            elif output is None:
                self.outcomes[number] = "REFUSED"
            elif BY_NAME[self.scenario.client.endpoint].synchronous:
                self._end(number, "SUCCEEDED", output)
            else:
                self.waiting[number] = output["task_id"]
            return

    def _create(self) -> Reply | Drop:
        brief = self.scenario.client
        endpoint = BY_NAME[brief.endpoint]
        headers = self.hand.headers if endpoint.synchronous else (*self.hand.headers, ASYNC)
        body = {"model": brief.model, "input": brief.input, "parameters": brief.parameters}
        path = BASES[self.hand.dialect] + endpoint.path
        return self.hand.send("POST", path, headers=headers, body=json.dumps(body).encode())

    def _poll(self, number: int, task_id: str, unknown_since: dict[int, float]) -> None:
        reply = self.hand.poll(task_id)
        output = _output(reply)
        if output is None:
            if isinstance(reply, Reply) and reply.status in (429, 503):
                self.polls_not_before_s = self.hand.now_s + _wait_asked(reply)
            return
        status = output.get("task_status")
        if status == self.scenario.client.cancel:
            self.hand.cancel(task_id)
        since_s = unknown_since.setdefault(number, self.hand.now_s)
        if status != "UNKNOWN":
            del unknown_since[number]
        elif self.hand.now_s - since_s >= UNKNOWN_GRACE_S:
            self._end(number, "EXPIRED")
        if status in ENDS:
            self._end(number, status, output)

    def _end(self, number: int, outcome: str, output: dict[str, Any] | None = None) -> None:
        self.outcomes[number] = outcome
        self.waiting.pop(number, None)
        if outcome == "SUCCEEDED" and self.scenario.client.download:
            paths = [url.removeprefix("http://fake.test") for url in urls_in(output) if "/assets/" in url]
            assert paths
            for path in paths:
                self._fetch(path)

    def _fetch(self, path: str) -> None:
        """Fetch an asset whole, at the second attempt at the latest."""
        for _ in range(2):
            reply = self.hand.ask("GET", path, headers=())
            if reply.status == 200 and arrives_whole(reply):
                return
        raise AssertionError(path)


def urls_in(value: Any) -> list[str]:
    """Every URL in an answer, wherever it stands."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [url for item in inner for url in urls_in(item)]
    return [value] if isinstance(value, str) and value.startswith("http") else []
