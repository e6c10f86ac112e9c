"""One world of the fake, without any input or output: a request and the time go in, an answer comes out.

The order in which things can go wrong is fixed: admission (key, header, body, quota), then the scripted
answer before the commit, then the commit, then the scripted answer after it, then the wire.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from typing import TYPE_CHECKING

from fake_server.moment import Moment
from fake_server.rules import admission, downloads
from fake_server.rules.admission import INVALID_KEY
from fake_server.rules.answers import (
    WORTH_PACKING_BYTES,
    Answer,
    Call,
    error,
    hint_headers,
    json_reply,
    limit_headers,
    plain_reply,
    xml_reply,
)
from fake_server.rules.billing import Bill, make_bill
from fake_server.rules.expectations import Judgement, judge
from fake_server.rules.faults import Script, retry_after
from fake_server.rules.gate import Gate
from fake_server.rules.journal import Journal
from fake_server.rules.limits import Limits
from fake_server.rules.listing import list_page, read_list_query
from fake_server.rules.manners import Manners
from fake_server.rules.rendering import Folder, asset_of, made_urls, task_body, url_lifetime_s
from fake_server.rules.room import Room
from fake_server.rules.tasks import Task, make_id
from fake_server.wire import bodies, results
from fake_server.wire.messages import Drop, Reply, Request
from fake_server.wire.routes import route
from fake_server.wire.submissions import Submission

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fake_server.scenario.model import Scenario, ScriptedAnswer

__all__ = ["INVALID_KEY", "Drop", "Engine", "Moment", "Reply", "Request"]

# A world with more tasks is a runaway loop. It is told so, and the machine's memory is spared.
MOST_TASKS = 100_000
# The same for the prompts and URLs that its tasks keep.
MOST_TEXT_CHARACTERS = 50_000_000


class Engine:
    """The state of one world and the rules by which it answers.

    The same scenario, world, seed and requests at the same moments give the same answers to the byte.

    Args:
        scenario: The script.
        world: The world's name; it stands in the URLs of assets.
        speed: What scripted generation times are divided by; touches nothing else.
        seed: Part of every id.
        started: When the world began; journal times count from it.
        room: What this world shares with others; by default it has its own.

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
        # Made by synchronous creates: they are billed and have assets, and nobody can ask for them.
        self._made_at_once: dict[str, Task] = {}
        # Those of which some may still be billed. What has ended once stays ended, so they are looked at once each.
        self._perhaps_open: deque[Task] = deque()
        self._room = room or Room()
        self._text_characters = 0
        self._lives = 0  # Creates that were carried out: each has the next life of the script.
        self._limits = Limits(scenario.quotas)
        self._packs_from_bytes = 0 if scenario.service.gzip == "always" else WORTH_PACKING_BYTES
        self._create_script = Script("create", scenario.create)
        self._poll_script = Script("poll", scenario.poll)
        self._manners = Manners(self.journal.counters)
        self._gate = Gate(self._limits, self._manners, self.journal.counters)
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
        now = self._forward(now)
        return make_bill(self._everything(), self.scenario.prices, now.monotonic_s, most_rows)

    def verdict(self, now: Moment, outcomes: Sequence[str] = ()) -> list[Judgement]:
        """Judge the client by the scenario's `expect`.

        Args:
            now: The present; the bill is drawn up for it.
            outcomes: What the client reported, one word per task; empty if it reported nothing.
        """
        counters = dict(self.journal.counters)
        counters["tasks_created"] = len(self._tasks) + len(self._made_at_once)
        counters["billed_tasks"] = self.bill(now, most_rows=0).billed_tasks
        counters["downloads"] = sum(task.was_fetched for task in self._everything())
        scripts = (self._create_script, self._poll_script)
        unfired = [text for script in scripts for text in script.unfired]
        scripted = sum(script.scripted for script in scripts)
        return judge(self.scenario.expect, counters, unfired, outcomes, scripted=scripted)

    def has_open_tasks(self, now: Moment) -> bool:
        """Whether anything here may still come to be billed."""
        now = self._forward(now)
        while self._perhaps_open and not self._perhaps_open[0].is_open(now.monotonic_s):
            self._perhaps_open.popleft()
        return bool(self._perhaps_open)

    @property
    def holds_tasks(self) -> bool:
        """Whether giving this world up would make room."""
        return bool(self._tasks or self._made_at_once)

    def give_up(self) -> None:
        """Make room for other worlds; nothing may be asked of this one afterwards."""
        self._room.give_back(len(self._tasks) + len(self._made_at_once), self._text_characters)

    def _receive(self, request: Request, now: Moment) -> Call:
        self._requests += 1
        found = route(request.method, request.path, request.query)
        request_id = self._make_id("request", self._requests)
        return Call(request, found, self._forward(now), request_id, self._packs_from_bytes)

    def _everything(self) -> Iterator[Task]:
        """All tasks in order of submission, then what was made at once."""
        return itertools.chain(self._tasks.values(), self._made_at_once.values())

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
        self._limits.settle(self._latest.monotonic_s)
        return self._latest

    def _make_id(self, kind: str, ordinal: int) -> str:
        return make_id(f"{self.seed}|{self.world}|{kind}|{ordinal}")

    def _answer(self, call: Call) -> Answer:
        if call.route.kind == "asset":
            return self._asset(call)
        if call.route.kind == "unmatched":
            self.journal.counters["unmatched"] += 1
            return admission.unmatched(call)
        refused = (
            admission.refused_key(call)
            or self._gate.over_request_rate(call, self._tasks.get(call.route.task_id or ""))
            or admission.refused_dialect(call, self.scenario)
        )
        if refused is not None:
            return refused
        if call.route.kind == "query":
            return self._query(call)
        if call.route.kind == "create":
            return self._create(call)
        if call.route.kind == "quotas":
            quotas = self.scenario.quotas
            body = bodies.quotas(call.request_id, quotas.concurrent_tasks, quotas.queries_per_second)
            return Answer(json_reply(call, 200, body))
        return self._list(call) if call.route.kind == "list" else self._cancel(call)

    def _create(self, call: Call) -> Answer:
        self._manners.saw_create(call.request, call.now.monotonic_s)
        asked = admission.admitted(call, self.scenario)
        if isinstance(asked, Answer):
            return asked
        refused = self._is_full(call, asked) or self._gate.over_create_limits(call, asked)
        if refused is not None:
            return refused
        struck = self._create_script.next()
        if struck is not None and struck.when == "before_commit":
            return self._strike(call, struck, None)
        carried_out = self._at_once(call, asked) if call.route.endpoint.synchronous else self._commit(call, asked)
        if struck is None:
            return carried_out
        return self._strike(call, struck, carried_out.task_id)

    def _commit(self, call: Call, asked: Submission) -> Answer:
        """Make a task; the answer to its create."""
        task = self._make_task(call, asked, self._make_id("task", len(self._tasks)))
        self._tasks[task.task_id] = task
        self._perhaps_open.append(task)
        self._limits.slots_of(task).add(task, call.now.monotonic_s)
        status = task.view(call.now.monotonic_s).status
        # A create is only ever answered with one of these two (AIsa docs, async-operations).
        first = status if status in (bodies.PENDING, bodies.RUNNING) else bodies.PENDING
        body = bodies.accepted(task.task_id, first, call.request_id)
        return Answer(json_reply(call, 200, body), task_id=task.task_id)

    def _at_once(self, call: Call, asked: Submission) -> Answer:
        """Make the result of a synchronous create; what failed makes none, and costs nothing."""
        failed = admission.synchronous_failure(call, self.scenario.lifecycle_of(self._lives))
        if failed is not None:
            self._lives += 1
            return failed
        task = self._make_task(call, asked, call.request_id)
        task.make_at_once(call.now.monotonic_s)
        self._made_at_once[task.task_id] = task
        body = results.messages_at_once(call.request_id, made_urls(task, self._folder(call)))
        return Answer(json_reply(call, 200, body), task_id=task.task_id)

    def _make_task(self, call: Call, asked: Submission, task_id: str) -> Task:
        self._text_characters += asked.characters
        self._room.take(asked.characters)
        self._lives += 1
        return Task(
            ordinal=self._lives - 1,
            task_id=task_id,
            request_id=call.request_id,
            dialect=call.dialect,
            endpoint=call.route.endpoint,
            asked=asked,
            lifecycle=self.scenario.lifecycle_of(self._lives - 1),
            speed=self.speed,
            submitted=call.now,
        )

    def _query(self, call: Call) -> Answer:
        task_id = call.route.task_id or ""
        task = self._remembered(task_id, call)
        self._manners.saw_poll(task_id, task, call.now.monotonic_s)
        refused = self._gate.over_query_rate(call)
        if refused is not None:
            return refused
        if call.route.by_query and self.scenario.service.task_id_query == "unsupported":
            return error(call, 500, None, "unsupported uri")
        struck = self._poll_script.next()
        if struck is not None:
            return self._strike(call, struck, task_id)
        if task is None:
            return Answer(json_reply(call, 200, bodies.bare(task_id, bodies.UNKNOWN, call.request_id)))
        view, goes_on = task.polled(call.now.monotonic_s)
        if goes_on:
            self._limits.slots_of(task).learn_end(task)
        task.end_told = task.end_told or view.status in bodies.ENDS
        return Answer(json_reply(call, 200, task_body(task, view, call.request_id, self._folder(call))))

    def _folder(self, call: Call) -> Folder:
        return Folder(f"{call.request.origin}/w/{self.world}/assets")

    def _list(self, call: Call) -> Answer:
        refused = self._gate.over_query_rate(call)
        if refused is not None:
            return refused
        self.journal.counters["list_requests"] += 1
        wanted = read_list_query(call.request.query, call.now.wall_s)
        if isinstance(wanted, str):
            return error(call, 400, None, wanted)
        known = (task for task in self._newest_first(wanted.task_id) if self._remembers(task, call))
        rows, total = list_page(known, wanted, call.now.monotonic_s)
        body = bodies.task_list(call.request_id, rows, total, wanted.page, wanted.page_size)
        return Answer(json_reply(call, 200, body))

    def _newest_first(self, task_id: str | None) -> Iterator[Task]:
        return reversed(self._tasks.values()) if task_id is None else filter(None, [self._tasks.get(task_id)])

    def _cancel(self, call: Call) -> Answer:
        refused = self._gate.over_query_rate(call)
        if refused is not None:
            return refused
        self.journal.counters["cancel_requests"] += 1
        task = self._remembered(call.route.task_id or "", call)
        status = task.view(call.now.monotonic_s).status if task else bodies.UNKNOWN
        if task is not None and status == bodies.PENDING:
            self._limits.slots_of(task).cancel(task, call.now.monotonic_s)
        elif status != bodies.UNKNOWN or self.scenario.service.cancel_of_unknown == "refused":
            return error(call, 400, "UnsupportedOperation", None)
        return Answer(json_reply(call, 200, bodies.cancel_accepted(call.request_id)))

    def _asset(self, call: Call) -> Answer:
        now_s, task_id = call.now.monotonic_s, call.route.task_id or ""
        task = self._tasks.get(task_id) or self._made_at_once.get(task_id)
        view = task.view(now_s) if task and call.route.world == self.world else None
        is_made = task and view and view.status == bodies.SUCCEEDED
        asset = asset_of(task, call.route.item, call.route.extension) if task and is_made else None
        if task is None or view is None or view.ended_s is None or asset is None:
            return Answer(xml_reply(call, 404, "NoSuchKey", "The specified key does not exist."))
        if now_s - view.ended_s >= url_lifetime_s(task, self.scenario.url_lifetime_s):
            return Answer(xml_reply(call, 403, "AccessDenied", "Request has expired."))
        reply = downloads.serve(asset, call.request, bodies.http_date(call.now.wall_s))
        if call.request.method == "GET" and reply.status in (200, 206):
            task.was_fetched = True
        return Answer(reply)

    def _remembered(self, task_id: str, call: Call) -> Task | None:
        """A task, unless the service has never known it or forgotten it by now."""
        task = self._tasks.get(task_id)
        return task if task and self._remembers(task, call) else None

    def _remembers(self, task: Task, call: Call) -> bool:
        """Whether the service that is asked knows a task: the gateway and the vendor are two."""
        age_s = call.now.monotonic_s - task.submitted.monotonic_s
        return task.dialect == call.dialect and task.expired_s is None and age_s < self.scenario.retention_s

    def _is_full(self, call: Call, asked: Submission) -> Answer | None:
        if len(self._tasks) + len(self._made_at_once) >= MOST_TASKS:
            return error(call, 503, None, f"this world holds {MOST_TASKS} tasks and takes no more")
        if self._text_characters + asked.characters > MOST_TEXT_CHARACTERS:
            return error(call, 503, None, f"this world keeps {MOST_TEXT_CHARACTERS} characters and takes no more")
        if not self._room.has_place(asked.characters):
            return error(call, 503, None, "all worlds together hold as many tasks as they may; reset one")
        return None

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
