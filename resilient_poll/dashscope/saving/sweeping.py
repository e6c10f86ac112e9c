"""When to look for what killed downloads left in a folder: before the first download into it, and hourly after."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from resilient_poll.dashscope.saving.partial import STALE_S, sweep
from resilient_poll.drive.telling import logger

__all__ = ["Sweeper"]

_MOST_FOLDERS = 256
"""Folders that are remembered; where each task has its own, listing a small one once more costs little."""


@dataclass(slots=True)
class Sweeper:
    """Remembers which folders one client looked through, since a folder may hold a hundred thousand files."""

    _swept_wall_s: dict[Path, float] = field(default_factory=dict)

    def is_due(self, folder: Path, now_wall_s: float) -> bool:
        """Tell whether a folder is to be looked through."""
        since_s = self._swept_wall_s.get(folder)
        return since_s is None or not 0.0 <= now_wall_s - since_s < STALE_S

    def sweep(self, folder: Path, now_wall_s: float) -> None:
        """Look through a folder if it is time for it; see :func:`.sweep`."""
        if not self.is_due(folder, now_wall_s):
            return
        if len(self._swept_wall_s) >= _MOST_FOLDERS:
            self._swept_wall_s.clear()
        self._swept_wall_s[folder] = now_wall_s
        if swept := sweep(folder, now_wall_s):
            logger.info("removed what %d killed downloads had left in %s", swept, folder)
