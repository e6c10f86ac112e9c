"""Runs a plan: a world for each run, side by side, and a report of each."""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fake_server.check.command import Ended, run_command
from fake_server.check.judging import Seen, judge_run, sum_up
from fake_server.check.outcome import Claim, read_claim
from fake_server.check.plan import Planned, environment
from fake_server.names import Refusal
from fake_server.rules.downloads import TYPES, sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fake_server.rules.expectations import Judgement, Verdict
    from fake_server.rules.journal import Entry
    from fake_server.running import RunningServer
    from fake_server.worlds import World

# Where a test cannot be run at all, programs end with this (GNU Automake's manual, "Scripts-based Testsuites").
CANNOT = 77
# Assets are a few kilobytes; what is larger than this is not what was made.
LARGEST_FILE_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """How commands are run.

    Args:
        command: The program and its arguments.
        jobs: How many run at the same time.
        limit_s: After how many seconds one is killed.
        deadline_s: After how many seconds a client is told to give up, at most; a scenario may say less.
    """

    command: Sequence[str]
    jobs: int
    limit_s: float
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one run.

    Args:
        planned: The run.
        verdict: PASS, FAIL, or NOT_EXERCISED.
        rows: Each expectation, judged; none where the run was left out.
        reason: Why it was left out or proves nothing, or None.
        ended: How the command ended; None where it was left out.
        entries: The lines of the journal that were kept.
        forgotten: How many were not.
        total: The true bill, as text.
        world: The world's name.
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
    # So that a world of this check cannot be one that anybody else has.
    tail = secrets.token_hex(4)

    def run(planned: Planned) -> Report:
        return _left_out(planned) if planned.left_out else _run(planned, server, settings, tail)

    with ThreadPoolExecutor(settings.jobs, "check") as pool:
        try:
            yield from pool.map(run, plan)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _left_out(planned: Planned) -> Report:
    return Report(planned, "NOT_EXERCISED", reason=planned.left_out)


def _run(planned: Planned, server: RunningServer, settings: Settings, tail: str) -> Report:
    key = f"sk-{planned.scenario.name}.{planned.dialect}-{tail}"
    world = server.call(lambda: server.worlds.for_key(key))
    if isinstance(world, Refusal):
        return Report(planned, "NOT_EXERCISED", reason=world.message)
    deadline_s = min(planned.scenario.client.timeout_s, settings.deadline_s)
    with tempfile.TemporaryDirectory(prefix="fake-dashscope-check-") as folder:
        output = Path(folder, "output")
        variables = environment(planned, server.url, key, deadline_s, str(output))
        ended = run_command(settings.command, variables, str(Path.cwd()), settings.limit_s)
        saved = _read(output)
    if ended.exit_code == CANNOT:
        return Report(planned, "NOT_EXERCISED", reason=f"the command says that it cannot do this (exit code {CANNOT})")
    claim = read_claim(ended.output)
    return server.call(lambda: _judge(planned, world, claim, ended, saved, settings.limit_s, deadline_s))


def _judge(
    planned: Planned,
    world: World,
    claim: Claim,
    ended: Ended,
    saved: bytes | None,
    limit_s: float,
    deadline_s: float,
) -> Report:
    """Called in the server's thread: it looks at the world while nothing else does."""
    now, engine = world.now(), world.engine
    bill = engine.bill(now, most_rows=0)
    made = [entry for entry in engine.journal.entries if entry.route == "create" and entry.task_id]
    seen = Seen(
        expectations=engine.verdict(now, claim.outcomes),
        conduct=engine.conduct.judge(gave_up="STILL_GOING" in claim.outcomes),
        expected_outcomes=planned.scenario.expect.outcomes,
        billed_tasks=bill.billed_tasks,
        tasks=sum(1 for _ in engine.everything()),
        accepted_at_s=made[0].at_s if made else None,
        ended_at_s=now.monotonic_s - engine.started.monotonic_s,
        saved=None if saved is None else _is_whole(saved),
    )
    rows = judge_run(seen, claim, ended, limit_s, deadline_s)
    verdict = sum_up(rows)
    return Report(
        planned,
        verdict,
        rows,
        "a fault of the scenario never struck" if verdict == "NOT_EXERCISED" else None,
        ended,
        engine.journal.entries,
        engine.journal.forgotten,
        str(bill.total),
        world.name,
    )


def _read(path: Path) -> bytes | None:
    """The file that was asked for, if it was saved; cut where it is larger than anything that is made here."""
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(LARGEST_FILE_BYTES)
    return None


def _is_whole(saved: bytes) -> bool:
    """Whether a file is one of those that are made here, to the last byte."""
    if any(saved == sample(extension).content for extension in TYPES):
        return True
    try:
        return isinstance(json.loads(saved), dict)  # a transcription
    except (ValueError, RecursionError):
        return False
