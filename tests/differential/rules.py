"""Where the vendor's package and ours differ: who is right, and by which line of whose page. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.differential.package import Made

__all__ = ["EITHER", "OURS", "RULES", "Rule", "agree", "rules_for"]

OURS, EITHER = "ours", "either"
_TASKS_PAGE = (
    "Alibaba Cloud Model Studio, [*Manage asynchronous tasks*]"
    "(https://www.alibabacloud.com/help/en/model-studio/manage-asynchronous-tasks)"
)
_CODES_PAGE = "Alibaba Cloud Model Studio, *Error messages*"
_ASYNC_PAGE = "AIsa docs, *Async Operations* (`AIsa-team/docs`, `api-reference/async-operations.mdx`)"
_ERRORS_PAGE = "AIsa docs, *Errors* (`AIsa-team/docs`, `api-reference/errors.mdx`)"
_RATES_PAGE = "AIsa docs, *Rate limits* (`AIsa-team/docs`, `api-reference/rate-limits.mdx`)"


@dataclass(frozen=True)
class Rule:
    """One way in which the two differ.

    Attributes:
        name: What it is called.
        what: What the package does and ours does not, in a sentence.
        right: Who is right: `ours`, or `either` where the pages allow both.
        by: The line that says so, and whose it is.
        is_so: Tells whether a package's run differs from ours in this way.
    """

    name: str
    what: str
    right: str
    by: str
    is_so: Callable[[Made, Made], bool]


def _said(made: Made, beginning: str) -> bool:
    return any(word.startswith(beginning) for word in made.said)


def _repeats(theirs: Made, ours: Made) -> bool:
    return theirs.creates > ours.creates and _said(ours, "IN_DOUBT")


RULES: tuple[Rule, ...] = (
    Rule(
        "pays twice",
        "It sends a create again whose answer it did not get. The first one had been carried out: two tasks, two "
        "bills. Ours says that the submit is in doubt; with a ledger it then looks for the task in the service's list.",
        OURS,
        "Every create makes a new task with a bill of its own, and no key for idempotency is documented "
        f"({_TASKS_PAGE}); neither an ambiguous create nor a billed call is to be replayed ({_ERRORS_PAGE}).",
        lambda theirs, ours: _repeats(theirs, ours) and theirs.tasks > 1,
    ),
    Rule(
        "might have paid twice",
        "It sends a create again whose answer it did not get. The first one had not been carried out, which nobody can "
        "see from outside: its caller has a video, where the caller of ours has a doubt to settle. It was luck.",
        OURS,
        f"An error, or a missing answer, does not prove that nothing was charged ({_ERRORS_PAGE}).",
        lambda theirs, ours: _repeats(theirs, ours) and theirs.tasks == 1,
    ),
    Rule(
        "keeps the doubt to itself",
        "It raises what went wrong with the connection or the answer, and does not say that there may be a task, and a "
        "bill. Ours says so, and that nothing is to be sent again before somebody has looked.",
        OURS,
        f"An error, or a missing answer, does not prove that nothing was charged ({_ERRORS_PAGE}).",
        lambda theirs, ours: _said(theirs, "error on the create") and _said(ours, "IN_DOUBT"),
    ),
    Rule(
        "gives up on UNKNOWN",
        "It takes UNKNOWN for an end, and returns no result of a task that goes on and is billed. Ours gives an id "
        "that is only late some time.",
        OURS,
        f"On PENDING, RUNNING and UNKNOWN: wait before the next poll ({_ASYNC_PAGE}).",
        lambda theirs, ours: _said(theirs, "EXPIRED") and not _said(ours, "EXPIRED"),
    ),
    Rule(
        "ends the wait on a throttled poll",
        "A 429 of a poll ends its wait. The task goes on and is billed. Ours waits as long as it was told, and asks "
        "again.",
        OURS,
        "429 with `Throttling`, `Throttling.RateQuota` or `Throttling.BurstRate`: slow down and try again "
        f"({_CODES_PAGE}).",
        lambda theirs, ours: _said(theirs, "error while polling: 429") and not _said(ours, "error"),
    ),
    Rule(
        "ends the wait on a failed poll",
        "A bad gateway, a broken connection, or a body that cannot be read ends its wait, though it says nothing of "
        "the task. The task goes on and is billed. Ours asks again until its time is up.",
        OURS,
        f"500 and 503 pass: try again later ({_CODES_PAGE}); a status may be asked for as often as one likes, within "
        f"20 requests a second, for 24 hours ({_TASKS_PAGE}).",
        lambda theirs, _ours: any(
            word.startswith("error while polling") and not word.startswith("error while polling: 429")
            for word in theirs.said
        ),
    ),
    Rule(
        "comes too early",
        "It sends the next request before the time that `Retry-After` names, or at once after a 429 whose hint names "
        "none to come. Ours waits; a hint beyond the caller's own time ends the wait and says when to come again.",
        OURS,
        "A client ought not to come before the time that `Retry-After` gives (RFC 9110, 10.2.3); wait at least "
        f"`Retry-After` ({_RATES_PAGE}).",
        lambda theirs, ours: theirs.early > ours.early,
    ),
    Rule(
        "leaves a throttled create to its caller",
        "It returns the 429 of a create, and its caller has to wait and try again. Ours waits, within the time that it "
        "was given, and creates once.",
        EITHER,
        f"A refused create made nothing, and may be sent again after a while: the pages say that it is done "
        f"({_CODES_PAGE}; {_RATES_PAGE}), not by whom.",
        lambda theirs, ours: theirs.said.count("THROTTLED") > ours.said.count("THROTTLED"),
    ),
    Rule(
        "waits for ever",
        "It waits for as long as the task runs (an hour was looked at; version 2 has a limit of a day). Ours ends "
        "the wait after the time that it was given, with the id, the bill and a token to go on from.",
        OURS,
        f"Cap the total wait, at five minutes say; log the `task_id` and surface a timeout ({_ASYNC_PAGE}).",
        lambda theirs, ours: _said(theirs, "waits for ever") and not _said(ours, "waits for ever"),
    ),
)


def agree(theirs: Made, ours: Made) -> bool:
    """Return whether the two did and said the same."""
    return (theirs.said, theirs.tasks, theirs.billed) == (ours.said, ours.tasks, ours.billed) and (
        theirs.early <= ours.early
    )


def rules_for(theirs: Made, ours: Made) -> tuple[Rule, ...]:
    """Return in which ways a package's run differs from ours."""
    if agree(theirs, ours):
        return ()
    return tuple(rule for rule in RULES if rule.is_so(theirs, ours))
