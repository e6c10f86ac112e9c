"""What a decision says to people: one sentence, with what was found and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resilient_poll.dashscope.doubts.claims import Claim
from resilient_poll.dashscope.wire.listing import ListedTask

__all__ = [
    "CANNOT_LIST",
    "CLOCK_WAS_WRONG",
    "DAMAGED",
    "NO_CANARY",
    "NO_TASK_AT_ALL",
    "TOO_OLD",
    "UNSTEADY",
    "came_late",
    "contested",
    "may_be",
    "more_than_sent",
    "none_found",
    "only_one",
    "same_request",
    "to_be_seen",
    "too_early",
]

MOST_NAMED = 5
"""More ids in a sentence help nobody; all of them are among the candidates."""
_BY_HAND = "look at them and say which it is with adopt(), or leave it in doubt"

CANNOT_LIST = (
    "this service has no list of tasks, so what became of it cannot be found and nothing was sent: ask the service, "
    "then use adopt(), permit_resubmit() or abandon()"
)
NO_TASK_AT_ALL = (
    "its endpoint answers with the result itself and makes no task, so it may be billed and cannot be found: "
    "permit_resubmit() may pay twice, abandon() leaves it on the bill"
)
DAMAGED = (
    "an entry of the ledger is damaged and may hold any of the service's tasks, so nothing was decided: mend it first"
)
UNSTEADY = "the service's list was not the same in two readings, so nothing was decided: reconcile again later"
NO_CANARY = (
    "the list shows no task that it can have made, but no known task of its model and time either, so the list proves "
    "nothing: it stays in doubt"
)
CLOCK_WAS_WRONG = (
    "the list shows no task that it can have made, but another time for a known task than the ledger has, so a clock "
    "was wrong in those days and it may have been made at any time: it stays in doubt"
)
TOO_OLD = (
    "the list shows no task that it can have made, but the service remembers tasks for a day only, and it is as old: "
    "it stays in doubt"
)


def same_request(task: ListedTask) -> str:
    """Return why a task is adopted by its request."""
    return f"task {task.task_id} was made by this very request, and by no other that is known"


def only_one(task: ListedTask) -> str:
    """Return why a task is adopted without its request."""
    return (
        f"task {task.task_id} is the only one that it can have made, and the ledger is declared the account's only "
        "submitter"
    )


def more_than_sent(tasks: Sequence[ListedTask]) -> str:
    """Return why none of several equal tasks is adopted."""
    return (
        f"{_named(tasks)} show the same request, which was sent less often than that, so somebody else sends it too: "
        f"{_BY_HAND}"
    )


def contested(tasks: Sequence[ListedTask], others: Sequence[Claim]) -> str:
    """Return why a task that fits is not adopted: another submit may have made it."""
    return f"{_named(tasks)} may as well be what {_keys(others)} made: {_BY_HAND}"


def to_be_seen(tasks: Sequence[ListedTask]) -> str:
    """Return why it is too early to adopt a task that fits."""
    return f"{_named(tasks)} may be it too, and can be compared with its request only at the end: reconcile again then"


def may_be(
    tasks: Sequence[ListedTask],
    unseen: Sequence[ListedTask],
    others: Sequence[Claim],
    reasons: Mapping[str, str],
) -> str:
    """Return why none of the tasks that are possible is adopted.

    Args:
        tasks: What is possible.
        unseen: Which of them may show their requests later.
        others: Submits that may have made one of them as well.
        reasons: What a comparison could not tell, by task.
    """
    if unseen:
        which, their = ("runs", "its request") if len(unseen) == 1 else ("run", "their requests")
        return f"{_named(unseen)} still {which} or could not be read; {their} can be compared then: reconcile again"
    if others:
        return f"{_named(tasks)} may be it, or what {_keys(others)} made: {_BY_HAND}"
    shown = [(task, reasons.get(task.task_id)) for task in tasks]
    said = "; ".join(f"task {task.task_id} ({task.status}): {reason}" for task, reason in shown[:MOST_NAMED] if reason)
    return f"{_named(tasks)} may be it, which cannot be told [{said}]: {_BY_HAND}"


def came_late(tasks: Sequence[ListedTask]) -> str:
    """Return why it cannot be said that nothing was made."""
    return f"{_named(tasks)} came later than it should have arrived, and may be it all the same: {_BY_HAND}"


def too_early(left_s: float) -> str:
    """Return why it cannot be said yet that nothing was made.

    Args:
        left_s: In how many seconds it may be.
    """
    return (
        "the list shows no task that it can have made, but it may still arrive or be listed: reconcile again in "
        f"{max(1, round(left_s / 60))} min"
    )


def none_found(canary: ListedTask) -> str:
    """Return what the list proves, and what that does not change."""
    return (
        "the list shows no task that it can have made, though it shows others of that time such as "
        f"{canary.task_id}; nothing is sent by itself: permit_resubmit() lets the next submit send it again, "
        "and may pay twice if it turns up after all"
    )


def _named(tasks: Sequence[ListedTask]) -> str:
    ids = [task.task_id for task in tasks]
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    return f"{'task' if len(ids) == 1 else 'tasks'} {', '.join(ids[:MOST_NAMED])}{more}"


def _keys(claims: Sequence[Claim]) -> str:
    keys = list(dict.fromkeys(repr(claim.entry.key) for claim in claims))
    more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
    return f"the {'submit' if len(keys) == 1 else 'submits'} under {', '.join(keys[:MOST_NAMED])}{more}"
