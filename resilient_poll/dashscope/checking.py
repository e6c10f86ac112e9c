"""What callers without a type checker pass: refused in one sentence, before anything is sent. Pure."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from resilient_poll.drive.clocks import RealClock, VirtualClock
from resilient_poll.errors import ConfigurationError, SafeToSubmitAgain
from resilient_poll.machine.policy import LONGEST_S, SubmitPolicy, WaitPolicy

__all__ = ["checked_consent", "checked_moment", "checked_options", "checked_seconds", "refused", "shown"]

LONGEST_SHOWN = 80
"""A value is quoted so that it can be recognised, and may be megabytes."""


def shown(value: object) -> str:
    """Return how a message quotes a value that a caller passed, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # an integer of 5,000 digits, or whatever a caller's class raises
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"


def refused(why: str) -> ConfigurationError:
    """Return the error for something to be created that makes no sense.

    Args:
        why: What is wrong with it, in one clause.
    """
    return ConfigurationError(f"{why}; nothing was sent", safe_to_submit_again=SafeToSubmitAgain.YES)


def checked_seconds(name: str, value: object, *, or_zero: bool = False) -> float:
    """Return a number of seconds that a wait can have.

    Args:
        name: What the caller calls it.
        value: What was passed.
        or_zero: Whether zero makes sense.

    Raises:
        ConfigurationError: It is none; every wait here ends, so there is no value for "for ever".
    """
    is_enough = operator.ge if or_zero else operator.gt
    if isinstance(value, int | float) and not isinstance(value, bool) and is_enough(value, 0) and value <= LONGEST_S:
        return value
    what = "zero or more" if or_zero else "greater than zero"
    raise ConfigurationError(f"{name} must be a finite number of seconds, {what}, not {shown(value)}; nothing was sent")


def checked_moment(name: str, value: object) -> datetime:
    """Return a moment that means the same everywhere.

    Args:
        name: What the caller calls it.
        value: What was passed.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(value, datetime):
        raise ConfigurationError(f"{name} must be a datetime with a time zone, not {shown(value)}; nothing was sent")
    if value.utcoffset() is None:
        raise ConfigurationError(
            f"{name} needs a time zone: a bare datetime means another moment elsewhere; nothing was sent"
        )
    return value


def checked_options(
    *,
    dialect: object,
    headers: object,
    wait_policy: object,
    submit_policy: object,
    clock: object,
    on_event: object,
    is_async: bool,
) -> None:
    """Check the kinds of a client's options, before a task is paid that could then not be waited for.

    Args:
        dialect: A text or None.
        headers: A mapping or None.
        wait_policy: A policy or None.
        submit_policy: A policy or None.
        clock: Something with ``now`` and ``sleep``, or None.
        on_event: A function or None.
        is_async: Whether the client awaits, and so its clock's sleep.

    Raises:
        ConfigurationError: One is of another kind.
    """
    kinds: tuple[tuple[str, object, Any, str], ...] = (
        ("dialect", dialect, str, "a text"),
        ("headers", headers, Mapping, "a mapping"),
        ("wait_policy", wait_policy, WaitPolicy, "a WaitPolicy"),
        ("submit_policy", submit_policy, SubmitPolicy, "a SubmitPolicy"),
    )
    for name, value, kind, what in kinds:
        if value is not None and not isinstance(value, kind):
            raise ConfigurationError(f"{name} must be {what}, not {shown(value)}; nothing was sent")
    if clock is not None and not all(callable(getattr(clock, name, None)) for name in ("now", "sleep")):
        raise ConfigurationError(f"clock must be able to say now() and to sleep(), not {shown(clock)}")
    if clock is not None and (isinstance(clock, RealClock | VirtualClock) if is_async else _awaits(clock)):
        kind = "blocks" if is_async else "is awaited"
        raise ConfigurationError(f"clock is of the other kind of client: its sleep() {kind}; nothing was sent")
    if on_event is not None and not callable(on_event):
        raise ConfigurationError(f"on_event must be a function of one event, not {shown(on_event)}")


def _awaits(clock: Any) -> bool:
    return inspect.iscoroutinefunction(clock.sleep)


def checked_consent(accept_second_charge: bool) -> bool:
    """Return a consent to pay twice, or none.

    Raises:
        ConfigurationError: It is no plain yes or no.
    """
    if accept_second_charge is not True and accept_second_charge is not False:
        # The text "false" is true in an if, and would pay.
        raise ConfigurationError(
            f"accept_second_charge must be True or False, not {shown(accept_second_charge)}; nothing was sent"
        )
    return accept_second_charge
