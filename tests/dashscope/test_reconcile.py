"""Lost answers, from the socket to the file: the fake's bill shows one task for a key, and its asset is on disk."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from resilient_poll import Billing, ConfigurationError, Phase, SubmitInDoubt, Verdict
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.errors import ActRefused
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.instant import Instant
from tests.support.colours import COLOURS, MODEL, dashscope_client, got, run_in
from tests.support.fake_process import FakeProcess, running_fake

SCENARIO = """
version: 1
summary: Some answers to creates are lost, before or after they are carried out.
create: [{create}]
tasks: [PENDING 2s -> RUNNING 20s -> SUCCEEDED]
expect: {{outcome: IN_DOUBT}}
"""
LOSSES = {
    "lost-once": "{drop: after_commit}",
    "dropped-second": "{pass: 1}, {drop: before_commit, how: close}",
    "lost-between": "{pass: 1}, {drop: after_commit}, {pass: 1}, {drop: before_commit}, {drop: after_commit, times: 3}",
    "never-came": "{drop: before_commit}",
}
NUMBERS = count()
CAT, DOG = {"prompt": "a cat"}, {"prompt": "a dog"}
in_each_colour = pytest.mark.parametrize("colour", COLOURS)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeProcess]:
    """A fake for all of them, on a clock of ours; each test has a world of its own."""
    folder = tmp_path_factory.mktemp("scenarios")
    for name, create in LOSSES.items():
        (folder / f"{name}.yaml").write_text(SCENARIO.format(create=create))
    with running_fake("--clock", "manual", "--scenarios", str(folder)) as process:
        yield process


@dataclass
class Account:
    """A world of the fake, a ledger, and a clock that both sides go by.

    Attributes:
        keys: By a task's id, under which key it was made: the truth, as only its prompt tells it.
    """

    fake: FakeProcess
    scenario: str
    path: Path
    dialect: str = "dashscope"
    keys: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.api_key = f"sk-{self.scenario}.{next(NUMBERS)}"
        self.world = self.fake.open_world(self.api_key)
        start = self.fake.page(f"worlds/{self.world}/clock")["wall_s"]
        self.clock = VirtualClock(Instant(0.0, start), functools.partial(self.fake.advance, self.world))
        self.ledger = SqliteLedger(self.path)

    @property
    def bill(self) -> dict[str, Any]:
        """The fake's own bill."""
        page: dict[str, Any] = self.fake.page(f"worlds/{self.world}/bill")
        return page

    @property
    def requests(self) -> int:
        """How many requests came."""
        number: int = self.fake.page(f"worlds/{self.world}/journal")["counters"]["requests"]
        return number

    def prompt_of(self, task_id: str) -> str:
        """Return what a finished task was made of, as the service says it."""
        url = f"{self.fake.url}/api/v1/tasks/{task_id}"
        answer = httpx.get(url, headers={"authorization": f"Bearer {self.api_key}"})
        prompt: str = answer.raise_for_status().json()["output"]["orig_prompt"]
        return prompt

    @asynccontextmanager
    async def client(self, colour: str) -> AsyncIterator[Any]:
        """Yield a client of this account."""
        base_url = self.fake.url + {"dashscope": "/api/v1", "aisa": "/apis/v1"}[self.dialect]
        clock = self.clock if colour == "sync" else self.clock.for_async()
        options = {"api_key": self.api_key, "dialect": self.dialect, "ledger": self.ledger, "clock": clock}
        async with dashscope_client(colour, "own", base_url, **options) as client:
            yield client

    async def lose(self, client: Any, key: str, what: dict[str, Any] = CAT, **parameters: Any) -> None:
        """Submit something whose answer is lost."""
        with pytest.raises(SubmitInDoubt):
            await got(client.submit(MODEL, what, parameters, idempotency_key=key))


def account(fake: FakeProcess, scenario: str, folder: Path, dialect: str = "dashscope") -> Account:
    """Return an account of one's own."""
    return Account(fake, scenario, folder / f"ledger-{next(NUMBERS)}.sqlite3", dialect)


@in_each_colour
def test_a_lost_answer_is_found_and_its_asset_is_on_disk(fake: FakeProcess, tmp_path: Path, colour: str) -> None:
    """A task whose answer was lost is adopted once it can be compared, then waited for and saved; it is paid once."""
    here = account(fake, "lost-once", tmp_path)

    async def main() -> None:
        async with here.client(colour) as client:
            await here.lose(client, "order-1")
            assert [entry.key for entry in await got(client.doubts())] == ["order-1"]
            (early,) = await got(client.reconcile())
            assert (early.verdict, len(early.candidates)) == (Verdict.UNCLEAR, 1)
            assert "still runs" in early.why
            here.clock.advance(60.0)
        async with here.client(colour) as client:  # Another process, say.
            (found,) = await got(client.reconcile("order-1"))
            assert (found.verdict, found.entry.phase) == (Verdict.ADOPTED, Phase.SUCCEEDED)
            assert (found.entry.billing, found.task_id) == (Billing.BILLED, early.candidates[0].task_id)
            assert (await got(client.doubts()), await got(client.reconcile())) == ((), ())
            task = await got(client.submit(MODEL, CAT, {}, idempotency_key="order-1"))
            assert task.id == found.task_id
            assert (await got(task.wait())).billing is Billing.BILLED
            saved = await got(task.download(tmp_path / "clip.mp4"))
            assert saved.stat().st_size > 0

    run_in(colour, main)
    assert (here.bill["billed_tasks"], len(here.bill["tasks"])) == (1, 1)


@in_each_colour
def test_what_never_arrived_is_sent_again_by_permission_only(fake: FakeProcess, tmp_path: Path, colour: str) -> None:
    """That a create never arrived is said once the list proves it, and it is sent again only by permission."""
    here = account(fake, "dropped-second", tmp_path)

    async def main() -> None:
        async with here.client(colour) as client:
            known = await got(client.submit(MODEL, DOG, {}, idempotency_key="known"))
            await here.lose(client, "order-2")
            (early,) = await got(client.reconcile())
            assert (early.verdict, "reconcile again in 21 min" in early.why) == (Verdict.UNCLEAR, True)
            here.clock.advance(1_800.0)
            (none,) = await got(client.reconcile())
            assert (none.verdict, none.candidates, known.id in none.why) == (Verdict.NONE_FOUND, (), True)
            assert none.entry.phase is Phase.IN_DOUBT
            await here.lose(client, "order-2")  # Nothing is sent by itself.
            assert len(here.bill["tasks"]) == 1
            permitted = await got(client.permit_resubmit("order-2"))
            assert (permitted.phase, permitted.doubtful_sends) == (Phase.NEW, (1,))
            task = await got(client.submit(MODEL, CAT, {}, idempotency_key="order-2"))
            here.clock.advance(60.0)
            await got(task.wait())
            assert here.prompt_of(task.id) == CAT["prompt"]

    run_in(colour, main)
    assert len(here.bill["tasks"]) == 2


@in_each_colour
def test_of_many_lost_answers_each_finds_its_own(fake: FakeProcess, tmp_path: Path, colour: str) -> None:
    """Among known tasks and several lost ones, each doubt gets the task of its own prompt, and the one without none."""
    here = account(fake, "lost-between", tmp_path)
    prompts = {"two": "a dog", "four": "a cow", "five": "a cat", "six": "a pig", "seven": "a cat"}

    async def main() -> None:
        async with here.client(colour) as client:
            for key in ("one", "two", "three", "four", "five", "six", "seven"):
                here.clock.advance(2.0)
                if key in prompts:
                    await here.lose(client, key, {"prompt": prompts[key]}, duration=5)
                else:
                    await got(client.submit(MODEL, CAT, {"duration": 5}, idempotency_key=key))
            here.clock.advance(1_800.0)
            told = {each.entry.key: each for each in await got(client.reconcile())}
            assert list(told) == ["seven", "six", "five", "four", "two"]
            assert told["four"].verdict is Verdict.NONE_FOUND
            for key in ("two", "five", "six", "seven"):
                task_id = told[key].task_id
                assert task_id is not None
                assert here.prompt_of(task_id) == prompts[key]
                assert (await got(client.resume(key))).id == task_id

    run_in(colour, main)
    assert len(here.bill["tasks"]) == 6
    with SqliteLedger(here.path) as ledger:
        held = [entry.task_id for entry in ledger.entries() if entry.task_id is not None]
    assert sorted(held) == sorted(task["task_id"] for task in here.bill["tasks"])


@in_each_colour
def test_the_only_one_is_adopted_where_nobody_else_submits(fake: FakeProcess, tmp_path: Path, colour: str) -> None:
    """Where the ledger is declared the only submitter, the only candidate is adopted while it still runs."""
    here = account(fake, "lost-once", tmp_path)
    here.ledger.set_setting("sole_submitter", "yes")

    async def main() -> None:
        async with here.client(colour) as client:
            await here.lose(client, "order-3", {"prompt": "x", "img_url": "https://images.test/1"})
            here.clock.advance(5.0)
            (found,) = await got(client.reconcile())
            assert (found.verdict, found.entry.phase) == (Verdict.ADOPTED, Phase.RUNNING)
            assert found.entry.billing is Billing.ON_SUCCESS
            here.clock.advance(60.0)
            task = await got(client.resume("order-3"))
            assert (await got(task.wait())).billing is Billing.BILLED

    run_in(colour, main)
    assert len(here.bill["tasks"]) == 1


@in_each_colour
@pytest.mark.parametrize("is_sole", [False, True])
def test_what_is_adopted_is_handed_over(fake: FakeProcess, tmp_path: Path, colour: str, is_sole: bool) -> None:
    """The end of a task that was adopted, before or after it ended, reaches the application's handler once."""
    here = account(fake, "lost-once", tmp_path)
    here.ledger.set_setting("sole_submitter", "yes" if is_sole else "no")
    told: list[Any] = []

    async def main() -> None:
        async with here.client(colour) as client:
            await here.lose(client, "order-6")
            here.clock.advance(5.0 if is_sole else 60.0)
            (found,) = await got(client.reconcile())
            assert (found.verdict, found.entry.is_ended) == (Verdict.ADOPTED, not is_sole)
            for _ in range(2):
                await got(client.worker(told.append).run_until_idle())
        assert [(end.idempotency_key, end.task_id, end.error) for end in told] == [("order-6", found.task_id, None)]
        assert told[0].outcome.video_url

    run_in(colour, main)


@in_each_colour
def test_where_nothing_is_listed_nothing_is_asked(fake: FakeProcess, tmp_path: Path, colour: str) -> None:
    """In the dialect without a list a doubt stays one, it is said so, and nothing is sent; a human may adopt it."""
    here = account(fake, "lost-once", tmp_path, "aisa")

    async def main() -> None:
        async with here.client(colour) as client:
            await here.lose(client, "order-4")
            before = here.requests
            (told,) = await got(client.reconcile())
            assert (told.verdict, told.entry.phase) == (Verdict.CANNOT_LIST, Phase.IN_DOUBT)
            assert here.requests == before
            (task,) = here.bill["tasks"]
            adopted = await got(client.adopt("order-4", task["task_id"]))
            assert (adopted.id, (await got(client.doubts()))) == (task["task_id"], ())
            here.clock.advance(60.0)
            assert (await got(adopted.wait())).billing is Billing.BILLED

    run_in(colour, main)


@in_each_colour
def test_a_human_is_believed_only_so_far(fake: FakeProcess, tmp_path: Path, colour: str) -> None:
    """A task that the service does not know, another entry holds, or that shows another prompt or model is refused."""
    here = account(fake, "lost-between", tmp_path)

    async def main() -> None:
        async with here.client(colour) as client:
            one = await got(client.submit(MODEL, DOG, {}, idempotency_key="one"))
            await here.lose(client, "two")
            foreign = await got(client.submit("wan2.2-t2v-plus", CAT, {}))
            here.clock.advance(60.0)
            lost_id = next(
                task["task_id"] for task in here.bill["tasks"] if task["task_id"] not in {one.id, foreign.id}
            )
            wrong: dict[str, str] = {"no-such-task": "knows no task", one.id: "another prompt", foreign.id: "of model"}
            for task_id, said in wrong.items():
                with pytest.raises(ActRefused, match=said):
                    await got(client.adopt("two", task_id))
            with pytest.raises(ConfigurationError, match="no task id"):
                await got(client.adopt("two", "../x"))
            with pytest.raises(ActRefused, match="not in doubt"):
                await got(client.adopt("one", lost_id))
            for _ in range(2):  # Saying it twice does no harm.
                task = await got(client.adopt("two", lost_id))
                assert (task.id, task.phase) == (lost_id, Phase.SUCCEEDED)
            assert task.outcome is not None
            for key in ("one", "unheard of"):
                with pytest.raises(ConfigurationError):
                    await got(client.permit_resubmit(key))

    run_in(colour, main)


@in_each_colour
def test_what_is_given_up_stays_on_the_bill(fake: FakeProcess, tmp_path: Path, colour: str) -> None:
    """A doubt that is given up is none any more, and what may be owed for it stays in the ledger."""
    here = account(fake, "never-came", tmp_path)

    async def main() -> None:
        async with here.client(colour) as client:
            await here.lose(client, "order-5")
            given_up = await got(client.abandon("order-5", "the customer left"))
            assert (given_up.phase, given_up.billing) == (Phase.ABANDONED, Billing.UNDETERMINED)
            assert (given_up.message, await got(client.doubts())) == ("the customer left", ())
            with pytest.raises(ActRefused, match="not in doubt"):
                await got(client.reconcile("order-5"))

    run_in(colour, main)


def test_all_colours_come_to_the_same(fake: FakeProcess, tmp_path: Path) -> None:
    """Blocking or awaiting, the same loss brings the same verdicts in the same words, by as many requests."""
    told = []
    for colour in COLOURS:
        here = account(fake, "lost-between", tmp_path)

        async def main(colour: str = colour, here: Account = here) -> tuple[Any, ...]:
            async with here.client(colour) as client:
                await got(client.submit(MODEL, DOG, {}, idempotency_key="one"))
                await here.lose(client, "two")
                here.clock.advance(60.0)
                (found,) = await got(client.reconcile())
                return found.verdict, found.why.replace(found.task_id, "ID"), found.entry.phase, here.requests

        told.append(run_in(colour, main))
    assert told[0][0] is Verdict.ADOPTED
    assert told == [told[0]] * len(COLOURS)
