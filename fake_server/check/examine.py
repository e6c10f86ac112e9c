"""Runs a plan: a world for each run, side by side, and a report of each."""

from __future__ import annotations

import contextlib
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fake_server.check.command import Commands, Ended
from fake_server.check.judging import Seen, judge_run, sum_up
from fake_server.check.outcome import Claim, read_claim
from fake_server.check.plan import Planned, environment
from fake_server.check.proof import with_proof
from fake_server.names import Refusal
from fake_server.rules.downloads import TYPES, sample
from fake_server.story import tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fake_server.rules.expectations import Judgement, Verdict
    from fake_server.rules.journal import Entry
    from fake_server.running import RunningServer
    from fake_server.scenario.model import Scenario
    from fake_server.worlds import World

# Where a test cannot be run at all, programs end with this (GNU Automake's manual, "Scripts-based Testsuites").
CANNOT = 77
# Assets are a few kilobytes; what is larger than this is not what was made.
LARGEST_FILE_BYTES = 10_000_000
DEFAULT_LIMIT_S = 60.0
DEFAULT_DEADLINE_S = 30.0
# A report holds the stories of some sixty runs.
MOST_TOLD_TASKS = 50
MOST_TOLD_LINES = 300
# Ctrl-C shall end a check at once, as people feel it.
LOOK_AT_SIGNALS_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Settings:
    """How commands are run.

    Args:
        command: The program and its arguments.
        jobs: How many run at the same time.
        limit_s: After how many seconds one is killed; None for :data:`DEFAULT_LIMIT_S` and what a scenario takes.
        deadline_s: After how many seconds a client is told to give up, at most; a scenario may say less. None as above.
        rules: Which of the rules for everyone are judged; None for all.
        chaos: What else strikes, beside the scenarios' own faults, or None; then their expectations are not judged.
    """

    command: Sequence[str]
    jobs: int
    limit_s: float | None = None
    deadline_s: float | None = None
    rules: frozenset[str] | None = None
    chaos: str | None = None

    def limit_of(self, scenario: Scenario) -> float:
        """After how many seconds a command is killed: as told, or else after enough for what a scenario takes."""
        return self.limit_s if self.limit_s is not None else DEFAULT_LIMIT_S + scenario.takes_s

    def deadline_of(self, scenario: Scenario) -> float:
        """After how many seconds a client gives up a task: as told, or else after enough for what a scenario takes."""
        usual_s = self.deadline_s if self.deadline_s is not None else DEFAULT_DEADLINE_S + scenario.takes_s
        return min(scenario.client.timeout_s, usual_s)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one run.

    Args:
        planned: The run.
        verdict: PASS, FAIL, NOT_EXERCISED or INCOMPLETE.
        rows: Each expectation, judged; none where the run was left out.
        reason: Why it was left out or proves nothing, or None.
        ended: How the command ended; None where it was left out.
        entries: The lines of the journal that were kept.
        forgotten: How many were not.
        total: The true bill, as text.
        world: The world's name.
        story: What the report draws, of :func:`fake_server.story.tell`; None where nothing was run.
    """

    planned: Planned
    verdict: Verdict
    rows: Sequence[Judgement] = ()
    reason: str | None = None
    ended: Ended | None = None
    entries: Sequence[Entry] = ()
    forgotten: int = 0
    total: str = "0"
    world: str = ""
    story: Mapping[str, Any] | None = None


def examine(plan: Sequence[Planned], server: RunningServer, settings: Settings) -> Iterator[Report]:
    """Run a plan.

    Args:
        plan: What is run.
        server: The fake.
        settings: How.

    Yields:
        A report of each run, in the order of the plan, as soon as it and those before it are over.

    Raises:
        OSError: The command cannot be run at all.
    """
    commands = Commands()

    def run(planned: Planned) -> Report:
        return _left_out(planned) if planned.left_out else _run(planned, server, settings, commands)

    with ThreadPoolExecutor(settings.jobs, "check") as pool:
        try:
            for over in [pool.submit(run, planned) for planned in plan]:
                # Signals are looked at between two waits: one that comes as a wait begins would be seen at its end.
                while not over.done():
                    wait([over], timeout=LOOK_AT_SIGNALS_EVERY_S)
                yield over.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            commands.stop()
            raise


def _left_out(planned: Planned) -> Report:
    return Report(planned, "NOT_EXERCISED", reason=planned.left_out)


def _run(planned: Planned, server: RunningServer, settings: Settings, commands: Commands) -> Report:
    # Chance is drawn by the world's name, too: it must be the same when a run is replayed.
    key = f"sk-{planned.scenario.name}.{planned.dialect}"
    world = server.call(lambda: server.worlds.for_key(key))
    if isinstance(world, Refusal):
        return Report(planned, "NOT_EXERCISED", reason=world.message)
    limit_s, deadline_s = settings.limit_of(planned.scenario), settings.deadline_of(planned.scenario)
    began_s = server.call(lambda: _elapsed_s(world))
    with tempfile.TemporaryDirectory(prefix="fake-dashscope-check-") as folder:
        output = Path(folder, "output")
        variables = environment(planned, server.url, key, deadline_s, str(output))
        ended = commands.run(settings.command, variables, str(Path.cwd()), limit_s)
        saved = _read(output)
    if ended.exit_code == CANNOT:
        return Report(planned, "NOT_EXERCISED", reason=f"the command says that it cannot do this (exit code {CANNOT})")
    claim = read_claim(ended.output)
    played = Played(planned, world, claim, ended, saved, began_s + ended.took_s, limit_s, deadline_s)
    return server.call(lambda: _judge(played, settings))


def _elapsed_s(world: World) -> float:
    return world.now().monotonic_s - world.engine.started.monotonic_s


class Played(NamedTuple):
    """A run that is over: what was run, how it ended, and by which limits."""

    planned: Planned
    world: World
    claim: Claim
    ended: Ended
    saved: bytes | None
    ended_at_s: float
    limit_s: float
    deadline_s: float


def _judge(played: Played, settings: Settings) -> Report:
    """Called in the server's thread: it looks at the world while nothing else does."""
    planned, claim, engine = played.planned, played.claim, played.world.engine
    now = played.world.now()
    accepted_at_s = max((task.submitted_s - engine.started.monotonic_s for task in engine.everything()), default=None)
    waited_s = played.ended_at_s - (accepted_at_s or 0.0)
    conduct = engine.conduct.judge(gave_up="STILL_GOING" in claim.outcomes or waited_s >= played.deadline_s)
    story = tell(engine, now, most_tasks=MOST_TOLD_TASKS, most_lines=MOST_TOLD_LINES)
    # A task that the client left behind costs what it will have cost.
    end = engine.play_out(now)
    bill = engine.bill(end, most_rows=0)
    seen = Seen(
        expectations=engine.verdict(end, claim.outcomes, is_over=True),
        conduct=[row for row in conduct if settings.rules is None or row.name in settings.rules],
        expected_outcomes=planned.scenario.expect.outcomes,
        billed_tasks=bill.billed_tasks,
        tasks=sum(1 for _ in engine.everything()),
        accepted_at_s=accepted_at_s,
        ended_at_s=played.ended_at_s,
        saved=None if played.saved is None else _is_whole(played.saved, planned.scenario.client.endpoint),
        is_chaotic=settings.chaos is not None,
    )
    rows = judge_run(seen, claim, played.ended, played.limit_s, played.deadline_s)
    counters = engine.journal.counters
    verdict, reason = sum_up(rows, created=counters["create_requests"] > 0), None
    if verdict == "INCOMPLETE":
        reason = "more was asked than the judge remembers"
    elif verdict == "NOT_EXERCISED" and not counters["create_requests"]:
        reason = f"the command {'created' if counters['requests'] else 'asked the fake for'} nothing"
    elif verdict == "NOT_EXERCISED":
        reason = "a fault of the scenario never struck"
    return Report(
        planned,
        verdict,
        with_proof(rows, engine.journal.entries),
        reason,
        played.ended,
        engine.journal.entries,
        engine.journal.forgotten,
        str(bill.total),
        played.world.name,
        story,
    )


def _read(path: Path) -> bytes | None:
    """The file that was asked for, if it was saved; cut where it is larger than anything that is made here."""
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(LARGEST_FILE_BYTES)
    return None


def _is_whole(saved: bytes, endpoint: str) -> bool:
    """Whether a file is one of those that are made here, to the last byte."""
    if endpoint != "transcription":
        return any(saved == sample(extension).content for extension in TYPES)
    try:
        return isinstance(json.loads(saved), dict)
    except (ValueError, RecursionError):
        return False
