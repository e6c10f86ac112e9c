"""Pages about the tasks of one world: what they truly are, and a hand on them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, cast

from fake_server.admin import shapes
from fake_server.admin.asking import AdminError, Ask, refuse_mistakes
from fake_server.admin.pages import Body, Page
from fake_server.operating import NotPossibleError, Operator, task_row, task_rows
from fake_server.wire import bodies

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_server.rules.tasks import Task

MOST_TASK_ROWS = 1_000
_WHAT = ("task", "urls")


async def list_tasks(ask: Ask) -> dict[str, Any]:
    """All tasks, the latest so many."""
    world = ask.world()
    most = ask.number("limit", MOST_TASK_ROWS, MOST_TASK_ROWS)
    rows, left_out = task_rows(world.engine, world.now(), most)
    return {"tasks": [asdict(row) for row in rows], "left_out": left_out}


async def read_task(ask: Ask) -> dict[str, Any]:
    """One task."""
    return _do(ask, lambda operator: operator.task(ask.path("task_id")))


async def move_task(ask: Ask) -> dict[str, Any]:
    """Bring a task to a status."""
    ask.world()
    fields = await ask.fields(("status", "code", "message"))
    fields.require("status", "a status such as RUNNING")
    status = fields.text("status", "a status such as RUNNING", 40)
    code, message = fields.text("code", "a failure's code", 200), fields.text("message", "a sentence", 1_000)
    if status is not None and not (status.isascii() and status.replace("_", "").isupper() and status[0] != "_"):
        fields.wrong("status", "found a word that no service says, expected one in capitals such as RUNNING")
    if status != bodies.FAILED and (code or message):
        fields.wrong("code" if code else "message", "found a reason without a failure, expected it beside FAILED")
    refuse_mistakes(fields)
    return _do(ask, lambda operator: operator.move(ask.path("task_id"), status or "", code, message))


async def cancel_task(ask: Ask) -> dict[str, Any]:
    """Cancel a task, whatever its status."""
    return _do(ask, lambda operator: operator.cancel(ask.path("task_id")))


async def expire_task(ask: Ask) -> dict[str, Any]:
    """Let the service forget a task, or its URLs expire."""
    ask.world()
    fields = await ask.fields(("what",))
    what = fields.choice("what", _WHAT) or "task"
    refuse_mistakes(fields)
    return _do(ask, lambda operator: operator.expire(ask.path("task_id"), cast("Literal['task', 'urls']", what)))


def _do(ask: Ask, act: Callable[[Operator], Task]) -> dict[str, Any]:
    world = ask.world()
    now = world.now()
    try:
        task = act(Operator(world.engine, now))
    except NotPossibleError as error:
        raise AdminError(404 if error.is_missing else 409, str(error)) from None
    ask.worlds.wake(world)
    return asdict(task_row(world.engine, task, now))


_STATUS: shapes.Shape = {"type": "string", "pattern": "^[A-Z][A-Z_]{0,39}$"}
_MOVE = {
    "oneOf": [
        shapes.record({"status": {**_STATUS, "not": {"const": bodies.FAILED}}}),
        shapes.record(
            {"status": {"const": bodies.FAILED}},
            {
                "code": {"type": "string", "minLength": 1, "maxLength": 200},
                "message": {"type": "string", "minLength": 1, "maxLength": 1_000},
            },
        ),
    ]
}
_TASKS = shapes.record({"tasks": shapes.rows(shapes.TASK), "left_out": shapes.COUNT})
_GONE_OR_OVER = (404, 409)

PAGES = (
    Page(
        "GET",
        "/worlds/{world}/tasks",
        list_tasks,
        "every task as it truly is, with its life so far",
        _TASKS,
        query={"limit": {"type": "integer", "minimum": 0, "maximum": MOST_TASK_ROWS}},
        example_query="?limit=10",
        fails=(404,),
    ),
    Page("GET", "/worlds/{world}/tasks/{task_id}", read_task, "one of them", shapes.TASK, fails=(404,)),
    Page(
        "POST",
        "/worlds/{world}/tasks/{task_id}/move",
        move_task,
        "bring a task to a status now; it goes on from there if its script has that status later, or stays",
        shapes.TASK,
        body=Body(_MOVE, {"status": "FAILED", "code": "DataInspectionFailed"}),
        fails=_GONE_OR_OVER,
    ),
    Page(
        "POST",
        "/worlds/{world}/tasks/{task_id}/cancel",
        cancel_task,
        "cancel a task as its owner would, but at any status",
        shapes.TASK,
        fails=_GONE_OR_OVER,
    ),
    Page(
        "POST",
        "/worlds/{world}/tasks/{task_id}/expire",
        expire_task,
        'let the service forget a task, which then is UNKNOWN, or (`"urls"`) let its URLs expire',
        shapes.TASK,
        body=Body(shapes.record({}, {"what": {"enum": list(_WHAT)}}), {"what": "urls"}, required=False),
        fails=(404,),
    ),
)
