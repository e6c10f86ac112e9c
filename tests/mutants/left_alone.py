"""What is not mutated, since it cannot matter to anybody's money or time."""

from __future__ import annotations

import re

PROSE = re.compile(r"[a-z,.:;'}]+ [\w{'\"]+[ ,.:;]")
"""Three words in a row are a message."""
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|BEGIN|COMMIT|ROLLBACK|WHERE|VALUES)\b")
"""Or a statement, which is no message."""
FUNCTIONS = {"__repr__"}
CALLS = {"isinstance", "cast", "len", "TypeVar", "print"}
"""As mutmut does; what stands in ``cast`` and ``TypeVar`` is types."""
LOGS = {"_log", "log", "logger", "_logger", "warnings", "logging"}
NAMES = {"__all__", "__slots__", "__match_args__"}
