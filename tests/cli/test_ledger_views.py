"""What the ledger says to people and machines: list, show, bill, archive. None needs an API key, none makes a file."""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from resilient_poll.cli.records.bill import grouped
from resilient_poll.cli.records.table import lines_of, table_of_entries
from resilient_poll.cli.records.values import money, warning_of
from resilient_poll.ledger import BillRow, Charge, Entry, Namespace, SavedFile, SqliteLedger
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.cli.command_line import MAKE, SOON, Account, Ended, as_process, here

Capture = pytest.CaptureFixture[str]
NOW_S = 1_800_000_000.0
READERS = (("list",), ("show", "order-17"), ("bill",), ("archive", "--before", "0s"))
PRICES = '{"currency": "USD", "models": {"wan2.6-*": {"second": "0.10"}}}'


def entry(key: str = "order-17", **more: object) -> Entry:
    """An entry that succeeded and is on disk."""
    values = {
        "entry_id": 1,
        "namespace": Namespace("http://api.test:80/v1", "aisa", "key-0123456789abcdef"),
        "attempt": 1,
        "digest": "d",
        "created_wall_s": NOW_S - 125,
        "updated_wall_s": NOW_S - 60,
        "about": {"model": "wan2.6-t2v", "endpoint": "video"},
        "phase": Phase.SUCCEEDED,
        "billing": Billing.BILLED,
        "ended_wall_s": NOW_S - 60,
        "task_id": "0385dc79-5ff8-4d82-bcb6-7d2d2d5b8a3a",
        "charge": Charge(Decimal("0.5"), "USD", "second", Decimal(5)),
        "files": (SavedFile("/nowhere/cat.mp4", 7, "0" * 64),),
        **more,
    }
    return Entry(key=key, **values)  # type: ignore[arg-type]  # a test's shorthand


def narrow(rows: list[Entry], width: int) -> list[str]:
    """The list as a terminal of that width shows it."""
    return [line.plain for line in lines_of(rows, NOW_S, width)]


def sent_some(account: Account, capfd: Capture) -> None:
    """Leave a video on disk, a paid one that is not, a doubt, and one that goes on."""
    Path("prices.json").write_text(PRICES)
    account.open("at-once", "DASHSCOPE", RESILIENT_POLL_PRICES="prices.json")
    assert here(capfd, "run", *MAKE, *SOON, "-o", "cat.mp4", "--key", "order-17").code == 0
    submitted = here(capfd, "submit", *MAKE, "--key", "order-18").stdout.strip()
    assert here(capfd, "wait", submitted, *SOON).code == 0
    account.open("create-dropped", "DASHSCOPE", RESILIENT_POLL_PRICES="prices.json")
    assert here(capfd, "submit", *MAKE, "--key", "order-19").code == 5
    account.open("goes-on", "DASHSCOPE", RESILIENT_POLL_PRICES="prices.json")
    assert here(capfd, "submit", *MAKE, "--key", "order-20").code == 0
    for name in ("DASHSCOPE_API_KEY", "DASHSCOPE_HTTP_BASE_URL", "DASHSCOPE_BASE_URL"):
        os.environ.pop(name, None)


def objects(ended: Ended) -> list[dict[str, object]]:
    """The JSON lines."""
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_the_ledger_is_listed_without_a_key(account: Account, capfd: Capture) -> None:
    """What was submitted is listed newest first with key, task, phase, bill and file; what to do about it is said."""
    sent_some(account, capfd)
    ended = here(capfd, "list")
    assert ended.code == 0, ended
    rows = ended.stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["order-20", "order-19", "order-18", "order-17"]
    assert re.search(r"[0-9a-f-]{36} +wan2.6-t2v +(QUEUED|RUNNING) +if it succeeds +1\.50 USD", rows[0])
    assert re.search(r"- +wan2.6-t2v +IN_DOUBT +not known +1\.50 USD .*! it may be billed", rows[1])
    assert re.search(r"SUCCEEDED +billed +\d\.\d+ USD .*! paid, not downloaded, expires in 23 h", rows[2])
    assert rows[3].rstrip().endswith("cat.mp4")
    assert ended.stderr.splitlines() == [
        "4 entries",
        "! 1 paid result is not on disk; fetch it with",
        "  $ resilient-poll resume --all",
        "! 1 is in doubt; settle it with",
        "  $ resilient-poll reconcile",
    ]
    found = objects(here(capfd, "list", "--json"))
    assert [one["idempotency_key"] for one in found] == ["order-20", "order-19", "order-18", "order-17"]
    assert found[3]["files"][0]["size_bytes"] == Path("cat.mp4").stat().st_size  # type: ignore[index]  # JSON
    for words, count in (
        (("--status", "in_doubt"), 1),
        (("--model", "other"), 0),
        (("--limit", "3"), 3),
        (("--until", "1h"), 0),
        (("--account", "studio"), 0),
    ):
        assert len(objects(here(capfd, "list", "--json", *words))) == count, words


def test_one_is_shown_whole(account: Account, capfd: Capture) -> None:
    """By its key or its task's id, show tells all of one result; no prompt is in it."""
    sent_some(account, capfd)
    shown = here(capfd, "show", "order-17")
    assert shown.stdout.startswith("order-17  SUCCEEDED · billed · ")
    for word in ("task", "model", "service", "account", "submitted", "ended", "file", "sha256", "url"):
        assert re.search(rf"^  {word} +\S", shown.stdout, re.MULTILINE), word
    document = json.loads(here(capfd, "show", "order-17", "--json").stdout)
    task_id = document["attempts"][0]["task_id"]
    assert here(capfd, "show", task_id).stdout == shown.stdout
    assert document["attempts"][0]["result"]["output"]["task_status"] == "SUCCEEDED"
    assert "a cat" not in shown.stdout + json.dumps(document)
    assert "it may be billed" in here(capfd, "show", "order-19").stdout


def test_the_bill_is_summed_exactly(account: Account, capfd: Capture) -> None:
    """Billed, may yet be billed and in doubt stand apart, as decimal texts, by model or day, within a time."""
    sent_some(account, capfd)
    document = json.loads(here(capfd, "bill", "--json").stdout)
    (row,) = document["rows"]
    assert (row["model"], row["currency"], row["tasks_billed"]) == ("wan2.6-t2v", "USD", 2)
    assert (row["may_yet_be_billed"], row["in_doubt"]) == ("1.50", "1.50")
    assert {name: row[name] for name in document["totals"][0]} == document["totals"][0]
    by_day = json.loads(here(capfd, "bill", "--by", "day", "--json").stdout)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", by_day["rows"][0]["day"])
    assert json.loads(here(capfd, "bill", "--until", "1h", "--json").stdout)["rows"] == []
    shown = here(capfd, "bill").stdout
    assert re.search(r"wan2.6-t2v +\d\.\d\d USD \(2 tasks\) +1\.50 USD \(1 task\) +1\.50 USD \(1 task\)", shown)


def test_a_bill_without_prices_says_so(account: Account, capfd: Capture) -> None:
    """What was sent without a price is counted, and priced later by what its answer says it was."""
    account.open("at-once")
    assert here(capfd, "run", *MAKE, *SOON, "-o", "cat.mp4").code == 0
    ended = here(capfd, "bill")
    assert "? (1 task)" in ended.stdout
    assert "no price is known" in ended.stderr
    Path("prices.json").write_text(PRICES)
    (row,) = json.loads(here(capfd, "bill", "--prices", "prices.json", "--json").stdout)["rows"]
    assert Decimal(row["billed"]) > 0


def test_only_what_is_over_is_archived(account: Account, capfd: Capture) -> None:
    """Archive keeps what is open, in doubt or not on disk, and names it; the bill and the key of the rest stay."""
    sent_some(account, capfd)
    before = json.loads(here(capfd, "bill", "--json").stdout)["totals"]
    ended = here(capfd, "archive", "--before", "0s", "--json")
    document = json.loads(ended.stdout)
    assert document["archived"] == 1
    assert {one["idempotency_key"]: one["reason"] for one in document["kept"]} == {
        "order-20": "unfinished",
        "order-19": "in doubt",
        "order-18": "not downloaded",
    }
    assert len(objects(here(capfd, "list", "--json"))) == 3
    assert len(objects(here(capfd, "list", "--archived", "--json"))) == 4
    assert json.loads(here(capfd, "bill", "--json").stdout)["totals"] == before
    assert "kept order-19: in doubt" in here(capfd, "archive", "--before", "0s").stderr
    refused = here(capfd, "archive", "--before", "0s", "--vacuum")
    assert refused.code == 2
    assert "Give --yes if that is wanted; nothing was changed" in refused.stderr
    assert here(capfd, "archive", "--before", "0s", "--vacuum", "--yes").stdout == "archived 0, removed 1 for good\n"
    assert len(objects(here(capfd, "list", "--archived", "--json"))) == 3


@pytest.mark.parametrize("words", READERS)
def test_who_reads_makes_no_ledger(capfd: Capture, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Without a ledger the commands that read make none, and need no API key; one that was named must be there."""
    ended = here(capfd, *words)
    assert ended.code == (2 if words[0] == "show" else 0), ended
    assert not list(Path(os.environ["XDG_STATE_HOME"]).rglob("*.sqlite3*"))
    named = here(capfd, *words, "--ledger", str(tmp_path / "none"))
    assert (named.code, named.stdout) == (2, "")
    assert "there is no ledger" in named.stderr


def test_a_damaged_row_hides_no_other(account: Account, capfd: Capture) -> None:
    """A row that cannot be read is a warning on stderr, or its own JSON line, and all others are listed and billed."""
    sent_some(account, capfd)
    path = Path(os.environ["XDG_STATE_HOME"]) / "resilient-poll" / "ledger.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("UPDATE entries SET phase = 'LOST' WHERE key = 'order-18'")
    ended = here(capfd, "list")
    assert ended.code == 0
    assert [row.split()[0] for row in ended.stdout.splitlines()[1:]] == ["order-20", "order-19", "order-17"]
    assert re.search(r"! entry \d+ of the ledger is damaged", ended.stderr)
    assert "error" in objects(here(capfd, "list", "--json"))[-1]
    billed = here(capfd, "bill")
    assert "it is in no sum" in billed.stderr
    assert len(json.loads(here(capfd, "bill", "--json").stdout)["damaged"]) == 1
    assert here(capfd, "show", "order-17").code == 0
    assert here(capfd, "show", "order-18").code == 1
    assert json.loads(here(capfd, "archive", "--before", "0s", "--json").stdout)["archived"] == 1


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize("words", READERS)
def test_a_ledger_that_cannot_be_read_is_one_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A foreign file, and one of a newer release, end with 2 and one sentence, and are not touched."""
    with SqliteLedger(tmp_path / "newer"):
        pass
    with sqlite3.connect(tmp_path / "newer") as database:
        database.execute("PRAGMA user_version = 999")
    (tmp_path / "foreign").write_bytes(b"no rows here " * 1000)
    for name, why in (("newer", "of version 999"), ("foreign", "no SQLite file")):
        ended = as_process(*words, "--ledger", str(tmp_path / name))
        assert (ended.code, ended.stdout) == (2, ""), ended
        assert why in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_a_list_fits_its_terminal() -> None:
    """On 80 and 120 columns no line is too long, no id is cut, and a longer key has a line of its own."""
    long = entry(
        "order-" + "x" * 60, phase=Phase.UNRECOGNIZED, billing=Billing.UNDETERMINED, files=(), ended_wall_s=None
    )
    paid = entry("猫" * 15, files=(), about={"model": "m" * 60, "output": "/nowhere/" + "y" * 40 + ".mp4"})
    for width in (80, 120):
        lines = narrow([entry(), long, paid], width)
        assert max(map(cell_len, lines)) <= width
        text = "\n".join(lines)
        assert text.count("0385dc79-5ff8-4d82-bcb6-7d2d2d5b8a3a") == 3
        for whole in (long.key, paid.key, "m" * 60, "! paid, not downloaded, expires in 23 h", "0.50 USD", "2m05s"):
            assert whole in text, whole
    assert len(narrow([entry()], 80)) == 3


@given(st.text(min_size=1, max_size=200), st.text(max_size=200), st.integers(min_value=60, max_value=149))
def test_no_row_moves_the_cursor(key: str, model: str, width: int) -> None:
    """Whatever keys and models are called, a list holds no control character and follows no markup."""
    row = entry(key, about={"model": model})
    console = Console(width=1000, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(table_of_entries([row], NOW_S))
    for line in [*narrow([row], width), *capture.get().splitlines()]:
        assert all(character.isprintable() for character in line)


@given(st.decimals(min_value=0, max_value=10**9, places=9))
def test_money_is_exact(amount: Decimal) -> None:
    """What is shown of an amount is the amount, with two decimals at least and no exponent."""
    shown = money(amount)
    assert Decimal(shown) == amount
    assert re.fullmatch(r"\d+\.\d{2,9}", shown)


ROWS = st.lists(
    st.builds(
        BillRow,
        model=st.sampled_from(["a", "b", "USD"]),
        day=st.sampled_from(["2026-01-01", "2026-01-02"]),
        currency=st.sampled_from(["", "USD", "CNY"]),
        billed=st.decimals(min_value=0, max_value=10**6, places=4),
        tasks_billed=st.integers(min_value=0, max_value=9),
    )
)


@given(ROWS, st.sampled_from(["model", "day", "currency"]))
def test_no_sum_loses_or_mixes_money(rows: list[BillRow], by: str) -> None:
    """However a bill is grouped, each currency's sum and counts are those of the rows, and currencies stay apart."""
    groups = grouped(rows, by)
    for currency in ("", "USD", "CNY"):
        of_it = [row for _, row in groups if row.currency == currency]
        assert sum(row.billed for row in of_it) == sum(row.billed for row in rows if row.currency == currency)
        assert sum(row.tasks_billed for row in of_it) == sum(r.tasks_billed for r in rows if r.currency == currency)
    names = [(name, row.currency) for name, row in groups]
    assert len(set(names)) == len(names)
    assert [name for name, _ in groups if by != "currency"] == sorted(name for name, _ in groups if by != "currency")


def test_what_is_to_be_done_is_said() -> None:
    """A paid result that is not on disk says until when, a doubt what it is, and nothing else says anything."""
    unsaved = entry(files=())
    assert warning_of(unsaved, NOW_S) == "paid, not downloaded, expires in 23 h"
    assert warning_of(unsaved, NOW_S + 86_400) == "paid, not downloaded, and its URL has expired 1 min ago"
    assert "not known" in (warning_of(entry(phase=Phase.IN_DOUBT, task_id=None), NOW_S) or "")
    for over in (entry(), replace(unsaved, billing=Billing.NONE), entry(phase=Phase.FAILED, files=())):
        assert warning_of(over, NOW_S) is None
