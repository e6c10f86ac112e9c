"""Which limits a world has: those of the account, of a tier, and of each model.

The gateway's are told by its pages *Async Operations* and *Rate Limits*; the vendor's by its pages *Manage
asynchronous tasks* (queries) and *Rate limits* (submits and running tasks of each model). The world is the account.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_server.rules.quotas import RateWindow, Slots
from fake_server.wire.bodies import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Collection

    from fake_server.rules.tasks import Task
    from fake_server.scenario.model import Quotas
    from fake_server.wire.bodies import Dialect

MINUTE_S = 60.0
# Models with limits of their own in one world: names come from clients, and must not cost the machine's memory.
MOST_MODELS = 100


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """The vendor's limits of one model.

    Args:
        submits: How many creates may be sent in `span_s` seconds.
        running: How many tasks run at once; further ones queue.
        span_s: The stretch of time that `submits` holds for.
        shared: Whether all models of the row share the limits.
    """

    submits: int
    running: int
    span_s: float = 1.0
    shared: bool = False


# The first row that fits counts (vendor's page Rate limits). How many tasks of qwen-image-2.0-pro run at once, and
# the last three rows, are assumed.
MODELS: tuple[tuple[re.Pattern[str], ModelLimits], ...] = tuple(
    (re.compile(pattern), limits)
    for pattern, limits in (
        (r"kling", ModelLimits(5, 10, shared=True)),
        (r"happyhorse", ModelLimits(10, 5)),
        (r"qwen-image-2\.0-pro", ModelLimits(2, 2, MINUTE_S)),
        (r"qwen-image", ModelLimits(2, 2)),
        (r"wan2\.6-t2i", ModelLimits(1, 5)),
        (r"wanx?\d\.\d-(s2v|animate)", ModelLimits(5, 1)),
        (r"wan2\.[567]-", ModelLimits(5, 5)),
        (r"wan2\.2-|wanx2\.[01]-", ModelLimits(2, 2)),
        (r"wanx-v1", ModelLimits(2, 1)),
        (r"Tripo/", ModelLimits(5, 5)),
        (r"(paraformer|fun-asr|sensevoice)", ModelLimits(20, 100)),
    )
)
OTHER_MODELS = ModelLimits(5, 5)


def is_known(model: str, priced: Collection[str]) -> bool:
    """Whether a model is one of the table above, or one that has a price."""
    return model in priced or any(pattern.match(model) for pattern, _ in MODELS)


class Limits:
    """The limits of one world, and how much of them is used.

    Args:
        quotas: What the scenario says.
    """

    def __init__(self, quotas: Quotas) -> None:
        self.queries = RateWindow(quotas.queries_per_second, 1.0)
        self.images = RateWindow(quotas.images_per_minute, MINUTE_S)
        per_minute = quotas.requests_per_minute
        self.requests = RateWindow(per_minute, MINUTE_S) if per_minute else None
        self._by_model = quotas.by_model
        # The gateway and the vendor are two services: a task of one takes no room in the other.
        self._slots: dict[Dialect, Slots] = {dialect: Slots(quotas.concurrent_tasks) for dialect in DIALECTS}
        self._models: dict[str, tuple[RateWindow, Slots]] = {}

    def settle(self, now_s: float) -> None:
        """Bring all slots up to an instant (monotonic seconds)."""
        for slots in self._slots.values():
            slots.settle(now_s)
        for _, slots in self._models.values():
            slots.settle(now_s)

    def change(self, quotas: Quotas, now_s: float) -> None:
        """Hold to other limits from now on; whether each model has its own stays as it is."""
        self.queries.most = quotas.queries_per_second
        self.images.most = quotas.images_per_minute
        if quotas.requests_per_minute is None:
            self.requests = None
        elif self.requests is None:
            self.requests = RateWindow(quotas.requests_per_minute, MINUTE_S)
        else:
            self.requests.most = quotas.requests_per_minute
        for slots in self._slots.values():
            slots.resize(quotas.concurrent_tasks, now_s)

    def by_dialect(self) -> dict[Dialect, Slots]:
        """The slots of both dialects, for those models that have none of their own."""
        return self._slots

    def slots(self, dialect: Dialect, model: str) -> Slots:
        """The slots that tasks of a model compete for."""
        return self._of(model)[1] if self._by_model and dialect == "dashscope" else self._slots[dialect]

    def slots_of(self, task: Task) -> Slots:
        """The slots that a task competes for."""
        return self.slots(task.dialect, task.asked.model)

    def admit_submit(self, dialect: Dialect, model: str, now_s: float) -> bool:
        """Whether a create is within the submit rate of its model; if so it counts."""
        return not (self._by_model and dialect == "dashscope") or self._of(model)[0].admit(now_s)

    def _of(self, model: str) -> tuple[RateWindow, Slots]:
        pattern, limits = next(
            ((pattern.pattern, limits) for pattern, limits in MODELS if pattern.match(model)), ("", OTHER_MODELS)
        )
        key = pattern if limits.shared or not pattern else model
        if key not in self._models and len(self._models) >= MOST_MODELS:
            key = pattern
        if key not in self._models:
            self._models[key] = (RateWindow(limits.submits, limits.span_s), Slots(limits.running))
        return self._models[key]


def quotas_in_use(limits: Limits, now_s: float) -> dict[str, object]:
    """How much of the limits is used at an instant (monotonic seconds)."""
    limits.settle(now_s)
    running = {dialect: slots.running for dialect, slots in limits.by_dialect().items()}
    waiting = {dialect: slots.waiting for dialect, slots in limits.by_dialect().items()}
    queries = limits.queries.most - limits.queries.remaining(now_s)
    return {"running": running, "waiting": waiting, "queries_in_the_last_second": queries}
