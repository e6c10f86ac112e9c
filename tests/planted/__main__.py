"""Plants each bug of ``tests/planted/patches`` in a copy, and demands that its test fails: a check of the checks.

``python -m tests.planted`` takes a minute or two, and ends with 1 if one survives.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.planted.catching import CLEAN, Finding, Verdict, catch
from tests.planted.diffs import FOLDER, Planted, Unreadable, planted_bugs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="patches to try; all of them unless some are named")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at the same time")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the patches are")
    parser.add_argument("--show", action="store_true", help="show the end of what each run printed")
    given = parser.parse_args(arguments)
    try:
        bugs = planted_bugs(given.folder)
        if unknown := set(given.names) - {bug.name for bug in bugs}:
            parser.error(f"there is no patch {', '.join(sorted(unknown))}")
        chosen = [bug for bug in bugs if not given.names or bug.name in given.names]
        findings = []
        for finding in catch(chosen, at_once=max(1, given.jobs)):
            findings.append(finding)
            _tell(finding, {bug.name: bug for bug in chosen}, is_shown=given.show)
    except Unreadable as problem:
        print(problem, file=sys.stderr)  # noqa: T201  # a command line's own words
        return 1
    return _sum(findings, len(chosen))


def _tell(finding: Finding, bugs: dict[str, Planted], *, is_shown: bool) -> None:
    bug = bugs.get(finding.name)
    whom = "" if bug is None else f"  {bug.caught_by}"
    said = finding.why if finding.verdict is not Verdict.CAUGHT else finding.why[:90]
    print(f"{finding.verdict:9} {finding.cpu_s:5.1f} s  {finding.name}{whom}\n{'':19}{said}", flush=True)  # noqa: T201
    if is_shown or finding.verdict is Verdict.UNCLEAR:
        print(finding.printed, flush=True)  # noqa: T201


def _sum(findings: Sequence[Finding], wanted: int) -> int:
    caught = sum(finding.verdict is Verdict.CAUGHT for finding in findings if finding.name != CLEAN)
    clean = any(finding.name == CLEAN and finding.verdict is Verdict.CAUGHT for finding in findings)
    cpu_s = sum(finding.cpu_s for finding in findings)
    print(f"{caught} of {wanted} planted bugs caught, {cpu_s:.0f} s of processor time")  # noqa: T201
    if not clean:
        print("without any bug these tests do not all pass, so nothing is proved")  # noqa: T201
    return 0 if clean and wanted and caught == wanted else 1


if __name__ == "__main__":
    sys.exit(main())
