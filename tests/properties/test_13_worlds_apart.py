"""Property 13: worlds don't leak into each other; nothing a client sends makes the fake crash or grow without bound.

That it does not leave its folder has no chance in it; see tests/fake_server/test_downloads_and_journal.py.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from fake_server import engine as engine_module
from fake_server.engine import Engine, Reply, Request
from fake_server.moment import Moment
from fake_server.rules import service
from fake_server.rules.room import Room
from fake_server.scenario import Scenario
from fake_server.scenario import Service as ServicePart
from tests.fake_server.driving import WALL_S, Hand, header
from tests.fake_server.faulty import DIALOGS, played
from tests.fake_server.test_engine_properties import POLLED, TIMED, conversations, play, scenarios
from tests.support.properties import Property

STARTED = Moment(0.0, WALL_S)
Talk = list[tuple[float, Request]]


def apart(scenario: Scenario, dialog: list[tuple[str, float]], ours: Talk, theirs: Talk, turns: list[bool]) -> None:
    undisturbed = Engine(scenario, world="a", started=STARTED)
    alone = [*played(Hand(undisturbed), dialog), *play(undisturbed, ours)]
    room = Room()
    a, b = (Engine(scenario, world=name, started=STARTED, room=room) for name in ("a", "b"))
    answers = played(Hand(a), dialog)
    played(Hand(b), dialog)
    left, right, order = list(ours), list(theirs), list(turns)
    while left or right:
        is_ours = not right or (bool(left) and (order.pop() if order else True))
        if is_ours:
            answers += play(a, [left.pop(0)])
        else:
            play(b, [right.pop(0)])
    assert answers == alone
    assert {row.task_id for row in a.bill(STARTED).tasks}.isdisjoint(row.task_id for row in b.bill(STARTED).tasks)


def answers_whole(scenario: Scenario, requests: Talk) -> None:
    replies = play(Engine(scenario, world="w1", started=STARTED), requests)
    for (_, request), reply in zip(requests, replies, strict=True):
        assert isinstance(reply, Reply)
        # A synchronous create whose life goes wrong is the one server error that a scenario can ask for in a life.
        assert 200 <= reply.status < (505 if request.path.endswith("/multimodal-generation/generation") else 500)
        assert header(reply, "date")
        if request.method != "HEAD":
            assert header(reply, "content-length") == str(len(reply.body))
            if reply.status >= 400 and not request.path.startswith("/w/"):
                assert sentence_of(request, reply)
        for name, value in reply.headers:
            assert (name + value).isascii()
            assert "\n" not in value


def sentence_of(request: Request, reply: Reply) -> str:
    """The sentence of an error in the shape of the dialect that was spoken to."""
    packed = header(reply, "content-encoding") == "gzip"
    body = json.loads(gzip.decompress(reply.body) if packed else reply.body)
    assert (packed and header(reply, "vary") == "accept-encoding") or not packed
    error = body["error"] if request.path.startswith("/apis/v1/") else body
    assert error["code"]
    assert error["request_id"]
    return str(error["message"])


APART = Property(
    apart,
    scenario=scenarios(TIMED | POLLED),
    dialog=DIALOGS,
    ours=conversations(),
    theirs=conversations(),
    turns=st.lists(st.booleans(), max_size=30),
)
WHOLE = Property(
    answers_whole,
    scenario=scenarios(TIMED | POLLED, service=ServicePart(gzip="always", models="known")) | scenarios(TIMED),
    requests=conversations(),
)


def test_worlds_do_not_leak() -> None:
    """A world answers the same whether or not another is busy in the same process, and shares no id with it."""
    APART.holds()


def test_nothing_a_client_sends_is_answered_by_an_unscripted_500() -> None:
    """Whatever is sent, the answer is a whole HTTP answer with the world's date and a true length, below 500 but for
    a synchronous create whose life goes wrong, and an error is the dialect's own, with a sentence."""
    WHOLE.holds()


def ids_of_all(patch: pytest.MonkeyPatch) -> None:
    """An id says nothing of its world, so that two worlds give the same."""
    genuine = service.make_id
    patch.setattr(service, "make_id", lambda purpose: genuine(purpose.replace("|b|", "|a|")))


def tasks_of_all(patch: pytest.MonkeyPatch) -> None:
    """All worlds count their requests together."""
    genuine, count = Engine.handle, [0]

    def counting(self: Engine, request: Request, now: Moment) -> Any:
        self._requests = count[0]
        count[0] += 1
        return genuine(self, request, now)

    patch.setattr(Engine, "handle", counting)


@pytest.mark.parametrize("plant", [ids_of_all, tasks_of_all], ids=lambda plant: plant.__name__)
def test_a_leak_is_caught(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: two worlds share what each should have of its own."""
    plant(monkeypatch)
    APART.catches_the_planted_fault()


def test_a_crash_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a path that is no text of this world is a server error."""
    genuine = engine_module.route

    def fragile(method: str, path: str, query: str) -> Any:
        found = genuine(method, path, query)
        assert found.kind != "unmatched" or path.isascii(), "as a lookup in a table of bytes would"
        return found

    monkeypatch.setattr(engine_module, "route", fragile)
    WHOLE.catches_the_planted_fault()
