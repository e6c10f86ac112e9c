"""Which faults strike a request: counting what each looks at, and drawing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fake_server.faults.chance import draw
from fake_server.faults.model import ROUTE_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fake_server.faults.model import Fault, RouteKind

# Faults of one world: more are no test but a load.
MOST_FAULTS = 1_000


class Armed:
    """A fault in a world, and how often it struck.

    Args:
        fault: The fault.
        identity: Its name in this world, such as `a1`.
        rule: What its chance is drawn by.

    Attributes:
        matched: Requests that it looked at.
        struck: Requests for which it was chosen.
        fired: Requests on which it took effect; fewer where another fault decided the same thing before it.
    """

    __slots__ = ("fault", "fired", "identity", "matched", "rule", "struck")

    def __init__(self, fault: Fault, identity: str, rule: str) -> None:
        self.fault = fault
        self.identity = identity
        self.rule = rule
        self.matched = self.struck = self.fired = 0

    @property
    def is_used_up(self) -> bool:
        """Whether it fired as often as a run must have seen it."""
        return self.fired >= self.fault.selection.needed

    def strikes(self, seed: int, world: str, at_s: float, number: int, task_id: str) -> bool:
        """Look at a request of a route of its own, and say whether it is struck.

        The answer depends on this fault and on the requests, never on other faults.

        Args:
            seed: The seed of the run.
            world: The world's name.
            at_s: Seconds since the world began.
            number: The number of the task that it is about, from 1; 0 for none.
            task_id: Its id; empty for none.
        """
        chosen = self.fault.selection
        if not chosen.from_s <= at_s < chosen.until_s:
            return False
        if chosen.task is not None and chosen.task not in (number, task_id):
            return False
        self.matched += 1
        if chosen.times is not None and self.struck >= chosen.times:
            return False
        if not _is_counted_in(self.matched, chosen.nth, chosen.first, chosen.every_nth):
            return False
        if chosen.probability < 1 and draw(seed, world, self.rule, self.matched) >= chosen.probability:
            return False
        self.struck += 1
        return True


def _is_counted_in(ordinal: int, nth: Sequence[int], first: int | None, every_nth: int | None) -> bool:
    if nth:
        return ordinal in nth
    if first is not None:
        return ordinal <= first
    return every_nth is None or ordinal % every_nth == 0


class Rack:
    """The faults of one world, in their order: the scenario's, then chaos, then what was armed.

    Args:
        seed: The seed of the run.
        world: The world's name.
        scripted: The scenario's faults.
        chaos: Those of a chaos file.
    """

    def __init__(self, seed: int, world: str, scripted: Iterable[Fault] = (), chaos: Iterable[Fault] = ()) -> None:
        self._seed = seed
        self._world = world
        self._armed: dict[str, Armed] = {}
        self._by_route: dict[RouteKind, list[Armed]] = {}
        self._same: Counter[str] = Counter()
        self._ordinals: Counter[str] = Counter()
        for letter, faults in (("s", scripted), ("c", chaos)):
            for fault in faults:
                self.add(fault, letter)

    @property
    def armed(self) -> list[Armed]:
        """Every fault that is armed, in order."""
        return list(self._armed.values())

    def add(self, fault: Fault, letter: str = "a") -> str:
        """Arm a fault.

        Args:
            fault: The fault.
            letter: The first letter of its identity.

        Returns:
            Its identity, such as `a1`.

        Raises:
            ValueError: If there are too many.
        """
        if len(self._armed) >= MOST_FAULTS:
            raise ValueError(f"found {MOST_FAULTS} faults armed already, expected fewer")
        self._ordinals[letter] += 1
        identity = f"{letter}{self._ordinals[letter]}"
        rule = fault.rule()
        # Of several that say the same each draws for itself.
        self._same[rule] += 1
        if self._same[rule] > 1:
            rule = f"{rule}#{self._same[rule]}"
        self._armed[identity] = Armed(fault, identity, rule)
        self._sort()
        return identity

    def remove(self, identity: str) -> bool:
        """Disarm a fault; whether there was one."""
        found = self._armed.pop(identity, None)
        self._sort()
        return found is not None

    def _sort(self) -> None:
        self._by_route = {}
        for route in ROUTE_KINDS:
            concerned = [each for each in self._armed.values() if route in each.fault.selection.on]
            if concerned:
                self._by_route[route] = concerned

    def concerns(self, route: RouteKind) -> bool:
        """Whether any fault looks at requests of a route."""
        return route in self._by_route

    def strike(
        self,
        route: RouteKind,
        at_s: float,
        number: int = 0,
        task_id: str = "",
        fits: Callable[[Armed], bool] = lambda _: True,
    ) -> list[Armed]:
        """The faults that strike a request, in order.

        Args:
            route: What it asks for.
            at_s: As for :meth:`Armed.strikes`, like the next two.
            number: The number of its task.
            task_id: The id of its task.
            fits: Whether a fault is about such requests at all; those that it is not about it does not count.
        """
        return [
            each
            for each in self._by_route.get(route, ())
            if fits(each) and each.strikes(self._seed, self._world, at_s, number, task_id)
        ]

    def delay_unit(self, armed: Armed) -> float:
        """The draw behind the length of a delay that strikes now."""
        return draw(self._seed, self._world, armed.rule, armed.matched, "delay")

    @property
    def expected(self) -> list[Armed]:
        """The faults that a run must use up."""
        return [each for each in self._armed.values() if each.fault.must_fire]
