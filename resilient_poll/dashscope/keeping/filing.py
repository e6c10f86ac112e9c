"""How a submit is named in a ledger, and what a ledger's entry means to the client. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from resilient_poll.dashscope.settings import Settings, checked_label
from resilient_poll.dashscope.wire.dialects import LIFECYCLE
from resilient_poll.dashscope.wire.endpoints import Endpoint
from resilient_poll.errors import ConfigurationError, SafeToSubmitAgain, SubmitInDoubt
from resilient_poll.http.messages import HttpRequest
from resilient_poll.ledger.entry import Charge, Entry, Namespace, Said
from resilient_poll.ledger.errors import LedgerError, LedgerUnavailable, LedgerUnusable
from resilient_poll.machine import snapshot
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import (
    Accepted,
    AnsweredAtOnce,
    LostAnswer,
    Observation,
    Refused,
    Throttled,
    Unreachable,
)
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord

__all__ = [
    "Create",
    "Filing",
    "begun",
    "check_for_secrets",
    "checked_key",
    "digest_of",
    "doubt_about",
    "is_late",
    "late_licence",
    "namespace_of",
    "restored",
    "result_text",
    "said_of",
    "snapshot_text",
    "surely",
    "what_it_came_to",
]

LONGEST_KEY = 200
"""Characters of an idempotency key: an order's number, a path."""
LONGEST_PAUSE_S = 5.0
"""After longer than this between the wish and the licence, it is looked up whether the licence still stands, and
the submit's time counts: this process may have been stopped meanwhile. A slow disk is no reason to begin anew."""
_SHORTEST_SECRET = 12
"""Characters. A shorter API key is a word for a fake service, and may stand in an order's name."""
_DEEPEST = 100
"""Levels of an answer that is kept: the service's have six. What could just be read by who waited could not be read
again by who resumes from deeper in a program."""
_FINGERPRINT = b"resilient-poll account"
_PROMPTS = frozenset({"orig_prompt", "actual_prompt"})
"""What answers repeat of the caller's words. Who restores a result has the request, and a ledger need not hold them."""


@dataclass(slots=True)
class Filing:
    """What one submit is called in the ledger.

    Attributes:
        key: The caller's idempotency key, or one that was made up.
        digest: Of the request.
        about: Short texts for people.
        charge: What it costs if it is billed.
        entry: Where it stands, once the ledger was asked.
        licence: The licence that this submit holds at the moment, if it does.
        is_found: Whether the ledger had the task before this submit.
        is_answered: Whether the ledger had the task or the result, and nothing was sent.
        after: The attempt that ended, for one that is tried again.
        accept_second_charge: Whether that attempt may have been charged.
        is_joined: Whether this submit has seen its attempt, and shares what comes of it, also a refusal.
    """

    key: str
    digest: str
    about: Mapping[str, str]
    charge: Charge | None
    entry: Entry | None = None
    licence: Entry | None = None
    is_found: bool = False
    is_answered: bool = False
    after: Entry | None = None
    accept_second_charge: bool = False
    is_joined: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    """What is to be created, checked.

    Attributes:
        endpoint: Where.
        request: How.
        filing: What it is called in the ledger, where there is one.
        model: What is to make it.
    """

    endpoint: Endpoint
    request: HttpRequest
    filing: Filing | None = None
    model: str = ""


def checked_key(key: object) -> str:
    """Return an idempotency key that a ledger can keep.

    Raises:
        ConfigurationError: It is none; nothing was sent.
    """
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or not key.isprintable() or key != key.strip():
        raise ConfigurationError(
            f"an idempotency key is a text of 1 to {LONGEST_KEY} characters on one line, not {key!r:.80}; "
            "nothing was sent",
            safe_to_submit_again=SafeToSubmitAgain.YES,
        )
    return key


def namespace_of(settings: Settings, account: str | None) -> Namespace:
    """Return within what keys and ids mean something: a key that was used against a fake is another one.

    Args:
        settings: The service.
        account: The caller's own label for the account; without one, a fingerprint of the API key
            stands for it, and a rotated key is another account.

    Raises:
        ConfigurationError: The label is none.
    """
    if account is None:
        mark = hashlib.blake2b(settings.api_key.encode(), key=_FINGERPRINT, digest_size=8).hexdigest()
        return Namespace(settings.origin, settings.dialect.name, f"key-{mark}")
    return Namespace(settings.origin, settings.dialect.name, checked_label(account, settings.api_key))


def restored(entry: Entry, now: Instant) -> TaskRecord:
    """Return the record of a task that the ledger holds, with its result if that was kept.

    Phase and bill are the ledger's own: others may have written since the snapshot was taken, somebody may
    have given the task up, and what was archived has no snapshot at all.

    Args:
        entry: The entry that holds it.
        now: When.

    Raises:
        SnapshotError: Its snapshot is damaged.
        ValueError: It holds no task.
    """
    if entry.task_id is None:
        raise ValueError("the entry holds no task")
    if entry.snapshot is None:
        record = TaskRecord.known_by_id(entry.task_id, now)
    else:
        record = snapshot.restore(json.loads(entry.snapshot), now)
    is_made = entry.phase is Phase.SUCCEEDED and entry.result is not None
    return replace(
        record,
        phase=entry.phase,
        billing=entry.billing,
        status=entry.status,
        code=entry.code,
        message=entry.message,
        result=json.loads(entry.result) if is_made and entry.result is not None else None,
        result_readable=is_made or entry.phase is not Phase.SUCCEEDED,
    )


def begun(accepted: Accepted, now: Instant, seed: str) -> TaskRecord:
    """Return the record of a task that was accepted just now.

    Args:
        accepted: What the service said.
        now: When.
        seed: What its draws come from.
    """
    return TaskRecord.accepted(
        accepted.task_id,
        LIFECYCLE,
        now,
        status=accepted.status,
        request_id=accepted.request_id,
        seed=seed,
        retry_after_s=accepted.retry_after_s,
    )


def digest_of(request: HttpRequest, path: str) -> str:
    """Return what tells a request from another one; the order in which its fields were written does not count.

    Args:
        request: The request.
        path: Of its endpoint; the rest of its address is in the namespace.
    """
    body = json.dumps(json.loads(request.body or b"null"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256("\n".join((request.method, path, body)).encode()).hexdigest()


def doubt_about(entry: Entry) -> SubmitInDoubt | None:
    """Return the error for a key whose submit is out, or in doubt, somewhere else; None if it is neither."""
    if entry.task_id is not None or entry.phase not in {Phase.SUBMITTING, Phase.IN_DOUBT}:
        return None
    is_out = entry.phase is Phase.SUBMITTING
    return SubmitInDoubt(
        f"the submit under the idempotency key {entry.key!r:.80} is {'out' if is_out else 'in doubt'} "
        f"(entry {entry.entry_id} of the ledger, {entry.phase}), and nothing was sent now: there may be a task that "
        "will be billed, and its id is not known here; client.reconcile() looks for it",
        request_id=entry.request_id,
        attempts=entry.sends,
    )


def what_it_came_to(entry: Entry, now_wall_s: float) -> Observation:
    """Return the observation that a key's entry stands for, in the place of a request.

    Args:
        entry: What the ledger holds.
        now_wall_s: When, in seconds since 1970.

    Raises:
        ConfigurationError: It was given up.
    """
    if entry.task_id is not None:
        return Accepted(request_id=entry.request_id, task_id=entry.task_id, status=entry.status)
    match entry.phase:
        case Phase.NEW:
            ahead_s = max(0.0, (entry.not_before_wall_s or now_wall_s) - now_wall_s)
            return Throttled(code=entry.code, message=entry.message, retry_after_s=ahead_s)
        case Phase.SUBMITTING:
            return Unreachable(reason="another submit of the same idempotency key is out")
        case Phase.IN_DOUBT:
            why = f" ({entry.message})" if entry.message else ""
            return LostAnswer(
                request_id=entry.request_id, reason=f"its idempotency key is in doubt since an earlier submit{why}"
            )
        case Phase.REFUSED:
            return Refused(request_id=entry.request_id, code=entry.code, message=entry.message)
        case Phase.SUCCEEDED if entry.result is not None:
            return AnsweredAtOnce(request_id=entry.request_id, result=json.loads(entry.result))
        case _:
            raise ConfigurationError(
                f"the idempotency key {entry.key!r:.80} has no task and no result any more ({entry.phase}), and "
                "nothing was sent: use another key"
            )


def said_of(observation: Observation) -> Said:
    """Return what the service said beside the main thing."""
    return Said(
        status=getattr(observation, "status", None),
        request_id=observation.request_id,
        code=getattr(observation, "code", None),
        message=getattr(observation, "message", None),
    )


def result_text(result: object) -> str | None:
    """Return an answer as the ledger keeps it: as it came, without the caller's own words; None if it cannot be.

    Args:
        result: The whole answer.
    """
    try:
        return json.dumps(_without_prompts(result))
    except (RecursionError, TypeError, ValueError):
        return None  # Nested too deeply.


def _without_prompts(value: Any, level: int = 0) -> Any:
    if level > _DEEPEST:
        raise RecursionError
    if isinstance(value, dict):
        return {name: _without_prompts(inside, level + 1) for name, inside in value.items() if name not in _PROMPTS}
    if isinstance(value, list):
        return [_without_prompts(inside, level + 1) for inside in value]
    return value


def snapshot_text(record: TaskRecord, now: Instant) -> str:
    """Return what must be kept of a task, as the ledger keeps it."""
    return json.dumps(snapshot.take(record, now), separators=(",", ":"))


def surely(error: LedgerError, what: str) -> LedgerError:
    """Return the error of a ledger that cannot be used, with what is sure about the submit: nothing is owed for it."""
    kind = LedgerUnusable if isinstance(error, LedgerUnusable) else LedgerUnavailable
    told = kind(f"{error}; {what}")
    told.safe_to_submit_again = SafeToSubmitAgain.YES
    return told


def is_late(asked: Instant, now: Instant) -> bool:
    """Tell whether a licence took so long to come that it must be looked at again before it is used."""
    # While a machine is suspended, one of its clocks may stand still.
    return max(now.monotonic_s - asked.monotonic_s, now.wall_s - asked.wall_s) > LONGEST_PAUSE_S


def late_licence(submission: Submission, now: Instant) -> Unreachable:
    """Return what stands for a licence that is not used: another holds the entry, or the submit's time is up."""
    is_over = now.monotonic_s > submission.last_start_s
    why = "the submit's time was up by then" if is_over else "what it was given for has moved on"
    return Unreachable(reason=f"the ledger's licence came late and {why}, so nothing was sent")


def check_for_secrets(texts: tuple[str, ...], request: HttpRequest) -> None:
    """Do nothing if what is kept in a ledger as it is holds no credentials of the request's own.

    Raises:
        ConfigurationError: It does.
    """
    secret = dict(request.headers).get("authorization", "").removeprefix("Bearer ")
    if len(secret) >= _SHORTEST_SECRET and any(secret in text for text in texts):
        raise ConfigurationError(
            "neither the idempotency key nor the model's name may hold the API key: they are kept in the ledger and "
            "logged; nothing was sent",
            safe_to_submit_again=SafeToSubmitAgain.YES,
        )
