"""Who is sent away for coming too often: every limit of a world, and what is noted when it strikes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fake_server.rules.answers import error
from fake_server.rules.faults import RetryAfter

if TYPE_CHECKING:
    from collections import Counter

    from fake_server.rules.answers import Answer, Call
    from fake_server.rules.limits import Limits
    from fake_server.rules.manners import Manners
    from fake_server.rules.tasks import Task
    from fake_server.wire.submissions import Submission


class Gate:
    """Refuses what is over a limit.

    Args:
        limits: The limits, and how much of them is used.
        manners: Learns who was told to wait.
        counters: Where refusals are counted.
    """

    def __init__(self, limits: Limits, manners: Manners, counters: Counter[str]) -> None:
        self._limits = limits
        self._manners = manners
        self._counters = counters

    def over_request_rate(self, call: Call, task: Task | None) -> Answer | None:
        """All requests of an account in `aisa`, where the scenario has a tier; `task` is the one asked for."""
        window, now_s = self._limits.requests, call.now.monotonic_s
        if window is None or call.dialect != "aisa":
            return None
        whom = call.route.task_id or hashlib.sha256(call.request.body).hexdigest()
        self._manners.saw_request(whom, now_s)
        if window.admit(now_s):
            return None
        self._counters["over_request_rate"] += 1
        if call.route.kind == "create":
            self._manners.saw_create(call.request, now_s)
        else:
            self._manners.saw_poll(whom, task, now_s)
        wait_s = window.retry_after_s(now_s)
        self._manners.told_request(whom, now_s, wait_s)
        return self._come_back(call, wait_s, "requests_per_minute")

    def over_create_limits(self, call: Call, asked: Submission) -> Answer | None:
        """Creates over a rate are refused; tasks over a cap are refused in `aisa`, and queue in `dashscope`."""
        now_s = call.now.monotonic_s
        if not self._limits.admit_submit(call.dialect, asked.model, now_s):
            # Whether a real one carries a Retry-After is unverified; recorded answers had none.
            return self._throttled(call, "submits_of_model")
        if call.route.endpoint.synchronous:
            images = self._limits.images
            if call.dialect != "aisa" or images.admit(now_s):
                return None
            return self._come_back(call, images.retry_after_s(now_s), "images_per_minute")
        slots = self._limits.slots(call.dialect, asked.model)
        if not slots.are_taken:
            return None
        self._counters["over_concurrency"] += 1
        if call.dialect != "aisa":
            return None
        return self._come_back(call, slots.retry_after_s(now_s), "concurrent_tasks")

    def over_query_rate(self, call: Call) -> Answer | None:
        """Query, list and cancel share one limit (vendor's page Manage asynchronous tasks)."""
        if call.dialect != "dashscope" or self._limits.queries.admit(call.now.monotonic_s):
            return None
        self._counters["over_query_rate"] += 1
        return self._throttled(call, "queries_per_second")

    def _come_back(self, call: Call, wait_s: int, quota: str) -> Answer:
        if call.route.kind == "create":
            self._manners.told_create(call.request, call.now.monotonic_s, wait_s)
        else:
            self._manners.told_poll(call.route.task_id or "", call.now.monotonic_s, wait_s)
        return self._throttled(call, quota, RetryAfter(str(wait_s), wait_s))

    def _throttled(self, call: Call, quota: str, hint: RetryAfter | None = None) -> Answer:
        if call.route.kind == "create":
            self._counters["throttled_creates"] += 1
        return error(call, 429, None, None, fault=f"quota {quota}", hint=hint)
