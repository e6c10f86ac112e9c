"""The rows of a ledger in SQL. The two databases differ in their marks for values, and in little else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from resilient_poll.ledger.rows import Row, Value, Where

__all__ = ["SqlRows"]

Execute = Callable[[str, Sequence[Value]], tuple[Sequence[str], list[Sequence[Value]]]]
"""Runs a statement; returns the names of the columns and the rows that came."""


class SqlRows:
    """The rows within one transaction of a database.

    Names of tables and columns come from this package's own tables, never from outside, and values are
    always handed over apart from the text.

    Args:
        execute: Runs a statement within the transaction.
        mark: What stands for a value.
        prefix: What the names of the tables begin with.
    """

    def __init__(self, execute: Execute, mark: str, prefix: str = "") -> None:
        self._execute = execute
        self._mark = mark
        self._prefix = prefix

    def get(self, table: str, row_id: int) -> Row | None:
        """See :class:`.Rows`."""
        found = self.select(table, [Where("row_id", "=", row_id)])
        return found[0] if found else None

    def select(
        self,
        table: str,
        wheres: Sequence[Where],
        *,
        columns: Sequence[str] | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[Row]:
        """See :class:`.Rows`."""
        condition, values = self._all_of(wheres)
        what = "*" if columns is None else ", ".join(f'"{name}"' for name in columns)
        text = f"SELECT {what} FROM {self._prefix}{table}{condition}"  # noqa: S608  # names of our own
        text += f" ORDER BY row_id {'DESC' if newest_first else 'ASC'}"
        if limit is not None:
            text += f" LIMIT {self._mark}"
            values.append(limit)
        names, rows = self._execute(text, values)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def tally(self, table: str, wheres: Sequence[Where], columns: Sequence[str]) -> list[tuple[Row, int]]:
        """See :class:`.Rows`."""
        condition, values = self._all_of(wheres)
        what = ", ".join(f'"{name}"' for name in columns)
        text = f"SELECT {what}, count(*) FROM {self._prefix}{table}{condition} GROUP BY {what}"  # noqa: S608  # names of our own
        _, rows = self._execute(text, values)
        return [(dict(zip(columns, row, strict=False)), int(row[-1] or 0)) for row in rows]

    def insert(self, table: str, row: Mapping[str, Value]) -> int:
        """See :class:`.Rows`."""
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join([self._mark] * len(row))
        text = f"INSERT INTO {self._prefix}{table} ({names}) VALUES ({marks}) RETURNING row_id"  # noqa: S608  # names of our own
        _, rows = self._execute(text, list(row.values()))
        return int(rows[0][0] or 0)

    def update(self, table: str, row_id: int, changes: Mapping[str, Value]) -> None:
        """See :class:`.Rows`."""
        sets = ", ".join(f'"{name}" = {self._mark}' for name in changes)
        text = f"UPDATE {self._prefix}{table} SET {sets} WHERE row_id = {self._mark}"  # noqa: S608  # names of our own
        self._execute(text, [*changes.values(), row_id])

    def delete(self, table: str, row_ids: Iterable[int]) -> None:
        """See :class:`.Rows`."""
        for row_id in row_ids:
            self._execute(f"DELETE FROM {self._prefix}{table} WHERE row_id = {self._mark}", [row_id])  # noqa: S608  # names of our own

    def setting(self, name: str) -> str | None:
        """See :class:`.Rows`."""
        text = f"SELECT value FROM {self._prefix}settings WHERE name = {self._mark}"  # noqa: S608  # names of our own
        _, rows = self._execute(text, [name])
        return str(rows[0][0]) if rows else None

    def set_setting(self, name: str, value: str) -> None:
        """See :class:`.Rows`."""
        text = (
            f"INSERT INTO {self._prefix}settings (name, value) VALUES ({self._mark}, {self._mark}) "  # noqa: S608  # names of our own
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        )
        self._execute(text, [name, value])

    def _all_of(self, wheres: Sequence[Where]) -> tuple[str, list[Value]]:
        conditions: list[str] = []
        values: list[Value] = []
        for where in wheres:
            text, more = self._condition(where)
            conditions.append(text)
            values.extend(more)
        return f" WHERE {' AND '.join(conditions)}" if conditions else "", values

    def _condition(self, where: Where) -> tuple[str, list[Value]]:
        column = f'"{where.column}"'
        match where.relation, where.value:
            case "null", _:
                return f"{column} IS NULL", []
            case "not null", _:
                return f"{column} IS NOT NULL", []
            case "in", tuple() as values if values:
                return f"{column} IN ({', '.join([self._mark] * len(values))})", list(values)
            case "in", _:
                return "1 = 0", []
            case relation, (int() | float() | str() | None) as value:
                return f"{column} {relation} {self._mark}", [value]
        raise TypeError(f"{where} compares with what no column holds")
