"""Rewrite what the pages derive from the code: make docs. A test fails where it is stale."""

from __future__ import annotations

import functools
import re
import runpy
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from opentelemetry.metrics import NoOpMeter

from fake_server.scenario import load_scenario, shipped_scenarios
from resilient_poll import errors, events
from resilient_poll.cli.exit_codes import MEANINGS
from resilient_poll.dashscope.doubts.verdicts import Verdict
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS
from resilient_poll.dashscope.wire.error_catalogue import catalogue_rows
from resilient_poll.error_kinds import TryAgain
from resilient_poll.machine.lifecycle import BILLING_BY_PHASE, ENDS, MOVES, OPEN, Phase
from resilient_poll.machine.policy import SubmitPolicy, WaitPolicy
from resilient_poll.telemetry.measures import Measures
from resilient_poll.transports.middleware import notices

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "scenarios" / "README.md")
_BLOCK = re.compile(r"(<!-- derived: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def lifecycle_diagram() -> str:
    """Draw the table of moves as a Mermaid state diagram.

    The phases of an accepted task can nearly all follow each other, so they are drawn as
    one group: what all of them share is one arrow from the group, and ⇄ is an arrow each way.
    """
    lines = [
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> NEW",
        '    state "accepted" as accepted {',
        "        direction LR",
    ]
    inside = sorted(OPEN, key=list(Phase).index)
    drawn: set[tuple[Phase, Phase]] = set()
    for phase in inside:
        for target in inside:
            if target in MOVES[phase] and (target, phase) not in drawn:
                drawn.add((phase, target))
                lines.append(f"        {phase} --> {target}{' : ⇄' if phase in MOVES[target] else ''}")
    lines.append("    }")
    for phase in Phase:
        targets = MOVES[phase]
        if phase in OPEN:
            continue
        if targets >= OPEN - {Phase.UNRECOGNIZED}:
            lines.append(f"    {phase} --> accepted{' : an answer reopens it' if phase in ENDS else ''}")
            targets = targets - OPEN - ENDS | (targets & {Phase.REFUSED, Phase.ABANDONED})
        lines += [f"    {phase} --> {target}{_why(phase, target)}" for target in Phase if target in targets]
    shared = frozenset.intersection(*(MOVES[phase] for phase in OPEN))
    lines += [f"    accepted --> {target}" for target in Phase if target in shared and target not in OPEN]
    lines += [f"    {phase} --> [*]" for phase in Phase if not MOVES[phase]]
    return "\n".join([*lines, "```"])


def _why(phase: Phase, target: Phase) -> str:
    return {
        (Phase.SUBMITTING, Phase.NEW): " : refused for now, or surely not sent",
        (Phase.SUBMITTING, Phase.IN_DOUBT): " : the answer is lost",
    }.get((phase, target), "")


def phases_table() -> str:
    """List the phases with their meaning, taken from their own docstrings, and their bill."""
    source = (ROOT / "resilient_poll" / "machine" / "lifecycle.py").read_text()
    meanings = dict(re.findall(r'^    ([A-Z_]+) = "\1"\n    """(.*?)"""', source, re.MULTILINE | re.DOTALL))
    rows = [f"| `{phase}` | {meanings[phase]} | `{BILLING_BY_PHASE[phase]}` |" for phase in Phase]
    return "\n".join(["| phase | meaning | bill |", "|---|---|---|", *rows])


def exit_codes_table() -> str:
    """List the exit codes of the command line."""
    rows = [f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items()]
    return "\n".join(["| exit code | meaning |", "|---|---|", *rows])


def scenarios_table() -> str:
    """List the shipped scenarios, each with its purpose and what a good client makes of it."""
    rows = []
    for name, path in shipped_scenarios().items():
        scenario = load_scenario(path)
        outcomes = scenario.expect.outcome
        words = [outcomes] if isinstance(outcomes, str) else list(outcomes)
        rows.append(f"| `{name}` | {scenario.summary} | {', '.join(f'`{word}`' for word in words)} |")
    return "\n".join(["| scenario | what happens | a good client reports |", "|---|---|---|", *rows])


def endpoints_table() -> str:
    """List the documented endpoints."""
    rows = [
        f"| `{endpoint.name}` | {endpoint.makes} | `{'generate' if endpoint.is_synchronous else 'submit'}` "
        f"| {', '.join(sorted(endpoint.dialects))} | `{endpoint.path}` |"
        for endpoint in ENDPOINTS.values()
    ]
    return "\n".join(["| endpoint | makes | by | dialects | path |", "|---|---|---|---|---|", *rows])


def errors_table() -> str:
    """List what the documented error codes mean."""
    head = ("dialect", "HTTP", "codes", "kind", "try again", "on a create", "means")
    rows = [f"| {' | '.join(row)} |" for row in catalogue_rows()]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *rows])


def policies_table() -> str:
    """List the fields of both policies with their defaults, and what their docstrings say of them."""
    rows = []
    for policy in (WaitPolicy, SubmitPolicy):
        meanings = _attributes_of(policy)
        for field in fields(policy):
            value = getattr(policy(), field.name)
            if isinstance(value, Mapping):
                shown = ", ".join(f"{phase} {seconds:g}" for phase, seconds in value.items())
            else:
                shown = "none" if value is None else f"{value:g}" if isinstance(value, float) else f"`{value}`"
            rows.append(f"| `{policy.__name__}.{field.name}` | {shown} | {meanings[field.name]} |")
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


def events_table() -> str:
    """List the events, with the first sentence of their docstrings."""
    kinds = sorted((kind for kind in vars(events).values() if _is_event(kind)), key=lambda kind: kind.__name__)
    rows = [f"| `{kind.__name__}` | {' '.join((kind.__doc__ or '').split(chr(10) * 2)[0].split())} |" for kind in kinds]
    return "\n".join(["| event | when |", "|---|---|", *rows])


def all_events_table() -> str:
    """List every event of clients and transports, with its own fields and the first sentence of its docstring."""
    found = {kind for module in (events, notices) for kind in vars(module).values() if _is_event(kind)}
    common = {field.name for field in fields(events.Event)}
    rows = []
    for kind in sorted(found - {notices.RequestEvent}, key=lambda kind: kind.__name__):
        own = ", ".join(f"`{field.name}`" for field in fields(kind) if field.name not in common)
        rows.append(f"| `{kind.__name__}` | {own} | {' '.join((kind.__doc__ or '').split(chr(10) * 2)[0].split())} |")
    return "\n".join(["| event | fields | when |", "|---|---|---|", *rows])


def metrics_table() -> str:
    """List the metrics as the adapter makes them."""
    meter = _Meter()
    Measures(meter, 1)
    rows = [f"| `{name}` | {kind} | {unit} | {about} |" for kind, name, unit, about in meter.made]
    return "\n".join(["| metric | kind | unit | of what |", "|---|---|---|---|", *rows])


class _Meter(NoOpMeter):
    """Notes what is made of it."""

    def __init__(self) -> None:
        super().__init__("docs")
        self.made: list[tuple[str, str, str, str]] = []

    def create_histogram(self, name: str, unit: str = "", description: str = "", **more: Any) -> Any:
        self.made.append(("histogram", name, unit, description))
        return super().create_histogram(name, unit, description, **more)

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        self.made.append(("counter", name, unit, description))
        return super().create_counter(name, unit, description)


def _is_event(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event


def error_tree() -> str:
    """Show the tree of exceptions as their module draws it."""
    drawn = (errors.__doc__ or "").partition("::\n\n")[2].partition("\n\n")[0]
    return "\n".join(["```", *(line.removeprefix("    ") for line in drawn.splitlines()), "```"])


def _attributes_of(kind: type) -> dict[str, str]:
    text = (kind.__doc__ or "").partition("Attributes:")[2]
    found = re.findall(r"^ {8}(\w+): (.*?)(?=^ {8}\w+: |\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: " ".join(said.split()) for name, said in found}


def try_again_table() -> str:
    """List what the advice in an error means, taken from its own docstrings."""
    source = (ROOT / "resilient_poll" / "error_kinds.py").read_text().partition("class TryAgain")[2]
    meanings = dict(re.findall(r'^    ([A-Z_]+) = "[a-z_]+"\n    """(.*?)"""', source, re.MULTILINE | re.DOTALL))
    rows = [f"| `{word.value}` | {' '.join(meanings[word.name].split())} |" for word in TryAgain]
    return "\n".join(["| `try_again` | meaning |", "|---|---|", *rows])


def verdicts_table() -> str:
    """List what reconciling may come to, taken from its own docstrings."""
    source = (
        (ROOT / "resilient_poll" / "dashscope" / "doubts" / "verdicts.py").read_text().partition("class Verdict")[2]
    )
    meanings = dict(re.findall(r'^    ([A-Z_]+) = "[A-Z_]+"\n    """(.*?)"""', source, re.MULTILINE | re.DOTALL))
    rows = [f"| `{word}` | {' '.join(meanings[word].split())} |".replace("``", "`") for word in Verdict]
    return "\n".join(["| verdict | meaning |", "|---|---|", *rows])


def lost_answers() -> str:
    """Show what a lost answer costs; ``python -m benchmarks.lost_answers --write`` measures it, and a test compares."""
    return (ROOT / "benchmarks" / "lost_answers.md").read_text().strip()


def transport_events_table() -> str:
    """List what the transports tell, with the first sentence of their docstrings and their fields."""
    kinds = [kind for kind in vars(notices).values() if _is_event(kind) and kind is not notices.RequestEvent]
    common = {field.name for field in fields(notices.RequestEvent)}
    rows = []
    for kind in kinds:
        own = ", ".join(f"`{field.name}`" for field in fields(kind) if field.name not in common)
        rows.append(f"| `{kind.__name__}` | {(kind.__doc__ or '').splitlines()[0]} | {own} |")
    return "\n".join(["| event | when | besides `method` and `address` |", "|---|---|---|", *rows])


def outage() -> str:
    """Show what an outage is made of; ``python -m benchmarks.outage --write`` simulates it."""
    return (ROOT / "benchmarks" / "outage.md").read_text().strip()


def peers() -> str:
    """Show what others do; ``make peers`` sees for itself."""
    return (ROOT / "benchmarks" / "peers.md").read_text().strip()


def source_of(file: str, start: str, end: str) -> Callable[[], str]:
    """Return a function that shows the lines of a file between two marks."""

    def show() -> str:
        text = (ROOT / file).read_text()
        return f"```python\n{text.partition(start)[2].partition(end)[0].strip()}\n```"

    return show


def contrast() -> str:
    """Show what became of both loops; a test runs them and compares."""
    return "\n".join(["```", (ROOT / "docs" / "contrast.txt").read_text().strip(), "```"])


DERIVED: dict[str, Callable[[], str]] = {
    "minimal": source_of(
        "examples/minimal_poller.py", "# --- the loop that everyone writes first ---\n", "# --- ours ---\n"
    ),
    "ours": source_of("examples/minimal_poller.py", "# --- ours ---\n", "# --- end ---\n"),
    "contrast": contrast,
    "hand-over": source_of("examples/hand_over.py", "# --- example ---\n", "# --- end ---\n"),
    "lost-answers": lost_answers,
    "metrics": metrics_table,
    "other-api": source_of("examples/other_api.py", "# --- example ---\n", "# --- end ---\n"),
    "all-events": all_events_table,
    "embed-background-task": source_of(
        "examples/embedding/background_task.py", "# --- example ---\n", "# --- end ---\n"
    ),
    "embed-decorator": source_of("examples/embedding/decorator.py", "# --- example ---\n", "# --- end ---\n"),
    "embed-openai": source_of("examples/embedding/openai_sdk.py", "# --- example ---\n", "# --- end ---\n"),
    "embed-own-class": source_of("examples/embedding/own_class.py", "# --- example ---\n", "# --- end ---\n"),
    "embed-plain-thread": source_of("examples/embedding/plain_thread.py", "# --- example ---\n", "# --- end ---\n"),
    "embed-replicate": source_of("examples/embedding/replicate_sdk.py", "# --- example ---\n", "# --- end ---\n"),
    "embed-runwayml": source_of("examples/embedding/runwayml_sdk.py", "# --- example ---\n", "# --- end ---\n"),
    "embed-task-group": source_of("examples/embedding/task_group.py", "# --- example ---\n", "# --- end ---\n"),
    "endpoints": endpoints_table,
    "errors": errors_table,
    "error-tree": error_tree,
    "events": events_table,
    "exit-codes": exit_codes_table,
    "lifecycle": lifecycle_diagram,
    "outage": outage,
    "peers": peers,
    "phases": phases_table,
    "policies": policies_table,
    "scenarios": scenarios_table,
    "transport-events": transport_events_table,
    "try-again": try_again_table,
    "verdicts": verdicts_table,
}


def rewritten(text: str) -> str:
    """Return a page with every derived block made anew.

    Raises:
        KeyError: A block has a name that nothing derives.
    """
    return _BLOCK.sub(lambda block: f"{block[1]}{_all_blocks()[block['name']]()}\n{block[3]}", text)


@functools.cache
def _all_blocks() -> Mapping[str, Callable[[], str]]:
    """The blocks of this module, and those of the modules beside it that are called `derive_…` and have `BLOCKS`."""
    blocks = dict(DERIVED)
    for path in sorted((ROOT / "docs").glob("derive_*.py")):
        blocks.update(runpy.run_path(str(path))["BLOCKS"])
    return blocks


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(rewritten(page.read_text()))
        sys.stdout.write(f"{page.relative_to(ROOT)} is up to date\n")
