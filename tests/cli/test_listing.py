"""The service's own list, for people and for machines."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from resilient_poll.cli.listing import table_of
from resilient_poll.cli.records.durations import moment_of, short_duration
from resilient_poll.dashscope.wire.listing import ListedTask
from resilient_poll.machine.lifecycle import Phase
from tests.cli.command_line import Account, here
from tests.support.raw_server import RawRequest, RawServer, json_answer

Capture = pytest.CaptureFixture[str]
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def row(task_id: str, **more: object) -> ListedTask:
    """A row of the list."""
    values = {
        "status": "SUCCEEDED",
        "phase": Phase.SUCCEEDED,
        "model": "wan2.6-t2v",
        "request_id": "r",
        "submitted_at": NOW - timedelta(minutes=5),
        "started_at": None,
        "ended_at": NOW - timedelta(minutes=3, seconds=52),
        "row": {},
        **more,
    }
    return ListedTask(task_id=task_id, **values)  # type: ignore[arg-type]  # a test's shorthand


def drawn(rows: list[ListedTask], width: int) -> list[str]:
    """The table as a terminal of that width shows it."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(table_of(rows, NOW, width))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_the_list_is_a_table_without_a_terminal_too(account: Account, capfd: Capture) -> None:
    """Every task of the account is a line with its whole id, its status, its model and its times."""
    account.open("at-once", "DASHSCOPE")
    ids = [account.submitted(capfd) for _ in range(3)]
    ended = here(capfd, "list", "--remote")
    assert ended.code == 0, ended
    for task_id in ids:
        assert re.search(rf"{task_id} +SUCCEEDED +wan2.6-t2v +[\d.]+s ago +[\d.]+s\n", ended.stdout)
    assert "\x1b" not in ended.stdout
    assert ended.stderr.endswith("3 tasks\n")


def test_the_list_as_json_is_one_task_a_line(account: Account, capfd: Capture) -> None:
    """With --json each task is one object, times are ISO 8601 with a zone, and a limit holds."""
    account.open("at-once", "DASHSCOPE")
    ids = {account.submitted(capfd) for _ in range(3)}
    ended = here(capfd, "list", "--remote", "--since", "1h", "--json")
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert {task["task_id"] for task in found} == ids
    assert {task["phase"] for task in found} == {"SUCCEEDED"}
    assert all(datetime.fromisoformat(task["submitted_at"]).tzinfo for task in found)
    assert len(here(capfd, "list", "--remote", "--limit", "2", "--json").stdout.splitlines()) == 2
    assert here(capfd, "list", "--remote", "--status", "FAILED", "--json").stdout == ""
    assert here(capfd, "list", "--remote", "--since", "3h", "--until", "2h", "--json").stdout == ""


@pytest.mark.parametrize("as_json", [False, True])
def test_what_was_heard_before_a_refusal_is_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture, as_json: bool
) -> None:
    """When a later page is refused, the tasks before it are shown, then the reason, and the exit code is 6."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-canary-canary")

    def answer(request: RawRequest) -> bytes:
        if b"page_no=1" not in request.head:
            return json_answer(403, {"code": "AccessDenied", "message": "no", "request_id": "r"})
        data = [{"task_id": "t1", "status": "RUNNING", "gmt_create": 1_700_000_000_000}]
        return json_answer(200, {"data": data, "page_no": 1, "total_page": 2})

    with RawServer.answering(answer) as server:
        more = ["--json"] if as_json else []
        ended = here(capfd, "list", "--remote", "--dialect", "dashscope", "--base-url", server.url, *more)
    assert ended.code == 6, ended
    if as_json:
        task, error = map(json.loads, ended.stdout.splitlines())
        assert (task["task_id"], error["outcome"], error["error"]["code"]) == ("t1", "list_refused", "AccessDenied")
    else:
        assert re.search(r"t1 +RUNNING +\?", ended.stdout)
        assert "✗ the service refuses to list its tasks" in ended.stderr
    assert "canary" not in ended.stdout + ended.stderr


def test_a_narrow_terminal_cuts_no_id() -> None:
    """On 80 columns a row is one line with its whole id, whatever the model is called; a longer id is folded."""
    usual = "0385dc79-5ff8-4d82-bcb6-7d2d2d5b8a3a"
    lines = drawn([row(usual, model="a-model-with-a-very-long-name-indeed")], 80)
    assert len(lines) == 2
    assert lines[1].startswith(f"{usual}  SUCCEEDED  a-model-")
    assert lines[1].endswith(" 5m00s ago  1m08s")
    folded = drawn([row("x" * 100)], 80)
    assert "".join(re.findall("x+", " ".join(folded))) == "x" * 100
    assert max(map(len, drawn([row(usual), row("y" * 200)], 120))) <= 120


def test_the_newest_task_comes_first_and_gaps_are_shown() -> None:
    """Rows are sorted by their time, those without one last, and what is not known is a question mark."""
    bare = row("bare", status=None, phase=Phase.UNLISTED, model=None, submitted_at=None, ended_at=None)
    lines = drawn([bare, row("old", submitted_at=NOW - timedelta(hours=9)), row("new")], 100)
    assert [line.split()[0] for line in lines[1:]] == ["new", "old", "bare"]
    assert lines[-1].split() == ["bare", "?", "?", "?"]


def test_what_a_list_says_cannot_move_the_cursor() -> None:
    """No control character of a row reaches the terminal, and no markup of rich is followed."""
    text = "\n".join(drawn([row("t1", status="A\x1b[2JB", model="[red]m[/red]")], 120))
    assert "\x1b" not in text
    assert "[red]m[/red]" in text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("1d", NOW - timedelta(days=1)),
        ("2026-11-22T12:00Z", NOW),
        ("2026-11-22T20:00+08:00", NOW),
    ],
)
def test_a_time_is_a_moment_or_how_long_ago(text: str, moment: datetime) -> None:
    """ISO 8601 with a zone and short durations name the same moments."""
    assert moment_of(text, NOW) == moment


@given(st.text())
def test_any_other_text_is_no_moment(text: str) -> None:
    """Whatever is typed is a moment with a zone or refused in one line."""
    said = ""
    try:
        assert moment_of(text, NOW).tzinfo is not None
    except ValueError as error:
        said = str(error)
    assert "\n" not in said


@given(st.floats(min_value=-10, max_value=86400 * 999))
def test_a_short_duration_is_short(seconds: float) -> None:
    """A duration of up to years takes seven characters at most."""
    assert re.fullmatch(r"\d\.\ds|10\.0s|\d\ds|\d+m\d\ds|\d+h\d\dm|\d+d\d\dh", short_duration(seconds))
    assert len(short_duration(seconds)) <= 7
