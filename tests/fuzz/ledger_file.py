"""A ledger's file: its bytes and its rows, after somebody or something wrote over them.

An input is a list of edits, one a line, that are made to a good ledger:

    cut 4096                      the file ends there
    at 100 00ff                   these bytes are written there
    set entries.phase 2 "GONE"    a row's column gets a value (JSON; {"blob": "00ff"} is a blob, {"raw": "ff"} a text)
    drop entries                  a table, or an index, is removed
    pragma user_version 99        the header says something else
"""

from __future__ import annotations

import functools
import json
import re
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx

from resilient_poll import DashScope, ResilientPollError
from resilient_poll.cli.records.values import amount_of, entry_values, file_of, result_of
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.checks import ENTRY_COLUMNS
from resilient_poll.ledger.errors import ActRefused, LedgerError
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.fuzz.answers import TASK_ID
from tests.fuzz.target import KEY, Target, told
from tests.support.colours import INPUT, MODEL

__all__ = ["TARGETS", "good_ledger"]

KEYS = ("going", "made", "direct", "refused", "lost", "new")
MOST_EDITS = 12
FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # a folder of its own is made there
"""Nothing here is about power cuts, and a disk that is waited for takes most of the time."""
_WORD = re.compile(rb"[A-Za-z_]{1,40}")


def _service(request: httpx.Request) -> httpx.Response:
    """Answers a create by the prompt in it, and any query with a success."""
    output: dict[str, Any] = {"task_id": TASK_ID, "task_status": "SUCCEEDED", "video_url": "https://cdn.test/x.mp4"}
    if request.method == "GET":
        task_id = request.url.path.rstrip("/").rpartition("/")[2]
        if task_id == "tasks":
            return httpx.Response(200, json={"total": 0, "total_page": 0, "page_no": 1, "page_size": 50, "data": []})
        return httpx.Response(200, json={"output": output | {"task_id": task_id}, "request_id": "r"})
    wanted = json.loads(request.content)["input"]["prompt"]
    if wanted == "refused":
        return httpx.Response(400, json={"code": "InvalidParameter", "message": "no", "request_id": "r"})
    if wanted == "lost":
        raise httpx.ReadError("reset", request=request)
    if wanted == "direct":
        return httpx.Response(200, json={"output": {"results": [{"url": "https://cdn.test/1.png"}]}, "request_id": "r"})
    return httpx.Response(200, json={"output": {"task_id": f"task-{wanted}", "task_status": "PENDING"}})


def _client(ledger: SqliteLedger, http_client: httpx.Client) -> DashScope:
    clock = VirtualClock()
    options: dict[str, Any] = {"ledger": ledger, "http_client": http_client, "clock": clock, "make_seed": lambda: "s"}
    return DashScope(dialect="dashscope", api_key=KEY, base_url="http://api.test/v1", account="fuzz", **options)


def _use(client: DashScope, key: str) -> str:
    """Ask for the result of a key, whatever the ledger has of it."""
    wanted = INPUT | {"prompt": key}
    try:
        if key == "direct":
            made = client.generate(MODEL, wanted, endpoint="image-synchronous", idempotency_key=key)
            return f"made {bool(made.assets)}"
        task = client.submit(MODEL, wanted, idempotency_key=key)
        if key == "going":
            return f"going {task.status}"
        return f"made {bool(task.wait(timeout=20).assets)}"
    except ResilientPollError as error:
        return told(error)


@functools.cache
def good_ledger() -> bytes:
    """The file of a ledger that has seen something of everything."""
    with (
        tempfile.TemporaryDirectory(dir=FOLDER) as folder,
        httpx.Client(transport=httpx.MockTransport(_service)) as http_client,
    ):
        path = Path(folder, "ledger.sqlite3")
        with SqliteLedger(path) as ledger, _client(ledger, http_client) as client:
            for key in KEYS[:-1]:
                _use(client, key)
        return path.read_bytes()


def _ledger(raw: bytes) -> str:
    """Edit a ledger, open it, and do with it what programs and the command line do."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        path = Path(folder, "ledger.sqlite3")
        path.write_bytes(good_ledger())
        for line in raw.split(b"\n")[:MOST_EDITS]:
            with suppress(sqlite3.Error, ValueError, TypeError, OverflowError, RecursionError):
                _edit(path, line)
        try:
            with SqliteLedger(path, allow_network_file_system=True) as ledger:
                return " / ".join(_looked_at(ledger))
        except LedgerError as error:
            return told(error)


def _looked_at(ledger: SqliteLedger) -> list[str]:
    came = []
    acts: tuple[Callable[[], Any], ...] = (
        lambda: [_shown(entry) for entry in ledger.entries(with_archived=True)],
        *(lambda number=number: _shown(ledger.get(number)) for number in range(1, 7)),
        lambda: [repr(stray).encode("utf-8", "backslashreplace") for stray in ledger.strays()],
        lambda: repr(ledger.bill()),
        ledger.counts,
        ledger.undelivered,
        lambda: ledger.setting("account"),
        lambda: ledger.settle_the_dead(now_wall_s=2e9),
        lambda: ledger.archive(1e9, now_wall_s=2e9),
        lambda: ledger.vacuum(1e9),
    )
    for act in acts:
        try:
            act()
        except (LedgerError, ActRefused) as error:
            came.append(told(error))
    with httpx.Client(transport=httpx.MockTransport(_service)) as http_client, _client(ledger, http_client) as client:
        came += [_use(client, key) for key in KEYS]
        try:
            came += [str(settled.verdict) for settled in client.reconcile()]
        except ResilientPollError as error:
            came.append(told(error))
    return came


def _shown(entry: Any) -> None:
    json.dumps(entry_values(entry, 1_750_000_100.0)).encode()
    json.dumps(result_of(entry)).encode()
    amount_of(entry.charge, entry.billing)
    file_of(entry)


def _edit(path: Path, line: bytes) -> None:
    what, _, rest = line.partition(b" ")
    if what in (b"cut", b"at"):
        place, _, content = rest.partition(b" ")
        whole = path.read_bytes()
        at = int(place[:12]) % (len(whole) + 1)
        new = b"" if what == b"cut" else bytes.fromhex(content[:400].decode("ascii", "replace"))
        path.write_bytes(whole[:at] + new + (b"" if what == b"cut" else whole[at + len(new) :]))
        return
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if what == b"drop":
            for kind in ("TABLE", "INDEX"):
                with suppress(sqlite3.Error):
                    connection.execute(f'DROP {kind} "{_name(rest)}"')
        elif what == b"pragma":
            name, _, value = rest.partition(b" ")
            connection.execute(f"PRAGMA {_name(name)} = {int(value[:12])}")
        elif what == b"set":
            place, row, value = rest.split(b" ", 2)
            table, _, column = place.partition(b".")
            given, how = _value(value)
            text = f'UPDATE "{_name(table)}" SET "{_name(column)}" = {how} WHERE row_id = ?'  # noqa: S608  # a name
            connection.execute(text, (given, int(row[:3])))


def _name(word: bytes) -> str:
    found = _WORD.fullmatch(word.strip())
    if found is None:
        raise ValueError(word)
    return found.group().decode()


def _value(raw: bytes) -> tuple[Any, str]:
    """Return a value for a column, and how it is put there."""
    value = json.loads(raw)
    if isinstance(value, dict) and "blob" in value:
        return bytes.fromhex(value["blob"]), "?"
    if isinstance(value, dict) and "raw" in value:
        return bytes.fromhex(value["raw"]), "CAST(? AS TEXT)"
    return (json.dumps(value) if isinstance(value, dict | list) else value), "?"


@functools.cache
def _seeds() -> Sequence[bytes]:
    edits = [f"set entries.{column.name} 2 {value}" for column in ENTRY_COLUMNS for value in ('"x"', "-1", '"{}"')]
    values = ("null", '{"raw": "ff"}', '{"blob": "00ff"}', "1e300", '"\\u0000"', "[[]]", '"[1]"', '"{\\"a\\": 1}"')
    columns = ("snapshot", "result", "files", "charge", "about", "task_id", "ended_wall_s", "doubtful_sends", "owner")
    edits += [f"set entries.{column} 2 {value}" for column in columns for value in values]
    edits += [f"set entries.result {row} {value}" for row in (2, 3) for value in ('"{"', "[]", '"null"', '"17"')]
    edits += [
        "cut 0",
        "cut 50",
        "cut 4096",
        "cut 9000",
        "at 0 00",
        "at 16 0000",
        "at 18 02",
        "at 100 0d0000",
        "at 4096 ff",
    ]
    edits += ["drop entries", "drop strays", "drop settings", "drop slots", "drop entries_by_phase"]
    edits += ["pragma user_version 0", "pragma user_version 99", "pragma application_id 7", "pragma journal_mode 0"]
    edits += ['set entries.phase 5 "NEW"\nset entries.billing 5 "NONE"', "at 4100 ff\nat 8200 00ff00ff\nat 12300 ff"]
    return [b"", *(edit.encode() for edit in edits)]


_WORDS = (
    *(b"set entries.", b"set strays.", b"set settings.value ", b"cut ", b"at ", b"drop ", b"pragma ", b"\n"),
    *(column.name.encode() + b" 1 " for column in ENTRY_COLUMNS),
    *(b'"SUCCEEDED"', b'"IN_DOUBT"', b'"SUBMITTING"', b'"NEW"', b'"EXPIRED"', b'"BILLED"', b'{"raw": "c3"}', b'"[]"'),
)
TARGETS = (Target("ledger", "the bytes and the rows of a ledger's file", _seeds, _ledger, _WORDS),)
