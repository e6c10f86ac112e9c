"""What becomes of one message on its way. Drawn by the message's own name, so that no other is moved by it."""

from __future__ import annotations

from typing import NamedTuple

from tests.simulation.chance import units

__all__ = ["CREATE_TROUBLES", "QUERY_TROUBLES", "Fate", "fate_of"]

CREATE_TROUBLES = (
    *("refused", "vanishes", "cut before", "never answered", "never answered", "cut after", "held up"),
    *("gateway before", "gateway after", "gateway says later", "garbled", "slow", "slow back"),
)
QUERY_TROUBLES = (
    *("refused", "vanishes", "cut before", "never answered", "cut after", "repeated", "repeated", "slow"),
    *("gateway before", "gateway after", "gateway says later", "garbled", "slow back"),
)


class Fate(NamedTuple):
    """What becomes of one message.

    Args:
        trouble: What goes wrong; empty if nothing does.
        out_s: How long the request takes to arrive.
        back_s: How long the answer takes.
        chance: One more number from 0 to 1, for what the trouble needs.
    """

    trouble: str
    out_s: float
    back_s: float
    chance: float


def fate_of(message: str, trouble: float, *, is_create: bool) -> Fate:
    """Return what becomes of a message.

    Args:
        message: Its name, the world's included.
        trouble: Which share of messages something happens to.
        is_create: Whether it costs money.
    """
    whether, which, out, back, chance, *_ = units(message)
    out_s, back_s = 0.01 + 0.06 * out, 0.01 + 0.06 * back
    if whether >= trouble:
        return Fate("", out_s, back_s, chance)
    troubles = CREATE_TROUBLES if is_create else QUERY_TROUBLES
    kind = troubles[int(which * len(troubles))]
    if kind == "slow":
        out_s += 40.0 * chance * chance
    elif kind == "slow back":
        back_s += 40.0 * chance * chance
    elif kind == "held up":
        out_s += 30.0 + 800.0 * chance
    return Fate(kind, out_s, back_s, chance)
