"""Refuse settings that make no sense, where they are made."""

from __future__ import annotations

import math
from typing import Any

from resilient_poll.errors import ConfigurationError

__all__ = ["check_count", "check_seconds", "check_share"]


def check_seconds(name: str, value: Any, *, is_zero_allowed: bool = False) -> None:
    """Refuse what is no finite time.

    Args:
        name: What the setting is called.
        value: In seconds.
        is_zero_allowed: Whether no time at all makes sense.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 <= value < math.inf):
        raise ConfigurationError(f"{name} is a finite number of seconds, not {value!r:.40}")
    if value == 0 and not is_zero_allowed:
        raise ConfigurationError(f"{name} must be more than 0 seconds")


def check_share(name: str, value: Any, *, is_zero_allowed: bool = False) -> None:
    """Refuse what is no part of a whole.

    Args:
        name: What the setting is called.
        value: From 0 to 1.
        is_zero_allowed: Whether nothing at all makes sense.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigurationError(f"{name} is a share from 0 to 1, not {value!r:.40}")
    if value == 0 and not is_zero_allowed:
        raise ConfigurationError(f"{name} must be more than 0")


def check_count(name: str, value: Any, *, least: int = 1) -> None:
    """Refuse what is no count.

    Args:
        name: What the setting is called.
        value: How many.
        least: The fewest that make sense.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{name} is a whole number of {least} or more, not {value!r:.40}")
