"""How much all worlds of one server may hold together: a client makes worlds at will, and memory is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A task takes about a kilobyte (measured: 100 MB for 100,000 with prompts of 480 characters), so three full worlds
# and their text stay below a gigabyte.
MOST_TASKS_TOGETHER = 300_000
MOST_CHARACTERS_TOGETHER = 150_000_000


class Room:
    """Counts what worlds hold.

    Args:
        most_tasks: Tasks of all worlds, and results made at once.
        most_characters: Characters of their prompts and URLs.
        make_room: Called where something does not fit; gives up a world and says True, or has none to give up.
    """

    def __init__(
        self,
        most_tasks: int = MOST_TASKS_TOGETHER,
        most_characters: int = MOST_CHARACTERS_TOGETHER,
        make_room: Callable[[], bool] = lambda: False,
    ) -> None:
        self.most_tasks = most_tasks
        self._most_characters = most_characters
        self._make_room = make_room
        self._tasks = 0
        self._characters = 0

    def has_place(self, characters: int) -> bool:
        """Whether one more task with so much text fits, if need be after a world was given up."""
        while self._tasks >= self.most_tasks or self._characters + characters > self._most_characters:
            if not self._make_room():
                return False
        return True

    def take(self, characters: int) -> None:
        """One more task is held."""
        self._tasks += 1
        self._characters += characters

    def give_back(self, tasks: int, characters: int) -> None:
        """So many tasks with so much text are held no more."""
        self._tasks -= tasks
        self._characters -= characters
