"""Who has a place, who waits for one, and who was overtaken. All that happened is kept and gone through anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

# Instants are sums of floats.
ROUNDING_S = 1e-6


@dataclass
class Line:
    """Places, and a line before them that is so long at most.

    Attributes:
        places: How many may have one.
        longest: How many may wait.
        past: Who came ("in") and who left ("out"), in order.
    """

    places: int
    longest: int
    past: list[tuple[str, int]] = field(default_factory=list)

    def here(self) -> list[int]:
        """Return those who are here, in the order in which they came: whoever came first has a place."""
        came: list[int] = []
        for what, who in self.past:
            if what == "in":
                came.append(who)
            else:
                came.remove(who)
        return came

    def inside(self) -> list[int]:
        """Return those who have a place."""
        return self.here()[: self.places]

    def waiting(self) -> list[int]:
        """Return those who wait, whoever is next first."""
        return self.here()[self.places :]

    def comes(self, who: int) -> bool:
        """Return whether one more is let in or may wait; only then is it here."""
        is_full = len(self.waiting()) >= self.longest and len(self.here()) >= self.places
        if not is_full:
            self.past.append(("in", who))
        return not is_full

    def leaves(self, who: int) -> int | None:
        """Return who has a place now that had none before one left."""
        before = self.inside()
        self.past.append(("out", who))
        came = [other for other in self.inside() if other not in before]
        return came[0] if came else None


def overtaken(sent: Sequence[tuple[float, int]], answer_after_s: float) -> list[str]:
    """Return who was overtaken, of those who are sent in the order of their numbers.

    Args:
        sent: When something was sent, and whose; more than once where it had to come again.
        answer_after_s: When one hears that one has to come again.

    Returns:
        A sentence for each.
    """
    firsts: dict[int, float] = {}
    for sent_s, who in sent:
        firsts.setdefault(who, sent_s)
    found = [
        f"{later} was first sent at {firsts[later]}, and {who} only at {firsts[who]}"
        for who in firsts
        for later in firsts
        if later > who and firsts[later] < firsts[who]
    ]
    for place, (sent_s, who) in enumerate(sent):
        for other in {earlier for _, earlier in sent[:place] if earlier < who}:
            last_s = max(at_s for at_s, earlier in sent[:place] if earlier == other)
            comes_again = any(later == other for _, later in sent[place:])
            if comes_again and last_s + answer_after_s < sent_s - ROUNDING_S:
                found.append(f"{who} was sent at {sent_s} while {other} waited to be sent again")
    return found


def most_within(starts_s: Iterable[float], window_s: float) -> int:
    """Return how many of some instants lie in a window that begins with one of them, at most."""
    starts = list(starts_s)
    return max((sum(at_s <= one_s < at_s + window_s - ROUNDING_S for one_s in starts) for at_s in starts), default=0)
