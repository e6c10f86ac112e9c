"""Carries a request out with everything that a script and the faults have in store for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fake_server.faults.model import ROUTE_KINDS, AssetCut, ExpiredAsset, StaleRead, UnknownAfterCreate
from fake_server.rules.answers import Answer, error, hint_headers, plain_reply
from fake_server.rules.faults import Script, retry_after
from fake_server.rules.striking import Strike
from fake_server.wire import bodies
from fake_server.wire.messages import Drop

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from fake_server.faults.selection import Armed, Rack
    from fake_server.rules.answers import Call
    from fake_server.rules.manners import Manners
    from fake_server.rules.service import Service
    from fake_server.rules.tasks import Task
    from fake_server.scenario.model import Scenario, ScriptedAnswer

# Pairs of a fault and a task whose polls are counted; only a fault of the kind "unknown for n polls" has any, and
# strikes no further tasks where there are as many.
MOST_COUNTED_TASKS = 100_000


class Postponed(Exception):  # no error: the request takes longer to come here
    """A request has passed admission, is not refused, and is still on its way to be carried out.

    Args:
        delay_s: How long it still takes.
        commit: Carries it out, at the instant of the request that it is given.
    """

    def __init__(self, delay_s: float, commit: Callable[[Call], Answer]) -> None:
        super().__init__(delay_s)
        self.delay_s = delay_s
        self.commit = commit


class Striker:
    """The script and the faults of one world, at work.

    Args:
        scenario: The script.
        rack: The faults.
        service: Does what is asked for.
        manners: Learns who was told to wait.
        counters: Where what fired is counted.
        started_s: When the world began (monotonic seconds).

    Attributes:
        rack: The faults.
        busy: The routes that anything strikes; requests of others need not come here.
    """

    def __init__(
        self,
        scenario: Scenario,
        rack: Rack,
        service: Service,
        manners: Manners,
        counters: Counter[str],
        started_s: float,
    ) -> None:
        self.rack = rack
        self._service = service
        self._manners = manners
        self._counters = counters
        self._started_s = started_s
        lists = {"create": ("create", scenario.create), "query": ("poll", scenario.poll)}
        self._scripts = {kind: Script(name, answers) for kind, (name, answers) in lists.items() if answers}
        self._polls_unknown: dict[tuple[str, str], int] = {}
        self.busy: set[str] = set()
        self.look()

    def look(self) -> None:
        """Find out which routes anything strikes; to be called when the faults have changed."""
        self.busy = {*self._scripts, *(kind for kind in ROUTE_KINDS if self.rack.concerns(kind))}

    @property
    def expected(self) -> int:
        """How many faults a run must use up."""
        return sum(script.scripted for script in self._scripts.values()) + len(self.rack.expected)

    @property
    def unfired(self) -> list[str]:
        """Those of them that were not used up, in words."""
        scripted = [text for script in self._scripts.values() for text in script.unfired]
        return [*scripted, *(armed.fault.describe() for armed in self.rack.expected if not armed.is_used_up)]

    def carry_out(self, call: Call, task: Task | None, do: Callable[[Call], Answer]) -> Answer:
        """Do what was asked for, unless something strikes.

        Args:
            call: The request; it has passed admission.
            task: The task that it is about, if the service knows it.
            do: Does what was asked for, at the instant of the request that it is given.

        Raises:
            Postponed: The request is still on its way, and nothing was done.
        """
        kind = call.route.kind
        if kind == "unmatched" or kind not in self.busy:
            return do(call)
        script = self._scripts.get(kind)
        struck = script.next() if script is not None else None
        number = self._service.next_number if kind == "create" else task.ordinal + 1 if task else 0
        at_s = call.now.monotonic_s - self._started_s
        chosen = self.rack.strike(
            kind, at_s, number, call.route.task_id or "", lambda armed: self._fits(armed, call, task)
        )
        if struck is None and not chosen:
            return do(call)
        strike = Strike(call, task, chosen, self.rack)
        is_refused = struck is not None and (kind != "create" or struck.when == "before_commit")
        refusal = self._scripted(struck, strike) if struck is not None and is_refused else strike.refusal()
        late_s, held_s = strike.delay_s("before_commit"), strike.delay_s("after_commit")
        if refusal is not None:
            return self._told(call, strike, struck, refusal, late_s + held_s)

        def commit(call: Call) -> Answer:
            strike.comes(call)
            answer = strike.carried_out(self._service, do)
            if struck is None:
                answer = strike.replaced(answer)
            else:
                other = self._scripted(struck, strike)
                answer = other._replace(task_id=answer.task_id, committed=answer.committed)
            return self._told(call, strike, struck, answer, held_s)

        if late_s > 0:
            raise Postponed(late_s, commit)
        return commit(call)

    def _told(
        self, call: Call, strike: Strike, struck: ScriptedAnswer | None, answer: Answer, delay_s: float
    ) -> Answer:
        """The answer as it goes out, with what struck."""
        answer = strike.finished(answer, delay_s)
        self._count(call, strike.chosen)
        self._note_hint(call, strike.told_wait_s)
        words = strike.fired
        if struck is not None:
            words = [struck.describe(self._scripts[call.route.kind].route), *words]
        self._counters["faults_fired"] += len(words)
        return answer._replace(fault="; ".join(words)) if words else answer

    def _scripted(self, struck: ScriptedAnswer, strike: Strike) -> Answer:
        """Carry out a scripted answer."""
        if struck.kind == "drop":
            return Answer(Drop(struck.when, struck.how))
        call = strike.shown
        hint = retry_after(struck.retry_after_s, struck.form, struck.retry_after_text, call.now.wall_s)
        strike.told_wait_s = hint.wait_s
        if struck.body is None:
            code = struck.codes.get(call.dialect)
            return error(call, struck.status, code, struck.message, hint=hint, like=struck)
        content_type = struck.content_type or bodies.JSON_TYPE
        extra = [("content-type", content_type), *hint_headers(hint), *struck.headers]
        return Answer(plain_reply(call, struck.status, struck.body, extra), retry_after=hint.text)

    def _fits(self, armed: Armed, call: Call, task: Task | None) -> bool:
        """Whether a request is one of those that a fault is about at all."""
        effect = armed.fault.effect
        if isinstance(effect, AssetCut | ExpiredAsset):
            return task is not None and call.request.method == "GET"
        if isinstance(effect, StaleRead):
            return task is not None
        if not isinstance(effect, UnknownAfterCreate):
            return True
        if task is None:
            return False
        if effect.for_s is not None:
            return call.now.monotonic_s - task.submitted_s < effect.for_s
        counted = self._polls_unknown.get((armed.identity, task.task_id), 0)
        # What can no longer be counted would be unknown for ever.
        has_place = counted > 0 or len(self._polls_unknown) < MOST_COUNTED_TASKS
        return has_place and counted < (effect.polls or 0)

    def _count(self, call: Call, chosen: Sequence[Armed]) -> None:
        for armed in chosen:
            effect = armed.fault.effect
            if isinstance(effect, UnknownAfterCreate) and effect.polls:
                key = (armed.identity, call.route.task_id or "")
                self._polls_unknown[key] = self._polls_unknown.get(key, 0) + 1

    def _note_hint(self, call: Call, wait_s: float | None) -> None:
        if wait_s is None:
            return
        if call.route.kind == "create":
            self._manners.told_create(call.request, call.now.monotonic_s, wait_s)
        elif call.route.kind == "query":
            self._manners.told_poll(call.route.task_id or "", call.now.monotonic_s, wait_s)
