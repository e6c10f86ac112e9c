"""What faults do to one request, in their one order: refuse, delay, commit, replace, wire.

Admission was before: a request that it refuses is looked at by no fault. Scripted answers (`create:`, `poll:`) are
the first refusal, or the first replacement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from fake_server.faults import effects
from fake_server.faults.chance import log_normal
from fake_server.faults.hints import rate_headers, spell
from fake_server.faults.model import (
    AssetCut,
    ClockSkew,
    DuplicatedCreate,
    ExpiredAsset,
    Headers,
    Latency,
    LostCreate,
    Redirect,
    SchemaDrift,
    StaleRead,
    Status,
    UnknownAfterCreate,
    Wire,
)
from fake_server.moment import Moment
from fake_server.rules.answers import Answer, Call, error, plain_reply
from fake_server.rules.service import expired
from fake_server.wire import bodies, errors
from fake_server.wire.messages import Drop, Reply, WireFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fake_server.faults.model import Effect
    from fake_server.faults.selection import Armed, Rack
    from fake_server.rules.service import Service
    from fake_server.rules.tasks import Task
    from fake_server.wire.messages import DropWhen

EffectKind = TypeVar("EffectKind", bound="Effect")

# The tail of a log-normal delay has no end; nothing waits longer than this for an answer.
LONGEST_DELAY_S = 600.0
# Kinds that a patient client reads the whole answer through.
_READABLE = frozenset({"drip", "continue_storm", "extra_bytes"})


def arrives_whole(reply: Reply | Drop) -> bool:
    """Whether a patient client gets the whole answer."""
    return isinstance(reply, Reply) and (reply.wire is None or reply.wire.kind in _READABLE)


class Strike:
    """The faults that strike one request, and what becomes of it.

    Args:
        call: The request.
        task: The task that it is about, if the service knows it.
        chosen: The faults that strike it, in order.
        rack: Where they come from; it draws their delays.

    Attributes:
        chosen: The faults that strike it, in order.
        shown: The request as the service's own clock sees it, which may be wrong.
        told_wait_s: How long a client that reads the answer is asked to stay away, in seconds; None for not at all.
    """

    def __init__(self, call: Call, task: Task | None, chosen: Sequence[Armed], rack: Rack) -> None:
        self._call = call
        self._task = task
        self.chosen = chosen
        self._rack = rack
        self._fired: list[Armed] = []
        self.told_wait_s: float | None = None
        skews = self._all(ClockSkew)
        self._ahead_s = sum(effect.ahead_s for _, effect in skews)
        for armed, _ in skews:
            self._fire(armed)
        self.shown = call
        self.comes(call)

    def comes(self, call: Call) -> None:
        """The request is here, perhaps later than it was sent."""
        self._call = call
        # What faults themselves say is said by the service's wrong clock.
        wall_s = call.now.wall_s + self._ahead_s
        self.shown = call._replace(now=Moment(call.now.monotonic_s, wall_s)) if self._ahead_s else call

    @property
    def fired(self) -> list[str]:
        """The faults that took effect, in words."""
        return [armed.fault.describe() for armed in self._fired]

    def _all(self, kind: type[EffectKind]) -> list[tuple[Armed, EffectKind]]:
        return [(armed, armed.fault.effect) for armed in self.chosen if isinstance(armed.fault.effect, kind)]

    def _fire(self, armed: Armed) -> None:
        armed.fired += 1
        self._fired.append(armed)

    def refusal(self) -> Answer | None:
        """What is answered instead of carrying the request out."""
        for armed in self.chosen:
            fault = armed.fault
            if fault.when != "before_commit":
                continue
            answer = self._other_answer(fault.effect)
            if isinstance(fault.effect, ExpiredAsset):
                answer = expired(self.shown)
            elif isinstance(fault.effect, Wire):
                answer = self._cut_before(fault.effect.wire)
            if answer is not None:
                self._fire(armed)
                return answer
        return None

    def _cut_before(self, wire: WireFault) -> Answer:
        """The wire fails before the request was carried out: nothing is said, or a 503 is spoilt."""
        if wire.kind in ("reset", "close") and not wire.after_bytes:
            return Answer(Drop("before_commit", "reset" if wire.kind == "reset" else "close"))
        answer = error(self.shown, 503, None, None)
        assert isinstance(answer.reply, Reply)  # noqa: S101 - errors are never drops; for the type checker
        return answer._replace(reply=answer.reply._replace(wire=wire))

    def delay_s(self, when: DropWhen) -> float:
        """How long the request is on its way (before the commit), or its answer is held back (after it)."""
        total_s = 0.0
        for armed, effect in self._all(Latency):
            if armed.fault.when != when:
                continue
            unit = self._rack.delay_unit(armed)
            if effect.median_s is not None:
                total_s += log_normal(unit, effect.median_s, effect.sigma, LONGEST_DELAY_S)
            else:
                total_s += effect.low_s + unit * (effect.high_s - effect.low_s)
            self._fire(armed)
        return round(total_s, 6)

    def carried_out(self, service: Service, do: Callable[[Call], Answer]) -> Answer:
        """The true answer, or the one of a service that is behind or does too much.

        Args:
            service: The service.
            do: Does what was asked for.
        """
        for armed in self.chosen:
            effect = armed.fault.effect
            if isinstance(effect, UnknownAfterCreate):
                self._fire(armed)
                return service.unknown(self._call)
            if isinstance(effect, StaleRead) and self._task is not None:
                self._fire(armed)
                return service.query_then(self._call, self._task, self._call.now.monotonic_s - effect.age_s)
        answer = do(self._call)
        for armed, _ in self._all(DuplicatedCreate):
            if answer.committed:
                do(self._call)
                self._fire(armed)
        return answer

    def replaced(self, answer: Answer) -> Answer:
        """What is answered although the request was carried out."""
        for armed in self.chosen:
            fault = armed.fault
            if fault.when != "after_commit":
                continue
            other: Answer | None = None
            if isinstance(fault.effect, LostCreate):
                other = Answer(Drop("after_commit", fault.effect.how))
            elif isinstance(fault.effect, SchemaDrift):
                answer = self._drifted(armed, fault.effect, answer)
            else:
                other = self._other_answer(fault.effect)
            if other is not None:
                self._fire(armed)
                return other._replace(task_id=answer.task_id, committed=answer.committed)
        return answer

    def _drifted(self, armed: Armed, effect: SchemaDrift, answer: Answer) -> Answer:
        reply = answer.reply
        if isinstance(reply, Drop) or reply.status != 200:
            return answer
        kind = self._call.route.kind
        assert kind != "unmatched"  # noqa: S101 - faults strike routes only; for the type checker
        changed = effects.drifted(reply, effect.kind, effect.word, kind)
        if changed.body == reply.body:
            return answer
        self._fire(armed)
        told = answer.told if effect.kind == "extra_fields" else None
        return answer._replace(reply=changed, told=effect.word if effect.kind == "unknown_status" else told)

    def finished(self, answer: Answer, delay_s: float) -> Answer:
        """The answer with its headers and its clock, held back and spoilt on the wire."""
        reply = answer.reply
        if isinstance(reply, Drop):
            return answer._replace(reply=Drop(reply.when, reply.how, delay_s) if delay_s else reply)
        if self._ahead_s:
            reply = effects.skewed(reply, self._ahead_s, self._call.now.wall_s)
        retry_after = answer.retry_after
        for armed, effect in self._all(Headers):
            extra = list(effect.headers)
            if effect.content_type is not None:
                extra.append(("content-type", effect.content_type))
            if effect.hint is not None:
                values = spell(effect.hint, self.shown.now.wall_s).values
                extra += [("retry-after", value) for value in values]
                retry_after = ", ".join(values) if values else None
            if effect.rate is not None:
                extra += rate_headers(effect.rate, self.shown.now.wall_s)
            reply = effects.with_headers(reply, extra)
            self._fire(armed)
        reply, told = self._on_the_wire(reply, answer.told)
        return answer._replace(reply=reply._replace(delay_s=delay_s), told=told, retry_after=retry_after)

    def _on_the_wire(self, reply: Reply, told: str | None) -> tuple[Reply, str | None]:
        if reply.wire is not None:
            return reply, None  # Spoilt already, by what refused it.
        for armed in self.chosen:
            effect = armed.fault.effect
            wire = effect.wire if isinstance(effect, Wire) and armed.fault.when == "after_commit" else None
            if isinstance(effect, AssetCut) and reply.body:
                wire = WireFault("short_body")
            if wire is not None:
                self._fire(armed)
                reply = reply._replace(wire=wire)
                if arrives_whole(reply):
                    return reply, told
                self.told_wait_s = None
                return reply, None
        return reply, told

    def _other_answer(self, effect: Effect) -> Answer | None:
        """The answer of a fault that has one of its own."""
        if isinstance(effect, Redirect):
            return self._redirect(effect)
        return self._status(effect) if isinstance(effect, Status) else None

    def _redirect(self, effect: Redirect) -> Answer:
        request = self._call.request
        target = request.path + (f"?{request.query}" if request.query else "")
        extra = [("content-type", bodies.JSON_TYPE)]
        if effect.to != "nowhere":
            origin = request.origin if effect.to == "itself" else effects.OTHER_HOST
            extra.append(("location", origin + effects.escaped(target)))
        return Answer(plain_reply(self.shown, effect.status, b"", extra))

    def _status(self, effect: Status) -> Answer:
        call, status = self.shown, effect.status
        code = effect.codes.get(call.dialect) or errors.default_code(call.dialect, status)
        message = effect.message or errors.default_message(code)
        shape = effect.shape or errors.OWN_SHAPE[call.dialect]
        body = bodies.encode(errors.error_body(shape, status, code, message, call.request_id))
        content_type = bodies.JSON_TYPE
        if isinstance(effect.body, bytes):
            body = effect.body
        elif effect.body != "dialect":
            body, content_type = effects.spoilt_body(effect.body, status, body)
        extra = [("content-type", effect.content_type or content_type), *effect.headers]
        if effect.rate is not None:
            extra += rate_headers(effect.rate, call.now.wall_s)
        reply = plain_reply(call, status, body, extra)
        if effect.hint is None:
            return Answer(reply)
        spelt = spell(effect.hint, call.now.wall_s)
        reply = effects.with_headers(reply, [("retry-after", value) for value in spelt.values])
        self.told_wait_s = spelt.wait_s
        return Answer(reply, retry_after=", ".join(spelt.values) if spelt.values else None)
