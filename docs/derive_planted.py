"""The table of docs/correctness.md about the bugs that are planted, made of the headers of their patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.planted.diffs import Planted, planted_bugs


def _row(bug: Planted) -> str:
    numbers = ", ".join(str(number) for number in bug.properties)
    file, _, test = bug.caught_by.partition("::")
    broken, test = (text.replace("|", "\\|") for text in (bug.broken, test))
    return f"| {broken} | {numbers} | `{test}` ([{file.removeprefix('tests/')}](../{file})) |"


def planted_table() -> str:
    """List the planted bugs, with the properties that they break and the tests that catch them."""
    rows = [_row(bug) for bug in planted_bugs()]
    return "\n".join(["| planted | property | caught by |", "|---|---|---|", *rows])


def planted_count() -> str:
    """Say how many there are, and of what."""
    bugs = planted_bugs()
    fake = sum(any(path.startswith("fake_server/") for path in bug.hunks) for bug in bugs)
    return (
        f"{len(bugs)} bugs are planted, {len(bugs) - fake} in the client and {fake} in the fake: `make planted` plants "
        "each of them in a copy and demands that its test fails."
    )


BLOCKS: Mapping[str, Callable[[], str]] = {"planted": planted_table, "planted-count": planted_count}
