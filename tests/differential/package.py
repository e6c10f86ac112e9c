"""The vendor's own package and ours against the same scenarios, on one clock that nobody waits for.

``python -m tests.differential.package --write`` plays them all, in a minute, and keeps what came for
docs/differential.md; nothing in it is measured, so it comes out the same each time.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from fake_server.faults.model import Latency, Wire
from fake_server.scenario import Scenario
from resilient_poll.drive.clocks import VirtualClock
from tests.scenarios.client_under_test import Setting, drive
from tests.support.fake_process import FakeProcess, running_fake
from tests.support.quiet import quiet
from tests.support.shipped import all_shipped

__all__ = ["FACES", "KEPT", "Made", "compared", "kept", "made"]

FACES = {"v1": "`VideoSynthesis`, `ImageSynthesis`", "v2": "`Client`", "ours": "`resilient_poll`"}
KEPT = Path(__file__).with_suffix(".json")
"""What came, as it was written last; a test plays some of it anew and compares."""
# What the package's own classes for videos and images ask for.
ENDPOINTS = frozenset({"video", "text-to-image"})
# Answers that are held back want somebody who moves the clock meanwhile, and then nothing comes out the same twice.
LAST_POLLS = 12
PACED = frozenset({"drip", "stall"})


@dataclass(frozen=True)
class Made:
    """What one client made of one scenario.

    Attributes:
        said: What it told of each task.
        creates: How many creates it sent.
        tasks: How many tasks the service made.
        billed: How many of them it bills, once they came to an end.
        early: How many requests came before they were told to.
    """

    said: tuple[str, ...]
    creates: int
    tasks: int
    billed: int
    early: int


def compared() -> dict[str, Scenario]:
    """Return the scenarios that are compared."""
    return {name: scenario for name, scenario in all_shipped().items() if _is_comparable(scenario)}


def _is_comparable(scenario: Scenario) -> bool:
    effects = [fault.effect for fault in scenario.faults]
    is_paced = any(
        isinstance(effect, Latency) or (isinstance(effect, Wire) and effect.wire.kind in PACED) for effect in effects
    )
    return "dashscope" in scenario.dialects and scenario.client.endpoint in ENDPOINTS and not is_paced


def made(names: Sequence[str]) -> dict[str, dict[str, Made]]:
    """Let every client play some scenarios; return what each made of each, by scenario and client."""
    with quiet(), running_fake("--clock", "manual") as fake:
        said: dict[str, dict[str, tuple[str, ...]]] = {face: _theirs(fake, face, names) for face in ("v1", "v2")}
        said["ours"] = {name: _ours(fake, name) for name in names}
        return {name: {face: _made(fake, name, face, said[face][name]) for face in FACES} for name in names}


def kept() -> dict[str, dict[str, Made]]:
    """Return what was kept."""
    rows: dict[str, dict[str, Any]] = json.loads(KEPT.read_text(encoding="utf-8"))
    return {
        name: {face: Made(**{**row, "said": tuple(row["said"])}) for face, row in faces.items()}
        for name, faces in rows.items()
    }


def _theirs(fake: FakeProcess, face: str, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    command = [sys.executable, "-m", "tests.differential.package_run", face]
    command += [f"{fake.url}/api/v1", str(fake.admin.base_url), *names]
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(  # noqa: S603  # our own command
        command, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"scenario"')]
    return {row["scenario"]: tuple(_word(came) for came in row["came"]) for row in rows}


def _word(came: dict[str, Any]) -> str:
    """Return what a client told of a task, in the words of the judge where there is one."""
    if came["word"] == "ERROR":
        status = came["status"] or 0
        if came["stage"] == "create" and 400 <= status < 500 and status not in {408, 409}:
            return "THROTTLED" if status == 429 else "REFUSED"
        what = " ".join(str(came[name]) for name in ("status", "code") if came[name] is not None)
        at = "on the create" if came["stage"] == "create" else "while polling"
        return f"error {at}: {what or came['raised']}"
    words = {"UNKNOWN": "EXPIRED", "WAITS": "waits for ever"}
    return words.get(
        came["word"], f"stops at {came['word']}" if came["word"] in {"PENDING", "RUNNING"} else came["word"]
    )


def _ours(fake: FakeProcess, name: str) -> tuple[str, ...]:
    scenario = compared()[name]
    key = f"sk-{name}.ours"
    clock = VirtualClock(on_sleep=functools.partial(fake.advance, fake.open_world(key)))
    make_client = functools.partial(_client_of_ours, httpx)
    run = drive("sync", Setting(scenario, "dashscope", key, f"{fake.url}/api/v1", make_client, clock))
    return tuple(run.outcomes)


def _client_of_ours(library: Any, is_async: bool) -> Any:
    return library.AsyncClient(verify=False) if is_async else library.Client(verify=False)


def _made(fake: FakeProcess, name: str, face: str, said: tuple[str, ...]) -> Made:
    world = f"{name}.{face}"
    counters = fake.page(f"worlds/{world}/journal")["counters"]
    _see_to_the_end(fake, world, f"sk-{world}")
    bill = fake.page(f"worlds/{world}/bill")
    early = counters.get("early_creates", 0) + counters.get("early_polls", 0)
    return Made(said, counters.get("create_requests", 0), len(bill["tasks"]), bill["billed_tasks"], early)


def _see_to_the_end(fake: FakeProcess, world: str, key: str) -> None:
    """Ask about every task until it can go no further: what goes on is billed once it succeeds."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=fake.url, headers=headers, trust_env=False) as client:
        for _ in range(LAST_POLLS):
            fake.advance(world, 30.0)
            for task in fake.page(f"worlds/{world}/bill")["tasks"]:
                with suppress(httpx.HTTPError):
                    client.get(f"/api/v1/tasks/{task['task_id']}")


def main() -> None:
    """Play everything; ``--write`` keeps it for the documentation."""
    rows = {name: {face: asdict(one) for face, one in faces.items()} for name, faces in made(list(compared())).items()}
    text = "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()) + "\n}\n"
    if sys.argv[1:] == ["--write"]:
        KEPT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
