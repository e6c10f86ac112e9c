"""Pages about one world: its clock, its limits, what it cost and what its client is worth."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from fake_server.admin import shapes
from fake_server.admin.asking import AdminError, Ask, plain, refuse_mistakes
from fake_server.admin.pages import Body, Page
from fake_server.admin.server_pages import describe_clock, describe_world
from fake_server.clock import ManualClock
from fake_server.operating import NotPossibleError, Operator, transitions
from fake_server.scenario.model import OUTCOMES, TIERS

if TYPE_CHECKING:
    from collections.abc import Sequence

# Rows of a bill that a page shows, the latest: more would hold the server up, and no reader reads them.
MOST_BILL_ROWS = 10_000
# Transitions that one advance tells, the first: a test moves a handful of tasks.
MOST_TRANSITIONS = 10_000
MOST_OF_A_QUOTA = 10_000
_QUOTAS = ("tier", "concurrent_tasks", "queries_per_second", "images_per_minute", "requests_per_minute")


async def read_world(ask: Ask) -> dict[str, Any]:
    """A world."""
    return describe_world(ask.world())


async def reset_world(ask: Ask) -> dict[str, Any]:
    """Begin a world anew."""
    return describe_world(ask.worlds.reset(ask.world()))


async def read_clock(ask: Ask) -> dict[str, Any]:
    """What time it is."""
    world = ask.world()
    return describe_clock(world, world.now())


async def advance_clock(ask: Ask) -> dict[str, Any]:
    """Move a manual clock."""
    world = ask.world()
    fields = await ask.fields(("seconds",))
    if not isinstance(world.clock, ManualClock):
        raise AdminError(409, "this world's clock is real; only --clock manual makes one to advance")
    fields.require("seconds", 'how far to advance, such as 2.5 or "2.5s"')
    seconds = fields.duration_s("seconds")
    refuse_mistakes(fields)
    before_s = world.now().monotonic_s
    try:
        now = world.clock.advance(seconds or 0.0)
    except (ValueError, OverflowError) as error:
        raise AdminError(400, str(error), "/seconds") from None
    moved, left_out = transitions(world.engine, before_s, now, MOST_TRANSITIONS)
    ask.worlds.wake(world)
    told = [transition.fields() for transition in moved]
    return {**describe_clock(world, now), "transitions": told, "left_out": left_out}


async def read_speed(ask: Ask) -> dict[str, Any]:
    """What scripted times are divided by."""
    return {"speed": ask.world().engine.speed}


async def set_speed(ask: Ask) -> dict[str, Any]:
    """Divide the times of new tasks by another number."""
    world = ask.world()
    fields = await ask.fields(("speed",))
    fields.require("speed", "a number above 0, such as 60")
    speed = fields.number("speed", "a number above 0")
    refuse_mistakes(fields)
    try:
        Operator(world.engine, world.now()).set_speed(speed or 0.0)
    except NotPossibleError as error:
        raise AdminError(400, str(error), "/speed") from None
    return {"speed": world.engine.speed}


async def read_quotas(ask: Ask) -> dict[str, Any]:
    """The limits, and how much of them is used."""
    world = ask.world()
    return Operator(world.engine, world.now()).quotas()


async def set_quotas(ask: Ask) -> dict[str, Any]:
    """Change some limits."""
    world = ask.world()
    fields = await ask.fields(_QUOTAS)
    tier = TIERS.get(fields.choice("tier", TIERS) or "")
    lifts_limit = fields.has("requests_per_minute") and fields.values["requests_per_minute"] is None
    read = {name: fields.integer(name, 1, MOST_OF_A_QUOTA) for name in _QUOTAS[1 : -1 if lifts_limit else None]}
    numbers: dict[str, Any] = {name: number for name, number in read.items() if number is not None}
    quotas = world.engine.scenario.quotas
    if quotas.by_model and (tier or "concurrent_tasks" in numbers):
        fields.wrong("concurrent_tasks", "found a cap for all models, and in this scenario each model has its own")
    refuse_mistakes(fields)
    if tier:
        quotas = replace(quotas, **asdict(tier))
    if lifts_limit:
        quotas = replace(quotas, requests_per_minute=None)
    operator = Operator(world.engine, world.now())
    operator.set_quotas(replace(quotas, **numbers))
    ask.worlds.wake(world)
    return operator.quotas()


async def read_bill(ask: Ask) -> dict[str, Any]:
    """The true bill."""
    world = ask.world()
    bill = world.engine.bill(world.now(), most_rows=MOST_BILL_ROWS)
    sums = {"billed_tasks": bill.billed_tasks, "total": str(bill.total)}
    return {"tasks": [plain(row) for row in bill.tasks], "left_out": bill.left_out, **sums}


async def read_verdict(ask: Ask) -> dict[str, Any]:
    """What `check` would say, with the outcomes that the query reports."""
    return _verdict(ask, ask.request.query_params.getlist("outcome"))


async def judge_outcomes(ask: Ask) -> dict[str, Any]:
    """What `check` would say, with the outcomes that the body reports."""
    ask.world()
    fields = await ask.fields(("outcomes",))
    outcomes = fields.words("outcomes", f"one of {', '.join(OUTCOMES)}")
    refuse_mistakes(fields)
    return _verdict(ask, outcomes or ())


def _verdict(ask: Ask, outcomes: Sequence[str]) -> dict[str, Any]:
    world = ask.world()
    conduct = world.engine.conduct.judge(gave_up="STILL_GOING" in outcomes)
    rows = [*world.engine.verdict(world.now(), outcomes), *conduct]
    # A rule that the client was never put to the test of leaves nothing open; an expectation of the scenario does.
    verdicts = {row.verdict for row in rows if row.verdict != "NOT_EXERCISED" or row not in conduct}
    worst = next((word for word in ("FAIL", "INCOMPLETE", "NOT_EXERCISED") if word in verdicts), "PASS")
    return {"verdict": worst, "expectations": [plain(row) for row in rows]}


_SPEED = shapes.record({"speed": shapes.NUMBER})
_LIMIT: shapes.Shape = {"type": "integer", "minimum": 1, "maximum": MOST_OF_A_QUOTA}
_LIMITS = shapes.record(
    {},
    {
        "tier": {"enum": list(TIERS)},
        "concurrent_tasks": _LIMIT,
        "queries_per_second": _LIMIT,
        "images_per_minute": _LIMIT,
        "requests_per_minute": {"anyOf": [_LIMIT, {"type": "null"}]},
    },
)
_OUTCOMES_BODY = Body(
    shapes.record({}, {"outcomes": shapes.one_or_more({"type": "string", "minLength": 1})}),
    {"outcomes": ["SUCCEEDED"]},
    required=False,
)
_NOBODY = (404,)

PAGES = (
    Page("GET", "/worlds/{world}", read_world, "one world", shapes.WORLD, fails=_NOBODY),
    Page(
        "POST",
        "/worlds/{world}/reset",
        reset_world,
        "begin anew: no tasks, bill or journal, and what was changed by hand as the scenario says; time goes on",
        shapes.WORLD,
        fails=_NOBODY,
    ),
    Page(
        "GET",
        "/worlds/{world}/clock",
        read_clock,
        "what time it is in a world; how many answers a delay holds back, and when the next is due",
        shapes.CLOCK,
        fails=_NOBODY,
    ),
    Page(
        "POST",
        "/worlds/{world}/clock/advance",
        advance_clock,
        "move a manual clock; the answer tells what became of which task meanwhile, and when",
        shapes.ADVANCED,
        body=Body(shapes.record({"seconds": shapes.DURATION}), {"seconds": 2.5}),
        fails=(404, 409),
    ),
    Page("GET", "/worlds/{world}/speed", read_speed, "what scripted times are divided by", _SPEED, fails=_NOBODY),
    Page(
        "PUT",
        "/worlds/{world}/speed",
        set_speed,
        "divide the scripted times of tasks created from now on by another number",
        _SPEED,
        body=Body(
            shapes.record({"speed": {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000}}), {"speed": 60}
        ),
        fails=(404,),
    ),
    Page(
        "GET",
        "/worlds/{world}/quotas",
        read_quotas,
        "the limits of a world, and how much of them is used",
        shapes.QUOTAS,
        fails=_NOBODY,
    ),
    Page(
        "PUT",
        "/worlds/{world}/quotas",
        set_quotas,
        "change some limits from now on; what runs over a lower cap runs on",
        shapes.QUOTAS,
        body=Body(_LIMITS, {"concurrent_tasks": 1}, required=False),
        fails=(404,),
    ),
    Page(
        "GET", "/worlds/{world}/bill", read_bill, "the true bill, whatever any client saw", shapes.BILL, fails=_NOBODY
    ),
    Page(
        "GET",
        "/worlds/{world}/verdict",
        read_verdict,
        "the expectations of the scenario, judged; one outcome for each task is what your client reported",
        shapes.VERDICT,
        query={"outcome": {"type": "array", "items": shapes.TEXT}},
        example_query="?outcome=SUCCEEDED",
        fails=_NOBODY,
    ),
    Page(
        "POST",
        "/worlds/{world}/verdict",
        judge_outcomes,
        "the same, with the outcomes in the body",
        shapes.VERDICT,
        body=_OUTCOMES_BODY,
        fails=(404,),
    ),
)
