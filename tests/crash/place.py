"""Where it happens: a world of the fake, a ledger on disk, a folder, a clock, and what lies between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resilient_poll.ledger.sqlite import SqliteLedger
from tests.crash.between import Between
from tests.crash.clock import PacedClock
from tests.crash.judge import Facts, facts_of
from tests.support.fake_process import FakeProcess

__all__ = ["BASES", "SAMPLE", "Place"]

BASES = {"dashscope": "/api/v1", "aisa": "/apis/v1"}
SAMPLE = (Path(__file__).parents[2] / "fake_server" / "assets" / "sample.mp4").read_bytes()
"""What the fake serves as every video."""


@dataclass
class Place:
    """One world and everything that belongs to it.

    Attributes:
        fake: The fake.
        between: What carries requests to it.
        folder: Where the ledger and everything else lies; empty at first.
        api_key: Picks the world.
        speed: How many of the workers' seconds pass in one of the world's.
        dialect: Which service.
        options: What every worker is ordered, beside the place.
    """

    fake: FakeProcess
    between: Between
    folder: Path
    api_key: str
    speed: float
    dialect: str
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        self.world = self.fake.open_world(self.api_key)
        self.path = self.folder / "ledger.sqlite3"
        (self.folder / "files").mkdir()
        self.clock = PacedClock(self.folder / "clock", self.speed)
        SqliteLedger(self.path).close()

    def order(self, wanted: Iterable[int], **more: Any) -> dict[str, Any]:
        """Return the order of a worker that is to bring some keys."""
        return {
            "path": str(self.path),
            "folder": str(self.folder),
            "clock": str(self.folder / "clock"),
            "dialect": self.dialect,
            "api_key": self.api_key,
            "base_url": self.between.url + BASES[self.dialect],
            "wanted": list(wanted),
            "colour": "sync",
            **self.options,
            **more,
        }

    def bill(self) -> list[dict[str, Any]]:
        """Return the lines of the fake's bill."""
        page = self.fake.page(f"worlds/{self.world}/bill")
        assert not page["left_out"]
        rows: list[dict[str, Any]] = page["tasks"]
        return rows

    def facts(self, **more: Any) -> Facts:
        """Return what is known now."""
        return facts_of(self.path, self.folder, self.bill(), SAMPLE, **more)
