"""What a list of tasks may ask for, to the last digit and to the second."""

from __future__ import annotations

import pytest

from fake_server.rules.listing import ListQuery, read_list_query

NOW_WALL_S = 1_750_000_000.0  # 2025-06-15 23:06:40 in UTC+8
DAY_S = 86_400.0


def asked(**changes: object) -> ListQuery:
    """What a list without any parameter asks for, but for these."""
    usual = {"task_id": None, "from_s": NOW_WALL_S - DAY_S, "to_s": NOW_WALL_S, "model": None, "status": None}
    return ListQuery(**{**usual, "page": 1, "page_size": 10, **changes})  # type: ignore[arg-type]  # as they come


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", asked()),
        ("start_time=20250615230640&end_time=20250615230640", asked(from_s=NOW_WALL_S)),
        ("start_time=20250615230639&end_time=20250615230640", asked(from_s=NOW_WALL_S - 1)),
        ("start_time=20250614230640&end_time=20250615230640", asked()),
        ("end_time=20250615230639", asked(from_s=NOW_WALL_S - DAY_S - 1, to_s=NOW_WALL_S - 1)),
        ("start_time=20250615230639", asked(from_s=NOW_WALL_S - 1, to_s=NOW_WALL_S + DAY_S - 1)),
        ("page_no=1000000000&page_size=1000", asked(page=1_000_000_000, page_size=1_000)),
        ("page_no=1&page_size=1", asked(page_size=1)),
        ("page_no=&page_size=", asked()),
        ("status=UNKNOWN&model_name=m&task_id=t", asked(status="UNKNOWN", model="m", task_id="t")),
    ],
)
def test_a_list_is_read_as_it_is_documented(query: str, expected: ListQuery) -> None:
    """The window ends at the present or is a day from or to the one bound, bounds may be one and the same second, and
    pages are of ten rows."""
    assert read_list_query(query, NOW_WALL_S) == expected


NO_TIME = "start_time is not a time of the form YYYYMMDDhhmmss"
NO_PAGE = "page_no and page_size are whole numbers from 1, page_size up to 1000"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("start_time=2025061523064", NO_TIME),
        ("start_time=202506152306400", NO_TIME),
        ("start_time=202506%201230640", NO_TIME),
        ("start_time=2025061523064x", NO_TIME),
        ("start_time=%D9%A2025061523064", NO_TIME),
        ("start_time=20250615236040", NO_TIME),
        ("end_time=20250615", "end_time is not a time of the form YYYYMMDDhhmmss"),
        (
            "start_time=20250615230640&end_time=20250615230639",
            "start_time and end_time may be at most 24 hours apart, in this order",
        ),
        (
            "start_time=20250614230639&end_time=20250615230640",
            "start_time and end_time may be at most 24 hours apart, in this order",
        ),
        ("status=GONE", "status is not one of PENDING, RUNNING, SUCCEEDED, FAILED, CANCELED, UNKNOWN"),
        ("page_no=0", NO_PAGE),
        ("page_no=1000000001", NO_PAGE),
        ("page_no=1.0", NO_PAGE),
        ("page_no=%C2%B2", NO_PAGE),
        ("page_size=1001", NO_PAGE),
    ],
)
def test_what_a_list_cannot_mean_is_told_in_a_sentence(query: str, sentence: str) -> None:
    """A time has fourteen digits and is on a calendar, a window is a day at most, a status is one of those listed, and
    a page is a number within bounds; what is not, is told with what is expected."""
    assert read_list_query(query, NOW_WALL_S) == sentence
