"""What the engine answers to each request, in both dialects: the pages' sentences, one by one."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from fake_server.engine import Drop, Reply
from tests.fake_server.driving import (
    ASYNC,
    BASES,
    BODY,
    KEY,
    TASKS,
    VIDEO,
    Hand,
    content,
    header,
    lifecycle_scenario,
    scenario_from,
)
from tests.support.shipped import shipped

if TYPE_CHECKING:
    from pathlib import Path

DIALECTS = ("aisa", "dashscope")


def code_of(reply: Reply | Drop) -> str:
    """The code of an error, wherever its dialect puts it."""
    assert isinstance(reply, Reply)
    body = content(reply)
    return str(body["error"]["code"] if "error" in body else body["code"])


def hand_on(folder: Path, *lifecycles: str, dialect: str = "dashscope", extra: str = "") -> Hand:
    """A hand on lifecycles."""
    return Hand.on(lifecycle_scenario(folder, *lifecycles, extra=extra), dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_life_from_create_to_download(tmp_path: Path, dialect: str) -> None:
    """A task is created, waits, runs, succeeds with every documented field, and its asset can be fetched."""
    hand = hand_on(tmp_path, "PENDING 2s -> RUNNING 20s -> SUCCEEDED", dialect=dialect)
    reply = hand.create()
    assert isinstance(reply, Reply)
    assert set(content(reply)) == {"output", "request_id"}
    task_id = content(reply)["output"]["task_id"]
    assert content(reply)["output"] == {"task_status": "PENDING", "task_id": task_id}
    hand.now_s = 1.999
    assert hand.status(task_id) == "PENDING"
    hand.now_s = 2.0
    assert hand.status(task_id) == "RUNNING"
    hand.now_s = 22.0
    output = hand.output(task_id)
    # 1_750_000_000 is 2025-06-15 15:06:40 UTC; task times are eight hours ahead of that.
    assert output == {
        "task_id": task_id,
        "task_status": "SUCCEEDED",
        "submit_time": "2025-06-15 23:06:40.000",
        "scheduled_time": "2025-06-15 23:06:42.000",
        "end_time": "2025-06-15 23:07:02.000",
        "orig_prompt": "a cat",
        "actual_prompt": "a cat",
        "video_url": f"http://fake.test/w/w1/assets/{task_id}.mp4",
    }
    asset = hand.ask("GET", f"/w/w1/assets/{task_id}.mp4", headers=())
    assert asset.status == 200
    assert asset.body[4:8] == b"ftyp"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_failure_says_why_inside_the_output(tmp_path: Path, dialect: str) -> None:
    """FAILED carries the scripted code and a message, flat inside `output`, with status 200."""
    hand = hand_on(tmp_path, "FAILED DataInspectionFailed", dialect=dialect)
    output = hand.output(hand.created())
    assert (output["task_status"], output["code"]) == ("FAILED", "DataInspectionFailed")
    assert output["message"]
    assert "video_url" not in output


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_id_that_nobody_knows_is_unknown_with_200(tmp_path: Path, dialect: str) -> None:
    """An unknown id is no 404: it is a 200 with UNKNOWN and nothing else."""
    hand = hand_on(tmp_path, "SUCCEEDED", dialect=dialect)
    assert hand.output("nobody") == {"task_id": "nobody", "task_status": "UNKNOWN"}


def test_a_task_is_forgotten_after_its_retention(tmp_path: Path) -> None:
    """After the retention the id is UNKNOWN and in no list, and the bill still knows what it cost."""
    hand = hand_on(tmp_path, "SUCCEEDED", extra="retention: 10s")
    task_id = hand.created()
    hand.now_s = 9.9
    assert hand.status(task_id) == "SUCCEEDED"
    hand.now_s = 10.0
    assert hand.status(task_id) == "UNKNOWN"
    assert hand.listed()["data"] == []
    assert hand.engine.bill(hand.now).billed_tasks == 1


def test_an_asset_url_expires(tmp_path: Path) -> None:
    """An asset is there until its lifetime after the end is over, then 403 in the object store's XML."""
    hand = hand_on(tmp_path, "RUNNING 5s -> SUCCEEDED", extra="url_lifetime: 10s")
    path = f"/w/w1/assets/{hand.created()}.mp4"
    assert hand.ask("GET", path).status == 404
    hand.now_s = 14.9
    assert hand.ask("GET", path).status == 200
    hand.now_s = 15.0
    reply = hand.ask("GET", path)
    assert reply.status == 403
    assert header(reply, "content-type") == "application/xml"
    assert b"<Code>AccessDenied</Code>" in reply.body


@pytest.mark.parametrize(
    ("headers", "status", "codes"),
    [
        ((), 401, ("missing_api_key", "InvalidApiKey")),
        ((("Authorization", "Basic abc"),), 401, ("missing_api_key", "InvalidApiKey")),
        ((("Authorization", "Bearer "),), 401, ("missing_api_key", "InvalidApiKey")),
        ((("authorization", "bearer sk-invalid"),), 401, ("invalid_api_key", "InvalidApiKey")),
        ((KEY,), 403, ("access_denied", "AccessDenied")),
        ((KEY, ("x-dashscope-async", "yes")), 403, ("access_denied", "AccessDenied")),
        ((KEY, ("x-dashscope-async", "Enable")), 200, ()),
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_who_may_create(
    tmp_path: Path, dialect: str, headers: tuple[tuple[str, str], ...], status: int, codes: tuple[str, ...]
) -> None:
    """A create needs a bearer key and the async header, and is refused in the dialect's own shape."""
    hand = hand_on(tmp_path, "SUCCEEDED", dialect=dialect)
    reply = hand.ask("POST", BASES[dialect] + VIDEO, headers=headers, body=BODY)
    assert reply.status == status
    if codes:
        assert code_of(reply) == codes[DIALECTS.index(dialect)]
        assert ("error" in content(reply)) == (dialect == "aisa")
        assert hand.engine.bill(hand.now).tasks == ()


def test_the_async_header_can_be_made_optional(tmp_path: Path) -> None:
    """The sources disagree on the async header, so a scenario may ignore it."""
    hand = hand_on(tmp_path, "SUCCEEDED", extra="service: {async_header: ignored}")
    assert hand.ask("POST", BASES["dashscope"] + VIDEO, headers=(KEY,), body=BODY).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff",
        b'{"model": "m"}',
        b'{"input": {}}',
        b'{"model": 3, "input": {}}',
        b'{"model": "", "input": {}}',
        b'{"model": "m", "input": []}',
        b'{"model": "m", "input": {}, "parameters": 1}',
        b"[" * 100000,
        b'{"model": "%s", "input": {}}' % (b"m" * 201),
        b"9" * 5000,
    ],
    ids=range(15),
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_create_that_cannot_be_read_is_a_400(tmp_path: Path, dialect: str, body: bytes) -> None:
    """A body that is no object with a model and an input gets 400 and makes nothing."""
    hand = hand_on(tmp_path, "SUCCEEDED", dialect=dialect)
    reply = hand.create(body)
    assert isinstance(reply, Reply)
    assert reply.status == 400
    assert code_of(reply) == ("invalid_request" if dialect == "aisa" else "InvalidParameter")
    assert hand.engine.bill(hand.now).tasks == ()


def test_the_gateways_query_form_answers_or_does_not(tmp_path: Path) -> None:
    """`?task_id=` answers as the path does, unless the scenario plays the live gateway's `unsupported uri`."""
    hand = hand_on(tmp_path, "RUNNING", dialect="aisa")
    task_id = hand.created()
    reply = hand.ask("GET", TASKS["aisa"], f"task_id={task_id}")
    assert content(reply)["output"]["task_status"] == "RUNNING"
    assert hand.ask("GET", TASKS["aisa"] + "/", f"task_id={task_id}").status == 200
    broken = hand_on(tmp_path, "RUNNING", dialect="aisa", extra="service: {task_id_query: unsupported}")
    reply = broken.ask("GET", TASKS["aisa"], "task_id=x")
    assert (reply.status, content(reply)["error"]["message"]) == (500, "unsupported uri")
    assert broken.status(broken.created()) == "RUNNING"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/apis/v1/services/aigc/tasks"),
        ("GET", "/apis/v1/tasks/x"),
        ("POST", "/apis/v1/services/aigc/tasks/x/cancel"),
        ("POST", "/apis/v1/services/aigc/image2video/video-synthesis"),
        ("DELETE", "/apis/v1/services/aigc/tasks/x"),
        ("DELETE", "/api/v1/tasks/x"),
        ("GET", "/api/v1/tasks/x/y"),
        ("GET", "/api/v1" + VIDEO),
        ("GET", "/nowhere"),
    ],
)
def test_what_no_page_describes_is_a_404_that_explains_itself(tmp_path: Path, method: str, path: str) -> None:
    """An unmatched request gets 404 in its dialect's shape, naming what would have matched."""
    hand = hand_on(tmp_path, "SUCCEEDED")
    reply = hand.ask(method, path)
    assert reply.status == 404
    assert code_of(reply) == ("not_found" if path.startswith("/apis/") else "NotFound")
    assert b"expected one of: " in reply.body
    assert hand.engine.journal.counters["unmatched"] == 1


def test_over_the_cap_the_gateway_refuses_until_a_slot_is_free(tmp_path: Path) -> None:
    """In `aisa` the fourth task gets 429, with the seconds until the first slot is free; then it is accepted."""
    hand = hand_on(tmp_path, "PENDING 2s -> RUNNING 8.5s -> SUCCEEDED", dialect="aisa")
    for _ in range(3):
        hand.created()
        hand.now_s += 1
    reply = hand.create()
    assert isinstance(reply, Reply)
    assert (reply.status, code_of(reply), header(reply, "retry-after")) == (429, "rate_limit_exceeded", "8")
    assert hand.engine.journal.entries[-1].fault == "quota concurrent_tasks"
    hand.now_s += 8
    assert hand.created()


def test_a_cap_whose_end_nobody_knows_asks_for_three_seconds(tmp_path: Path) -> None:
    """Where running tasks end by polls, the refused create is told three seconds."""
    hand = hand_on(tmp_path, "RUNNING 2 polls -> SUCCEEDED", dialect="aisa", extra="quotas: {concurrent_tasks: 1}")
    hand.created()
    reply = hand.create()
    assert isinstance(reply, Reply)
    assert header(reply, "retry-after") == "3"


def test_over_the_cap_the_vendor_queues(tmp_path: Path) -> None:
    """In `dashscope` the fourth task is accepted, stays PENDING, and lives from when a slot is free."""
    hand = hand_on(tmp_path, "RUNNING 10s -> SUCCEEDED")
    ids = [hand.created() for _ in range(4)]
    hand.now_s = 9.9
    assert [hand.status(task_id) for task_id in ids] == ["RUNNING"] * 3 + ["PENDING"]
    hand.now_s = 10.0
    assert [hand.status(task_id) for task_id in ids] == ["SUCCEEDED"] * 3 + ["RUNNING"]
    hand.now_s = 20.0
    assert hand.status(ids[3]) == "SUCCEEDED"
    assert hand.engine.journal.counters["over_concurrency"] == 1


def test_twenty_queries_a_second_are_shared_by_query_list_and_cancel(tmp_path: Path) -> None:
    """The 21st query, list or cancel within a second is a flat 429; a second after the first, one passes again.
    Creates are not counted, and `aisa` has no such limit."""
    hand = hand_on(tmp_path, "RUNNING", extra="quotas: {concurrent_tasks: 100}")
    task_id = hand.created()
    replies = [hand.ask("GET", f"/api/v1/tasks/{task_id}") for _ in range(18)]
    replies += [hand.ask("GET", "/api/v1/tasks/"), hand.cancel(task_id)]
    assert all(reply.status != 429 for reply in replies)
    for reply in (hand.ask("GET", f"/api/v1/tasks/{task_id}"), hand.ask("GET", "/api/v1/tasks"), hand.cancel(task_id)):
        assert (reply.status, code_of(reply)) == (429, "Throttling.RateQuota")
        assert header(reply, "retry-after") is None
    hand.created()
    assert hand.ask("GET", f"{TASKS['aisa']}/{task_id}").status == 200
    hand.now_s = 1.0
    assert hand.status(task_id) == "RUNNING"


def test_only_what_is_pending_can_be_cancelled(tmp_path: Path) -> None:
    """A cancel works on PENDING (queued or scripted), is 400 UnsupportedOperation otherwise, and costs nothing."""
    hand = hand_on(tmp_path, "RUNNING", "PENDING 5s -> SUCCEEDED", extra="quotas: {concurrent_tasks: 2}")
    running, pending, queued = (hand.created() for _ in range(3))
    assert set(content(hand.cancel(pending))) == {"request_id"}
    assert hand.cancel(queued).status == 200
    assert hand.output(pending) == {"task_id": pending, "task_status": "CANCELED"}
    assert hand.status(queued) == "CANCELED"
    for task_id in (running, pending, "nobody"):
        reply = hand.cancel(task_id)
        assert (reply.status, code_of(reply)) == (400, "UnsupportedOperation")
    hand.now_s = 100.0
    assert hand.engine.bill(hand.now).total == 0


def test_cancelling_what_nobody_knows_can_be_made_to_work(tmp_path: Path) -> None:
    """What cancelling an unknown id gives is not documented, so a scenario chooses."""
    hand = hand_on(tmp_path, "RUNNING", extra="service: {cancel_of_unknown: accepted}")
    assert hand.cancel("nobody").status == 200
    assert hand.cancel(hand.created()).status == 400


def test_the_queue_is_served_in_order_of_submission(tmp_path: Path) -> None:
    """Who waits longest gets the next slot, also where many slots are freed before anybody asks."""
    hand = hand_on(tmp_path, "RUNNING 10s -> SUCCEEDED", extra="quotas: {concurrent_tasks: 1}")
    ids = [hand.created() for _ in range(4)]
    hand.now_s = 15.0
    assert [hand.status(task_id) for task_id in ids] == ["SUCCEEDED", "RUNNING", "PENDING", "PENDING"]
    hand.now_s = 39.9
    assert [hand.status(task_id) for task_id in ids] == ["SUCCEEDED"] * 3 + ["RUNNING"]


def test_another_seed_gives_other_ids(tmp_path: Path) -> None:
    """The seed is part of every id, of tasks and of answers."""
    scenario = lifecycle_scenario(tmp_path, "SUCCEEDED")
    first, second = (Hand.on(scenario, seed=seed).ask("GET", "/api/v1/tasks") for seed in (0, 1))
    assert content(first)["request_id"] != content(second)["request_id"]
    assert Hand.on(scenario, seed=0).created() != Hand.on(scenario, seed=1).created()


def test_a_date_rounds_a_fraction_up(tmp_path: Path) -> None:
    """A Retry-After date cannot hold a fraction of a second, so the wait becomes longer, never shorter."""
    text = "version: 1\nsummary: x.\ncreate: [throttle: {retry_after: 2.5s, form: http-date}]\n"
    hand = Hand.on(scenario_from(tmp_path, text + "tasks: [SUCCEEDED]\nexpect: {outcome: SUCCEEDED}\n"))
    hand.now_s = 0.9
    reply = hand.create()
    assert isinstance(reply, Reply)
    assert header(reply, "date") == "Sun, 15 Jun 2025 15:06:40 GMT"
    assert header(reply, "retry-after") == "Sun, 15 Jun 2025 15:06:43 GMT"


def test_a_task_that_the_service_forgot_holds_no_slot(tmp_path: Path) -> None:
    """A life that ends as UNKNOWN gives its slot back; one that is stuck in any other word keeps it."""
    for last, status in (("UNKNOWN", "RUNNING"), ("SUSPENDED", "PENDING")):
        lives = (f"RUNNING 5s -> {last}", "RUNNING")
        hand = hand_on(tmp_path, *lives, extra="quotas: {concurrent_tasks: 1}")
        _, second = hand.created(), hand.created()
        hand.now_s = 5.0
        assert hand.status(second) == status


def test_a_cancel_frees_the_slot(tmp_path: Path) -> None:
    """The slot of a cancelled task goes to the next in the queue at that instant."""
    hand = hand_on(tmp_path, "PENDING 50s -> RUNNING 5s -> SUCCEEDED", extra="quotas: {concurrent_tasks: 1}")
    first, second = hand.created(), hand.created()
    hand.now_s = 10.0
    hand.cancel(first)
    hand.now_s = 60.0
    assert hand.status(second) == "RUNNING"


def test_the_list_filters_pages_and_shows_the_newest_first(tmp_path: Path) -> None:
    """The list filters by id, model and status, counts everything and cuts pages."""
    hand = hand_on(tmp_path, "RUNNING", "SUCCEEDED", extra="quotas: {concurrent_tasks: 100}")
    first = hand.created(b'{"model": "other", "input": {}}')
    rest = [hand.created() for _ in range(11)]
    page = hand.listed()
    assert (page["total"], page["total_page"], page["page_no"], page["page_size"]) == (12, 2, 1, 10)
    assert [row["task_id"] for row in page["data"]] == rest[:0:-1]
    assert [row["task_id"] for row in hand.listed("page_no=2")["data"]] == [rest[0], first]
    assert hand.listed("page_no=3")["data"] == []
    assert [row["task_id"] for row in hand.listed("model_name=other")["data"]] == [first]
    assert [row["task_id"] for row in hand.listed("status=RUNNING")["data"]] == [first]
    assert [row["task_id"] for row in hand.listed(f"task_id={rest[3]}")["data"]] == [rest[3]]
    row = hand.listed(f"task_id={rest[3]}")["data"][0]
    assert row["status"] == "SUCCEEDED"
    assert row["gmt_create"] == row["end_time"] == 1_750_000_000_000


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 1),
        ("start_time=20250615230640", 1),
        ("start_time=20250615230641", 0),
        ("end_time=20250615230640", 1),
        ("end_time=20250615230639", 0),
        ("start_time=20250615230640&end_time=20250616230640", 1),
        ("start_time=20250614230639", 0),
    ],
)
def test_the_list_has_a_window_of_a_day(tmp_path: Path, query: str, found: int) -> None:
    """Without bounds the last 24 hours, with one 24 hours from or to it, with both between them; in UTC+8."""
    hand = hand_on(tmp_path, "SUCCEEDED")
    hand.created()
    hand.now_s = 60.0
    assert hand.listed(query)["total"] == found


def test_what_is_unknown_for_now_is_in_no_list(tmp_path: Path) -> None:
    """A task that the service does not know yet is not listed, and is once it is known; pages and totals agree."""
    hand = hand_on(tmp_path, "UNKNOWN 5s -> RUNNING", "RUNNING")
    late, known = hand.created(), hand.created()
    assert [row["task_id"] for row in hand.listed()["data"]] == [known]
    hand.now_s = 5.0
    assert [row["task_id"] for row in hand.listed()["data"]] == [known, late]
    for page, task_id in ((1, known), (2, late)):
        found = hand.listed(f"page_size=1&page_no={page}")
        assert ([row["task_id"] for row in found["data"]], found["total"], found["total_page"]) == ([task_id], 2, 2)


def test_the_lists_default_window_ends_a_day_ago(tmp_path: Path) -> None:
    """A task of more than 24 hours ago is not in a list without bounds."""
    hand = hand_on(tmp_path, "SUCCEEDED", extra="retention: 90d")
    hand.created()
    hand.now_s = 86_401.0
    assert hand.listed()["total"] == 0
    assert hand.listed("start_time=20250615230640")["total"] == 1


@pytest.mark.parametrize(
    "query",
    [
        "start_time=x",
        "start_time=20251315000000",
        "start_time=20250101000000&end_time=20250103000000",
        "start_time=20250102000000&end_time=20250101000000",
        "page_no=0",
        "page_no=-1",
        "page_size=1001",
        "page_no=x",
        "page_no=" + "9" * 50,
        "status=Running",
    ],
)
def test_a_list_that_asks_nonsense_is_a_400(tmp_path: Path, query: str) -> None:
    """Unreadable times, too wide windows, impossible pages and unlisted statuses are InvalidParameter."""
    reply = hand_on(tmp_path, "SUCCEEDED").ask("GET", "/api/v1/tasks", query)
    assert (reply.status, code_of(reply)) == (400, "InvalidParameter")


def test_scripted_answers_come_in_order_and_then_everything_passes(tmp_path: Path) -> None:
    """`create:` strikes creates in order: pass, repeat, throttle in both forms and spelt out, errors, then nothing."""
    hand = Hand.on(
        scenario_from(
            tmp_path,
            """
            version: 1
            summary: A bit of everything.
            quotas: {concurrent_tasks: 100}
            create:
              - pass: 2
              - throttle: {retry_after: 1.5s}
                times: 2
              - throttle: {retry_after: 2s, form: http-date}
              - throttle: {header: nan}
              - throttle: {retry_after: 2s, form: none}
              - status: 503
                retry_after: 4s
                code: {aisa: upstream_unavailable, dashscope: ModelServingError}
                message: Later.
                headers: {X-Trace: "1"}
              - status: 500
                shape: retryable
              - status: 204
                body: "ignored, as a 204 has none"
              - status: 200
                body: {output: {}, n: 1, f: 1.5, none: null, list: [true, "2"]}
            tasks: [SUCCEEDED]
            expect: {outcome: SUCCEEDED}
            """,
        )
    )
    replies = [hand.create() for _ in range(12)]
    replies = [reply for reply in replies if isinstance(reply, Reply)]
    assert [reply.status for reply in replies] == [200, 200, 429, 429, 429, 429, 429, 503, 500, 204, 200, 200]
    hints = [header(reply, "retry-after") for reply in replies]
    assert hints[2:8] == ["1.5", "1.5", "Sun, 15 Jun 2025 15:06:42 GMT", "nan", None, "4"]
    assert content(replies[7])["code"] == "ModelServingError"
    assert content(replies[7])["message"] == "Later."
    assert header(replies[7], "x-trace") == "1"
    assert content(replies[8])["error"]["retryable"] is True
    assert replies[9].body == b""
    assert content(replies[10]) == {"output": {}, "n": 1, "f": 1.5, "none": None, "list": [True, "2"]}
    assert set(content(replies[11])) == {"output", "request_id"}
    assert len(hand.engine.bill(hand.now).tasks) == 3


def test_admission_comes_before_the_script(tmp_path: Path) -> None:
    """A create that is refused for its key, header, body or the cap uses up no scripted answer."""
    hand = Hand.on(
        scenario_from(
            tmp_path,
            """
            version: 1
            summary: One fault.
            quotas: {concurrent_tasks: 1}
            create:
              - pass: 1
              - drop: after_commit
                how: close
            tasks: [RUNNING 10s -> SUCCEEDED]
            expect: {outcome: SUCCEEDED}
            """,
        ),
        "aisa",
    )
    hand.created()
    hand.create(b"{")
    hand.ask("POST", "/apis/v1" + VIDEO, headers=(KEY,), body=BODY)
    hand.ask("POST", "/apis/v1" + VIDEO, headers=(ASYNC,), body=BODY)
    assert isinstance(hand.create(), Reply)
    hand.now_s = 10.0
    assert hand.create() == Drop("after_commit", "close")
    assert len(hand.engine.bill(hand.now).tasks) == 2
    assert [entry.status for entry in hand.engine.journal.entries] == [200, 400, 403, 401, 429, 0]


@pytest.mark.parametrize(("when", "tasks"), [("before_commit", 0), ("after_commit", 1)])
def test_a_fault_strikes_before_or_after_the_commit(tmp_path: Path, when: str, tasks: int) -> None:
    """A dropped or failed create leaves a task behind exactly if it struck after the commit."""
    for entry in (f"drop: {when}", f"status: 500\n    when: {when}"):
        scenario = scenario_from(
            tmp_path,
            f"version: 1\nsummary: x.\ncreate:\n  - {entry}\ntasks: [SUCCEEDED]\nexpect: {{outcome: IN_DOUBT}}\n",
        )
        hand = Hand.on(scenario)
        hand.create()
        assert len(hand.engine.bill(hand.now).tasks) == tasks


def test_prices_and_lengths_make_the_amount(tmp_path: Path) -> None:
    """An amount is seconds times the model's price, from the scenario, the table or the default, without rounding."""
    hand = hand_on(tmp_path, "SUCCEEDED", extra='prices: {own-model: "0.333333"}')
    bodies = [
        ('{"model": "own-model", "input": {}, "parameters": {"duration": 3}}', "0.999999"),
        ('{"model": "wanx2.1-t2v-turbo", "input": {}}', "0.180"),
        ('{"model": "any", "input": {}, "parameters": {"duration": 10}}', "1.00"),
        ('{"model": "any", "input": {}, "parameters": {"duration": true}}', "0.50"),
        ('{"model": "any", "input": {}, "parameters": {"duration": 1e99}}', "0.50"),
    ]
    for body, _ in bodies:
        hand.created(body.encode())
    assert [row.amount for row in hand.engine.bill(hand.now).tasks] == [Decimal(amount) for _, amount in bodies]


def test_speed_touches_scripted_times_only(tmp_path: Path) -> None:
    """A speed of 10 makes 20 s of generation two, and leaves Retry-After, retention and quotas alone."""
    scenario = scenario_from(
        tmp_path,
        """
        version: 1
        summary: Times of every kind.
        retention: 30s
        create: [throttle: {retry_after: 3s}]
        tasks: [RUNNING 20s -> SUCCEEDED]
        expect: {outcome: SUCCEEDED}
        """,
    )
    hand = Hand.on(scenario, speed=10.0)
    reply = hand.create()
    assert isinstance(reply, Reply)
    assert header(reply, "retry-after") == "3"
    task_id = hand.created()
    hand.now_s = 1.99
    assert hand.status(task_id) == "RUNNING"
    hand.now_s = 2.0
    assert hand.status(task_id) == "SUCCEEDED"
    hand.now_s = 29.9
    assert hand.status(task_id) == "SUCCEEDED"


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_refused(tmp_path: Path, speed: float) -> None:
    """A speed is a number above zero."""
    with pytest.raises(ValueError, match="expected a number above 0"):
        Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"), speed=speed)


def test_a_full_world_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A world that holds its most tasks refuses further ones with 503, not with a crash."""
    monkeypatch.setattr("fake_server.rules.service.MOST_TASKS", 1)
    hand = hand_on(tmp_path, "SUCCEEDED")
    hand.created()
    reply = hand.create()
    assert isinstance(reply, Reply)
    assert reply.status == 503


def test_answers_can_be_varied_by_the_long_form(tmp_path: Path) -> None:
    """The long form chooses usage, the place of the URL, silence about times, and the failure's words."""
    scenario = scenario_from(
        tmp_path,
        """
        version: 1
        summary: Long forms.
        tasks:
          - lifecycle: SUCCEEDED
            usage: measured
            url_in: results.video_url
          - steps: [{status: RUNNING}]
            times: false
          - steps:
              - {status: CANCELLED, for: 1 poll, unlisted: true}
              - {status: FAILED, code: InvalidParameter, message: No such thing.}
        expect: {outcome: SUCCEEDED}
        """,
    )
    hand = Hand.on(scenario)
    first, second, third = (hand.created() for _ in range(3))
    reply = hand.poll(first)
    assert isinstance(reply, Reply)
    assert content(reply)["output"]["results"]["video_url"].endswith(f"{first}.mp4")
    assert content(reply)["usage"]["output_video_duration"] == 5
    assert hand.output(second) == {"task_id": second, "task_status": "RUNNING"}
    assert hand.status(third) == "CANCELLED"
    assert hand.output(third)["message"] == "No such thing."


def test_a_scenario_is_for_its_dialects_only() -> None:
    """A request in a dialect that the scenario is not for is a 400 in that dialect's shape which names the right
    one, and makes no task; in the right one it is answered."""
    hand = Hand.on(shipped("canceled-while-pending"), "aisa")
    reply = hand.create()
    assert isinstance(reply, Reply)
    assert reply.status == 400
    assert content(reply)["error"]["message"] == (
        "The scenario canceled-while-pending of this fake is for dashscope (/api/v1) only."
    )
    assert hand.engine.bill(hand.now).tasks == ()
    hand.dialect = "dashscope"
    assert hand.status(hand.created()) == "PENDING"
