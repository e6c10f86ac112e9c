"""What a ledger promises in numbers and names, by hand: a later release must keep to it, or say so."""

from __future__ import annotations

import inspect

from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.rows import ENTRY_COLUMNS, STRAY_COLUMNS
from resilient_poll.ledger.schema import STEPS, WORDS_POSTGRES, WORDS_SQLITE
from resilient_poll.ledger.slots import LOOK_AGAIN_S
from resilient_poll.ledger.sqlite import BUSY_S, SqliteLedger

WHOLE = {"row_id", "entry_id", "attempt", "sends", "send"}


def test_a_file_waits_five_seconds_and_stays_off_the_network_unless_told() -> None:
    """Another writer is waited for 5 s, and a file system that is shared is refused, where nobody says otherwise."""
    said = {name: asked.default for name, asked in inspect.signature(SqliteLedger).parameters.items()}
    assert (BUSY_S, said["busy_s"], said["allow_network_file_system"]) == (5.0, 5.0, False)


def test_who_waits_for_a_slot_looks_again_every_second() -> None:
    """A place that another process gives back is seen within a second, where nobody says otherwise."""
    assert LOOK_AGAIN_S == 1.0
    assert inspect.signature(MemoryLedger.slots).parameters["look_again_s"].default == 1.0


def test_tables_are_made_in_the_order_of_versions_under_their_names() -> None:
    """Version 1 has entries, version 2 slots too; in PostgreSQL, which others use too, each name says whose it is."""
    made = [
        {name for name in ("entries", "strays", "slots") if f"{{prefix}}{name} (" in "".join(step)} for step in STEPS
    ]
    assert made == [{"entries", "strays"}, {"slots"}]
    assert (WORDS_SQLITE["prefix"], WORDS_POSTGRES["prefix"]) == ("", "resilient_poll_")


def test_a_column_holds_whole_numbers_seconds_or_text() -> None:
    """A store of somebody's own meets three kinds of columns and no other; times are seconds, counts whole numbers."""
    for columns in (ENTRY_COLUMNS, STRAY_COLUMNS):
        for column in columns:
            seconds, whole = column.name.endswith("_wall_s"), column.name in WHOLE
            assert column.kind == ("real" if seconds else "integer" if whole else "text"), column.name
