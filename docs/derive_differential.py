"""Where the vendor's package and ours differ, for docs/differential.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.differential.package import FACES, compared, kept
from tests.differential.rules import RULES, agree, rules_for
from tests.support.shipped import all_shipped

_THEIRS = ("v1", "v2")
_HEAD = "| scenario | client | it | ours |"


def _summary() -> str:
    rows = kept()
    lines = ["| client | scenarios | the same as ours | differs, ours is right | differs, either is right |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for face in _THEIRS:
        same = [name for name, made in rows.items() if agree(made[face], made["ours"])]
        judged = [rules_for(made[face], made["ours"]) for name, made in rows.items() if name not in same]
        wrong = sum(any(rule.right == "ours" for rule in rules) for rules in judged)
        told = f"`dashscope` 2.0.2, {FACES[face]}"
        lines.append(f"| {told} | {len(rows)} | {len(same)} | {wrong} | {len(judged) - wrong} |")
    return "\n".join(lines)


def _differences() -> str:
    rows = kept()
    parts = []
    for rule in RULES:
        table = [
            f"| `{name}` | {face} | {_told(made[face])} | {_told(made['ours'])} |"
            for name, made in rows.items()
            for face in _THEIRS
            if rule in rules_for(made[face], made["ours"])
        ]
        if table:
            right = f"**Right: {'either' if rule.right == 'either' else 'ours'}.** {rule.by}"
            parts.append(
                "\n".join(
                    [f"### It {rule.name}", "", rule.what, "", right, "", _HEAD, "| --- | --- | --- | --- |", *table]
                )
            )
    return "\n\n".join(parts)


def _told(made: object) -> str:
    said = list(made.said)  # type: ignore[attr-defined]  # tests have no types here
    words = [f"{said.count(word)} {word}" if len(said) > 1 else word for word in dict.fromkeys(said)]
    bill = f"{made.tasks} made, {made.billed} billed"  # type: ignore[attr-defined]  # as above
    early = f", {made.early} too early" if made.early else ""  # type: ignore[attr-defined]  # as above
    return f"{', '.join(words)} ({bill}{early})"


def _left_out() -> str:
    names = ", ".join(f"`{name}`" for name in sorted(set(all_shipped()) - set(compared())))
    return f"Not compared: {names}."


BLOCKS: Mapping[str, Callable[[], str]] = {
    "differential-summary": _summary,
    "differential-differences": _differences,
    "differential-left-out": _left_out,
}
