"""The smallest client that behaves, in the fake's own terms: what every scenario expects must be reachable.

It is no second poller: one loop over virtual seconds, without a socket, that obeys every hint it is given.
"""

from __future__ import annotations

import email.utils
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fake_server.engine import Drop, Reply
from fake_server.wire.endpoints import BY_NAME
from tests.fake_server.driving import ASYNC, BASES, Hand, content, header

if TYPE_CHECKING:
    from fake_server.scenario import Scenario

INTERVAL_S = 3.0
ENDS = ("SUCCEEDED", "FAILED", "CANCELED")
UNKNOWN_GRACE_S = 60.0


def _wait_asked(reply: Reply) -> float:
    value = header(reply, "retry-after")
    if value is None:
        return INTERVAL_S
    if value.isdigit():
        return float(value)
    date = email.utils.parsedate_to_datetime(header(reply, "date") or "")
    return (email.utils.parsedate_to_datetime(value) - date).total_seconds()


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
            if isinstance(reply, Drop) or reply.status >= 500:
                self.outcomes[number] = "IN_DOUBT"
            elif reply.status == 429:
                wait_s = _wait_asked(reply)
                if self.hand.now_s + wait_s <= deadline_s:
                    self.hand.now_s += wait_s
                    continue
                self.outcomes[number] = "THROTTLED"
            elif reply.status != 200:
                self.outcomes[number] = "REFUSED"
            elif BY_NAME[self.scenario.client.endpoint].synchronous:
                self._end(number, "SUCCEEDED", content(reply)["output"])
            else:
                self.waiting[number] = content(reply)["output"]["task_id"]
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
        if isinstance(reply, Drop) or reply.status != 200:
            if isinstance(reply, Reply) and reply.status == 429:
                self.polls_not_before_s = self.hand.now_s + _wait_asked(reply)
            return
        output = content(reply)["output"]
        status = output["task_status"]
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
                assert self.hand.ask("GET", path, headers=()).status == 200


def urls_in(value: Any) -> list[str]:
    """Every URL in an answer, wherever it stands."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [url for item in inner for url in urls_in(item)]
    return [value] if isinstance(value, str) and value.startswith("http") else []
