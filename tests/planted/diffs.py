"""A planted bug as a file: what it breaks, who must catch it, and the difference itself. Nothing is run here.

Only the text of a hunk decides where it belongs, never its line number, and it must fit exactly one place: the code
around it may move, and where it changed, that is told instead of guessed.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["FOLDER", "DoesNotApply", "Hunk", "Planted", "Unreadable", "planted_bugs", "read_patch"]

FOLDER = Path(__file__).parent / "patches"
_HEADER = ("Broken", "Property", "Caught by")
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_NODE = re.compile(r"tests/[\w/]+\.py::\w+(?:::\w+)*(?:\[[^\n]+\])?")
_PLACES = ("resilient_poll/", "fake_server/")
_PROPERTIES = range(1, 14)


class Unreadable(Exception):
    """A patch file is not in the form that is asked for."""


class DoesNotApply(Exception):
    """The code has moved on from what a patch was written for."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that are replaced by others, line ends not included.

    Attributes:
        line: Where the lines began when the patch was written, from 1.
        before: What must be there.
        after: What takes its place.
    """

    line: int
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Planted:
    """A bug that is planted on purpose.

    Attributes:
        name: The patch's name.
        broken: What is broken, in a sentence.
        properties: The numbers of the properties that it breaks.
        caught_by: The node of the test that must fail.
        hunks: The difference, by file.
    """

    name: str
    broken: str
    properties: tuple[int, ...]
    caught_by: str
    hunks: dict[str, tuple[Hunk, ...]]

    def apply(self, root: Path) -> dict[str, str]:
        """Return the texts of the files that it changes, by their paths below a folder; nothing is written.

        Args:
            root: Where the packages are.

        Raises:
            DoesNotApply: A hunk fits nowhere, or in more than one place.
        """
        changed = {}
        for path, hunks in self.hunks.items():
            file = root / path
            if not file.is_file():
                raise DoesNotApply(f"{self.name}: there is no {path} any more; write the patch anew, or remove it")
            changed[path] = self._applied(path, file.read_text(encoding="utf-8"), hunks)
        return changed

    def has_its_test(self, root: Path) -> bool:
        """Return whether there is a test of the name that is to catch it; its parameters are not looked at.

        Args:
            root: Where the tests are.
        """
        file, _, name = self.caught_by.partition("[")[0].partition("::")
        return (root / file).is_file() and name in _functions_of((root / file).read_text(encoding="utf-8"))

    def _applied(self, path: str, text: str, hunks: tuple[Hunk, ...]) -> str:
        lines = text.split("\n")
        begins = 0
        for hunk in hunks:
            places = [
                place
                for place in range(begins, len(lines) - len(hunk.before) + 1)
                if tuple(lines[place : place + len(hunk.before)]) == hunk.before
            ]
            if len(places) != 1:
                what = "fits nowhere in" if not places else f"fits {len(places)} places of"
                wanted = "\n".join(f"    {line}" for line in hunk.before)
                raise DoesNotApply(
                    f"{self.name}: the hunk of line {hunk.line} {what} {path}, whose text has changed since; "
                    f"write the patch anew, or remove it with its reason:\n{wanted}"
                )
            lines[places[0] : places[0] + len(hunk.before)] = hunk.after
            begins = places[0] + len(hunk.after)
        return "\n".join(lines)


def _functions_of(text: str) -> set[str]:
    """Return the names of a module's functions, with those of its classes."""
    found = set()
    for node in ast.parse(text).body:
        inside = node.body if isinstance(node, ast.ClassDef) else []
        found |= {f"{getattr(node, 'name', '')}::{member.name}" for member in inside if hasattr(member, "name")}
        found.add(getattr(node, "name", ""))
    return found


def planted_bugs(folder: Path = FOLDER) -> tuple[Planted, ...]:
    """Return all planted bugs, by name.

    Raises:
        Unreadable: One of them is not in the form that is asked for.
    """
    return tuple(read_patch(file.stem, file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.patch")))


def read_patch(name: str, text: str) -> Planted:
    """Return the bug that a patch file holds.

    Args:
        name: The patch's name.
        text: ``Broken:``, ``Property:`` and ``Caught by:``, then a unified diff.

    Raises:
        Unreadable: It is not in that form.
    """
    head, mark, diff = text.partition("\n--- a/")
    if not mark:
        raise Unreadable(f"{name}: it holds no unified diff whose paths begin with a/ and b/")
    told = _header(name, head)
    numbers = [word.strip() for word in told["Property"].split(",")]
    if not all(word.isdigit() and int(word) in _PROPERTIES for word in numbers):
        raise Unreadable(f"{name}: 'Property' names numbers from 1 to 13, not {told['Property']!r}")
    if not told["Broken"].endswith("."):
        raise Unreadable(f"{name}: 'Broken' is a sentence that ends with a full stop")
    if not _NODE.fullmatch(told["Caught by"]):
        raise Unreadable(f"{name}: 'Caught by' is the node of a test, not {told['Caught by']!r}")
    hunks = _files(name, f"--- a/{diff}")
    return Planted(name, told["Broken"], tuple(int(word) for word in numbers), told["Caught by"], hunks)


def _header(name: str, head: str) -> dict[str, str]:
    told: dict[str, str] = {}
    last = ""
    for line in head.splitlines():
        if line.startswith("  ") and last:
            told[last] = f"{told[last]} {line.strip()}".strip()
            continue
        last, mark, value = line.partition(":")
        if not mark or last not in _HEADER or last in told:
            raise Unreadable(f"{name}: its header holds {line!r}; it holds each of {', '.join(_HEADER)} once")
        told[last] = value.strip()
    if missing := [word for word in _HEADER if not told.get(word)]:
        raise Unreadable(f"{name}: its header lacks {', '.join(missing)}")
    return told


def _files(name: str, diff: str) -> dict[str, tuple[Hunk, ...]]:
    found: dict[str, list[Hunk]] = {}
    lines = diff.rstrip("\n").split("\n")
    path, at = "", 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("--- a/"):
            path = line.removeprefix("--- a/")
            if at + 1 == len(lines) or lines[at + 1] != f"+++ b/{path}":
                raise Unreadable(f"{name}: after {line!r} comes '+++ b/{path}'")
            if not path.startswith(_PLACES) or ".." in PurePosixPath(path).parts or path in found:
                raise Unreadable(f"{name}: it changes {path!r}; each file of {' and '.join(_PLACES)} at most once")
            found[path] = []
            at += 2
            continue
        if not (began := _HUNK.match(line)):
            raise Unreadable(f"{name}: {line!r} is neither a file's name nor the head of a hunk")
        at, hunk = _hunk(name, lines, at, began)
        found[path].append(hunk)
    if not all(found.values()):
        raise Unreadable(f"{name}: a file without a hunk")
    return {path: tuple(hunks) for path, hunks in found.items()}


def _hunk(name: str, lines: list[str], at: int, began: re.Match[str]) -> tuple[int, Hunk]:
    """Return where the next hunk begins, and this one."""
    wanted = int(began[2] or 1), int(began[4] or 1)
    before: list[str] = []
    after: list[str] = []
    at += 1
    while (len(before), len(after)) != wanted:
        line = lines[at] if at < len(lines) else None
        if line is None or line[:1] not in {" ", "-", "+", ""}:
            raise Unreadable(f"{name}: the hunk {began[0]!r} has not as many lines as it says")
        if line[:1] != "+":
            before.append(line[1:])
        if line[:1] != "-":
            after.append(line[1:])
        at += 1
    if before == after:
        raise Unreadable(f"{name}: the hunk {began[0]!r} changes nothing")
    return at, Hunk(int(began[1]), tuple(before), tuple(after))
