"""Property 10: the fake says only what the contract's bodies say, unless the scenario asks for something wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st

from fake_server.engine import Engine, Reply, Request
from fake_server.moment import Moment
from fake_server.scenario import load_scenario_text
from fake_server.strategies import lifecycles
from fake_server.wire import bodies, endpoints, errors
from tests.contract.test_fake_speaks_the_contract import BODIES, HEADERS, HONEST, PLACES, SCENARIOS, TASKS, check
from tests.support.properties import Property

Asked = tuple[tuple[Any, endpoints.Endpoint], int, tuple[tuple[str, str], ...], bytes]
asked = st.lists(st.tuples(PLACES, st.integers(0, 6), HEADERS, BODIES), max_size=12)
# A life with a word that nobody documented is one that asks for something wrong.
honest_lives = lifecycles().map(lambda life: life.replace("RENDERING", "RUNNING").replace("SUSPENDED", "PENDING"))


def says_what_is_documented(name: str, life: str | None, asked: Sequence[Asked]) -> None:
    scenario = SCENARIOS[name]
    if life is not None:
        text = f'{{"version": 1, "summary": "Drawn.", "tasks": ["{life}"], "expect": {{"outcome": "SUCCEEDED"}}}}'
        scenario = replace(scenario, tasks=load_scenario_text("drawn", text.encode()).tasks)
    engine = Engine(scenario, world="w1", started=Moment(0.0, 1.75e9))
    ids = ["nobody"]
    for number, ((dialect, endpoint), kind, headers, content) in enumerate(asked):
        base, tasks = bodies.BASES[dialect], TASKS[dialect]
        method, path, said, query = [
            ("POST", base + endpoint.path, "result" if endpoint.synchronous else "create", ""),
            ("GET", f"{tasks}/{ids[-1]}", "query", ""),
            ("GET", tasks, "list" if dialect == "dashscope" else "query", f"task_id={ids[-1]}"),
            ("POST", f"{tasks}/{ids[-1]}/cancel", "cancel", ""),
            ("GET", f"{tasks}/{ids[0]}", "query", ""),
            ("GET", f"{base}/nowhere", "none", ""),
            ("GET", f"{base}/quotas", "quotas", ""),
        ][kind]
        now = Moment(number * 1.5, 1.75e9 + number * 1.5)
        reply = engine.handle(Request(method, path, query, headers, content, "http://fake.test"), now)
        if isinstance(reply, Reply):
            check(dialect, said, reply)
            if said == "create" and reply.status == 200:
                ids.append(json.loads(reply.body)["output"]["task_id"])


DOCUMENTED = Property(says_what_is_documented, name=st.sampled_from(HONEST), life=st.none() | honest_lives, asked=asked)


def test_the_engine_says_only_what_the_contract_holds() -> None:
    """Whatever is asked, in each dialect and at each endpoint, every key, type, status word and error code stands in
    some body of the contract."""
    DOCUMENTED.holds()


def a_key_too_many(patch: pytest.MonkeyPatch) -> None:
    """A task that waits tells its progress, which no service does."""
    genuine = bodies.waiting

    def with_progress(*arguments: Any, **options: Any) -> Any:
        body = genuine(*arguments, **options)
        return {**body, "output": {**body["output"], "progress": 50}}

    patch.setattr(bodies, "waiting", with_progress)


def a_number_for_a_text(patch: pytest.MonkeyPatch) -> None:
    """Error messages are numbers."""
    genuine = errors.error_body

    def numbered(form: Any, status: int, code: str, message: str, request_id: str) -> Any:
        body = genuine(form, status, code, message, request_id)
        return {**body, "message": 7} if "message" in body else body

    patch.setattr(errors, "error_body", numbered)


def a_word_of_its_own(patch: pytest.MonkeyPatch) -> None:
    """What was accepted is called QUEUED."""
    genuine = bodies.accepted
    patch.setattr(bodies, "accepted", lambda task_id, _, request_id: genuine(task_id, "QUEUED", request_id))


@pytest.mark.parametrize(
    "plant", [a_key_too_many, a_number_for_a_text, a_word_of_its_own], ids=lambda plant: plant.__name__
)
def test_words_of_its_own_are_caught(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: the fake says something that nobody documented."""
    plant(monkeypatch)
    DOCUMENTED.catches_the_planted_fault()
