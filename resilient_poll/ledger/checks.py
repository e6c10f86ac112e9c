"""Between rows and entries. Whatever is written or read passes here and is checked. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from resilient_poll.ledger.entry import LONGEST_ABOUT, Charge, Entry, Namespace, SavedFile, Stray
from resilient_poll.ledger.errors import EntryCorrupt, EntryInvalid
from resilient_poll.ledger.rows import ENTRY_COLUMNS, STRAY_COLUMNS, Column, Row, Value
from resilient_poll.machine.lifecycle import ENDS, OPEN, Billing, Phase

__all__ = [
    "changes_of",
    "charge_of",
    "entry_of",
    "fitting",
    "is_keepable",
    "row_of",
    "sends_of",
    "stray_of",
    "stray_row_of",
]

_LARGEST_NUMBER = 1e15  # Seconds: thirty million years.
_LARGEST_WHOLE_NUMBER = 2**63 - 1
_MOST_AMOUNT = Decimal("1E15")
_MOST_ABOUT = 32
_TASK_ID = re.compile(r"[!-~\u00a1-\ud7ff\ue000-\ufffd]{1,1024}")
"""Visible characters, and at least one: what is stricter is for the client to say, who knows the service."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SENT = frozenset(Phase) - {Phase.NEW, Phase.ABANDONED}
_HELD = frozenset({Phase.NEW, Phase.SUBMITTING, Phase.IN_DOUBT})
_COLUMNS = {column.name: column for column in ENTRY_COLUMNS}
_FIELDS = tuple(name for name in _COLUMNS if name not in {"row_id", "origin", "dialect", "account"})
_MOST = {column.name: column.most for column in (*ENTRY_COLUMNS, *STRAY_COLUMNS)}
T = TypeVar("T")


def fitting(text: str | None, column: str) -> str | None:
    """Return what a service said, so that it can be kept: cut to a column's length, what no database takes replaced.

    What comes from the caller is refused instead; what the world said must never be lost for its form.

    Args:
        text: What it said.
        column: Where it will be kept.
    """
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")[: _MOST[column]]


def row_of(entry: Entry) -> Row:
    """Return the row of an entry, checked; of one without a number (0) a row without one.

    Raises:
        EntryInvalid: It must not be written.
    """
    namespace = entry.namespace
    row: Row = {"origin": namespace.origin, "dialect": namespace.dialect, "account": namespace.account}
    row.update({name: _encoded(entry, name) for name in _FIELDS})
    row["row_id"] = entry.entry_id
    problems, _ = _read_entry(row)
    if problems:
        raise EntryInvalid(problems)
    if entry.entry_id == 0:
        del row["row_id"]
    return row


def changes_of(before: Entry, after: Entry) -> Row:
    """Return the columns in which an entry differs from what it was, checked.

    Raises:
        EntryInvalid: It must not become that.
    """
    names = [name for name in _FIELDS if getattr(after, name) != getattr(before, name)]
    changes = {name: _encoded(after, name) for name in names}
    problems = [problem for name in names if (problem := _column_problem(_COLUMNS[name], changes[name]))]
    problems += [
        f"{name} should be {expected}" for name, read, expected in _READERS if _is_unreadable(changes, name, read)
    ]
    problems += [said for is_wrong, said in _TABLE if is_wrong(after)]
    if problems:
        raise EntryInvalid(problems)
    return changes


def _is_unreadable(row: Mapping[str, Value], name: str, read: Callable[[Value], object]) -> bool:
    try:
        _ = name in row and read(row[name])
    except (ValueError, TypeError, KeyError, RecursionError):
        return True
    return False


def entry_of(row: Mapping[str, Value]) -> Entry:
    """Return the entry of a row, checked.

    Raises:
        EntryCorrupt: It is none.
    """
    problems, entry = _read_entry(row)
    # Only here: what is written was JSON a moment ago, and may have megabytes.
    if entry is None or _is_unreadable(row, "result", _result):
        raise EntryCorrupt(_number_of(row), problems or ["result should be JSON"])
    return entry


def stray_row_of(stray: Stray) -> Row:
    """Return the row of a stray, checked and without a number.

    Raises:
        EntryInvalid: It must not be written.
    """
    row: Row = {
        "origin": stray.namespace.origin,
        "dialect": stray.namespace.dialect,
        "account": stray.namespace.account,
    }
    for column in STRAY_COLUMNS:
        if column.name not in row and column.name != "row_id":
            row[column.name] = getattr(stray, column.name)
    if problems := _stray_problems({"row_id": 0, **row}):
        raise EntryInvalid(problems)
    return row


def stray_of(row: Mapping[str, Value]) -> Stray:
    """Return the stray of a row, checked.

    Raises:
        EntryCorrupt: It is none.
    """
    if problems := _stray_problems(row):
        raise EntryCorrupt(_number_of(row, "entry_id"), [f"stray {row.get('row_id')}", *problems])
    values: dict[str, Any] = {name: value for name, value in row.items() if name not in {"row_id", *_NAMESPACE}}
    return Stray(stray_id=_number_of(row), namespace=_namespace(row), **values)


def charge_of(text: Value) -> Charge | None:
    """Return the charge that a column holds.

    Raises:
        ValueError: It holds none.
    """
    if text is None:
        return None
    amount, currency, unit, units = _strings(_json(text), 4)
    charge = Charge(_decimal(amount), currency, unit, _decimal(units))
    if not currency or len(currency) > 32 or len(unit) > 128:
        raise ValueError("a currency and a unit")
    return charge


_NAMESPACE = frozenset({"origin", "dialect", "account"})


def _column_problem(column: Column, value: object) -> str | None:
    if value is None:
        return f"{column.name} is missing" if column.is_required else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match column.kind:
        case "integer":
            if not isinstance(value, int) or not is_number or not 0 <= value <= _LARGEST_WHOLE_NUMBER:
                return f"{column.name} should be a whole number, zero or more, not {value!r:.40}"
        case "real":
            # False for nan as well.
            if not isinstance(value, int | float) or not is_number or not 0 <= value < _LARGEST_NUMBER:
                return f"{column.name} should be a number of seconds, zero or more, not {value!r:.40}"
        case _:
            if not isinstance(value, str):
                return f"{column.name} should be a text, not {type(value).__name__}"
            if len(value) > column.most or (column.is_required and not value):
                return f"{column.name} should be a text of 1 to {column.most} characters, not {len(value)}"
            if not is_keepable(value):
                return f"{column.name} holds characters that cannot be kept"
    return None


def _column_problems(row: Mapping[str, Value], columns: Sequence[Column]) -> list[str]:
    return [problem for column in columns if (problem := _column_problem(column, row.get(column.name)))]


def is_keepable(text: str) -> bool:
    """Return whether a text consists of characters that every store can keep."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_entry(row: Mapping[str, Value]) -> tuple[list[str], Entry | None]:
    """Return what is wrong with a row, and its entry if nothing is."""
    problems = _column_problems(row, ENTRY_COLUMNS)
    if problems:
        return problems, None
    values: dict[str, Any] = {name: row[name] for name in _FIELDS}
    for name, read, expected in _READERS:
        try:
            values[name] = read(row[name])
        except (ValueError, TypeError, KeyError, RecursionError):
            problems.append(f"{name} should be {expected}")
    if problems:
        return problems, None
    entry = Entry(entry_id=_number_of(row), namespace=_namespace(row), **values)
    problems = [said for is_wrong, said in _TABLE if is_wrong(entry)]
    return problems, None if problems else entry


def _json(text: Value) -> Any:
    if not isinstance(text, str):
        raise TypeError(text)
    return json.loads(text)


def _text(value: object) -> str | None:
    try:
        return json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError):
        return None  # Reported as missing.


def _encoded(entry: Entry, name: str) -> Any:
    value = getattr(entry, name)
    match name:
        case "about":
            return _text(dict(value))
        case "doubtful_sends":
            return _text(list(value))
        case "files":
            return _text([[file.path, file.size_bytes, file.sha256] for file in value])
        case "charge" if value is not None:
            return _text([str(value.amount), value.currency, value.unit, str(value.units)])
        case "phase" | "billing":
            return value.value if isinstance(value, Phase | Billing) else None  # Reported as missing.
    return value


def _about(text: Value) -> dict[str, str]:
    found = _json(text)
    if not isinstance(found, dict) or len(found) > _MOST_ABOUT:
        raise ValueError("a mapping")
    for name in found:
        if not isinstance(found[name], str) or len(name) + len(found[name]) > LONGEST_ABOUT:
            raise ValueError("short texts")
    return found


def sends_of(text: Value) -> tuple[int, ...]:
    """Return the numbers that a column holds.

    Raises:
        ValueError, TypeError: It holds none.
    """
    found = _json(text)
    if not isinstance(found, list) or not all(isinstance(send, int) and send > 0 for send in found):
        raise ValueError("a list")
    return tuple(found)


def _files(text: Value) -> tuple[SavedFile, ...]:
    files = []
    for path, size_bytes, sha256 in _json(text):
        if not isinstance(path, str) or not path or isinstance(size_bytes, bool) or not isinstance(size_bytes, int):
            raise TypeError("a path and a size")
        if size_bytes < 0 or not _SHA256.fullmatch(sha256):
            raise ValueError("a size and a hash")
        files.append(SavedFile(path, size_bytes, sha256))
    return tuple(files)


def _strings(found: Any, length: int) -> list[str]:
    if not isinstance(found, list) or len(found) != length or not all(isinstance(one, str) for one in found):
        raise ValueError("texts")
    return found


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    # Of a size that a sum of thousands stays exact: the default context keeps 28 digits.
    if not value.is_finite() or value.is_signed() or value >= _MOST_AMOUNT or value.as_tuple().exponent < -9:  # type: ignore[operator]  # finite
        raise ValueError(text)
    return value


def _task_id(value: Value) -> str | None:
    if value is None or (isinstance(value, str) and _TASK_ID.fullmatch(value)):
        return value
    raise ValueError(value)


def _snapshot(value: Value) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not isinstance(_json(value), dict):
        raise TypeError(value)
    return value


_READERS: tuple[tuple[str, Callable[[Value], object], str], ...] = (
    ("about", _about, f"a mapping of at most {_MOST_ABOUT} short texts"),
    ("phase", lambda value: Phase(str(value)), "the name of a phase"),
    ("billing", lambda value: Billing(str(value)), "a word for the bill"),
    ("doubtful_sends", sends_of, "a list of numbers"),
    ("task_id", _task_id, "a text of visible characters"),
    ("snapshot", _snapshot, "a snapshot"),
    ("charge", charge_of, "an amount from 0 to 10^15 with 9 decimals at most, a currency, a unit and units"),
    ("files", _files, "a list of paths, sizes and hashes"),
)

_TABLE: tuple[tuple[Callable[[Entry], bool], str], ...] = (
    (lambda entry: entry.attempt < 1, "attempt should be 1 or more"),
    (lambda entry: entry.phase in ENDS and entry.ended_wall_s is None, "an end has a time"),
    (lambda entry: entry.phase not in ENDS and entry.ended_wall_s is not None, "only an end has a time"),
    (lambda entry: entry.phase in _HELD and entry.task_id is not None, "a task id means that it was accepted"),
    (lambda entry: entry.phase in OPEN and entry.task_id is None, "an open task has an id"),
    (lambda entry: entry.phase is Phase.SUBMITTING and entry.owner is None, "a licence has an owner"),
    (lambda entry: entry.phase is Phase.NEW and entry.owner is not None, "what nobody sends has no owner"),
    (
        lambda entry: entry.phase in _SENT and (entry.sends < 1 or entry.licensed_wall_s is None),
        "what was sent had a licence",
    ),
    (
        lambda entry: entry.phase in {Phase.SUBMITTING, Phase.IN_DOUBT} and entry.billing is not Billing.UNDETERMINED,
        "what nobody knows of is not said to be free",
    ),
)
"""What no column can say alone: whether it is so, and what should be."""


def _namespace(row: Mapping[str, Value]) -> Namespace:
    return Namespace(str(row["origin"]), str(row["dialect"]), str(row["account"]))


def _number_of(row: Mapping[str, Value], column: str = "row_id") -> int:
    found = row.get(column)
    return found if isinstance(found, int) else 0


def _result(value: Value) -> object:
    return None if value is None else _json(value)


def _stray_problems(row: Mapping[str, Value]) -> list[str]:
    problems = _column_problems(row, STRAY_COLUMNS)
    for name, read in (("task_id", _task_id), ("snapshot", _snapshot)):
        try:
            read(row.get(name))
        except (ValueError, TypeError, RecursionError):
            problems.append(f"{name} cannot be read")
    if row.get("task_id") is None and row.get("result") is None:
        problems.append("a stray has an id or a result")
    return problems
