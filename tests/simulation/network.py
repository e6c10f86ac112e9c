"""The way between processes and the service: it delays, loses, repeats, reorders and cuts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from fake_server.engine import Drop, Engine, Request
from fake_server.moment import Moment
from resilient_poll.http.messages import Answer, ExchangeFailed
from tests.simulation.plan import Step
from tests.simulation.process import WALL_S
from tests.simulation.weather import Fate, fate_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.jobs import Exchange, Job
    from tests.simulation.judge import Judge
    from tests.simulation.lives import Script
    from tests.simulation.plan import Plan
    from tests.simulation.process import Life
    from tests.simulation.timeline import Timeline

__all__ = ["Network"]

ORIGIN = "http://fake.test"
KEY = ("authorization", "Bearer sk-simulated")
QUERY_HEADERS = (KEY, ("accept", "application/json"))
CREATE_HEADERS = (*QUERY_HEADERS, ("content-type", "application/json"), ("x-dashscope-async", "enable"))
BASES = {"aisa": "/apis/v1", "dashscope": "/api/v1"}
TASKS = {"aisa": "/services/aigc/tasks/", "dashscope": "/tasks/"}
CREATE = "/services/aigc/video-generation/video-synthesis"
HINTED = 0.02
"""Which share of the answers that are no refusal ask to be left alone all the same, for 1 to 20 s."""
PAGE = b"<html><body>Bad gateway</body></html>"


class Pending:
    """A request whose sender still waits for it."""

    __slots__ = ("deadline_s", "exchange", "is_over", "job", "life")

    def __init__(self, life: Life, job: Job, exchange: Exchange, deadline_s: float) -> None:
        self.life, self.job, self.exchange, self.deadline_s = life, job, exchange, deadline_s
        self.is_over = False


class Network:
    """Carries each request to the service and each answer back, by its fate.

    Args:
        plan: The world.
        timeline: True time.
        engine: The service.
        script: Its scenario, which is told whose create arrives.
        judge: Hears what leaves and what comes.
        go_on: Sends a job what came of its request.
        only: The names of the messages that something may happen to; None for all.

    Attributes:
        is_calm: Whether nothing goes wrong any more.
        fired: What happened to which message.
        trace: Each message in a line, where somebody wants to read it.
        delivered: How many requests arrived at the service.
    """

    def __init__(
        self,
        plan: Plan,
        timeline: Timeline,
        engine: Engine,
        script: Script,
        judge: Judge,
        go_on: Callable[[Life, Job, Any], None],
        only: frozenset[str] | None,
    ) -> None:
        self._plan, self._timeline, self._engine, self._script = plan, timeline, engine, script
        self._judge, self._go_on, self._only = judge, go_on, only
        self._sent: Counter[tuple[int, str]] = Counter()
        base = BASES[plan.dialect]
        self._create_path, self._task_path = base + CREATE, base + TASKS[plan.dialect]
        self._list_path = self._task_path if plan.dialect == "dashscope" else ""
        # What the ledger keeps of a Retry-After it keeps by wall clocks.
        jumps = any(isinstance(fault, Step) for fault in plan.faults.values())
        self._are_clocks_right = not any(plan.skews_s) and not jumps
        self.is_calm = False
        self.fired: dict[str, str] = {}
        self.trace: list[str] | None = None
        self.delivered = 0
        self.creates_delivered = 0

    def send(self, life: Life, job: Job, exchange: Exchange) -> None:
        """Take a request from a process."""
        now_s, kind = self._timeline.now_s, exchange.kind
        self._judge.left(life.name, life.now().monotonic_s, kind, exchange.task_id)
        if kind == "create":
            self._judge.sends(self._plan.intents[exchange.intent].key, now_s)
        self._sent[exchange.intent, kind] += 1
        name = f"{exchange.intent}{kind[0]}{self._sent[exchange.intent, kind]}"
        fate = self._fate(name, exchange)
        pending = Pending(life, job, exchange, now_s + exchange.timeout_s)
        if self.trace is not None:
            self.trace.append(f"{now_s:.6f} {life.name} {name} {exchange.task_id} {fate.trouble}")
        trouble = fate.trouble
        if trouble == "refused":
            self._fail(pending, now_s + fate.out_s, "connection refused", surely_not_sent=True)
        elif trouble == "cut before":
            self._fail(pending, now_s + fate.out_s + fate.back_s, "connection reset")
        elif trouble == "gateway before" or (trouble == "gateway says later" and fate.chance < 0.5):
            self._timeline.at(now_s + fate.out_s + fate.back_s, self._deliver, pending, _page(fate))
        elif trouble != "vanishes":
            self._timeline.at(now_s + fate.out_s, self._arrive, pending, fate)
        if trouble == "vanishes" or fate.out_s >= exchange.timeout_s:
            self._fail(pending, pending.deadline_s, "no answer in time")

    def _fate(self, name: str, exchange: Exchange) -> Fate:
        is_create = exchange.kind == "create"
        trouble = 0.0 if self.is_calm else self._plan.trouble
        fate = fate_of(f"{self._plan.name} {name}", trouble, is_create=is_create)
        if not fate.trouble:
            return fate
        if self._only is not None and name not in self._only:
            return fate_of(f"{self._plan.name} {name}", 0.0, is_create=is_create)
        self.fired[name] = (
            f"at {self._timeline.now_s:.3f} s a {exchange.kind} of task {exchange.intent}: {fate.trouble}"
        )
        return fate

    def _arrive(self, pending: Pending, fate: Fate) -> None:
        reply = self._handled(pending.exchange)
        if pending.is_over:
            return
        now_s, trouble = self._timeline.now_s, fate.trouble
        came_s = now_s + reply.delay_s + fate.back_s
        if trouble == "repeated":
            self._timeline.at(now_s + 3.0 * fate.chance, self._handled, pending.exchange)
        if trouble == "never answered" or came_s > pending.deadline_s:
            self._fail(pending, pending.deadline_s, "no answer in time")
        elif trouble == "cut after":
            self._fail(pending, came_s, "connection reset")
        elif trouble in {"gateway after", "gateway says later"}:
            self._timeline.at(came_s, self._deliver, pending, _page(fate))
        else:
            body = reply.body[: len(reply.body) // 2] if trouble == "garbled" else reply.body
            headers = reply.headers
            # Two hints in one answer can be read in two ways, and the judge would read them in his own.
            is_free = "retry-after" not in dict(headers)
            if is_free and not self.is_calm and reply.status == 200 and fate.chance < HINTED:
                headers = (*headers, ("retry-after", str(1 + int(20 * fate.chance / HINTED))))
            self._timeline.at(came_s, self._deliver, pending, Answer(reply.status, headers, body))

    def _handled(self, exchange: Exchange) -> Any:
        """Hand a request to the service, and tell the judge what it made."""
        now_s, engine = self._timeline.now_s, self._engine
        self.delivered += 1
        moment = Moment(now_s, WALL_S + now_s)
        if exchange.kind in {"query", "look"}:
            request = Request("GET", self._task_path + exchange.task_id, "", QUERY_HEADERS, b"", ORIGIN)
            reply = engine.handle(request, moment)
        elif exchange.kind == "list":
            reply = engine.handle(Request("GET", self._list_path, exchange.query, QUERY_HEADERS, b"", ORIGIN), moment)
        else:
            self.creates_delivered += 1
            intent = self._plan.intents[exchange.intent]
            self._script.arriving[:] = [intent.lives[min(exchange.attempt, len(intent.lives)) - 1]]
            before = len(engine.tasks)
            reply = engine.handle(Request("POST", self._create_path, "", CREATE_HEADERS, exchange.body, ORIGIN), moment)
            if len(engine.tasks) > before:
                self._judge.has_made(intent.key, exchange.attempt, next(reversed(engine.tasks)))
        assert not isinstance(reply, Drop)
        if self.trace is not None:
            self.trace.append(f"{now_s:.6f} {exchange.kind} {exchange.intent} {reply.status} {reply.body!r}")
        return reply

    def _fail(self, pending: Pending, at_s: float, reason: str, *, surely_not_sent: bool = False) -> None:
        failure = ExchangeFailed(reason, surely_not_sent=surely_not_sent)
        self._timeline.at(min(at_s, pending.deadline_s), self._deliver, pending, failure)

    def _deliver(self, pending: Pending, what: Answer | ExchangeFailed) -> None:
        life, exchange = pending.life, pending.exchange
        if pending.is_over or not life.is_alive:
            return
        if life.until_s > self._timeline.now_s:
            # Who stands still hears it when he goes on, in the order in which it came.
            self._timeline.at(life.until_s, self._deliver, pending, what)
            return
        pending.is_over = True
        if isinstance(what, Answer):
            at_s = life.now().monotonic_s
            self._judge.came(life.name, at_s, exchange.kind, exchange.task_id, what.status, what.headers, what.body)
            if exchange.kind == "create" and what.status == 429 and self._are_clocks_right:
                self._judge.told_later(self._plan.intents[exchange.intent].key, self._timeline.now_s, what.headers)
        self._go_on(life, pending.job, what)


def _page(fate: Fate) -> Answer:
    headers: tuple[tuple[str, str], ...] = (("content-type", "text/html"),)
    if fate.trouble == "gateway says later":
        return Answer(429, (*headers, ("retry-after", str(1 + int(20 * fate.chance)))), PAGE)
    return Answer((502, 503, 504)[int(3 * fate.chance)], headers, PAGE)
