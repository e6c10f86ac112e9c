"""A database for each test that wants one, on a server for all of them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.ledger.postgres_server import MISSING, programs, running_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """How to reach a running server; skips where there is none to run."""
    pytest.importorskip("psycopg")
    found = programs()
    if found is None:
        pytest.skip(MISSING)
    with running_server(found) as conninfo:
        yield conninfo


@pytest.fixture
def conninfo(postgres_server: str) -> str:
    """How to reach an empty schema of one's own."""
    import psycopg  # noqa: PLC0415  # only where it is installed

    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{postgres_server} options='-c search_path={name}'"
