"""One world of the fake, without any input or output: a request and the time go in, an answer comes out.

The order in which things can go wrong is fixed: admission (key, header, body, quota), then the scripted
answer before the commit, then the commit, then the scripted answer after it, then the wire.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from typing import TYPE_CHECKING

from fake_server.moment import Moment
from fake_server.rules import downloads
from fake_server.rules.answers import Answer, Call, error, hint_headers, json_reply, plain_reply, xml_reply
from fake_server.rules.billing import Bill, make_bill
from fake_server.rules.expectations import Judgement, judge
from fake_server.rules.faults import RetryAfter, Script, retry_after
from fake_server.rules.journal import Journal
from fake_server.rules.listing import list_rows, read_list_query
from fake_server.rules.manners import Manners
from fake_server.rules.quotas import QueryWindow, Slots
from fake_server.rules.tasks import Task, TaskView
from fake_server.wire import bodies, errors
from fake_server.wire.messages import Drop, Reply, Request
from fake_server.wire.routes import ROUTES, route
from fake_server.wire.submissions import Submission, read_submission, usage_form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_server.scenario.model import Scenario, ScriptedAnswer

__all__ = ["Drop", "Engine", "Moment", "Reply", "Request"]

# A world with more tasks is a runaway loop. It is told so, and the machine's memory is spared.
MOST_TASKS = 100_000
INVALID_KEY = "sk-invalid"


class Engine:
    """The state of one world and the rules by which it answers.

    The same scenario, world, seed and requests at the same moments give the same answers to the byte.

    Args:
        scenario: The script.
        world: The world's name; it stands in the URLs of assets.
        speed: What scripted generation times are divided by; touches nothing else.
        seed: Part of every id.
        started: When the world began; journal times count from it.

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
    ) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"found speed {speed!r}, expected a number above 0")
        self.scenario = scenario
        self.world = world
        self.speed = speed
        self.seed = seed
        self.journal = Journal()
        self._started = self._latest = started
        self._tasks: dict[str, Task] = {}
        self._slots = Slots(scenario.quotas.concurrent_tasks)
        self._queries = QueryWindow(scenario.quotas.queries_per_second)
        self._create_script = Script("create", scenario.create)
        self._poll_script = Script("poll", scenario.poll)
        self._manners = Manners(self.journal.counters)
        self._requests = 0

    def handle(self, request: Request, now: Moment) -> Reply | Drop:
        """Answer one request.

        Args:
            request: The request, whatever a client may have put into it.
            now: The present. One before the last is taken as the last: time does not go back.

        Returns:
            The answer, or a :class:`Drop` where the connection is to be cut.
        """
        call = self._receive(request, now)
        answer = self._answer(call)
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

    def bill(self, now: Moment) -> Bill:
        """The true bill at an instant, whatever any client saw."""
        now = self._forward(now)
        return make_bill(self._tasks.values(), self.scenario.prices, now.monotonic_s)

    def verdict(self, now: Moment, outcomes: Sequence[str] = ()) -> list[Judgement]:
        """Judge the client by the scenario's `expect`.

        Args:
            now: The present; the bill is drawn up for it.
            outcomes: What the client reported, one word per task; empty if it reported nothing.
        """
        counters = dict(self.journal.counters)
        counters["tasks_created"] = len(self._tasks)
        counters["billed_tasks"] = self.bill(now).billed_tasks
        counters["downloads"] = sum(task.was_fetched for task in self._tasks.values())
        scripts = (self._create_script, self._poll_script)
        unfired = [text for script in scripts for text in script.unfired]
        scripted = sum(script.scripted for script in scripts)
        return judge(self.scenario.expect, counters, unfired, outcomes, scripted=scripted)

    def has_open_tasks(self, now: Moment) -> bool:
        """Whether anything here may still come to be billed."""
        now = self._forward(now)
        return any(task.is_open(now.monotonic_s) for task in self._tasks.values())

    def _receive(self, request: Request, now: Moment) -> Call:
        self._requests += 1
        found = route(request.method, request.path, request.query)
        return Call(request, found, self._forward(now), self._make_id("request", self._requests))

    def _note(self, call: Call, answer: Answer) -> None:
        self.journal.add(
            call.request,
            at_s=call.now.monotonic_s - self._started.monotonic_s,
            route=call.route.kind,
            task_id=answer.task_id or call.route.task_id,
            status=0 if isinstance(answer.reply, Drop) else answer.reply.status,
            fault=answer.fault,
            retry_after=answer.retry_after,
        )

    def _forward(self, now: Moment) -> Moment:
        if now.monotonic_s > self._latest.monotonic_s:
            self._latest = Moment(now.monotonic_s, max(now.wall_s, self._latest.wall_s))
        self._slots.settle(self._latest.monotonic_s)
        return self._latest

    def _make_id(self, kind: str, ordinal: int) -> str:
        digest = hashlib.sha256(f"{self.seed}|{self.world}|{kind}|{ordinal}".encode()).digest()
        return str(uuid.UUID(bytes=digest[:16], version=4))

    # Answering

    def _answer(self, call: Call) -> Answer:
        if call.route.kind == "asset":
            return self._asset(call)
        if call.route.kind == "unmatched":
            self.journal.counters["unmatched"] += 1
            return self._unmatched(call)
        refused = self._check_key(call)
        if refused is not None:
            return refused
        if call.dialect not in self.scenario.dialects:
            return self._not_for(call)
        handlers = {"create": self._create, "query": self._query, "list": self._list, "cancel": self._cancel}
        return handlers[call.route.kind](call)

    def _check_key(self, call: Call) -> Answer | None:
        scheme, _, key = (call.request.header("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            code = "missing_api_key" if call.dialect == "aisa" else None
            return error(call, 401, code, "No API-key provided.")
        if key.strip() == INVALID_KEY:
            return error(call, 401, None, "Invalid API-key provided.")
        return None

    def _create(self, call: Call) -> Answer:
        self._manners.saw_create(call.request, call.now.monotonic_s)
        if self.scenario.service.async_header == "required":
            header = call.request.header("x-dashscope-async") or ""
            if header.strip().lower() != "enable":
                message = errors.MESSAGES["AccessDenied"]
                return error(call, 403, None, message)
        submission = read_submission(call.request.body)
        if isinstance(submission, str):
            return error(call, 400, None, submission)
        if len(self._tasks) >= MOST_TASKS:
            return error(call, 503, None, f"this world holds {MOST_TASKS} tasks and takes no more")
        if self._slots.are_taken:
            self.journal.counters["over_concurrency"] += 1
            if call.dialect == "aisa":
                return self._too_many(call, self._slots.retry_after_s(call.now.monotonic_s))
        struck = self._create_script.next()
        if struck is None:
            return self._accepted(call, self._commit(call, submission))
        task = self._commit(call, submission) if struck.when == "after_commit" else None
        return self._strike(call, struck, task.task_id if task else None)

    def _commit(self, call: Call, submission: Submission) -> Task:
        ordinal = len(self._tasks)
        task = Task(
            ordinal=ordinal,
            task_id=self._make_id("task", ordinal),
            request_id=call.request_id,
            dialect=call.dialect,
            model=submission.model,
            prompt=submission.prompt,
            duration_s=submission.duration_s,
            resolution=submission.resolution,
            lifecycle=self.scenario.lifecycle_of(ordinal),
            speed=self.speed,
            submitted=call.now,
        )
        self._tasks[task.task_id] = task
        self._slots.add(task, call.now.monotonic_s)
        return task

    def _accepted(self, call: Call, task: Task) -> Answer:
        status = task.view(call.now.monotonic_s).status
        # A create is only ever answered with one of these two (AIsa docs, async-operations).
        first = status if status in (bodies.PENDING, bodies.RUNNING) else bodies.PENDING
        body = bodies.accepted(task.task_id, first, call.request_id)
        return Answer(json_reply(call, 200, body), task_id=task.task_id)

    def _query(self, call: Call) -> Answer:
        task_id = call.route.task_id or ""
        task = self._remembered(task_id, call.now)
        self._manners.saw_poll(task_id, task, call.now.monotonic_s)
        refused = self._check_query_rate(call)
        if refused is not None:
            return refused
        if call.route.by_query and self.scenario.service.task_id_query == "unsupported":
            return error(call, 500, None, "unsupported uri")
        struck = self._poll_script.next()
        if struck is not None:
            return self._strike(call, struck, task_id)
        if task is None:
            return Answer(json_reply(call, 200, bodies.bare(task_id, bodies.UNKNOWN, call.request_id)))
        view = task.view(call.now.monotonic_s)
        task.count_poll(call.now.monotonic_s)
        task.end_told = task.end_told or view.status in bodies.ENDS
        return Answer(json_reply(call, 200, self._task_body(call, task, view)))

    def _task_body(self, call: Call, task: Task, view: TaskView) -> bodies.Body:
        times = task.times(view)
        if view.status == bodies.SUCCEEDED:
            video = bodies.Video(
                url=f"{call.request.origin}/w/{self.world}/assets/{task.task_id}.mp4",
                prompt=task.prompt,
                duration_s=task.duration_s,
                resolution=task.resolution,
                usage=task.lifecycle.usage or usage_form(task.model),
                place=task.lifecycle.place,
            )
            return bodies.succeeded(task.task_id, call.request_id, times, video)
        if view.status == bodies.FAILED:
            code = view.step.code or "InternalError.Algo"
            message = view.step.message or errors.default_message(code)
            return bodies.failed(task.task_id, call.request_id, times, code, message)
        if view.status in (bodies.UNKNOWN, bodies.CANCELED):
            return bodies.bare(task.task_id, view.status, call.request_id)
        shown = times if task.lifecycle.tells_times else None
        return bodies.waiting(task.task_id, view.status, call.request_id, shown)

    def _list(self, call: Call) -> Answer:
        refused = self._check_query_rate(call)
        if refused is not None:
            return refused
        self.journal.counters["list_requests"] += 1
        wanted = read_list_query(call.request.query, call.now.wall_s)
        if isinstance(wanted, str):
            return error(call, 400, None, wanted)
        known = (task for task in reversed(self._tasks.values()) if self._remembers(task, call.now))
        rows = list_rows(known, wanted, call.now.monotonic_s)
        first = (wanted.page - 1) * wanted.page_size
        page = rows[first : first + wanted.page_size]
        body = bodies.task_list(call.request_id, page, len(rows), wanted.page, wanted.page_size)
        return Answer(json_reply(call, 200, body))

    def _cancel(self, call: Call) -> Answer:
        refused = self._check_query_rate(call)
        if refused is not None:
            return refused
        self.journal.counters["cancel_requests"] += 1
        task = self._remembered(call.route.task_id or "", call.now)
        status = task.view(call.now.monotonic_s).status if task else bodies.UNKNOWN
        if task is not None and status == bodies.PENDING:
            self._slots.cancel(task, call.now.monotonic_s)
        elif status != bodies.UNKNOWN or self.scenario.service.cancel_of_unknown == "refused":
            return error(call, 400, "UnsupportedOperation", None)
        return Answer(json_reply(call, 200, bodies.cancel_accepted(call.request_id)))

    def _asset(self, call: Call) -> Answer:
        now_s = call.now.monotonic_s
        task = self._tasks.get(call.route.task_id or "") if call.route.world == self.world else None
        view = task.view(now_s) if task else None
        date = bodies.http_date(call.now.wall_s)
        if task is None or view is None or view.status != bodies.SUCCEEDED or view.ended_s is None:
            return Answer(xml_reply(call, 404, "NoSuchKey", "The specified key does not exist."))
        if now_s - view.ended_s >= self.scenario.url_lifetime_s:
            return Answer(xml_reply(call, 403, "AccessDenied", "Request has expired."))
        reply = downloads.serve(downloads.sample(call.route.extension), call.request, date)
        if call.request.method == "GET" and reply.status in (200, 206):
            task.was_fetched = True
        return Answer(reply)

    def _unmatched(self, call: Call) -> Answer:
        known = ROUTES.get(call.dialect, ()) if call.route.dialect else (*ROUTES["dashscope"], *ROUTES["aisa"])
        message = f"nothing answers {call.request.method} here; expected one of: {'; '.join(known)}"
        return error(call, 404, None, message)

    # Refusing

    def _not_for(self, call: Call) -> Answer:
        """A dialect in which the scenario makes no sense: playing it would only puzzle."""
        bases = " and ".join(f"{dialect} ({bodies.BASES[dialect]})" for dialect in self.scenario.dialects)
        return error(call, 400, None, f"The scenario {self.scenario.name} of this fake is for {bases} only.")

    def _remembered(self, task_id: str, now: Moment) -> Task | None:
        """A task, unless the service has never known it or forgotten it by now."""
        task = self._tasks.get(task_id)
        return task if task and self._remembers(task, now) else None

    def _remembers(self, task: Task, now: Moment) -> bool:
        return now.monotonic_s - task.submitted.monotonic_s < self.scenario.retention_s

    def _check_query_rate(self, call: Call) -> Answer | None:
        """Query, list and cancel share one limit (vendor's page Manage asynchronous tasks)."""
        if call.dialect != "dashscope" or self._queries.admit(call.now.monotonic_s):
            return None
        self.journal.counters["over_query_rate"] += 1
        return error(call, 429, None, None, fault="quota queries_per_second")

    def _too_many(self, call: Call, wait_s: int) -> Answer:
        self._manners.told_create(call.request, call.now.monotonic_s, wait_s)
        hint = RetryAfter(str(wait_s), wait_s)
        return error(call, 429, None, None, fault="quota concurrent_tasks", hint=hint)

    def _strike(self, call: Call, struck: ScriptedAnswer, task_id: str | None) -> Answer:
        """Carry out a scripted answer."""
        kind = call.route.kind
        self.journal.counters["faults_fired"] += 1
        fault = struck.describe("create" if kind == "create" else "poll")
        if struck.kind == "drop":
            return Answer(Drop(struck.when, struck.how), fault, task_id=task_id)
        hint = retry_after(struck.retry_after_s, struck.form, struck.retry_after_text, call.now.wall_s)
        if hint.wait_s is not None and kind == "create":
            self._manners.told_create(call.request, call.now.monotonic_s, hint.wait_s)
        elif hint.wait_s is not None:
            self._manners.told_poll(task_id or "", call.now.monotonic_s, hint.wait_s)
        if struck.body is None:
            code = struck.codes.get(call.dialect)
            return error(
                call,
                struck.status,
                code,
                struck.message,
                fault=fault,
                hint=hint,
                like=struck,
                task_id=task_id,
            )
        extra = [
            ("content-type", struck.content_type or bodies.JSON_TYPE),
            *hint_headers(hint),
            *struck.headers,
        ]
        return Answer(plain_reply(call, struck.status, struck.body, extra), fault, hint.text, task_id)
