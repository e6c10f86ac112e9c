"""Everything that is fuzzed."""

from __future__ import annotations

from tests.fuzz import answers, command_lines, fakes, ledger_file, other_services, words
from tests.fuzz.target import Target

__all__ = ["TARGETS"]

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (answers, words, other_services, ledger_file, fakes, command_lines)
    for target in module.TARGETS
}
