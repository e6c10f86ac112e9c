"""From what was judged to docs/mutants.json, and from that to the tables of docs/mutants.md."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.mutants.mutant import ROOT

STORED = ROOT / "docs" / "mutants.json"
PAGE = ROOT / "docs" / "mutants.md"
REASONS = Path(__file__).parent / "reasons"
BEGIN, END = "<!-- {}: derived from mutants.json -->", "<!-- end of {} -->"
NOTICED = ("killed", "timed out")


def store(rooms: dict[str, list[tuple[str, str]]], results: Path, tool: str) -> None:
    """Write down how the mutants of the code as it is have fared.

    Args:
        rooms: By room, each mutant's module and name.
        results: The folder with what was judged.
        tool: What made the mutants.
    """
    stored = json.loads(STORED.read_text()) if STORED.exists() else {"rooms": {}, "survivors": {}}
    stored["tool"] = tool
    for room, mutants in rooms.items():
        known = outcomes(results / f"{room}.jsonl", {path: fingerprint(path) for path, _ in mutants})
        counts: dict[str, Counter[str]] = {}
        survivors = []
        for path, name in mutants:
            outcome = known.get(name)
            counts.setdefault(path, Counter())["mutants"] += 1
            if outcome is not None:
                counts[path][outcome] += 1
            if outcome is not None and outcome not in NOTICED:
                survivors.append(name)
        stored["rooms"][room] = {path: dict(sorted(count.items())) for path, count in sorted(counts.items())}
        stored["survivors"][room] = sorted(survivors)
    STORED.write_text(json.dumps(stored, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def fingerprint(path: str) -> str:
    """Return what changes when a module does."""
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()[:12]


def outcomes(results: Path, versions: dict[str, str]) -> dict[str, str]:
    """Return how each mutant of the code as it is fared last.

    Args:
        results: The file with what was judged.
        versions: The fingerprint of each module as it is.
    """
    rows = map(json.loads, results.read_text().splitlines()) if results.exists() else ()
    return {row["name"]: row["outcome"] for row in rows if row["version"] == versions.get(row["path"])}


def explained(survivors: Iterable[str], reasons: list[dict[str, Any]]) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """Sort survivors by reason.

    Args:
        survivors: Their names.
        reasons: Each with `why`, and `mutants`: parts of names.

    Returns:
        The reasons, each with its survivors, and those that nobody has explained.
    """
    groups: list[tuple[str, list[str]]] = [(reason["why"], []) for reason in reasons]
    unread = []
    for name in survivors:
        for (_, found), reason in zip(groups, reasons, strict=True):
            if any(all(part in name for part in wanted.split(" & ")) for wanted in reason["mutants"]):
                found.append(name)
                break
        else:
            unread.append(name)
    return groups, unread


def read_reasons() -> list[dict[str, Any]]:
    """Return why mutants may survive: those of all files, each reason once."""
    found: dict[str, list[str]] = {}
    for path in sorted(REASONS.glob("*.toml")):
        for reason in tomllib.loads(path.read_text())["reason"]:
            found.setdefault(reason["why"], []).extend(reason["mutants"])
    return [{"why": why, "mutants": mutants} for why, mutants in found.items()]


def score_rows(stored: dict[str, Any], reasons: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the table of scores, a row a module, a bold one for each part."""
    yield "| module | mutants | judged | noticed | not noticed | of these explained | score |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for room, modules in stored["rooms"].items():
        groups, _ = explained(stored["survivors"][room], reasons)
        told = Counter(name.split("::")[0] for _, names in groups for name in names)
        total: Counter[str] = Counter()
        rows = []
        for path, count in modules.items():
            rows.append(_row(path, Counter(count), told[path]))
            total.update(count)
        yield _row(f"**{room}**", total, sum(told.values()))
        yield from rows


def _row(name: str, count: Counter[str], told: int) -> str:
    noticed = sum(count[outcome] for outcome in NOTICED)
    missed = count["survived"] + count["untested"]
    judged = noticed + missed
    score = f"{100 * noticed / judged:.1f} %" if judged else "-"
    return f"| {name} | {count['mutants']} | {judged} | {noticed} | {missed} | {told} | {score} |"


def survivor_lines(stored: dict[str, Any], reasons: list[dict[str, Any]]) -> Iterator[str]:
    """Yield every survivor under its reason, and those that nobody has read under none."""
    everyone = [name for names in stored["survivors"].values() for name in names]
    groups, unread = explained(everyone, reasons)
    for why, names in groups:
        if names:
            yield f"**{why}** ({len(names)})\n"
            yield from (f"- `{_short(name)}`" for name in names)
            yield ""
    if unread:
        counts = Counter(name.split("::")[0] for name in unread)
        yield f"**Not read yet** ({len(unread)}): each is a missing test, or equivalent; which, nobody has found out.\n"
        yield from (f"- {path}: {count}" for path, count in sorted(counts.items()))
        yield ""


def _short(name: str) -> str:
    return name.removeprefix("resilient_poll/").replace("`", "'").replace("\n", " ")


def write() -> None:
    """Write the tables of the page anew."""
    stored, reasons = json.loads(STORED.read_text()), read_reasons()
    page = PAGE.read_text()
    for name, lines in (("scores", score_rows(stored, reasons)), ("survivors", survivor_lines(stored, reasons))):
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n\n" + "\n".join(lines).rstrip() + f"\n\n{end}{after}"
    PAGE.write_text(page)
