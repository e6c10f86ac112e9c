"""Property 11: same scenario, same seed, same requests: the same answers, byte for byte, ids and dates included."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from fake_server.engine import Engine, Request
from fake_server.faults.selection import Rack
from fake_server.moment import Moment
from fake_server.rules import service
from fake_server.scenario import load_scenario_text
from fake_server.strategies import scenarios
from tests.fake_server.driving import WALL_S, Hand
from tests.fake_server.faulty import DIALOGS, played
from tests.fake_server.test_engine_properties import conversations, play
from tests.support.properties import Property

STARTED = Moment(0.0, WALL_S)
Talk = list[tuple[float, Request]]


def answered(document: dict[str, Any], dialog: list[tuple[str, float]], requests: Talk, seed: int) -> list[Any]:
    """All that is said in one world: first to somebody sane, then to somebody mad."""
    scenario = load_scenario_text("drawn", json.dumps(document).encode())
    engine = Engine(scenario, world="w1", seed=seed, draw_seed=seed, started=STARTED)
    return [*played(Hand(engine), dialog), *play(engine, requests), *engine.journal.entries]


def answers_alike(document: dict[str, Any], dialog: list[tuple[str, float]], requests: Talk, seed: int) -> None:
    assert answered(document, dialog, requests, seed) == answered(document, dialog, requests, seed)


# Some chance, so that there is something to draw; the rest is whatever can be played.
by_chance = st.sampled_from([0.3, 0.5]).map(
    lambda probability: {"fault": "status", "status": 503, "probability": probability}
)
documents = st.builds(
    lambda document, fault: {**document, "faults": [*document.get("faults", []), fault]},
    scenarios(ends=False),
    by_chance,
)
ALIKE = Property(
    answers_alike,
    document=documents,
    dialog=DIALOGS,
    requests=conversations(),
    seed=st.integers(0, 9),
)


def test_the_same_requests_get_the_same_answers() -> None:
    """Whatever is played, with faults that strike by chance, and whatever is asked: twice the same is answered."""
    ALIKE.holds()


def counted_ids(patch: pytest.MonkeyPatch) -> None:
    """Ids are counted by the process, not by the world."""
    numbers = itertools.count()
    genuine = service.make_id
    patch.setattr(service, "make_id", lambda purpose: genuine(f"{purpose}|{next(numbers)}"))


def chance_of_its_own(patch: pytest.MonkeyPatch) -> None:
    """What strikes by chance is drawn by the process."""
    numbers = itertools.count()
    genuine = Rack.__init__

    def other_seed(self: Rack, draw_seed: int, *arguments: Any) -> None:
        genuine(self, draw_seed + next(numbers), *arguments)

    patch.setattr(Rack, "__init__", other_seed)


@pytest.mark.parametrize("plant", [counted_ids, chance_of_its_own], ids=lambda plant: plant.__name__)
def test_chance_from_elsewhere_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: something of an answer follows from the process that gives it."""
    plant(monkeypatch)
    ALIKE.catches_the_planted_fault()
