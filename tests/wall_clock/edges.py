"""Moments at which calendars are odd, and zones in which clocks are."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["EDGES", "ZONES", "http_dates"]

EDGES = {
    "the end of a year": datetime(2026, 12, 31, 23, 59, 50, tzinfo=UTC),
    "the end of a decade": datetime(2029, 12, 31, 23, 59, 50, tzinfo=UTC),
    "before 29 February": datetime(2028, 2, 28, 23, 59, 50, tzinfo=UTC),
    "29 February": datetime(2028, 2, 29, 23, 59, 50, tzinfo=UTC),
    "no 29 February": datetime(2027, 2, 28, 23, 59, 50, tzinfo=UTC),
    "the last leap second": datetime(2016, 12, 31, 23, 59, 50, tzinfo=UTC),
    "spring in New York": datetime(2026, 3, 8, 6, 59, 50, tzinfo=UTC),
    "autumn in New York": datetime(2026, 11, 1, 5, 59, 50, tzinfo=UTC),
    "half an hour in Lord Howe": datetime(2026, 4, 4, 14, 59, 50, tzinfo=UTC),
    "2038": datetime(2038, 1, 19, 3, 14, 0, tzinfo=UTC),
}
ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_dates(moment: datetime) -> tuple[str, str, str]:
    """Return a moment in the three forms that recipients read (RFC 9110, 5.6.7), whatever the locale."""
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return (
        f"{day[:3]}, {moment.day:02} {month} {moment.year} {moment:%H:%M:%S} GMT",
        f"{day}, {moment.day:02}-{month}-{moment.year % 100:02} {moment:%H:%M:%S} GMT",
        f"{day[:3]} {month} {moment.day:2} {moment:%H:%M:%S} {moment.year}",
    )
