"""Pages about what goes wrong on purpose in one world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fake_server.admin import shapes
from fake_server.admin.asking import AdminError, Ask
from fake_server.admin.pages import Body, Page
from fake_server.rules.fields import Mistake
from fake_server.scenario.fault_forms import FAULT_FORMS
from fake_server.scenario.fault_reader import FaultErrors, read_fault

if TYPE_CHECKING:
    from fake_server.faults.selection import Armed


async def list_faults(ask: Ask) -> dict[str, Any]:
    """Every fault of a world."""
    return {"faults": [_row(armed) for armed in ask.world().engine.armed()]}


async def arm_fault(ask: Ask) -> dict[str, Any]:
    """Let a fault strike from now on."""
    world = ask.world()
    values = await ask.object()
    try:
        fault = read_fault(values)
    except FaultErrors as errors:
        raise AdminError(400, [Mistake(*problem) for problem in errors.problems]) from None
    try:
        identity = world.engine.arm(fault)
    except ValueError as error:
        raise AdminError(409, str(error)) from None
    return next(_row(armed) for armed in world.engine.armed() if armed.identity == identity)


async def disarm_fault(ask: Ask) -> dict[str, Any]:
    """Let a fault strike no more."""
    world, identity = ask.world(), ask.path("fault_id")
    row = next((_row(armed) for armed in world.engine.armed() if armed.identity == identity), None)
    if row is None or not world.engine.disarm(identity):
        raise AdminError(404, "there is no fault of this id in this world; the list of faults tells the ids")
    return row


def _row(armed: Armed) -> dict[str, Any]:
    return {
        "id": armed.identity,
        "fault": armed.fault.name,
        "what": armed.fault.describe(),
        "needs_socket": armed.fault.needs_socket,
        "must_fire": armed.fault.must_fire,
        "matched": armed.matched,
        "struck": armed.struck,
        "fired": armed.fired,
    }


_COUNTS = dict.fromkeys(("matched", "struck", "fired"), shapes.COUNT)
_FAULT = shapes.record(
    {
        "id": shapes.TEXT,
        "fault": shapes.TEXT,
        "what": shapes.TEXT,
        "needs_socket": shapes.FLAG,
        "must_fire": shapes.FLAG,
        **_COUNTS,
    }
)
# The grammar of faults has a schema of its own, that of scenarios; here is only what they are called.
_ANY_FAULT = shapes.record({"fault": {"enum": list(FAULT_FORMS)}}, open_ended=True)

PAGES = (
    Page(
        "GET",
        "/worlds/{world}/faults",
        list_faults,
        "every fault of a world, and how often it struck: `s1` the scenario's, `c1` chaos, `a1` armed here",
        shapes.record({"faults": shapes.rows(_FAULT)}),
        fails=(404,),
    ),
    Page(
        "POST",
        "/worlds/{world}/faults",
        arm_fault,
        "let a fault strike from now on, in the grammar of scenarios: " + ", ".join(FAULT_FORMS),
        _FAULT,
        body=Body(_ANY_FAULT, {"fault": "status", "status": 503, "on": ["query"], "first": 2}),
        status=201,
        fails=(404, 409),
    ),
    Page(
        "DELETE",
        "/worlds/{world}/faults/{fault_id}",
        disarm_fault,
        "let a fault strike no more",
        _FAULT,
        fails=(404,),
    ),
)
