"""Chance without state: every draw is a hash of what it is for, so that no draw depends on another."""

from __future__ import annotations

import math
from hashlib import blake2b
from statistics import NormalDist

_NORMAL = NormalDist()
_RANGE = float(1 << 52)


def draw(seed: int, world: str, rule: str, ordinal: int, purpose: str = "strike") -> float:
    """A number above 0 and below 1 that follows from its arguments alone, evenly spread over them.

    Args:
        seed: The seed of the run.
        world: The world's name.
        rule: The fault's own words (:meth:`fake_server.faults.model.Fault.rule`).
        ordinal: Which of the requests that it looks at.
        purpose: What is drawn.
    """
    text = f"{seed}|{world}|{ordinal}|{purpose}|{rule}"
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    # 52 bits and the half, which keeps both ends out, are what a float holds.
    return ((int.from_bytes(digest) >> 12) + 0.5) / _RANGE


def log_normal(unit: float, median: float, sigma: float, most: float) -> float:
    """A log-normal number.

    Args:
        unit: An even draw, above 0 and below 1.
        median: Its median.
        sigma: The standard deviation of its logarithm.
        most: What it is cut to, as the tail of this distribution has no end.
    """
    exponent = min(sigma * _NORMAL.inv_cdf(unit), 700.0)
    return min(median * math.exp(exponent), most)
