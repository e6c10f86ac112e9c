"""The tables of a ledger in a database, as steps from one version to the next.

A step that was released is never changed; a change is a new step. Both databases run the same
steps; where their words for a type differ, the step has a blank in braces.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["STEPS", "WORDS_POSTGRES", "WORDS_SQLITE", "statements"]

WORDS_SQLITE = {"prefix": "", "number": "INTEGER PRIMARY KEY AUTOINCREMENT", "whole": "INTEGER", "real": "REAL"}
WORDS_POSTGRES = {
    "prefix": "resilient_poll_",
    "number": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "whole": "BIGINT",
    "real": "DOUBLE PRECISION",
}

_ONE = (
    """
    CREATE TABLE {prefix}entries (
        row_id {number},
        origin TEXT NOT NULL,
        dialect TEXT NOT NULL,
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        attempt {whole} NOT NULL,
        digest TEXT NOT NULL,
        about TEXT NOT NULL,
        phase TEXT NOT NULL,
        sends {whole} NOT NULL,
        doubtful_sends TEXT NOT NULL,
        owner TEXT,
        not_before_wall_s {real},
        created_wall_s {real} NOT NULL,
        licensed_wall_s {real},
        updated_wall_s {real} NOT NULL,
        ended_wall_s {real},
        task_id TEXT,
        status TEXT,
        billing TEXT NOT NULL,
        request_id TEXT,
        code TEXT,
        message TEXT,
        snapshot TEXT,
        delivered_wall_s {real},
        charge TEXT,
        files TEXT NOT NULL,
        worker TEXT,
        worker_until_wall_s {real} NOT NULL,
        archived_wall_s {real},
        result TEXT,
        UNIQUE (origin, dialect, account, key, attempt),
        UNIQUE (origin, dialect, account, task_id)
    )
    """,
    "CREATE INDEX {prefix}entries_by_phase ON {prefix}entries (phase)",
    "CREATE INDEX {prefix}entries_by_licence ON {prefix}entries (origin, dialect, account, licensed_wall_s)",
    """
    CREATE TABLE {prefix}strays (
        row_id {number},
        origin TEXT NOT NULL,
        dialect TEXT NOT NULL,
        account TEXT NOT NULL,
        entry_id {whole} NOT NULL,
        send {whole} NOT NULL,
        task_id TEXT,
        request_id TEXT,
        snapshot TEXT,
        reason TEXT NOT NULL,
        seen_wall_s {real} NOT NULL,
        result TEXT,
        UNIQUE (origin, dialect, account, task_id)
    )
    """,
    "CREATE TABLE {prefix}settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
)

_TWO = (
    """
    CREATE TABLE {prefix}slots (
        row_id {number},
        scope TEXT NOT NULL,
        owner TEXT NOT NULL,
        is_held {whole} NOT NULL,
        asked_wall_s {real} NOT NULL
    )
    """,
    "CREATE INDEX {prefix}slots_by_scope ON {prefix}slots (scope)",
)

STEPS: tuple[tuple[str, ...], ...] = (_ONE, _TWO)
"""The n-th makes version n of version n - 1. Large texts stand last, so that the rest is read without them."""


def statements(words: Mapping[str, str], version: int, steps: tuple[tuple[str, ...], ...] = STEPS) -> list[str]:
    """Return what makes the newest version of an older one.

    Args:
        words: What stands in the blanks.
        version: The version that is there; 0 if nothing is.
        steps: The steps.
    """
    return [statement.format(**words) for step in steps[version:] for statement in step]
