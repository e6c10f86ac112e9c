"""A breaker said in the simplest way: every result is kept, and everything is counted anew each time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """The numbers of a breaker; the shares are of the calls of a window, which is counted in ten pieces."""

    failure_share: float
    slow_share: float
    slow_call_s: float
    least_calls: int
    window_s: float
    open_s: float
    probes: int


class Breaker:
    """Which calls pass.

    Args:
        rules: Its numbers.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.state = "closed"
        self.generation = 0
        self.results: list[tuple[int, str]] = []
        self.moved_s = 0.0
        self.probes_out = 0
        self.probes_well = 0

    def go(self, state: str, now_s: float) -> None:
        """Go on in another state, with nothing counted yet."""
        self.state, self.moved_s = state, now_s
        self.generation += 1
        self.results, self.probes_out, self.probes_well = [], 0, 0

    def admit(self, now_s: float) -> int | None:
        """Return the generation in which a call passes; None if it does not."""
        is_over = now_s >= self.moved_s + self.rules.open_s
        if self.state == "open" and is_over:
            self.go("half_open", now_s)
        if self.state == "half_open":
            if self.probes_out + self.probes_well == self.rules.probes and is_over:
                self.go("half_open", now_s)
            if self.probes_out + self.probes_well == self.rules.probes:
                return None
            self.probes_out += 1
        return None if self.state == "open" else self.generation

    def note(self, generation: int, result: str, now_s: float) -> None:
        """Take in what a call came to: well, failed, slow or nothing."""
        if generation != self.generation:
            return
        if self.state == "half_open":
            self.probes_out -= 1
            if result == "well":
                self.probes_well += 1
                if self.probes_well == self.rules.probes:
                    self.go("closed", now_s)
            elif result != "nothing":
                self.go("open", now_s)
            return
        if result == "nothing":
            return
        piece = int(now_s * 10 / self.rules.window_s)
        self.results.append((piece, result))
        counted = [result for at, result in self.results if at > piece - 10]
        failed, slow = counted.count("failed"), counted.count("slow")
        is_bad = failed >= len(counted) * self.rules.failure_share or slow >= len(counted) * self.rules.slow_share
        if len(counted) >= self.rules.least_calls and is_bad:
            self.go("open", now_s)
