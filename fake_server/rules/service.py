"""What the service does with a request that nothing is wrong with: tasks, their assets, their list.

No fault is known here. Keys, dialects and rates were looked at before.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING

from fake_server.rules import admission, downloads
from fake_server.rules.answers import Answer, Call, error, json_reply, xml_reply
from fake_server.rules.limits import Limits
from fake_server.rules.listing import list_page, read_list_query
from fake_server.rules.rendering import Folder, asset_of, folder_of, made_urls, task_body, url_lifetime_s
from fake_server.rules.tasks import Task, make_id, pack_id
from fake_server.wire import bodies, results

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fake_server.rules.room import Room
    from fake_server.rules.tasks import TaskView
    from fake_server.scenario.model import Scenario
    from fake_server.wire.submissions import Submission

# A world with more tasks is a runaway loop. It is told so, and the machine's memory is spared.
MOST_TASKS = 100_000
# The same for the prompts and URLs that its tasks keep.
MOST_TEXT_CHARACTERS = 50_000_000


class Service:
    """The tasks of one world.

    Args:
        scenario: The script.
        world: The world's name; it stands in the URLs of assets.
        speed: What scripted generation times are divided by.
        seed: Part of every id.
        room: What this world shares with others.

    Attributes:
        tasks: Those that can be asked for, by id, in order of submission.
        made_at_once: What synchronous creates made: billed, with assets, and nobody can ask for it.
        limits: The world's limits, and how much of them is used.
    """

    def __init__(self, scenario: Scenario, world: str, speed: float, seed: int, room: Room) -> None:
        self.scenario = scenario
        self.world = world
        self.speed = speed
        self.seed = seed
        self.tasks: dict[str, Task] = {}
        self.made_at_once: dict[str, Task] = {}
        self.limits = Limits(scenario.quotas)
        # Those of which some may still be billed. What has ended once stays ended, so they are looked at once each.
        self._perhaps_open: deque[Task] = deque()
        self._room = room
        self._text_characters = 0
        self._lives = 0  # Creates that were carried out: each has the next life of the script.

    def everything(self) -> Iterator[Task]:
        """All tasks in order of submission, then what was made at once."""
        return itertools.chain(self.tasks.values(), self.made_at_once.values())

    @property
    def made(self) -> int:
        """How many of them there are."""
        return len(self.tasks) + len(self.made_at_once)

    @property
    def next_number(self) -> int:
        """The number of the task that the next create makes, from 1."""
        return self._lives + 1

    def has_open_tasks(self, now_s: float) -> bool:
        """Whether anything here may still come to be billed."""
        while self._perhaps_open and not self._perhaps_open[0].is_open(now_s):
            self._perhaps_open.popleft()
        return bool(self._perhaps_open)

    def give_up(self) -> None:
        """Give back what was taken of the common room."""
        self._room.give_back(self.made, self._text_characters)

    def make_id(self, kind: str, ordinal: int) -> str:
        """An id that follows from seed, world and number."""
        return make_id(f"{self.seed}|{self.world}|{kind}|{ordinal}")

    def is_full(self, call: Call, asked: Submission) -> Answer | None:
        """The refusal of a create for which there is no room."""
        if self.made >= MOST_TASKS:
            return error(call, 503, None, f"this world holds {MOST_TASKS} tasks and takes no more")
        if self._text_characters + asked.characters > MOST_TEXT_CHARACTERS:
            return error(call, 503, None, f"this world keeps {MOST_TEXT_CHARACTERS} characters and takes no more")
        if not self._room.has_place(asked.characters):
            return error(call, 503, None, "all worlds together hold as many tasks as they may; reset one")
        return None

    def create(self, call: Call, asked: Submission) -> Answer:
        """Carry out a create; the answer to it."""
        return self._at_once(call, asked) if call.route.endpoint.synchronous else self._commit(call, asked)

    def _commit(self, call: Call, asked: Submission) -> Answer:
        """Make a task; the answer to its create."""
        task = self._make_task(call, asked, self.make_id("task", len(self.tasks)))
        self.tasks[task.task_id] = task
        self._perhaps_open.append(task)
        self.limits.slots_of(task).add(task, call.now.monotonic_s)
        status = task.view(call.now.monotonic_s).status
        # A create is only ever answered with one of these two (AIsa docs, async-operations).
        first = status if status in (bodies.PENDING, bodies.RUNNING) else bodies.PENDING
        body = bodies.accepted(task.task_id, first, call.request_id)
        return Answer(json_reply(call, 200, body), task_id=task.task_id, committed=True, told=first)

    def _at_once(self, call: Call, asked: Submission) -> Answer:
        """Make the result of a synchronous create; what failed makes none, and costs nothing."""
        failed = admission.synchronous_failure(call, self.scenario.lifecycle_of(self._lives))
        if failed is not None:
            self._lives += 1
            return failed._replace(told=bodies.FAILED)
        # One request may make two results, and each has an id of its own.
        is_taken = call.request_id in self.made_at_once
        task_id = self.make_id("at once", self._lives) if is_taken else call.request_id
        task = self._make_task(call, asked, task_id)
        task.make_at_once(call.now.monotonic_s)
        self.made_at_once[task.task_id] = task
        body = results.messages_at_once(call.request_id, made_urls(task, self.folder(call)))
        reply = json_reply(call, 200, body)
        return Answer(reply, task_id=task.task_id, committed=True, told=bodies.SUCCEEDED)

    def _make_task(self, call: Call, asked: Submission, task_id: str) -> Task:
        self._text_characters += asked.characters
        self._room.take(asked.characters)
        self._lives += 1
        return Task(
            ordinal=self._lives - 1,
            task_id=task_id,
            request=pack_id(call.request_id),
            dialect=call.dialect,
            endpoint=call.route.endpoint,
            asked=asked,
            lifecycle=self.scenario.lifecycle_of(self._lives - 1),
            speed=self.speed,
            submitted_s=call.now.monotonic_s,
            submitted_wall_s=call.now.wall_s,
        )

    def query(self, call: Call, task: Task | None) -> Answer:
        """Answer a status query; `task` is None where the service does not know the id."""
        if task is None:
            return self.unknown(call)
        view, goes_on = task.polled(call.now.monotonic_s)
        if goes_on:
            self.limits.slots_of(task).learn_end(task)
        return self._show(call, task, view)

    def query_then(self, call: Call, task: Task, then_s: float) -> Answer:
        """Answer a status query from an older state; it does not count as one."""
        return self._show(call, task, task.view_then(max(then_s, task.submitted_s)))

    def unknown(self, call: Call) -> Answer:
        """Answer a status query as if the id were nobody's."""
        body = bodies.bare(call.route.task_id or "", bodies.UNKNOWN, call.request_id)
        return Answer(json_reply(call, 200, body), told=bodies.UNKNOWN)

    def _show(self, call: Call, task: Task, view: TaskView) -> Answer:
        body = task_body(task, view, call.request_id, self.folder(call))
        return Answer(json_reply(call, 200, body), told=view.step.status)

    def folder(self, call: Call) -> Folder:
        """Where the assets of this world are."""
        return folder_of(call.request.origin, self.world)

    def list_tasks(self, call: Call) -> Answer:
        """Answer a list."""
        wanted = read_list_query(call.request.query, call.now.wall_s)
        if isinstance(wanted, str):
            return error(call, 400, None, wanted)
        known = (task for task in self._newest_first(wanted.task_id) if self._remembers(task, call))
        rows, total = list_page(known, wanted, call.now.monotonic_s)
        body = bodies.task_list(call.request_id, rows, total, wanted.page, wanted.page_size)
        return Answer(json_reply(call, 200, body))

    def _newest_first(self, task_id: str | None) -> Iterator[Task]:
        return reversed(self.tasks.values()) if task_id is None else filter(None, [self.tasks.get(task_id)])

    def cancel(self, call: Call) -> Answer:
        """Carry out a cancel."""
        task = self.remembered(call.route.task_id or "", call)
        status = task.view(call.now.monotonic_s).status if task else bodies.UNKNOWN
        if task is not None and status == bodies.PENDING:
            self.limits.slots_of(task).cancel(task, call.now.monotonic_s)
        elif status != bodies.UNKNOWN or self.scenario.service.cancel_of_unknown == "refused":
            return error(call, 400, "UnsupportedOperation", None)
        return Answer(json_reply(call, 200, bodies.cancel_accepted(call.request_id)))

    def quotas(self, call: Call) -> Answer:
        """Tell the limits."""
        quotas = self.scenario.quotas
        body = bodies.quotas(call.request_id, quotas.concurrent_tasks, quotas.queries_per_second)
        return Answer(json_reply(call, 200, body))

    def asset(self, call: Call) -> Answer:
        """Serve an asset; that it was fetched is for others to note: it may not arrive."""
        now_s, task_id = call.now.monotonic_s, call.route.task_id or ""
        task = self.known(task_id)
        view = task.view(now_s) if task and call.route.world == self.world else None
        is_made = task and view and view.status == bodies.SUCCEEDED
        asset = asset_of(task, call.route.item, call.route.extension) if task and is_made else None
        if task is None or view is None or view.ended_s is None or asset is None:
            return Answer(xml_reply(call, 404, "NoSuchKey", "The specified key does not exist."))
        if now_s - view.ended_s >= url_lifetime_s(task, self.scenario.url_lifetime_s):
            return expired(call)
        return Answer(downloads.serve(asset, call.request, bodies.http_date(call.now.wall_s)))

    def known(self, task_id: str) -> Task | None:
        """A task of any kind by its id."""
        return self.tasks.get(task_id) or self.made_at_once.get(task_id)

    def remembered(self, task_id: str, call: Call) -> Task | None:
        """A task, unless the service has never known it or forgotten it by now."""
        task = self.tasks.get(task_id)
        return task if task and self._remembers(task, call) else None

    def _remembers(self, task: Task, call: Call) -> bool:
        """Whether the service that is asked knows a task: the gateway and the vendor are two."""
        age_s = call.now.monotonic_s - task.submitted_s
        return task.dialect == call.dialect and task.expired_s is None and age_s < self.scenario.retention_s


def expired(call: Call) -> Answer:
    """The refusal of an asset whose URL has expired."""
    return Answer(xml_reply(call, 403, "AccessDenied", "Request has expired."))
