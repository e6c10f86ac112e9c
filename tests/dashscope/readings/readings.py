"""Answers of every kind, and what they mean to the client."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from resilient_poll.dashscope.settings import resolve_settings
from resilient_poll.dashscope.wire import (
    dialects,
    endpoints,
    error_bodies,
    error_catalogue,
    listing,
    redaction,
    requests,
    results,
    translate,
)
from resilient_poll.errors import ConfigurationError, ListingFailed
from resilient_poll.http.messages import Answer, ExchangeFailed
from tests.support.written import shown

HERE = Path(__file__).parent
NOW_S = 1_750_000_000.0
KEY = "sk-abcdefghijklmnop"
URL = "https://oss.test/a/b.mp4?Expires=1"


def of(call: Callable[[], Any]) -> str:
    """Return what a call gave, or the error with which it refused."""
    try:
        return shown(call())
    except (ConfigurationError, ListingFailed) as error:
        # What JSON says of a value in brackets is another with every Python.
        return f"{type(error).__name__}: {str(error).split(' as JSON (')[0]}"


def answer(status: int, body: Any, *headers: tuple[str, str]) -> Answer:
    """Return an answer; a text is sent as it is, anything else as JSON."""
    return Answer(status, headers, body.encode() if isinstance(body, str) else json.dumps(body).encode())


def errors() -> Iterator[str]:
    """Every code of the catalogue and more, in every shape and with every status, to a create and to a query."""
    codes = sorted({row.code.rstrip("*.") for row in error_catalogue.CATALOGUE} | {"InvalidParameter.Of.A.Kind", "New"})
    for code in codes:
        rows = [row for row in error_catalogue.CATALOGUE if row.code.rstrip("*.") == code]
        statuses = sorted({status for row in rows for status in row.statuses} | {400, 429})
        for dialect, status in itertools.product(dialects.DIALECTS.values(), statuses):
            nested = {"error": {"code": code, "message": "why", "retryable": True, "request_id": "r-2"}}
            flat = {"code": code, "message": "for the token-plan", "request_id": "r-1"}
            for body in (nested, flat):
                said = answer(status, body, ("retry-after", "3"))
                create = translate.translate_create(said, dialect, NOW_S)
                query = translate.translate_query(said, dialect, "t-1", NOW_S)
                told = error_catalogue.classify(dialect.name, code, body.get("message"), status)
                kinds = f"{type(create).__name__} {type(query).__name__}"
                yield f"{dialect.name} {status} {code} {'flat' if body is flat else 'nested'}: {kinds} {shown(told)}"
    for code, status in itertools.product(
        (None, "*", "Unheard.Of"), (None, 200, 302, 399, 400, 408, 409, 425, 429, 500)
    ):
        yield f"{code} {status}: {shown(error_catalogue.classify('aisa', code, None, status))}"
    yield from (shown(row) for row in error_catalogue.CATALOGUE)
    yield from (shown(row) for row in error_catalogue.catalogue_rows())
    for kind in error_catalogue.ErrorKind:
        yield f"{kind}: {shown(error_catalogue.codes_of(kind=kind))}"
    for status in (0, 429, 503):
        yield f"{status}: {shown(error_catalogue.codes_of(dialect='dashscope', status=status))}"


STATUSES = (200, 201, 204, 299, 300, 302, 400, 401, 403, 404, 405, 408, 409, 413, 425, 429, 499, 500, 502, 503, 504)
ODD = ("", "<html>", "[]", "null", '"text"', "{", '{"error": "text alone"}', '{"error": {}}', '{"message": "m"}', "{}")


def odd_bodies() -> Iterator[str]:
    """Bodies that are none of the service's, with every status."""
    for dialect, status, body in itertools.product(dialects.DIALECTS.values(), STATUSES, ODD):
        said = answer(status, body)
        create = translate.translate_create(said, dialect, NOW_S)
        query = translate.translate_query(said, dialect, "t-1", NOW_S)
        reasons = getattr(create, "reason", ""), getattr(query, "reason", "")
        yield f"{dialect.name} {status} {body}: {type(create).__name__} {type(query).__name__} {shown(reasons)}"
    whole = {"error": {"code": "c", "message": "m", "retryable": True, "request_id": "r"}}
    for status in (400, 408, 425, 429, 500, 503):
        said = answer(status, whole, ("retry-after", "5"), ("retry-after", "x") if status == 503 else ("x", "y"))
        yield f"{shown(translate.translate_create(said, dialects.AISA, NOW_S))}"
        yield f"{shown(translate.translate_query(said, dialects.AISA, 't-1', NOW_S))}"
    for text in ("", "word", "two\nlines", "x" * 200, "x" * 201, "y" * 2000, "y" * 2001, 7, None, "\ud800"):
        said = [error_bodies.word_of(text), error_bodies.text_of(text)]
        yield f"{str(text)[:12]!a}: {[(part[-3:], len(part)) if part else part for part in said]!a}"
    bodies = [
        {"error": {"code": "c", "message": "m", "type": "t", "retryable": False}},
        {"error": {"type": "t"}, "request_id": "r"},
        {"error": {"message": "m", "retryable": "yes"}},
        {"error": "text", "code": "c", "message": "m"},
        {"code": "c"},
        {"message": "m", "request_id": 7},
        {"code": 7, "message": "m"},
        {"code": "c", "message": "m", "retryable": True},
        {"error": "text", "code": "c", "retryable": False},
        {"code": "c", "error": "text", "message": None, "retryable": True},
    ]
    for body, dialect in itertools.product(bodies, dialects.DIALECTS.values()):
        raw = json.dumps(body).encode()
        found = error_bodies.read_error_body(raw, dialect), error_bodies.read_any_error_body(raw)
        yield f"{dialect.name} {shown(body)}: {shown(found[0])} {shown(found[1])} says {found[1]}"


OUTPUTS: tuple[Any, ...] = (
    {"video_url": URL},
    {"video_url": "ftp://x/y.mp4"},
    {"video_url": None, "results": None},
    {"video_url": "", "code": "c", "message": "m"},
    {"results": {"video_url": URL}},
    {"results": [{"url": URL}, {"code": "c", "message": "m"}]},
    {"results": [{"code": "c", "message": "m"}], "task_metrics": {"TOTAL": 1, "SUCCEEDED": 0}},
    {"results": [{"code": "c"}], "task_metrics": {"SUCCEEDED": 1}},
    {"results": [{"message": "m"}]},
    {"results": [{"url": URL, "code": "c"}]},
    {"results": [{"subtask_status": "FAILED"}, {"subtask_status": "SUCCEEDED", "transcription_url": URL}]},
    {"results": [{"subtask_status": "SUCCEEDED"}, "text", 7]},
    {"results": []},
    {"choices": [{"message": {"content": [{"image": URL, "type": "image"}, {"text": "t"}]}}]},
    {"choices": [{"message": {"content": "a text"}}]},
    {"choices": [{"message": {"content": [{"type": "text"}]}}]},
    {"choices": [{"message": 7}, 8]},
    {"choices": [{"message": {"content": "a text", "code": "c"}}, {"message": {"content": [{"code": "c"}]}}]},
    {"audio": {"url": URL.replace("mp4", "WAV")}},
    {"model_url": URL.replace("mp4", "glb"), "img_url": URL, "file_url": URL, "orig_url": URL},
    {"base_image_url": URL, "first_frame_url": URL, "last_frame_url": URL},
    {"files": [{"some_url": URL.replace("mp4", "unknownext")}, {"some_url": 7}, "x"], "text_url": "no url"},
    {"orig_prompt": "p", "actual_prompt": "q", "submit_time": "1", "finished": True},
    {"text": "said"},
    {"text": ""},
    {},
    [],
    "text",
    None,
)
USAGES: tuple[Any, ...] = (
    None,
    {},
    {"image_count": 0},
    {"image_count": 0, "width": 3, "size": "1", "resolution": "720P", "ratio": "r", "height": 1, "SR": 7, "fps": 24},
    {"image_count": 0, "input_tokens": 3},
    {"image_count": 0, "input_tokens": "", "other": [], "more": {}, "none": None},
    {"image_count": 1},
    {"image_count": False},
    [],
)


NOTHING = {"output": {"results": [{"code": "c"}]}}
WORDS = (
    *("url", "video_url", "image", "video", "audio", "transcription_url", "file_url", "img_url", "base_image_url"),
    *("first_frame_url", "last_frame_url", "orig_url", "task_id", "task_status", "submit_time", "scheduled_time"),
    *("end_time", "task_metrics", "finished", "orig_prompt", "actual_prompt", "code", "message", "error", "results"),
    *("choices", "type", "role", "index", "finish_reason", "subtask_status", "width", "height", "size", "resolution"),
    *("ratio", "SR", "fps", "text", "other"),
)


def successes() -> Iterator[str]:
    """Every shape of a result, and what is made of it."""
    for output in OUTPUTS:
        result = {"output": output}
        assets = [(asset.place, asset.extension) for asset in results.assets_of(result)]
        yield f"{shown(output)}: {assets} {shown(results.failures_of(result))}"
        readable = [results.is_readable(result, must_have_assets=must) for must in (True, False)]
        nothing = [results.made_nothing({"output": output, "usage": usage}) for usage in USAGES]
        yield f"  {readable} {nothing}"
        if isinstance(output, dict):
            for must in (True, False):
                ended = {
                    "output": {**output, "task_id": "t-1", "task_status": "SUCCEEDED"},
                    "usage": {"image_count": 0},
                }
                seen = translate.translate_query(answer(200, ended), dialects.AISA, "t-1", NOW_S, must_have_assets=must)
                made = translate.translate_create(answer(200, result), dialects.AISA, NOW_S, must_have_assets=must)
                yield f"  {shown(seen)}"
                yield f"  {shown(made)}"
    many = {"output": {"results": [{"url": URL}] * 1500 + [{"code": "c"}] * 1500}}
    yield f"{len(results.assets_of(many))} {len(results.failures_of(many))}"
    for place in ("results", "other"):
        many = {"output": {place: [{"some_url": URL}] * 5000}}
        yield f"{len(results.assets_of(many))}"
    for word in WORDS:
        told = [
            results.is_readable({"output": {word: "said"}}, must_have_assets=False),
            results.is_readable({"output": {"results": [{word: "said"}]}}, must_have_assets=False),
            results.is_readable({"output": {"results": [{word: URL}]}}, must_have_assets=True),
            len(results.assets_of({"output": {"x": {word: URL}}})),
            results.made_nothing({**NOTHING, "usage": {"image_count": 0, word: 5}}),
        ]
        yield f"{word}: {told}"
    for url_names in itertools.combinations(("url", "video_url", "image", "video", "audio", "transcription_url"), 2):
        both = {name: f"https://a.test/{name}" for name in reversed(url_names)}
        yield f"{url_names}: {results.assets_of({'output': {'results': [both]}})[0].place}"
    for extension in [*sorted(results._EXTENSIONS), "exe", "mp4x", "MP4", "abcdef"]:
        yield f"{extension} {results.assets_of({'output': {'video_url': f'https://a.test/b.{extension}'}})[0].extension}"
    for usage in USAGES:
        yield f"{shown(usage)} {shown(results.usage_of({'usage': usage}))}"


def polls() -> Iterator[str]:
    """Answers to a query: statuses, codes in their places, other tasks, times of an end."""
    places: tuple[dict[str, Any], ...] = (
        {"output": {"task_status": "FAILED", "code": "c", "message": "m"}},
        {"output": {"task_status": "FAILED", "error": {"code": "c", "message": "m"}}},
        {"output": {"task_status": "FAILED", "code": "c", "error": "text"}},
        {"output": {"task_status": "FAILED"}, "error": {"code": "c", "message": "m"}},
        {"output": {"task_status": "FAILED"}, "code": "c", "message": "m", "request_id": "r"},
        {"output": {"task_status": "FAILED", "message": "inner"}, "message": "outer"},
        {"output": {"task_status": "FAILED", "error": "e1"}, "error": "e2"},
        {"output": {"task_status": "RUNNING", "task_id": "t-2"}},
        {"output": {"task_status": "RUNNING", "task_id": None}},
        {"output": {"task_status": "RUNNING", "task_id": "t-1"}},
        {"output": {"task_status": ""}},
        {"output": {"task_status": 7}},
        {"output": []},
        {"output": {"task_status": "PENDING"}, "error": {"request_id": "r-9"}},
    )
    for body in places:
        for headers in ((), (("retry-after", "7"),), (("retry-after", "soon"), ("date", "x"))):
            seen = translate.translate_query(answer(200, body, *headers), dialects.AISA, "t-1", NOW_S)
            yield f"{shown(body)}: {shown(seen)}"
    date = ("date", "Sun, 15 Jun 2025 15:06:41 GMT")
    for said in ("2025-06-15 23:06:40.000", "2025-06-15T15:06:40+00:00", "soon", "", 7, None, "0001-01-01 00:00:00"):
        for headers in ((), (date,), (date, date)):
            body = {"output": {"task_status": "FAILED", "end_time": said}}
            seen = translate.translate_query(answer(200, body, *headers), dialects.DASHSCOPE, "t-1", NOW_S)
            yield f"{said} {len(headers)}: {shown(seen)}"
    for body in (
        {"output": {"task_id": "t-1", "task_status": "PENDING"}, "request_id": "r"},
        {"output": {"task_id": "no id"}},
    ):
        yield shown(translate.translate_create(answer(200, body), dialects.AISA, NOW_S))
    late = ("retry-after", "Sun, 15 Jun 2025 15:06:50 GMT")
    for status in (200, 400, 408, 429, 503):
        for headers in ((late,), (late, date)):
            body = {"code": "c", "output": {"task_status": "RUNNING", "task_id": "t-1"}}
            said = answer(status, body, *headers)
            yield f"{status} {shown(translate.translate_query(said, dialects.DASHSCOPE, 't-1', NOW_S))}"
            yield f"{status} {shown(translate.translate_create(said, dialects.DASHSCOPE, NOW_S))}"
    for sent in (True, False):
        failure = ExchangeFailed("gone", surely_not_sent=sent)
        yield f"{shown(translate.create_failed(failure))} {shown(translate.query_failed(failure))}"


def sent() -> Iterator[str]:
    """Every request, its headers included, and those that are refused before they leave."""
    for name, dialect in dialects.DIALECTS.items():
        yield shown(dialect)
        settings = resolve_settings(
            dialect=name, api_key=KEY, base_url="http://api.test/v1", headers={"X-Own": "1"}, environ={}
        )
        named = (*endpoints.ENDPOINTS, "/a/path-1.x", "none", "no/slash", "/a?b", "/", "/a" * 13, 7, endpoints.VIDEO)
        for wanted in named:
            found = of(lambda: endpoints.endpoint_for(wanted, dialect))  # noqa: B023  # called at once
            yield f"{name} {shown(wanted)}: {found}"
        for endpoint in (endpoints.VIDEO, endpoints.IMAGE_SYNCHRONOUS):
            for model, given, how in (
                ("m", {"prompt": "ü"}, None),
                ("m", {"prompt": "p"}, {"size": "1*1"}),
                ("m", {}, {}),
                (" ", {}, None),
                ("m", None, None),
                ("m", {}, 7),
                ("m", {"x": float("nan")}, None),
                ("m", {"x": {1}}, None),
            ):
                yield of(lambda: _plain(requests.create_request(settings, endpoint, model, given, how)))  # type: ignore[arg-type]  # noqa: B023  # wrong on purpose
        for task_id in ("t-1", "a:b.c_d", "x" * 200, "x" * 201, "", "a/b", "-a", None, 7):
            yield f"{str(task_id)[:8]}: {of(lambda: len(requests.checked_task_id(task_id)))}"  # type: ignore[arg-type]  # noqa: B023  # wrong on purpose
        yield of(lambda: _plain(requests.query_request(settings, "a:b")))  # noqa: B023  # called at once
        yield of(lambda: _plain(requests.cancel_request(settings, "a:b")))  # noqa: B023  # called at once
        for asked in ({}, {"page_no": "2", "status": "a b"}):
            yield of(lambda: _plain(requests.list_request(settings, asked)))  # noqa: B023  # called at once
    yield _plain(requests.asset_request(URL))
    yield of(lambda: dialects.dialect_named("third"))
    for broken in (
        endpoints.Endpoint("e", "/a b", "m", "mp4"),
        endpoints.Endpoint("e", "/a", "m", "a.b"),
        endpoints.Endpoint("e", "/a", "m", "mp4", is_synchronous=1),  # type: ignore[arg-type]  # wrong on purpose
        endpoints.Endpoint("e", "/a", "m", "mp4", dialects=["aisa"]),  # type: ignore[arg-type]  # wrong on purpose
        endpoints.Endpoint("e", "/a", "m", "mp4", dialects=frozenset({"aisa"})),
    ):
        yield of(lambda: endpoints.endpoint_for(broken, dialects.DASHSCOPE))  # noqa: B023  # called at once


def _plain(request: Any) -> str:
    headers = [(name, "ours/…" if name == "user-agent" else value) for name, value in request.headers]
    body = request.body.decode() if isinstance(request.body, bytes) else request.body
    return f"{request.method} {request.url} {shown(headers)} {body} {request.task_id}"


def lists() -> Iterator[str]:
    """The list of tasks: what is asked for, and what its pages say."""
    noon = datetime(2026, 3, 1, 12, 0, 0, 500, UTC)
    hour = timedelta(hours=1)
    bounds = (
        None,
        noon,
        noon - 5 * hour,
        noon + 30 * hour,
        noon + 192 * hour,
        noon + 193 * hour,
        noon.replace(year=1999),
    )
    for start, end in itertools.product(bounds, bounds):
        yield f"{shown(start)} {shown(end)}: {_asked(start=start, end=end)}"
    for changes in (
        {"model": "m"},
        {"status": "FAILED"},
        {"model": ""},
        {"model": "x" * 200},
        {"model": "x" * 201},
        {"status": "a\nb"},
        {"page_size": 0},
        {"page_size": 1},
        {"page_size": 1000},
        {"page_size": 1001},
        {"page_size": True},
        {"start": noon.replace(tzinfo=None)},
    ):
        yield f"{shown(changes)[:60]}: {_asked(**changes)}"
    yield of(lambda: listing.questions(dialects.AISA, start=None, end=None, model=None, status=None, page_size=9))
    row = {"task_id": "t-1", "status": "RUNNING", "model_name": "m", "request_id": "r", "gmt_create": 1772366400000}
    rows: tuple[Any, ...] = (
        row,
        {**row, "status": None, "start_time": 1772366400001, "end_time": 1772366400002.5},
        {**row, "status": "NEW", "gmt_create": 1e12, "start_time": 4e12, "end_time": True},
        {**row, "task_id": "no id"},
        {"task_id": "t-2"},
        7,
    )
    question = listing.ListQuestion({"a": "b"}, noon, noon + hour)
    for at in (noon - hour, noon.replace(microsecond=0), noon, noon + hour, noon + 2 * hour):
        made = listing.read_page(answer(200, {"data": [{**row, "gmt_create": at.timestamp() * 1000}]}))
        assert made is not None
        yield f"{shown(at)} {[question.wants(task) for task in made.tasks]}"
    for year in (1999, 2000, 2099, 2100):
        yield f"{year} {_asked(start=noon.replace(year=year))}"
    for each in rows:
        page = listing.read_page(answer(200, {"data": [each], "total_page": 1, "total": 1}))
        yield f"{shown(page)} {[question.wants(task) for task in page.tasks] if page else None}"
    for body in (
        {},
        {"data": 7},
        {"data": []},
        {"data": [row], "page_no": 2},
        {"data": [row], "page_no": 1, "total_page": 0},
        {"data": [row], "page_no": 0, "total_page": -1, "total": True},
        {"data": [row] * 1000},
        {"data": [row] * 1001},
        {"data": [], "request_id": "r"},
    ):
        yield shown(listing.understand_page(answer(200, body), 1, NOW_S))[:300]
    yield shown(listing.understand_page(answer(200, "<html>"), 1, NOW_S))
    yield from _passes()


def _asked(**changes: Any) -> str:
    asked = {"start": None, "end": None, "model": None, "status": None, "page_size": 50, **changes}
    return of(lambda: listing.questions(dialects.DASHSCOPE, **asked))[:900]


def _passes() -> Iterator[str]:
    """Reading page by page, while rows come and go."""
    windows = tuple(listing.ListQuestion({"window": str(number)}, None, None) for number in range(2))

    def page(names: str, pages: int | None = 3, total: int | None = None) -> listing.Page:
        body = {"data": [{"task_id": name} for name in names], "total_page": pages, "total": total}
        found = listing.read_page(answer(200, body))
        assert found is not None
        return found

    courses: dict[str, Iterable[listing.Page]] = {
        "to the end": [page("ab"), page("bc"), page("d"), page("ae"), page("f"), page("g")],
        "empty": [page("", None), page("a", None), page("", None)],
        "fewer": [
            page("ab", 2, 4),
            page("c", 2, 3),
            page("ab", 2, 3),
            page("c", 2, 2),
            page("a", 1, 2),
            page("b", 1, 1),
        ],
        "fewer, then more": [page("ab", 3, 5), page("c", 3, 4), page("d", 3, 6), page("ab", 1, 6), page("z", 1, 1)],
        "repeats": [page("ab", 99)] * 9,
        "endless": (page(f"{chr(97 + number % 26)}", None) if number < 3 else _one(number) for number in range(1005)),
    }
    for name, pages in courses.items():
        course = listing.Listing(windows)
        told = []
        try:
            for each in pages:
                if (wanted := course.next_page()) is None:
                    break
                told.append(
                    f"{wanted['window']}.{wanted['page_no']}:{''.join(t.task_id for t in course.receive(each))}"
                )
        except ListingFailed as error:
            told.append(str(error))
        yield f"{name}: {told[:6]} {told[-2:]} {len(told)} {course.number} {shown(course.next_page())}"


def _one(number: int) -> listing.Page:
    found = listing.read_page(answer(200, {"data": [{"task_id": f"n{number}"}]}))
    assert found is not None
    return found


def without_key() -> Iterator[str]:
    """Texts, bodies and errors that say the key, in every spelling."""
    odd = "sk-\"quo\\ted'key"
    for key in (KEY, odd, 'sk-"quoted"', "sk-back\\slash", "sk-it'single", "short12", "longer12"):
        escaped = json.dumps(key)[1:-1]
        texts = (f"a {key} b {key}", f"a {escaped} b", repr(key), key[:12], key[:11], key[:-1], "nothing", "")
        for text in texts:
            yield f"{text}: {redaction.text_without_key(text, key)} | {redaction.cut_text_without_key(text, key)}"
        for body in (
            json.dumps({"a": key}).encode(),
            json.dumps({"a": key}).replace("s", "\\u0073").encode(),
            json.dumps({"a": "ü" + key}).encode("utf-16"),
            b'{"a": "\\u0073"}',
            key.encode(),
            b"\\",
            b"{}",
            b"\0",
        ):
            said = redaction.answer_without_key(Answer(200, (("x", key), ("y", "z")), body), key)
            yield f"{body!r}: {said}"
        failure = redaction.failure_without_key(ExchangeFailed(f"bad {key[:-2]}", surely_not_sent=True), key)
        yield f"{failure.reason} {failure.surely_not_sent}"
        quiet = type("Quiet", (ValueError,), {"__str__": lambda _: "?", "__repr__": lambda _: "?"})
        yield f"{redaction.mentions_key(quiet(key), key)}"
        inner, outer, third = ValueError(key), KeyError("x"), OSError("y")
        outer.__cause__ = inner
        third.__context__ = outer
        found = [
            redaction.mentions_key(error, key) for error in (inner, outer, third, ValueError("z"), ValueError(0, [key]))
        ]
        yield f"{found}"


READINGS: dict[str, Callable[[], Iterator[str]]] = {
    "errors": errors,
    "odd_bodies": odd_bodies,
    "successes": successes,
    "polls": polls,
    "sent": sent,
    "lists": lists,
    "without_key": without_key,
}
