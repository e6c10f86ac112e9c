"""The lines of a journal: what each field holds, what is blacked out, and how much is kept."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from fake_server.rules.journal import Entry, Journal
from fake_server.wire.messages import Headers, Request

SECRET = "a-key-of-somebody"
KEY = ("Authorization", f"Bearer {SECRET}")


def line(
    journal: Journal | None = None,
    *,
    method: str = "GET",
    path: str = "/x",
    query: str = "",
    headers: Headers = (),
    **fields: Any,
) -> Entry:
    """One line."""
    given = {"at_s": 0.0, "route": "query", "task_id": None, "status": 200, "fault": None, "retry_after": None}
    request = Request(method, path, query, headers, b"", "")
    return (journal or Journal()).add(request, **{**given, **fields})


def test_a_line_has_what_was_asked_and_answered() -> None:
    """Every field is the one it is named for: times in seconds to six places, names of headers in small letters."""
    journal = Journal()
    line(journal)
    entry = line(
        journal,
        method="POST",
        path="/api/v1/tasks/t1/cancel",
        query="page_no=1",
        headers=(("X-One", "1"), ("User-Agent", "y")),
        at_s=1.23456789,
        route="cancel",
        task_id="t1",
        status=503,
        fault="a fault",
        retry_after="7",
    )
    assert entry == Entry(
        ordinal=2,
        at_s=1.234568,
        route="cancel",
        method="POST",
        path="/api/v1/tasks/t1/cancel",
        query="page_no=1",
        task_id="t1",
        status=503,
        fault="a fault",
        retry_after="7",
        header_names=("x-one", "user-agent"),
        carried_secret=False,
        sequence=2,
    )
    assert journal.entries[-1] is entry


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("Authorization", True),
        ("proxy-authorization", True),
        ("Cookie", True),
        ("X-API-Key", True),
        ("x-dashscope-apikey", True),
        ("x-request-id", False),
        ("set-cookie", False),
    ],
)
def test_headers_that_hold_credentials_are_known(name: str, is_secret: bool) -> None:
    """A line says whether any header of its request holds credentials, in whatever case, and never shows a value."""
    entry = line(headers=(("accept", "z"), (name, "a-value")))
    assert entry.carried_secret is is_secret
    assert entry.header_names == ("accept", name.lower())
    assert "a-value" not in str(entry)
    assert not line(headers=()).carried_secret


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("task_id=1&start_time=2&end_time=3&model_name=4", "task_id=1&start_time=2&end_time=3&model_name=4"),
        ("status=5&page_no=6&page_size=7&region=8", "status=5&page_no=6&page_size=7&region=8"),
        ("status=&token=x&page=1", "status=&token=***&page=***"),
        ("status=a%20b&a%20b=c", "status=a%20b&a%20b=***"),
        (f"status=x{SECRET}y&{SECRET}=1", "status=x***y&***=***"),
        ("status=sk-12/3&status=a+sk-4", "status=***%2F3&status=a%20***"),
        (f"{SECRET}=1&sk-12=1&a%2Fb=1", "***=***&***=***&a%2Fb=***"),
        ("&".join(["status=1"] * 33), "&".join(["status=1"] * 33)),
        ("&".join(["a"] * 100), "&".join(["a=***"] * 100)[:300]),
        ("&".join(["a"] * 101), "***"),
        ("", ""),
    ],
)
def test_only_known_parameters_show_their_values(query: str, shown: str) -> None:
    """The values of the task list's own parameters stand in a line without anything like a key; all others are blacked
    out, and so is a query of more than a hundred."""
    assert line(query=query, headers=(KEY,)).query == shown


def test_a_key_is_no_name_of_a_parameter_however_it_is_spelt() -> None:
    """A key that is sent as a parameter's name is blacked out, quoted or not."""
    for key, spelt in (("half/a+secret", "half%2Fa%2Bsecret"), ("half/a+secret", "half/a%2bsecret"), (SECRET, SECRET)):
        entry = line(query=f"{spelt}=1&x{spelt}&page_no=2", headers=(("authorization", f"Bearer {key}"),))
        assert entry.query == "***=***&x***=***&page_no=2"


@pytest.mark.parametrize(
    ("path", "authorization", "shown"),
    [
        (f"/a/{SECRET}/b", f"Bearer {SECRET}", "/a/***/b"),
        (f"/a/{SECRET}/b", SECRET, "/a/***/b"),
        (f"/a/{SECRET}/b", "Bearer another-key", f"/a/{SECRET}/b"),
        ("/a/12345678", "Bearer 12345678", "/a/***"),
        ("/a/1234567", "Bearer 1234567", "/a/1234567"),
        ("/sk-1/sk-2?sk-3&sk-4#sk-5 sk-6", "", "/***/***?***&***#*** ***"),
        ("/asks-for", "", "/asks-for"),
        ("/task-1", "", "/ta***"),
    ],
)
def test_what_looks_like_a_key_is_blacked_out(path: str, authorization: str, shown: str) -> None:
    """The request's own key, if it is long enough to be one, and every word from `sk-` on give way to stars, in the
    path as in the id of the task."""
    entry = line(path=path, task_id=path, headers=(("authorization", authorization),))
    assert (entry.path, entry.task_id) == (shown, shown)


def test_a_line_is_cut_to_its_bounds() -> None:
    """Method, path, query, id and names keep three hundred characters, and sixty-four names are shown."""
    long = "x" * 301
    headers = ((long, ""), *((f"n{number}", "") for number in range(70)))
    entry = line(method=long, path=long, query=f"status={long}", task_id=long, headers=headers)
    kept = "x" * 300
    assert (entry.method, entry.path, entry.task_id) == (kept, kept, kept)
    assert entry.query == f"status={kept}"[:300]
    assert entry.header_names == (kept, *(f"n{number}" for number in range(63)))
    assert line(headers=(*headers, KEY)).carried_secret, "whatever is shown, all of them are looked at"


def test_the_latest_lines_are_kept() -> None:
    """Beyond its number of lines a journal drops the oldest; the numbers of lines go on, and so does the count."""
    journal = Journal(most_entries=2)
    for number in range(5):
        line(journal)
        assert len(journal.entries) == min(number + 1, 2)
        assert journal.forgotten == max(number - 1, 0)
    assert [entry.ordinal for entry in journal.entries] == [4, 5]
    assert journal.counters["requests"] == 5
    assert Journal().entries == ()
    assert Journal().forgotten == 0


@pytest.mark.parametrize(("most", "kept"), [(80, 2), (79, 1), (119, 2), (120, 3), (39, 0)])
def test_the_text_of_the_lines_is_counted_to_the_character(
    monkeypatch: pytest.MonkeyPatch, most: int, kept: int
) -> None:
    """Names, path, query and id of the task, as they are shown, are what a line takes of a journal's characters."""
    monkeypatch.setattr("fake_server.rules.journal.MOST_CHARACTERS", most)
    journal = Journal()
    for _ in range(4):
        # Ten of each: the id is shown without its key, and of the headers only the names count.
        line(
            journal,
            path="/123456789",
            query="status=123",
            task_id="1234567sk-longer",
            headers=(("x-one", "value"), ("X-Two", "value")),
        )
    assert len(journal.entries) == kept


def test_lines_of_all_worlds_are_numbered_together() -> None:
    """Journals that share a counter have no number twice, and each tells its lines to whoever listens once they are
    written."""
    first, second = Journal(), Journal()
    first.sequence = second.sequence = itertools.count(10)
    heard: list[tuple[Entry, bool]] = []
    second.on_entry = lambda entry: heard.append((entry, entry in second.entries))
    entries = [line(journal) for journal in (first, second, first, second)]
    assert [entry.sequence for entry in entries] == [10, 11, 12, 13]
    assert [entry.ordinal for entry in entries] == [1, 1, 2, 2]
    assert heard == [(entries[1], True), (entries[3], True)]
