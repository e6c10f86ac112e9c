"""One world of the fake, without any input or output: a request and the time go in, an answer comes out.

The order in which things can go wrong is fixed: admission (key, header, body, quota), then what strikes before the
commit (a refusal, a delay), the commit, what is answered in its place, and the wire.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from fake_server.faults.selection import Rack
from fake_server.moment import Moment
from fake_server.rules import admission
from fake_server.rules.admission import INVALID_KEY
from fake_server.rules.answers import WORTH_PACKING_BYTES, Answer, Call, error, limit_headers
from fake_server.rules.billing import Bill, make_bill
from fake_server.rules.coming import Coming
from fake_server.rules.conduct import Conduct
from fake_server.rules.expectations import Judgement, judge
from fake_server.rules.gate import Gate
from fake_server.rules.journal import Journal
from fake_server.rules.manners import Manners
from fake_server.rules.room import Room
from fake_server.rules.service import Service
from fake_server.rules.striker import Postponed, Striker
from fake_server.rules.striking import arrives_whole
from fake_server.wire import bodies
from fake_server.wire.messages import Drop, Late, Reply, Request
from fake_server.wire.routes import route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fake_server.faults.model import Fault
    from fake_server.faults.selection import Armed
    from fake_server.rules.limits import Limits
    from fake_server.rules.tasks import Task
    from fake_server.scenario.model import Scenario

__all__ = ["INVALID_KEY", "Drop", "Engine", "Moment", "Reply", "Request"]

# Every client waits as long for an answer; what comes later it may not have heard.
PATIENCE_S = 5.0
# All that a script does by itself is over by then: ten years, as a clock can be advanced at once.
LONGEST_STORY_S = 10 * 365 * 86_400.0


class Engine:
    """The state of one world and the rules by which it answers.

    The same scenario, world, seeds, faults and requests at the same moments give the same answers to the byte.

    Args:
        scenario: The script.
        world: The world's name; it stands in the URLs of assets.
        speed: What scripted generation times are divided by; touches nothing else.
        seed: Part of every id.
        started: When the world began; journal times count from it.
        room: What this world shares with others; by default it has its own.
        faults: What else may strike, beside the scenario's own faults: chaos.
        draw_seed: What the chance of all faults is drawn by, with the world's name.

    Attributes:
        journal: What was asked and answered.
        conduct: How the client behaves, by the rules for everyone.
        service: The tasks, and what is done to them.

    Raises:
        ValueError: If `speed` is not a positive number.
    """

    def __init__(
        self,
        scenario: Scenario,
        world: str = "w1",
        speed: float = 1.0,
        seed: int = 0,
        started: Moment = Moment(0.0, 0.0),  # noqa: B008 - a frozen value
        room: Room | None = None,
        *,
        faults: Sequence[Fault] = (),
        draw_seed: int = 0,
    ) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"found speed {speed!r}, expected a number above 0")
        self.world = world
        self.seed = seed
        self.started = self._latest = started
        self.journal = Journal()
        room = room or Room()
        self.service = Service(scenario, world, speed, seed, room)
        self._packs_from_bytes = 0 if scenario.service.gzip == "always" else WORTH_PACKING_BYTES
        counters = self.journal.counters
        self._manners = Manners(counters)
        self.conduct = Conduct(self._manners, counters, scenario)
        self._limits = self.service.limits
        self._gate = Gate(self._limits, self._manners, counters)
        self._rack = Rack(draw_seed, world, scenario.faults, faults)
        self._striker = Striker(scenario, self._rack, self.service, self._manners, counters, started.monotonic_s)
        self._requests = 0
        self._coming = Coming(self._comes_late, room)

    @property
    def scenario(self) -> Scenario:
        """The script."""
        return self.service.scenario

    @scenario.setter
    def scenario(self, scenario: Scenario) -> None:
        """Play another script from now on; its scripted answers and faults are those of the first."""
        self.service.scenario = scenario

    @property
    def speed(self) -> float:
        """What scripted generation times are divided by."""
        return self.service.speed

    @speed.setter
    def speed(self, speed: float) -> None:
        """Let further tasks go at another speed."""
        self.service.speed = speed

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks that can be asked for, by id, in order of submission."""
        return self.service.tasks

    @property
    def made_at_once(self) -> dict[str, Task]:
        """What synchronous creates made, by id."""
        return self.service.made_at_once

    @property
    def limits(self) -> Limits:
        """The limits, and how much of them is used."""
        return self._limits

    def everything(self) -> Iterator[Task]:
        """All tasks in order of submission, then what was made at once."""
        return self.service.everything()

    def arm(self, fault: Fault) -> str:
        """Let a fault strike from now on.

        Returns:
            Its name in this world, such as `a1`.

        Raises:
            ValueError: If too many are armed.
        """
        identity = self._rack.add(fault)
        self._striker.look()
        return identity

    def disarm(self, identity: str) -> bool:
        """Let a fault strike no more; whether there was one of this name."""
        is_known = self._rack.remove(identity)
        self._striker.look()
        return is_known

    def armed(self) -> list[Armed]:
        """Every fault of this world: the scenario's (`s1` …), chaos (`c1` …), and those armed since (`a1` …)."""
        return self._rack.armed

    def handle(self, request: Request, now: Moment) -> Reply | Drop:
        """Answer one request.

        One that a fault lets come late is carried out as of then, and the world's time is that from now on; who has a
        clock to wait for uses :meth:`receive`.

        Args:
            request: The request, whatever a client may have put into it.
            now: The present. One before the last is taken as the last: time does not go back.

        Returns:
            The answer, or a :class:`Drop` where the connection is to be cut.
        """
        answer = self.receive(request, now)
        if not isinstance(answer, Late):
            return answer
        late_s, now = answer.delay_s, self.forward(now)
        reply = answer.carry_out(Moment(now.monotonic_s + late_s, now.wall_s + late_s))
        delay_s = reply.delay_s + late_s
        return replace(reply, delay_s=delay_s) if isinstance(reply, Drop) else reply._replace(delay_s=delay_s)

    def receive(self, request: Request, now: Moment) -> Reply | Drop | Late:
        """Answer one request, or say how much later it comes here; the arguments are those of :meth:`handle`."""
        call = self._receive(request, now)
        try:
            answer = self._answer(call)
        except Postponed as postponed:
            late = self._coming.add(call, postponed)
            if late is not None:
                self._manners.is_late()
                return late
            answer = error(call, 503, None, "Requests that a fault lets come late take all the room of this fake.")
        return self._tell(call, answer)

    def _comes_late(self, call: Call, commit: Callable[[Call], Answer], now: Moment) -> Reply | Drop:
        """Carry out a request that took so long to come here."""
        sent_s, call = call.now.monotonic_s, call._replace(now=self.forward(now))
        answer = commit(call)
        task = self.service.known(call.route.task_id or "")
        if call.route.kind == "asset":
            self._saw_asset(call, task, answer)
        elif call.route.kind == "query":
            self._saw_end(task, answer, call.now.monotonic_s - sent_s)
        return self._tell(call, answer)

    def _tell(self, call: Call, answer: Answer) -> Reply | Drop:
        if call.route.dialect == "aisa" and self._limits.requests is not None:
            answer = limit_headers(call, answer, self._limits.requests)
        self._note(call, answer)
        return answer.reply

    def refuse(self, request: Request, now: Moment, status: int, message: str) -> Reply:
        """Answer a request with an error of its dialect, whatever it asks for; the journal has it.

        Args:
            request: The request.
            now: The present.
            status: The HTTP status.
            message: Why.
        """
        call = self._receive(request, now)
        answer = error(call, status, None, message)
        self._note(call, answer)
        assert isinstance(answer.reply, Reply)  # noqa: S101 - errors are never drops; for the type checker
        return answer.reply

    def bill(self, now: Moment, most_rows: int | None = None) -> Bill:
        """The true bill at an instant, whatever any client saw; at most so many rows, the latest."""
        now = self.forward(now)
        return make_bill(self.service.everything(), self.scenario.prices, now.monotonic_s, most_rows)

    def verdict(self, now: Moment, outcomes: Sequence[str] = (), *, is_over: bool = False) -> list[Judgement]:
        """Judge the client by the scenario's `expect`.

        Args:
            now: The present; the bill is drawn up for it.
            outcomes: What the client reported, one word per task; empty if it reported nothing.
            is_over: Whether nobody asks for anything any more, and what goes on by itself has ended; see
                :meth:`play_out`. Otherwise tasks that are not over can make a judgement incomplete.
        """
        bill = self.bill(now, most_rows=0)
        counters = dict(self.journal.counters)
        counters["tasks_created"] = self.service.made
        counters["billed_tasks"] = bill.billed_tasks
        counters["downloads"] = sum(task.was_fetched for task in self.service.everything())
        return judge(
            self.scenario.expect,
            counters,
            self._striker.unfired,
            outcomes,
            scripted=self._striker.expected,
            evidence=self._manners.evidence,
            open_tasks=0 if is_over else bill.open_tasks + self._coming.creates,
        )

    def play_out(self, now: Moment) -> Moment:
        """Let everything that goes on by itself go on to its end, as nobody will ask this world any more.

        Args:
            now: The present.

        Returns:
            The instant after it, for which a bill is the last one.
        """
        self._coming.come_all()
        return self.forward(Moment(now.monotonic_s + LONGEST_STORY_S, now.wall_s + LONGEST_STORY_S))

    def has_open_tasks(self, now: Moment) -> bool:
        """Whether anything here may still come to be billed."""
        return self._coming.creates > 0 or self.service.has_open_tasks(self.forward(now).monotonic_s)

    @property
    def holds_tasks(self) -> bool:
        """Whether giving this world up would make room."""
        return self.service.made > 0

    def give_up(self) -> None:
        """Make room for other worlds; nothing may be asked of this one afterwards."""
        self._coming.forget()
        self.service.give_up()

    def _receive(self, request: Request, now: Moment) -> Call:
        self._requests += 1
        found = route(request.method, request.path, request.query)
        request_id = self.service.make_id("request", self._requests)
        return Call(request, found, self.forward(now), request_id, self._packs_from_bytes)

    def _note(self, call: Call, answer: Answer) -> None:
        entry = self.journal.add(
            call.request,
            at_s=call.now.monotonic_s - self.started.monotonic_s,
            route=call.route.kind,
            task_id=answer.task_id or call.route.task_id,
            status=0 if isinstance(answer.reply, Drop) else answer.reply.status,
            fault=answer.fault,
            retry_after=answer.retry_after,
        )
        self.conduct.saw(call, answer, entry)

    def forward(self, now: Moment) -> Moment:
        """Let time go on, and everything that only waited for it; the present, which never goes back."""
        if now.monotonic_s > self._latest.monotonic_s:
            self._latest = Moment(now.monotonic_s, max(now.wall_s, self._latest.wall_s))
        self._limits.settle(self._latest.monotonic_s)
        return self._latest

    def _answer(self, call: Call) -> Answer:
        if call.route.kind == "asset":
            return self._asset(call)
        if call.route.kind == "unmatched":
            self.journal.counters["unmatched"] += 1
            return admission.unmatched(call)
        refused = (
            admission.refused_key(call)
            or self._gate.over_request_rate(call, self.service.tasks.get(call.route.task_id or ""))
            or admission.refused_dialect(call, self.service.scenario)
        )
        if refused is not None:
            return refused
        if call.route.kind == "query":
            return self._query(call)
        if call.route.kind == "create":
            return self._create(call)
        if call.route.kind == "quotas":
            return self._striker.carry_out(call, None, self.service.quotas)
        return self._list(call) if call.route.kind == "list" else self._cancel(call)

    def _create(self, call: Call) -> Answer:
        self._manners.saw_create(call.request, call.now.monotonic_s)
        asked = admission.admitted(call, self.scenario)
        if isinstance(asked, Answer):
            return asked
        refused = self.service.is_full(call, asked) or self._gate.over_create_limits(call, asked)
        if refused is not None:
            return refused
        return self._striker.carry_out(call, None, lambda call: self.service.create(call, asked))

    def _query(self, call: Call) -> Answer:
        task_id = call.route.task_id or ""
        task = self.service.remembered(task_id, call)
        self._manners.saw_poll(task_id, task, call.now.monotonic_s)
        refused = self._gate.over_query_rate(call)
        if refused is not None:
            return refused
        if call.route.by_query and self.scenario.service.task_id_query == "unsupported":
            return error(call, 500, None, "unsupported uri")
        if "query" in self._striker.busy:
            # A request that comes late may come after its task was forgotten.
            answer = self._striker.carry_out(
                call, task, lambda call: self.service.query(call, self.service.remembered(task_id, call))
            )
        else:
            answer = self.service.query(call, task)
        self._saw_end(task, answer)
        return answer

    def _saw_end(self, task: Task | None, answer: Answer, late_s: float = 0.0) -> None:
        """Remember whether a client has been told that its task is over, by a request that took so long to come."""
        if task is not None and answer.told in bodies.ENDS and late_s + answer.reply.delay_s <= PATIENCE_S:
            task.end_told = True

    def _list(self, call: Call) -> Answer:
        refused = self._gate.over_query_rate(call)
        if refused is not None:
            return refused
        self.journal.counters["list_requests"] += 1
        return self._striker.carry_out(call, None, self.service.list_tasks)

    def _cancel(self, call: Call) -> Answer:
        refused = self._gate.over_query_rate(call)
        if refused is not None:
            return refused
        self.journal.counters["cancel_requests"] += 1
        task = self.service.remembered(call.route.task_id or "", call)
        return self._striker.carry_out(call, task, self.service.cancel)

    def _asset(self, call: Call) -> Answer:
        task = self.service.known(call.route.task_id or "")
        answer = self._striker.carry_out(call, task, self.service.asset)
        self._saw_asset(call, task, answer)
        return answer

    def _saw_asset(self, call: Call, task: Task | None, answer: Answer) -> None:
        """Remember whether a client has been given what its task made."""
        reply = answer.reply
        is_served = isinstance(reply, Reply) and reply.status in (200, 206) and arrives_whole(reply)
        if task is not None and is_served and call.request.method == "GET":
            task.was_fetched = True
        elif task is not None and not is_served:
            # Whoever finds an address expired, or gets a half, asks the task for a new one, and may.
            task.end_told = False
