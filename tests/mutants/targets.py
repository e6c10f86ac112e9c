"""What is mutated, and which tests judge it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant, numbered


@dataclass(frozen=True)
class Room:
    """A part of the project and its tests.

    Attributes:
        places: Modules and folders.
        tests: Files and folders of tests that are fast and stay in one process.
        left_out: Modules in the places that are not mutated, each with the reason.
    """

    places: tuple[str, ...]
    tests: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()


ROOMS = {
    "machine": Room(
        ("resilient_poll/machine",),
        ("tests/machine", "tests/generic", "tests/properties"),
    ),
    "rules": Room(
        ("resilient_poll/transports/rules",),
        ("tests/transports",),
    ),
    "wire": Room(
        ("resilient_poll/dashscope/wire",),
        (
            "tests/dashscope/test_endpoints.py",
            "tests/dashscope/test_error_catalogue.py",
            "tests/dashscope/test_errors_travel.py",
            "tests/dashscope/test_every_retry_after.py",
            "tests/dashscope/test_generate.py",
            "tests/dashscope/test_listing.py",
            "tests/dashscope/test_outcome.py",
            "tests/dashscope/test_rate_headers.py",
            "tests/dashscope/test_requests.py",
            "tests/dashscope/test_results.py",
            "tests/dashscope/test_several_assets.py",
            "tests/dashscope/test_tasks.py",
            "tests/dashscope/test_translate_*.py",
            "tests/dashscope/test_wire_*.py",
            "tests/security/test_redaction.py",
            "tests/contract/test_client_reads_the_contract.py",
        ),
    ),
    "ledger": Room(
        ("resilient_poll/ledger",),
        ("tests/ledger",),
        (
            ("postgres.py", "it needs a server; the conformance suite runs on it in the plain tests"),
            ("testing.py", "it is a suite itself: stores with planted faults show that it can fail"),
            ("testing_money.py", "as testing.py"),
            ("testing_parts.py", "as testing.py"),
        ),
    ),
    "fake": Room(
        ("fake_server/engine.py", "fake_server/rules", "fake_server/faults"),
        (
            "tests/check/test_conduct.py",
            "tests/fake_server/test_admission.py",
            "tests/fake_server/test_answers.py",
            "tests/fake_server/test_bill_*.py",
            "tests/fake_server/test_coming.py",
            "tests/fake_server/test_conduct_rules.py",
            "tests/fake_server/test_downloads_and_journal.py",
            "tests/fake_server/test_endpoints.py",
            "tests/fake_server/test_engine_*.py",
            "tests/fake_server/test_expectations.py",
            "tests/fake_server/test_fault_*.py",
            "tests/fake_server/test_fields.py",
            "tests/fake_server/test_gate.py",
            "tests/fake_server/test_journal_lines.py",
            "tests/fake_server/test_late_requests.py",
            "tests/fake_server/test_limits.py",
            "tests/fake_server/test_manners_and_verdicts.py",
            "tests/fake_server/test_matching.py",
            "tests/fake_server/test_operating.py",
            "tests/fake_server/test_rules_*.py",
            "tests/fake_server/test_scripts_and_hints.py",
            "tests/fake_server/test_stories_*.py",
            "tests/fake_server/test_story.py",
            "tests/fake_server/test_worlds*.py",
            "tests/contract/test_fake_speaks_the_contract.py",
        ),
    ),
}
NOT_RUN = (
    *("processes", "kills", "stores", "test_postgres", "test_cli", "test_readme", "test_reach", "test_shipped"),
    *("test_server", "test_many_tasks", "test_openapi", "test_hostile", "test_chaos"),
    *("test_middleware_http", "test_cut", "test_fake_page", "power_cut"),
)
"""Parts of the names of test files that start processes or take too long."""


def modules(room: Room) -> list[Path]:
    """Return the modules of a room that are mutated."""
    left_out = {name for name, _ in room.left_out}
    found = []
    for place in room.places:
        path = ROOT / place
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return [path for path in found if path.name not in left_out]


def test_files(room: Room) -> list[str]:
    """Return the files of tests that judge a room."""
    found: set[Path] = set()
    for place in room.tests:
        path = ROOT / place
        found |= set(path.rglob("test_*.py")) if path.is_dir() else set(ROOT.glob(place))
    return [str(path.relative_to(ROOT)) for path in sorted(found) if not any(part in path.name for part in NOT_RUN)]


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Yield all mutants of a module."""
    from tests.mutants.operators import function_mutants  # noqa: PLC0415  # mutmut is wanted by one make target only
    from tests.mutants.tables import table_mutants  # noqa: PLC0415  # as above

    yield from numbered([*function_mutants(path), *table_mutants(path)])
