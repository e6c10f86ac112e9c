"""Hypothesis strategies for what this fake can play: lifecycles, faults, whole scenarios, `Retry-After` values.

What is drawn is plain text, mappings and lists, as they stand in a file: a failing example can be pasted into one. All
of it is accepted by the loader, and shrinks towards a task that succeeds at once while nothing goes wrong.
"""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from fake_server.faults.model import BODY_FORMS, DRIFTS, HINT_FORMS, REDIRECTS
from fake_server.scenario.fault_forms import COUNTED, FAULT_FORMS, WIRE_KINDS
from fake_server.testing.extras import STRATEGY_PACKAGES, need
from fake_server.wire import bodies
from fake_server.wire.errors import SHAPES

need("fake_server.strategies", STRATEGY_PACKAGES, "hypothesis")

from hypothesis import strategies as st  # noqa: E402 - what is missing is said before

if TYPE_CHECKING:
    from fake_server.scenario.fault_forms import FaultForm

__all__ = ["faults", "lifecycles", "retry_after_values", "scenarios"]

Entry = dict[str, Any]
# Where the last step of a life is no end, this is what a client can say of it.
_OUTCOME_OF = {"SUCCEEDED": "SUCCEEDED", "FAILED": "FAILED", "CANCELED": "CANCELED", "UNKNOWN": "EXPIRED"}
_WAITING = ("PENDING", "RUNNING", "UNKNOWN", "RENDERING", "SUSPENDED")
_ENDS = ("SUCCEEDED", "FAILED", "FAILED DataInspectionFailed", "FAILED InternalError.Algo", "CANCELED")
_STAYS = ("RUNNING", "PENDING", "UNKNOWN")
# Statuses that clients meet, the usual ones first; any from 200 to 599 may be scripted.
_STATUSES = (500, 502, 503, 429, 408, 400, 401, 403, 404, 409, 504, 200, 202, 204, 301)
_SOCKET_FAULTS = ("wire", "lost_create", "asset_cut")


def lifecycles(*, ends: bool = True) -> st.SearchStrategy[str]:
    """Lives of a task in their short form, such as `PENDING 2s -> RUNNING 3 polls -> SUCCEEDED`.

    Args:
        ends: Whether each comes to an end; otherwise some stay where they are for ever.
    """
    last = st.sampled_from(_ENDS if ends else (*_ENDS, *_STAYS))
    steps = st.builds("{} {}".format, st.sampled_from(_WAITING), _lengths())
    return st.builds(lambda path, end: " -> ".join([*path, end]), st.lists(steps, max_size=5), last)


def faults(*, sockets: bool = True) -> st.SearchStrategy[Entry]:
    """Faults as they stand under `faults:`, and as `arm()` takes them.

    Args:
        sockets: Whether those of the wire are among them, which nothing without a socket can show.
    """
    return st.one_of([_of_form(name) for name in FAULT_FORMS if sockets or name not in _SOCKET_FAULTS])


def scenarios(*, ends: bool = True, sockets: bool = True) -> st.SearchStrategy[Entry]:
    """Whole scenarios, as `load()` takes them.

    Their `expect` names what the first task's life comes to; what a good client makes of the faults on the way is for
    the test to say.

    Args:
        ends: Whether each life comes to an end.
        sockets: Whether faults of the wire are among them.
    """
    # One of several faults that has a name would have to have another one than the rest.
    nameless = faults(sockets=sockets).map(lambda entry: {key: entry[key] for key in entry if key != "name"})
    parts = st.fixed_dictionaries(
        {"tasks": st.lists(_tasks(ends=ends), min_size=1, max_size=3)},
        optional={
            "quotas": _quotas(),
            "create": st.lists(_answers("create", sockets=sockets), max_size=2),
            "poll": st.lists(_answers("poll", sockets=sockets), max_size=4),
            "faults": st.lists(nameless, max_size=3),
            "retention": _durations(60),
            "url_lifetime": _durations(60),
            "client": st.fixed_dictionaries(
                {}, optional={"timeout": _durations(2), "submit_timeout": _durations(2), "download": st.booleans()}
            ),
        },
    )
    return parts.map(_complete)


def retry_after_values(*, valid: bool | None = None) -> st.SearchStrategy[str]:
    """Values of `Retry-After`, as a server might spell them.

    Args:
        valid: True for those that RFC 9110 (10.2.3) allows, False for others only, None for both.
    """
    right = st.one_of(st.integers(0, 100_000).map(str), st.builds(_dated, _moments(), st.sampled_from(_DATE_FORMS)))
    wrong = st.one_of(
        st.sampled_from(("", "soon", "-1", "1.5", "3s", "3, 5", "+3", "0x10", "1e3", "NaN", "null")),
        st.integers(1, 10_000).map("-{}".format),
        st.integers(0, 10_000).map("{}.5".format),
        st.integers(0, 10_000).map("{} seconds".format),
        _moments().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ")),
        _moments().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S")),
        # What nobody thought of; a letter in front makes sure that it is neither a number nor a date.
        st.text(_PRINTABLE, max_size=40).map("x{}".format),
    )
    return right if valid else st.one_of(right, wrong) if valid is None else wrong


# Spelt out: asked for by code points, it would make Hypothesis read the tables of Unicode first, which takes a second.
_PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
_DateForm = Literal["usual", "rfc850", "asctime"]
_DATE_FORMS: tuple[_DateForm, ...] = get_args(_DateForm)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)


def _moments() -> st.SearchStrategy[datetime]:
    return st.integers(0, 90 * 365 * 86_400).map(lambda seconds: _FIRST + timedelta(seconds=seconds))


def _dated(moment: datetime, form: _DateForm) -> str:
    """A date in one of the forms that recipients read (RFC 9110, 5.6.7), whatever the locale."""
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    clock = f"{moment:%H:%M:%S}"
    if form == "rfc850":
        return f"{day}, {moment.day:02d}-{month}-{moment.year % 100:02d} {clock} GMT"
    if form == "asctime":
        return f"{day[:3]} {month} {moment.day:2d} {clock} {moment.year}"
    return f"{day[:3]}, {moment.day:02d} {month} {moment.year} {clock} GMT"


def _durations(least_s: int = 0, most_s: int = 600) -> st.SearchStrategy[str]:
    seconds = st.integers(least_s, most_s).map("{}s".format)
    return st.one_of(seconds, st.integers(max(1, least_s * 1000), most_s * 1000).map("{}ms".format))


def _lengths() -> st.SearchStrategy[str]:
    polls = st.integers(1, 4).map(lambda number: f"{number} polls" if number > 1 else "1 poll")
    return st.one_of(st.integers(1, 90).map("{}s".format), polls)


def _tenths(most: float = 1.0) -> st.SearchStrategy[float]:
    return st.integers(0, int(most * 10)).map(lambda number: number / 10)


def _tasks(*, ends: bool) -> st.SearchStrategy[str | Entry]:
    long_form = st.fixed_dictionaries(
        {"lifecycle": lifecycles(ends=ends)},
        optional={
            "usage": st.sampled_from(get_args(bodies.UsageForm)),
            "url_in": st.sampled_from(get_args(bodies.UrlPlace)),
            "times": st.booleans(),
            "billed_share": _tenths(),
        },
    )
    return st.one_of(lifecycles(ends=ends), long_form)


def _quotas() -> st.SearchStrategy[Entry]:
    few = st.integers(1, 10)
    return st.fixed_dictionaries(
        {}, optional={"concurrent_tasks": few, "queries_per_second": few, "images_per_minute": few}
    )


def _complete(parts: Entry) -> Entry:
    first = parts["tasks"][0]
    life: str = first if isinstance(first, str) else first["lifecycle"]
    outcome = _OUTCOME_OF.get(life.rpartition("-> ")[2].partition(" ")[0], "STILL_GOING")
    return {"version": 1, "summary": "Drawn.", **parts, "expect": {"outcome": outcome}}


def _hints() -> dict[str, st.SearchStrategy[Any]]:
    return {"retry_after": _durations(), "form": st.sampled_from(HINT_FORMS), "header": retry_after_values()}


def _errors() -> dict[str, st.SearchStrategy[Any]]:
    code = st.sampled_from(("Throttling.RateQuota", "InternalError", "InvalidParameter", "ModelUnavailable"))
    by_dialect = st.fixed_dictionaries({}, optional=dict.fromkeys(bodies.DIALECTS, code))
    return {
        "code": st.one_of(code, by_dialect),
        "message": st.sampled_from(("Too many.", "Try again later.", "猫 %s <b>")),
        "shape": st.sampled_from(tuple(SHAPES)),
    }


def _header_tables() -> st.SearchStrategy[Entry]:
    names = st.sampled_from(("x-request-id", "server", "cache-control", "content-language"))
    return st.dictionaries(names, st.text(_PRINTABLE, max_size=20), max_size=2)


def _documents() -> st.SearchStrategy[Any]:
    leaves = st.one_of(st.none(), st.booleans(), st.integers(-1000, 1000), st.sampled_from(("", "a cat", "猫", "null")))
    keys = st.sampled_from(("output", "task_id", "task_status", "code", "data"))
    one = st.dictionaries(keys, leaves, max_size=3)
    return st.one_of(one, st.lists(one, max_size=2), st.fixed_dictionaries({"output": one}))


def _answers(route: str, *, sockets: bool) -> st.SearchStrategy[Entry]:
    """Scripted answers, as they stand under `create:` and `poll:`."""
    times: dict[str, st.SearchStrategy[Any]] = {"times": st.integers(1, 3)}
    hints = {**_hints(), "form": st.sampled_from(("seconds", "http-date", "none"))}
    whens = st.sampled_from(("before_commit", "after_commit"))
    when: dict[str, st.SearchStrategy[Any]] = {"when": whens} if route == "create" else {}
    body = st.one_of(st.sampled_from(("<html>", "", "{")), _documents())
    kinds: list[st.SearchStrategy[Entry]] = [
        st.fixed_dictionaries({"pass": st.integers(1, 3)}),
        st.fixed_dictionaries(
            {"throttle": st.fixed_dictionaries({}, optional={**hints, **_errors()})}, optional=times
        ),
        st.fixed_dictionaries(
            {"status": st.sampled_from(_STATUSES)},
            optional={
                **times, **when, **hints, **_errors(),
                "body": body, "content_type": st.just("text/plain"), "headers": _header_tables(),
            },
        ),
    ]  # fmt: skip
    if sockets:
        how = st.sampled_from(("reset", "close"))
        kinds.append(st.fixed_dictionaries({"drop": whens}, optional={**times, "how": how}))
    return st.one_of(kinds)


def _of_form(name: str) -> st.SearchStrategy[Entry]:
    """One kind of fault, with its own keys and the conditions that all have."""
    form = FAULT_FORMS[name]
    own = _own_keys(name, form)
    return st.tuples(own, _conditions(form)).map(lambda parts: {"fault": name, **parts[0], **parts[1]})


def _own_keys(name: str, form: FaultForm) -> st.SearchStrategy[Entry]:
    values = {key: _VALUES[(name, key) if (name, key) in _VALUES else ("", key)] for key in form.fields}
    required = {key: values[key] for key in form.required}
    free = {key: value for key, value in values.items() if key not in (*form.required, *form.one_of)}
    if len(form.whens) > 1:
        free["when"] = st.sampled_from(form.whens)
    if form.one_of:
        return st.one_of([st.fixed_dictionaries({**required, key: values[key]}, optional=free) for key in form.one_of])
    if form.keys_of:
        of_some = {key for keys in form.keys_of.values() for key in keys}
        for_all = {key: value for key, value in free.items() if key not in of_some}
        return required["kind"].flatmap(
            lambda kind: st.fixed_dictionaries(
                {"kind": st.just(kind)},
                optional={**for_all, **{key: values[key] for key in form.keys_of.get(kind, ())}},
            )
        )
    drawn = st.fixed_dictionaries(required, optional=free)
    # A text is a body spelt out.
    return drawn.map(lambda entry: {key: entry[key] for key in entry if not (key == "text" and "body" in entry)})


def _conditions(form: FaultForm) -> st.SearchStrategy[Entry]:
    """Which requests are struck, how often, how likely, when."""
    ordinal = st.integers(1, 6)
    counted = {
        "nth": st.one_of(ordinal, st.lists(ordinal, min_size=1, max_size=3)),
        "first": ordinal,
        "every_nth": ordinal,
    }
    words = st.sampled_from(("any", *form.on) if len(form.on) > 1 else form.on)
    rest = st.fixed_dictionaries(
        {},
        optional={
            "on": st.one_of(words, st.lists(words, min_size=1, max_size=2)),
            "probability": _tenths(),
            "window": st.builds(lambda start, length: f"{start}s..{start + length}s", st.integers(0, 60), ordinal),
            "task": ordinal,
            "times": ordinal,
            "must_fire": st.booleans(),
            "name": st.text(string.ascii_lowercase + "-_", max_size=8).map("n{}".format),
        },
    )
    which = st.one_of(st.just({}), *[st.fixed_dictionaries({key: counted[key]}) for key in COUNTED])
    return st.tuples(which, rest).map(lambda parts: {**parts[0], **parts[1]})


def _rates() -> st.SearchStrategy[Entry]:
    number = st.integers(0, 100)
    return st.fixed_dictionaries(
        {},
        optional={
            "limit": number,
            "remaining": number,
            "reset": _durations(),
            "form": st.sampled_from(("epoch", "seconds")),
        },
    )


def _uniforms() -> st.SearchStrategy[Entry]:
    ends = st.tuples(st.integers(0, 2_000), st.integers(0, 2_000)).map(sorted)
    return st.one_of(
        st.fixed_dictionaries({"to": _durations(0, 5)}),
        ends.map(lambda pair: {"from": f"{pair[0]}ms", "to": f"{pair[1]}ms"}),
    )


# By fault and key, or by key alone where it means the same everywhere. A test compares it with the table of faults.
_VALUES: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    **{("", key): value for key, value in {**_hints(), **_errors()}.items()},
    ("", "headers"): _header_tables(),
    ("", "content_type"): st.sampled_from(("text/html", "application/json", "")),
    ("", "rate_headers"): _rates(),
    ("status", "status"): st.sampled_from(_STATUSES),
    ("status", "body"): st.one_of(st.sampled_from(BODY_FORMS), _documents()),
    ("status", "text"): st.sampled_from(("oops", "猫", "{")),
    ("redirect", "status"): st.integers(300, 308),
    ("redirect", "to"): st.sampled_from(REDIRECTS),
    ("latency", "fixed"): _durations(0, 5),
    ("latency", "uniform"): _uniforms(),
    ("latency", "log_normal"): st.fixed_dictionaries({"median": _durations(0, 2)}, optional={"sigma": _tenths(2)}),
    ("schema_drift", "kind"): st.sampled_from(DRIFTS),
    ("schema_drift", "word"): st.sampled_from(("MIGRATING", "running", "Done")),
    ("wire", "kind"): st.sampled_from(WIRE_KINDS),
    ("wire", "after_bytes"): st.integers(0, 2_000),
    ("wire", "every"): _durations(1, 5),
    ("wire", "for"): _durations(1, 5),
    ("wire", "count"): st.integers(1, 200),
    ("lost_create", "how"): st.sampled_from(("reset", "close")),
    ("stale_read", "age"): _durations(1, 60),
    ("unknown_after_create", "for"): _durations(1, 60),
    ("unknown_after_create", "polls"): st.integers(1, 5),
    ("clock_skew", "ahead"): _durations(1),
    ("clock_skew", "behind"): _durations(1),
}
