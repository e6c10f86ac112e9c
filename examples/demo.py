"""Three videos against a fake DashScope, with a throttled create and a bad gateway on the way.

Run it with ``make demo``. It starts the fake as a process of its own, drives the real client
over a real socket, and checks every claim that it prints at the end: it exits with 1 if one of
them does not hold.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from resilient_poll import Billing, DashScope, Fixed, Phase, ResilientPollError, Task, TaskError, WaitPolicy
from resilient_poll.events import AttemptFailed, Event, PhaseChanged, Throttled
from resilient_poll.ledger import MemoryLedger

KEY = "sk-demo"  # Picks the fake's scenario "demo" and its world of the same name.
WORLD = "demo"
SPEED = 4  # Scripted waits of 1 to 4 s take 0.25 to 1 s.
POLL_EVERY_S = 1.0
PATIENCE_S = 60.0
OUTPUT = Path("demo-output")
WIDEST_TRAIL = 42  # Keeps the table from growing while it is looked at.
PROMPTS = ("a paper boat", "a banned scene", "a foggy quay")
EXPECTED = (Phase.SUCCEEDED, Phase.FAILED, Phase.SUCCEEDED)
STYLES = {"SUCCEEDED": "bold green", "FAILED": "bold red", "RUNNING": "bold cyan", "": "dim"}

Claims = list[tuple[str, bool]]


@dataclass
class Clip:
    """One wanted video, and what happened to it."""

    prompt: str
    name: str
    task: Task | None = None
    trail: list[tuple[str, float]] = field(default_factory=list)
    error: ResilientPollError | None = None
    file: Path | None = None


class Show:
    """Tells what happens: a line for each event, and on a terminal a live table below them."""

    def __init__(self, clips: list[Clip], title: str) -> None:
        # rich also calls a log file with FORCE_COLOR a terminal.
        self.is_live = sys.stdout.isatty()
        self.console = Console(highlight=False)
        self.clips = clips
        self.title = title
        self.began_s = time.monotonic()
        self.retry_after_s: list[float] = []
        self.bad_gateways = 0

    def say(self, text: str, style: str = "") -> None:
        """Print one line of the story, with its second."""
        self.console.print(Text(f"{time.monotonic() - self.began_s:4.1f} s ", "dim"), Text(text, style), soft_wrap=True)

    def on_submit_event(self, event: Event) -> None:
        """Tell what happens to creates; the tasks tell of themselves."""
        if event.task_id is None and isinstance(event, Throttled):
            self.retry_after_s.append(event.retry_after_s or 0.0)
            hint = f"Retry-After {self.retry_after_s[-1]:g} s"
            self.say(f"create throttled: {hint}, nothing is sent until then", "yellow")

    def on_task_event(self, clip: Clip, event: Event) -> None:
        """Tell what happens to a task."""
        if isinstance(event, PhaseChanged):
            self.heard(clip, event.status or event.after)
        elif isinstance(event, AttemptFailed):
            self.bad_gateways += "502" in event.reason
            self.say(f"{clip.name}: a poll brought {event.reason}; a failed poll is no failed task", "yellow")

    def heard(self, clip: Clip, word: str) -> None:
        """Note the service's word for where a task stands."""
        clip.trail.append((word, time.monotonic()))
        self.say(f"{clip.name}: {word}", STYLES.get(word, ""))

    def __rich__(self) -> Table:
        table = Table("video", "where it stands", "polls", box=SIMPLE_HEAD)
        table.columns[1].min_width = WIDEST_TRAIL
        for column in table.columns:
            column.no_wrap = True
        for clip in self.clips:
            polls = clip.task.standing.polls if clip.task else 0
            table.add_row(f"{clip.name}: {clip.prompt}", trail_of(clip), str(polls))
        return table


def trail_of(clip: Clip) -> Text:
    """The service's words, and how long each held."""
    trail = Text("" if clip.trail else "not submitted", style="" if clip.trail else "dim")
    for index, (word, since_s) in enumerate(clip.trail):
        is_last = index == len(clip.trail) - 1
        is_end = word in {"SUCCEEDED", "FAILED"}
        end_s = time.monotonic() if is_last else clip.trail[index + 1][1]
        trail.append(" → " if index else "")
        trail.append(word, STYLES.get(word, "bold") if is_last else "dim")
        trail.append("" if is_end else f" {end_s - since_s:.1f} s", "" if is_last else "dim")
    return trail


@contextmanager
def fake_dashscope() -> Generator[dict[str, Any], None, None]:
    """Run ``fake-dashscope serve`` on a free port, and end it whatever happens."""
    command = [sys.executable, "-m", "fake_server", "serve", "--port", "0", "--speed", str(SPEED)]
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True)  # noqa: S603  # ours
        try:
            hello = process.stdout.readline() if process.stdout else ""
            if not hello:
                complaints.seek(0)
                raise SystemExit(f"the fake did not start: {complaints.read().strip()}")
            yield json.loads(hello)
        finally:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


def wait_and_save(clip: Clip, show: Show) -> None:
    """Wait for one task, telling every change, and save its video. Runs in a thread of its own."""
    assert clip.task is not None  # noqa: S101  # it was submitted before this thread was started
    try:
        for event in clip.task.updates(timeout=PATIENCE_S):
            show.on_task_event(clip, event)
        clip.file = clip.task.download(OUTPUT / f"{clip.name.replace(' ', '-')}.mp4")
        show.say(f"{clip.name}: saved to {clip.file} ({clip.file.stat().st_size:,} bytes)", "green")
    except TaskError as error:
        clip.error = error
        show.say(f"{clip.name}: {error.code or type(error).__name__}: {error.message or error}", "red")


def make_videos(base_url: str, clips: list[Clip], show: Show) -> None:
    """Submit one video after the other, each waited for in its own thread; they share the client."""
    policy = WaitPolicy(schedule=Fixed(POLL_EVERY_S))
    client = DashScope(
        dialect="aisa",
        api_key=KEY,
        base_url=base_url,
        wait_policy=policy,
        on_event=show.on_submit_event,
        ledger=MemoryLedger(),  # This fake forgets everything when the demo ends, and so may the ledger.
    )
    threads = []
    for clip in clips:
        show.say(f"{clip.name}: submitting {clip.prompt!r}", "dim")
        clip.task = client.submit("wan2.6-t2v", {"prompt": clip.prompt}, {"duration": 5}, timeout=PATIENCE_S)
        show.say(f"{clip.name}: accepted as task {clip.task.id}", "dim")
        show.heard(clip, clip.task.status or clip.task.phase)
        # Daemons: Ctrl-C ends the demo, not only its main thread.
        threads.append(threading.Thread(target=wait_and_save, args=(clip, show), daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join()
    # Not in a `with`: on Ctrl-C the threads still use it until the process ends.
    client.close()


def ask_the_fake(admin_url: str, clips: list[Clip]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fake's own bill, by task, and its verdict on the client."""
    outcomes = {"outcome": [clip.task.phase.value for clip in clips if clip.task]}
    with httpx.Client(base_url=f"{admin_url}/worlds/{WORLD}/", timeout=10) as admin:
        bill = admin.get("bill").raise_for_status().json()
        verdict = admin.get("verdict", params=outcomes).raise_for_status().json()
    return bill, verdict


def print_bill(show: Show, bill: dict[str, Any]) -> bool:
    """Print what we believe beside what the fake charges, and return whether they agree."""
    charged = {row["task_id"]: row for row in bill["tasks"]}
    table = Table("video", "outcome", "file", "we believe", "the fake charged", "", box=SIMPLE_HEAD)
    agreed = [len(charged) == len(show.clips)]
    for clip in show.clips:
        if clip.task is None:
            agreed.append(False)
            continue
        believed, row = clip.task.billing, charged.get(clip.task.id, {"billed": None, "amount": "missing"})
        same = {Billing.BILLED: True, Billing.NONE: False}.get(believed) is row["billed"]
        agreed.append(same)
        mark = Text("agree", "green") if same else Text("DIFFER", "bold red")
        phase = Text(clip.task.phase, STYLES.get(clip.task.phase, ""))
        table.add_row(clip.name, phase, clip.file.name if clip.file else "-", believed, row["amount"], mark)
    show.console.print()
    show.console.print(table)
    show.console.print(f"the fake's total: {bill['total']} for {bill['billed_tasks']} tasks\n")
    return all(agreed)


def is_video(file: Path | None) -> bool:
    """Whether a file is an mp4: its first box says so."""
    return file is not None and file.read_bytes()[4:8] == b"ftyp"


def what_it_showed(show: Show, bills_agree: bool, verdict: dict[str, Any]) -> Claims:
    """What the demo claims to have shown, each with whether it is true."""
    clips = show.clips
    ends = tuple(clip.task.phase if clip.task else None for clip in clips)
    saved = [is_video(clip.file) for clip in clips]
    failed = clips[1].error
    waits = ", ".join(f"{seconds:g} s" for seconds in show.retry_after_s) or "of no length"
    kept_words = len(verdict["expectations"])
    return [
        (f"A create met a 429 with Retry-After {waits}: waited out, then accepted.", show.retry_after_s == [2.0]),
        ("A poll met a proxy's page with HTTP 502: no task was harmed by it.", show.bad_gateways == 1),
        ("Three tasks, three ends: two videos, one refused by policy.", ends == EXPECTED),
        ("Both videos are on disk and are videos; the failed one has none.", saved == [True, False, True]),
        (
            f"The failure says what to do: {getattr(failed, 'try_again', 'nothing')}, and it was not billed.",
            failed is not None,
        ),
        ("What we believe was billed is what the fake charged.", bills_agree),
        (
            f"The fake's verdict on our manners, {kept_words} expectations: {verdict['verdict']}.",
            verdict["verdict"] == "PASS",
        ),
    ]


def main() -> int:
    """Run the demo and return its exit code."""
    # Everything here is on this machine: a proxy of the environment has no part in it.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
    # As Ctrl-C does: the fake is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    OUTPUT.mkdir(exist_ok=True)
    clips = [Clip(prompt, f"clip {number}") for number, prompt in enumerate(PROMPTS, 1)]
    with fake_dashscope() as fake:
        show = Show(clips, f"a fake DashScope at {fake['url']}, scenario {WORLD!r}")
        show.say(show.title)
        live = Live(show, console=show.console, refresh_per_second=10) if show.is_live else None
        try:
            if live:
                live.start()
            make_videos(f"{fake['url']}/apis/v1", clips, show)
        except ResilientPollError as error:
            show.say(str(error), "bold red")
            return 1
        finally:
            if live:
                live.stop()
        bill, verdict = ask_the_fake(fake["admin_url"], clips)
    claims = what_it_showed(show, print_bill(show, bill), verdict)
    for claim, holds in claims:
        show.console.print(
            Text("  ✓ " if holds else "  ✗ ", "bold green" if holds else "bold red"), Text(claim), sep=""
        )
    return 0 if all(holds for _, holds in claims) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; the fake is stopped")
