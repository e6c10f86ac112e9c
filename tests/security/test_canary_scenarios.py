"""Keys stay home (property 9) in every scenario: whatever happens, the key is in nothing that we say or write.

The service plays each scenario for a key that names none, so that nothing of it stands in a URL either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resilient_poll import Job, ResilientPollError
from resilient_poll.dashscope import client_core
from resilient_poll.dashscope.keeping import filing
from resilient_poll.dashscope.settings import Settings
from resilient_poll.dashscope.wire import requests
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS
from resilient_poll.drive import telling
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.security.canary_service import CANARY, CanaryService
from tests.security.hearing import Heard, disguises, files_below, leaks, listening
from tests.support.colours import dashscope_client, got, run_in
from tests.support.shipped import all_shipped

SCENARIOS = all_shipped()
CASES = [(name, one.dialects[turn % len(one.dialects)]) for turn, (name, one) in enumerate(SCENARIOS.items())]
"""Each scenario once, in the dialects by turns: what is said is decided in one place for both."""
BASE_PATHS = {"aisa": "/apis/v1", "dashscope": "/api/v1"}
MOST_TASKS = 2
"""Of a batch of a hundred, the first two say what the others would."""
AWAITED = ["succeeds", "create-answer-lost", "refused-create", "fails-by-policy", "stuck-running", "synchronous"]


@pytest.fixture(scope="module")
def service() -> Iterator[CanaryService]:
    """One service for all scenarios; each run has a key, and so a world, of its own."""
    running = CanaryService(manual=True)
    yield running
    running.stop()


def overheard(
    service: CanaryService, name: str, dialect: str, colour: str, folder: Path
) -> tuple[str, Heard, list[str | bytes]]:
    """Do all that a client can do in a scenario; return the key, what was heard, and everything in which to look."""
    asked, (key, world) = SCENARIOS[name].client, service.open_world(name)
    heard, clock = Heard(), VirtualClock(on_sleep=world.clock.advance)
    written: list[bytes] = []
    (folder / "saved").mkdir()

    async def main() -> None:
        with SqliteLedger(folder / "ledger.sqlite3") as ledger:
            async with dashscope_client(
                colour,
                "httpx" if colour == "sync" else "own",  # Ours loads the certificates, which takes as long as a run.
                service.url + BASE_PATHS[dialect],
                dialect=dialect,
                api_key=key,
                clock=clock if colour == "sync" else clock.for_async(),
                on_event=heard.say,
                ledger=ledger,
            ) as client:
                heard.say(client, client._core, client._core.settings, client._core.books)
                await everything(client, asked, heard, folder / "saved")
                heard.say(*ledger.entries(), *ledger.strays(), ledger.bill(), vars(client))
                # Beside an open ledger, where there is a log of what is not in the file yet, and locks of its owners.
                written.extend(files_below(folder))
        written.extend(files_below(folder))

    with listening(heard):
        run_in(colour, main)
    assert world.engine.journal.counters["create_requests"] > 0, "a key that is not sent proves nothing"
    return key, heard, [*heard.ours, *heard.theirs, *written]


async def everything(client: Any, asked: Any, heard: Heard, folder: Path) -> None:
    """Submit, look, wait, download, cancel, list, resume, hand over, reconcile: whatever comes of it is noted."""

    async def tried(call: Callable[[], Any]) -> Any:
        try:
            came = await got(call())
        except ResilientPollError as error:
            heard.error(error)
            return None
        heard.say(came)
        return came

    wanted = (asked.model, asked.input, asked.parameters)
    options = {"endpoint": asked.endpoint, "timeout": asked.submit_timeout_s}
    for number in range(min(asked.tasks, MOST_TASKS)):
        order = {**options, "idempotency_key": f"order {number}"}
        if ENDPOINTS[asked.endpoint].is_synchronous:
            if made := await tried(lambda order=order: client.generate(*wanted, **order)):
                await tried(lambda made=made: client.download_all(made, folder))
        elif task := await tried(lambda order=order: client.submit(*wanted, **order)):
            await with_a_task(client, task, asked, heard, folder, tried)
        await tried(lambda number=number: client.resume(f"order {number}"))
        await tried(lambda number=number: client.retry(f"order {number}", *wanted, endpoint=asked.endpoint))
    if not ENDPOINTS[asked.endpoint].is_synchronous:
        await tried(lambda: client.submit(*wanted, **options, idempotency_key="for a worker"))
    await tried(lambda: client.submit(*wanted, **options, idempotency_key="order 0"))
    await tried(lambda: client.submit("another", {"prompt": "another"}, idempotency_key="order 0"))
    await tried(lambda: all_of(client.list_remote, heard))
    await tried(lambda: all_of(lambda: client.submit_many([Job(*wanted, endpoint=asked.endpoint)]), heard))
    await tried(lambda: handed_over(client, heard))
    for call in (client.bill, client.doubts, client.reconcile):
        await tried(call)
    await tried(lambda: client.adopt("order 0", "11111111-2222-3333-4444-555555555555"))
    await tried(lambda: client.abandon("order 0"))


async def with_a_task(
    client: Any, task: Any, asked: Any, heard: Heard, folder: Path, tried: Callable[..., Any]
) -> None:
    """Do all that can be done with a task."""
    heard.say(task, task.standing, vars(task))
    heard.token(task.resume_token)
    await tried(task.refresh)
    if asked.cancel is not None:
        await tried(task.cancel)
    await tried(lambda: task.wait(timeout=asked.timeout_s))
    await tried(lambda: task.download_all(folder))
    await tried(lambda: task.download_all(folder))  # What is on disk, and known to be.
    await tried(task.cancel)
    await tried(lambda: client.resume(task.resume_token))
    await tried(lambda: client.task(task.id).wait(timeout=2.0))
    heard.say(task, task.standing, task.outcome)


async def all_of(make: Callable[[], Any], heard: Heard) -> None:
    """Note everything that comes, one after the other."""
    rows = make()
    if hasattr(rows, "__aiter__"):
        async for row in rows:
            heard.say(row)
    else:
        heard.say(*rows)


async def handed_over(client: Any, heard: Heard) -> None:
    """Have what nobody was told of handed over, to a handler that fails at first."""
    handed: list[Any] = []

    def handler(over: Any) -> None:
        handed.append(over)
        heard.say(over, over.outcome, over.error, over.task)
        if len(handed) == 1:
            raise ValueError("not now")

    heard.say(await got(client.worker(handler).run_until_idle(timeout=60.0)))


@pytest.mark.thorough(plain=10)
@pytest.mark.parametrize(("name", "dialect"), CASES)
def test_the_key_is_nowhere(service: CanaryService, name: str, dialect: str, tmp_path: Path) -> None:
    """In no scenario is the key, in any disguise, in logs, reprs, errors, tracebacks, tokens, the ledger or a file."""
    key, heard, said = overheard(service, name, dialect, "sync", tmp_path)
    assert len(heard.ours) > 30
    assert heard.theirs, "libraries that log nothing prove nothing"
    assert len([text for text in said if isinstance(text, bytes)]) > 4
    assert not leaks(key, said), leaks(key, said)[0]


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize("name", AWAITED)
@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_the_key_is_nowhere_in_code_that_awaits(service: CanaryService, name: str, colour: str, tmp_path: Path) -> None:
    """The same holds of the awaiting client, on asyncio and trio."""
    dialect = SCENARIOS[name].dialects[-1]
    key, heard, said = overheard(service, name, dialect, colour, tmp_path)
    assert len(heard.ours) > 30
    assert not leaks(key, said), leaks(key, said)[0]


def test_every_disguise_is_seen_through() -> None:
    """A key is found however it is spelt: in part, quoted, escaped, encoded at any place, or backwards."""
    import base64  # noqa: PLC0415  # only here
    import json  # noqa: PLC0415  # as above
    from urllib.parse import quote  # noqa: PLC0415  # as above

    key = CANARY.format(7)
    for text in (key, key[3:], key[5:18], key[-10:], json.dumps({"k": key}), repr([key]), quote(key), key[::-1]):
        assert leaks(key, ["so", f"a {text} b"]), text
    for before in ("", "a", "ab", "abc"):
        for pack in (base64.b64encode, base64.urlsafe_b64encode):
            assert leaks(key, [pack(f"{before}{key} and more".encode())]), before
    assert not leaks(key, ["sk-Kanari", "an innocent sentence", b"\0" * 100])
    assert len(disguises(key)) > 20


def _says_in_its_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "__repr__", lambda self: f"<Settings {self.api_key}>")


def _says_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = requests.query_request

    def logs(settings: Settings, task_id: str) -> Any:
        telling.logger.debug("asking with %r", settings.api_key[:16])
        return genuine(settings, task_id)

    monkeypatch.setattr(requests, "query_request", logs)


def _says_in_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = client_core.write_token

    def speaks(record: Any, settings: Settings, now: Any) -> str:
        return genuine(replace(record, message=settings.api_key, seed=settings.api_key), settings, now)

    monkeypatch.setattr("resilient_poll.dashscope.task_core.write_token", speaks)


def _writes_it_down(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = filing.namespace_of

    def labels(settings: Settings, account: str | None) -> Any:
        return replace(genuine(settings, account), account=f"key-{settings.api_key[-12:]}")

    monkeypatch.setattr("resilient_poll.dashscope.opening.namespace_of", labels)


@pytest.mark.parametrize("plant", [_says_in_its_repr, _says_in_a_log, _says_in_its_token, _writes_it_down])
def test_a_key_that_is_left_somewhere_is_found(
    service: CanaryService, plant: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: a key, or a part of it, that is left in one repr, log line, token or row is found there."""
    plant(monkeypatch)
    key, _, said = overheard(service, "succeeds", "dashscope", "sync", tmp_path)
    assert leaks(key, said)
