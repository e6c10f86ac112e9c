"""What survives a crash: a plain mapping of an accepted task.

It holds no key, no URL and nothing of the request; what it does hold is checked when it
is read, because it comes from outside by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from resilient_poll.errors import SnapshotError
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import OPEN, Billing, Phase
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["SNAPSHOT_VERSION", "restore", "take"]

SNAPSHOT_VERSION = 1
LONGEST_HINT_S = 7 * 24 * 3600.0
_LARGEST_NUMBER = 1e15  # Seconds: thirty million years.
_LONGEST_WORD = 1024  # An id, a status or a code; the services' own are below 100 characters.


def take(record: TaskRecord, now: Instant) -> dict[str, Any]:
    """Return what must be kept of a task so that another process can go on with it.

    Args:
        record: What is known of the task.
        now: When.

    Returns:
        A mapping of plain values (``None``, ``bool``, ``int``, ``float``, ``str``, one
        mapping of numbers), fit for JSON. Times are wall-clock seconds since 1970,
        durations are seconds.
    """
    return {
        "version": SNAPSHOT_VERSION,
        "task_id": record.task_id,
        "seed": record.seed,
        "accepted_at": None if record.accepted_at is None else record.accepted_at.wall_s,
        "phase": record.phase.value,
        "phase_since": now.wall_s - max(0.0, now.monotonic_s - record.phase_since.monotonic_s),
        "billing": record.billing.value,
        "status": record.status,
        "seen": record.seen,
        "has_run": record.has_run,
        "polls": record.polls,
        "earlier_s": {phase.value: seconds for phase, seconds in record.earlier_s.items()},
        "code": record.code,
        "not_before": None if record.not_before is None else record.not_before.wall_s,
        "not_before_in": None if record.not_before is None else _left_s(record.not_before, now),
        "request_id": record.request_id,
    }


def restore(snapshot: Mapping[str, Any], now: Instant) -> TaskRecord:
    """Return the record that a snapshot holds.

    A restored success has no readable result, so that the first wait asks for it.

    Args:
        snapshot: What :func:`take` returned, possibly in another process or version.
        now: When it is read.

    Raises:
        SnapshotError: It is not a snapshot, is damaged, or is of a version that this
            release does not know.
    """
    if not isinstance(snapshot, Mapping):
        raise SnapshotError(f"a snapshot is a mapping, not {type(snapshot).__name__}")
    version = snapshot.get("version")
    if version != SNAPSHOT_VERSION or isinstance(version, bool):
        raise SnapshotError(
            f"this snapshot is of version {version!r:.40}, and this release reads version {SNAPSHOT_VERSION} only; "
            "go on with the release that wrote it"
        )
    phase = _phase(snapshot, "phase")
    if phase not in OPEN and phase not in _RESTORABLE_ENDS:
        raise SnapshotError(f"a snapshot is of an accepted task, and none can be in phase {phase}")
    accepted_at = snapshot.get("accepted_at")
    return TaskRecord(
        task_id=_word(snapshot, "task_id"),
        seed=_word(snapshot, "seed"),
        accepted_at=None if accepted_at is None else _past(_number(snapshot, "accepted_at"), now),
        phase=phase,
        phase_since=_past(_number(snapshot, "phase_since"), now),
        billing=_billing(snapshot),
        status=_optional_word(snapshot, "status"),
        seen=_flag(snapshot, "seen"),
        has_run=_flag(snapshot, "has_run"),
        polls=_count(snapshot, "polls"),
        earlier_s=_durations(snapshot),
        code=_optional_word(snapshot, "code"),
        request_id=_optional_word(snapshot, "request_id"),
        result_readable=phase is not Phase.SUCCEEDED,
        not_before=_not_before(snapshot, now),
    )


_RESTORABLE_ENDS = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELED, Phase.EXPIRED, Phase.ABANDONED})


def _past(wall_s: float, now: Instant) -> Instant:
    # A clock that was set back since must not place the task in the future.
    return now.at_wall(min(wall_s, now.wall_s))


def _left_s(until: Instant, now: Instant) -> float:
    return max(0.0, until.monotonic_s - now.monotonic_s)


def _not_before(snapshot: Mapping[str, Any], now: Instant) -> Instant | None:
    if snapshot.get("not_before") is None:
        return None
    until = now.at_wall(_number(snapshot, "not_before"))
    if snapshot.get("not_before_in") is not None:  # Earlier releases did not write it.
        # A clock that was set back since must not make the wait longer than what was left of it.
        most_s = max(0.0, _number(snapshot, "not_before_in"))
        until = until if until.wall_s - now.wall_s <= most_s else now.later(most_s)
    # What lies further ahead than any hint that is honoured was written by another clock.
    return until if until.wall_s - now.wall_s <= LONGEST_HINT_S else None


def _broken(name: str, expected: str, found: object) -> SnapshotError:
    return SnapshotError(f"this snapshot is damaged: {name!r} should be {expected}, not {type(found).__name__}")


def _word(snapshot: Mapping[str, Any], name: str) -> str:
    value = snapshot.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_WORD:
        raise _broken(name, f"a text of 1 to {_LONGEST_WORD} characters", value)
    return value


def _optional_word(snapshot: Mapping[str, Any], name: str) -> str | None:
    return None if snapshot.get(name) is None else _word(snapshot, name)


def _is_number(value: object) -> bool:
    # The comparison is false for nan, and holds for whole numbers that no float can hold.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST_NUMBER


def _number(snapshot: Mapping[str, Any], name: str) -> float:
    value = snapshot.get(name)
    if not _is_number(value):
        raise _broken(name, "a finite number", value)
    return float(snapshot[name])


def _flag(snapshot: Mapping[str, Any], name: str) -> bool:
    value = snapshot.get(name)
    if not isinstance(value, bool):
        raise _broken(name, "true or false", value)
    return value


def _count(snapshot: Mapping[str, Any], name: str) -> int:
    value = snapshot.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _broken(name, "a whole number, zero or more", value)
    return value


def _phase(snapshot: Mapping[str, Any], name: str) -> Phase:
    value: Any = snapshot.get(name)
    try:
        return Phase(value)
    except ValueError:
        raise _broken(name, "the name of a phase", value) from None


def _billing(snapshot: Mapping[str, Any]) -> Billing:
    value: Any = snapshot.get("billing")
    try:
        return Billing(value)
    except ValueError:
        raise _broken("billing", "a word for the bill", value) from None


def _durations(snapshot: Mapping[str, Any]) -> Mapping[Phase, float]:
    found = snapshot.get("earlier_s")
    if not isinstance(found, Mapping):
        raise _broken("earlier_s", "a mapping of phases to seconds", found)
    durations: dict[Phase, float] = {}
    for name in found:
        seconds = found[name]
        if not _is_number(seconds) or seconds < 0 or name not in Phase.__members__:
            raise _broken("earlier_s", "a mapping of phases to seconds", seconds)
        durations[Phase(name)] = float(seconds)
    return MappingProxyType(durations)
