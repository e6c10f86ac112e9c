"""How tasks go at the service, as the fake's own scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.scenario.model import Scenario
from tests.simulation.chance import Draws

__all__ = ["Script", "a_life"]

_KINDS = (
    (72.0, "short"),
    (6.0, "medium"),
    (1.0, "long"),
    (8.0, "fails"),
    (1.0, "fails late"),
    (2.0, "is canceled"),
    (2.0, "is canceled for a share"),
    (2.0, "is unknown for a while"),
    (0.4, "is unknown for ever"),
    (2.0, "has a word of its own"),
    (2.0, "goes back"),
    (2.0, "waits for polls"),
    (1.0, "ends at once"),
)
_CODES = ("DataInspectionFailed", "InternalError.Algo", "InvalidParameter")


def a_life(draws: Draws) -> Lifecycle:
    """Return how one task goes."""
    kind = draws.weighted(_KINDS)
    # Tenths of a second: equal lives are one object, and floats add up alike.
    return _life(kind, draws.whole(1, 12) / 10, draws.whole(1, 15) / 10, draws.one_of(_CODES))


@lru_cache(maxsize=4096)
def _life(kind: str, queued_s: float, running_s: float, code: str) -> Lifecycle:
    queued, running = Step("PENDING", queued_s), Step("RUNNING", running_s)
    succeeded, failed, canceled = Step("SUCCEEDED"), Step("FAILED", code=code), Step("CANCELED")
    steps: dict[str, tuple[Step, ...]] = {
        "short": (queued, running, succeeded),
        "medium": (queued, Step("RUNNING", 7 * running_s), succeeded),
        "long": (Step("PENDING", 15 * queued_s), Step("RUNNING", 60 * running_s), succeeded),
        "fails": (queued, running, failed),
        "fails late": (queued, Step("RUNNING", 20 * running_s), failed),
        "is canceled": (queued, canceled),
        "is canceled for a share": (queued, running, canceled),
        "is unknown for a while": (Step("UNKNOWN", 10 * queued_s), Step("RUNNING", 10 * running_s), succeeded),
        "is unknown for ever": (queued, Step("UNKNOWN")),
        "has a word of its own": (queued, Step("RENDERING", 10 * running_s), succeeded),
        "goes back": (Step("RUNNING", 4 * running_s), Step("PENDING", 5 * queued_s), running, succeeded),
        "waits for polls": (queued, Step("RUNNING", lasts_polls=3), succeeded),
        "ends at once": (succeeded,),
    }
    return Lifecycle(steps[kind], billed_share=Decimal("0.4") if kind == "is canceled for a share" else Decimal(0))


@dataclass(frozen=True)
class Script(Scenario):
    """A scenario in which each task's life belongs to what was asked for, and not to the order of arrival.

    Attributes:
        arriving: The life of the create that arrives now, in a list of one.
    """

    arriving: list[Lifecycle] = field(default_factory=list)

    def lifecycle_of(self, ordinal: int) -> Lifecycle:  # noqa: ARG002  # see above
        """Return the life of what arrives now."""
        return self.arriving[0]
