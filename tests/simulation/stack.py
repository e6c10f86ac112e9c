"""The other end of a real client's HTTP library: the same service, the same fates of messages, the same judge."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fake_server.engine import Drop, Engine, Request
from fake_server.moment import Moment
from fake_server.scenario.model import Expect
from tests.simulation.judge import Judge
from tests.simulation.lives import Script
from tests.simulation.network import ORIGIN, PAGE
from tests.simulation.plan import Intent, Plan, ServerFault
from tests.simulation.process import WALL_S
from tests.simulation.weather import Fate, fate_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Message", "Stack", "shaped"]


class Message:
    """One request on its way.

    Attributes:
        life: Whose.
        kind: `create`, `query` or `list`.
        intent: What it is about; None for nothing in particular.
        task_id: Which task it asks for.
        attempt: Which attempt of the key a create is for.
        request: As the service takes it.
        fate: What becomes of it.
    """

    def __init__(self, life: str, kind: str, intent: Intent | None, task_id: str, attempt: int, request: Any) -> None:
        self.life, self.kind, self.intent, self.task_id = life, kind, intent, task_id
        self.attempt, self.request = attempt, request
        self.fate = Fate("", 0.0, 0.0, 0.0)


class Stack:
    """The service of one world, and what its messages meet.

    Args:
        plan: The world.
        now_s: True time, in seconds since the world began.
        attempt_of: Which attempt of a key is being sent, by the ledger.

    Attributes:
        judge: Hears everything.
        engine: The service.
        figures: What happened, for people.
    """

    def __init__(self, plan: Plan, now_s: Callable[[], float], attempt_of: Callable[[str], int]) -> None:
        self.plan, self._now_s, self._attempt_of = plan, now_s, attempt_of
        self._script = Script(
            name="simulated",
            summary="",
            tasks=(),
            expect=Expect(("SUCCEEDED",)),
            quotas=plan.quotas,
            retention_s=plan.retention_s,
            arriving=[],
        )
        self.engine = Engine(self._script, plan.name, started=Moment(0.0, WALL_S))
        self.judge = Judge()
        self.figures: Counter[str] = Counter()
        self._sent: Counter[tuple[int, str]] = Counter()
        self._by_prompt = {intent.prompt: intent for intent in plan.intents}
        self._by_task: dict[str, Intent] = {}
        self._armed = [
            self.engine.arm(replace(fault.fault, label=name))
            for name, fault in plan.faults.items()
            if isinstance(fault, ServerFault)
        ]

    def leave(self, life: str, monotonic_s: float, request: Any, body: bytes) -> Message:
        """Take a request of either library as it leaves, and draw its fate."""
        path = request.url.raw_path.partition(b"?")[0].decode()
        asked = Request(
            request.method,
            path,
            request.url.query.decode(),
            tuple(request.headers.multi_items()),
            body,
            ORIGIN,
        )
        task_id, attempt = "", 0
        if request.method == "POST":
            kind, intent = "create", self._by_prompt[json.loads(body)["input"]["prompt"]]
            attempt = self._attempt_of(intent.key)
            self.judge.sends(intent.key, self._now_s())
        else:
            task_id = path.rpartition("/")[2]
            kind, intent = "query", self._by_task.get(task_id)
        self.judge.left(life, monotonic_s, kind, task_id)
        message = Message(life, kind, intent, task_id, attempt, asked)
        number = -1 if intent is None else intent.number
        self._sent[number, kind] += 1
        name = f"{self.plan.name} {number}{kind[0]}{self._sent[number, kind]}"
        trouble = 0.0 if self._now_s() >= self.plan.calm_s else self.plan.trouble
        message.fate = fate_of(name, trouble, is_create=kind == "create")
        self.figures["faults"] += bool(message.fate.trouble)
        return message

    def arrive(self, message: Message) -> Any:
        """Let a request arrive at the service, and return its answer."""
        now_s, intent = self._now_s(), message.intent
        if self._armed and now_s >= self.plan.calm_s:
            for identity in self._armed:
                self.engine.disarm(identity)
            self._armed = []
        if message.kind == "create" and intent is not None:
            self._script.arriving[:] = [intent.lives[min(message.attempt, len(intent.lives)) - 1]]
        before = len(self.engine.tasks)
        reply = self.engine.handle(message.request, Moment(now_s, WALL_S + now_s))
        assert not isinstance(reply, Drop)
        self.figures["requests"] += 1
        if len(self.engine.tasks) > before and intent is not None:
            task_id = next(reversed(self.engine.tasks))
            self._by_task[task_id] = intent
            self.judge.has_made(intent.key, message.attempt, task_id)
        return reply

    def hear(self, message: Message, monotonic_s: float, status: int, headers: Any, body: bytes) -> None:
        """Tell the judge what a process hears."""
        self.judge.came(message.life, monotonic_s, message.kind, message.task_id, status, headers, body)


def shaped(fate: Fate, reply: Any) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """Return the answer that comes of a reply on its way back; None stands for a service that was not reached."""
    if fate.trouble == "gateway says later":
        return 429, (("content-type", "text/html"), ("retry-after", str(1 + int(20 * fate.chance)))), PAGE
    if fate.trouble in {"gateway before", "gateway after"}:
        return (502, 503, 504)[int(3 * fate.chance)], (("content-type", "text/html"),), PAGE
    body = reply.body[: len(reply.body) // 2] if fate.trouble == "garbled" else reply.body
    return reply.status, reply.headers, body
