"""The rules for every client, sentence by sentence: what is counted, which lines prove it, and what cannot be told."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fake_server.moment import Moment
from fake_server.rules.answers import Answer, Call
from fake_server.rules.conduct import RULES, Conduct
from fake_server.rules.expectations import Judgement
from fake_server.rules.journal import Journal
from fake_server.rules.manners import Manners
from fake_server.scenario import Expect, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.scenario.model import ClientBrief
from fake_server.wire.endpoints import BY_NAME
from fake_server.wire.messages import Reply, Request
from fake_server.wire.routes import Kind, Route

HEADER = (("X-DashScope-Async", "enable"),)
KEY = (("Authorization", "Bearer sk-test"),)
PAGE = Path(__file__).parents[2] / "docs" / "driver.md"


class Watch:
    """The judge of one client, and the lines of the journal that it was shown."""

    def __init__(self, tasks: int = 1) -> None:
        self.journal = Journal()
        self.manners = Manners(self.journal.counters)
        life = Lifecycle((Step("SUCCEEDED"),))
        scenario = Scenario("drawn", "Drawn.", (life,), Expect(("SUCCEEDED",)), client=ClientBrief(tasks=tasks))
        self.conduct = Conduct(self.manners, self.journal.counters, scenario)

    def saw(
        self,
        kind: Kind,
        task_id: str | None = None,
        *,
        status: int = 200,
        told: str | None = None,
        fault: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        endpoint: str = "video",
        committed: bool = False,
    ) -> int:
        """A request and its answer; the number of its line."""
        request = Request("GET", "/", "", headers, body, "")
        entry = self.journal.add(
            request, at_s=0.0, route=kind, task_id=task_id, status=status, fault=fault, retry_after=None
        )
        call = Call(request, Route(kind, "dashscope", task_id, endpoint=BY_NAME[endpoint]), Moment(0.0, 0.0), "an-id")
        reply = Reply(status, (), b"")
        self.conduct.saw(call, Answer(reply, fault, None, task_id, committed, told), entry)
        return entry.ordinal

    def create(self, body: bytes = b"", *, told: str | None = "PENDING", committed: bool = True) -> int:
        """A create with its header."""
        return self.saw("create", headers=HEADER, body=body, told=told, committed=committed)

    def row(self, rule: str, *, gave_up: bool = False) -> tuple[str, str, tuple[int, ...]]:
        """What a rule comes to: what was seen, the verdict and the lines."""
        rows = {row.name: row for row in self.conduct.judge(gave_up=gave_up)}
        assert rows[rule].expected == RULES[rule]
        return rows[rule].actual, rows[rule].verdict, rows[rule].lines


def test_the_rules_are_those_of_the_page() -> None:
    """The page on drivers has each rule's name and what it asks for, in the order of a report."""
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    told = {name: text.replace("`", "") for name, text in rows}
    assert {name: told.get(name) for name in RULES} == RULES
    assert [name for name in told if name in RULES] == list(RULES)


def test_a_report_on_a_client_that_did_nothing_has_a_row_for_each_rule() -> None:
    """Every rule has its row, in order, which says what it asks for and that nothing was seen."""
    seen = {
        "async_header": "0 requests had it wrong; 0 were creates",
        "create_once": "creates again: 0; answers that were lost: 0",
        "retry_after": "nobody was told to wait",
        "poll_rate": "no task was asked for twice",
        "quiet_after_end": "polls after an end: 0",
        "persistence": "polls that failed: 0; tasks that were given up after one: 0",
        "unknown": "answers UNKNOWN: 0; tasks that were given up after the first: 0",
        "download_in_time": "addresses that expired before the result was fetched: 0",
        "key_stays_home": "credentials went with 0 of 0 downloads",
    }
    rows = [Judgement(name, RULES[name], actual, "NOT_EXERCISED", ()) for name, actual in seen.items()]
    assert Watch().conduct.judge() == rows


@pytest.mark.parametrize(
    ("kind", "endpoint", "headers", "is_wrong"),
    [
        ("create", "video", HEADER, False),
        ("create", "video", (), True),
        ("create", "image-synchronous", (), False),
        ("create", "image-synchronous", HEADER, True),
        ("query", "video", HEADER, True),
        ("list", "video", HEADER, True),
        ("cancel", "video", HEADER, True),
        ("quotas", "video", HEADER, True),
        ("list", "video", (), False),
        # What fits nothing is told so otherwise, and an asset is another host's.
        ("unmatched", "video", HEADER, False),
        ("asset", "video", HEADER, False),
    ],
)
def test_the_async_header_goes_with_asynchronous_creates_alone(
    kind: Kind, endpoint: str, headers: tuple[tuple[str, str], ...], is_wrong: bool
) -> None:
    """Whoever leaves it out there, or sends it anywhere else in the service, is told so with the line."""
    watch = Watch()
    watch.create()
    watch.saw(kind, "t", endpoint=endpoint, headers=headers, told="RUNNING")
    creates = 2 if kind == "create" else 1
    verdict = ("FAIL", (2,)) if is_wrong else ("PASS", ())
    assert watch.row("async_header") == (f"{int(is_wrong)} requests had it wrong; {creates} were creates", *verdict)


def test_only_the_first_five_lines_prove_a_breach() -> None:
    """All breaches are counted, and the first five lines are named."""
    watch = Watch()
    for _ in range(7):
        watch.saw("create")
    assert watch.row("async_header") == ("7 requests had it wrong; 7 were creates", "FAIL", (1, 2, 3, 4, 5))


@pytest.mark.parametrize(("tasks", "breaches"), [(1, (2, 3, 4)), (2, (3, 4)), (3, (4,)), (4, ())])
def test_equal_creates_are_again_once_there_are_as_many_as_wanted(tasks: int, breaches: tuple[int, ...]) -> None:
    """Where answers were lost, a client that was asked for several equal tasks repeats itself only beyond so many."""
    watch = Watch(tasks)
    for _ in range(4):
        watch.create(b"same", told=None)
    actual = f"creates again: {len(breaches)}; answers that were lost: 4"
    assert watch.row("create_once") == (actual, "FAIL" if breaches else "PASS", breaches)


def test_a_create_is_again_only_where_the_one_before_was_carried_out_and_not_heard() -> None:
    """Neither a create whose answer was heard nor one that was not carried out makes the next a repetition."""
    watch = Watch()
    watch.create(b"heard")
    watch.create(b"refused", told=None, committed=False)
    assert watch.row("create_once") == ("creates again: 0; answers that were lost: 0", "NOT_EXERCISED", ())
    watch.create(b"lost", told=None)
    for body in (b"heard", b"refused", b"another"):
        watch.create(body)
    assert watch.row("create_once") == ("creates again: 0; answers that were lost: 1", "PASS", ())
    watch.create(b"lost")
    assert watch.row("create_once") == ("creates again: 1; answers that were lost: 1", "FAIL", (7,))


@pytest.mark.parametrize(
    ("status", "may_pass"),
    [
        *((status, True) for status in (0, 200, 302, 399, 408, 425, 429, 500, 502, 503)),
        *((status, False) for status in (400, 401, 403, 404, 407, 409, 424, 426, 428, 430, 499)),
    ],
)
def test_only_what_may_be_different_next_time_asks_for_persistence(status: int, may_pass: bool) -> None:
    """Cuts, spoilt answers, 5xx, 408, 425 and 429 are to be followed by another poll; the other 4xx say "never"."""
    watch = Watch()
    line = watch.saw("query", "t", status=status, fault="f")
    expected = (
        ("polls that failed: 1; tasks that were given up after one: 1", "FAIL", (line,))
        if may_pass
        else ("polls that failed: 0; tasks that were given up after one: 0", "NOT_EXERCISED", ())
    )
    assert watch.row("persistence") == expected


def test_a_poll_that_no_fault_spoilt_asks_for_nothing() -> None:
    """What was told, and what no fault struck, is no failed poll."""
    watch = Watch()
    watch.saw("query", "t", status=200, told="RUNNING", fault="latency")
    watch.saw("query", "t", status=500)
    assert watch.row("persistence")[1] == "NOT_EXERCISED"


def test_persistence_is_asked_for_task_by_task() -> None:
    """Only another poll of the same task, or a list of all, makes good a failed one; the latest line of each is named,
    the first five; who gave up as its time was up is excused."""
    watch = Watch()
    for task_id in ("a", "b", "a"):
        watch.saw("query", task_id, status=502, fault="f")
    assert watch.row("persistence") == (
        "polls that failed: 3; tasks that were given up after one: 2", "FAIL", (2, 3)
    )  # fmt: skip
    assert next(row for row in watch.conduct.judge() if row.name == "persistence").verdict == "FAIL", "by default"
    actual = "polls that failed: 3; tasks that were given up after one: {}"
    assert watch.row("persistence", gave_up=True) == (actual.format(0), "PASS", ())
    watch.saw("query", "c", told="RUNNING")
    watch.saw("query", "a", told="RUNNING")
    assert watch.row("persistence") == (actual.format(1), "FAIL", (2,))
    watch.saw("list")
    assert watch.row("persistence") == (actual.format(0), "PASS", ())
    for number in range(7):
        watch.saw("query", f"t{number}", status=0, fault="cut")
    assert watch.row("persistence")[1:] == ("FAIL", (7, 8, 9, 10, 11))


def test_the_first_unknown_of_each_task_is_asked_after() -> None:
    """Whoever asks again after a first UNKNOWN, or for the list, has done enough, whatever comes then."""
    watch = Watch()
    actual = "answers UNKNOWN: {}; tasks that were given up after the first: {}"
    for task_id in ("a", "b"):
        watch.saw("query", task_id, told="UNKNOWN")
    assert watch.row("unknown") == (actual.format(2, 2), "FAIL", (1, 2))
    assert watch.row("unknown", gave_up=True) == (actual.format(2, 0), "PASS", ())
    watch.saw("query", "c", told="RUNNING")
    watch.saw("query", "a", told="UNKNOWN")
    assert watch.row("unknown") == (actual.format(3, 1), "FAIL", (2,))
    watch.saw("list")
    assert watch.row("unknown") == (actual.format(3, 0), "PASS", ())
    for number in range(7):
        watch.saw("query", f"t{number}", told="UNKNOWN")
    assert watch.row("unknown")[1:] == ("FAIL", (6, 7, 8, 9, 10))


@pytest.mark.parametrize(
    ("told", "is_end"), [("SUCCEEDED", True), ("FAILED", True), ("CANCELED", True), ("RUNNING", False), (None, False)]
)
def test_an_end_that_was_told_is_to_be_followed_by_silence(told: str | None, is_end: bool) -> None:
    """The rule is put to the test by an end that was told, and broken by the polls that are counted after one."""
    watch = Watch()
    watch.saw("query", "t", told=told)
    assert watch.row("quiet_after_end") == ("polls after an end: 0", "PASS" if is_end else "NOT_EXERCISED", ())
    watch.manners.evidence["polls_after_end"] = [2]
    watch.journal.counters["polls_after_end"] += 1
    assert watch.row("quiet_after_end") == ("polls after an end: 1", "FAIL", (2,))


def test_an_expired_address_is_made_good_by_a_download() -> None:
    """Each task whose address expired fails the rule until its own result was fetched, whole or in part; what is not
    there says nothing."""
    watch = Watch()
    actual = "addresses that expired before the result was fetched: {}"
    watch.saw("asset", "a")
    watch.saw("asset", "a", status=404)
    assert watch.row("download_in_time") == (actual.format(0), "PASS", ())
    for task_id in "abcdef":
        watch.saw("asset", task_id, status=403)
    assert watch.row("download_in_time") == (actual.format(6), "FAIL", (3, 4, 5, 6, 7))
    for task_id, status in (("a", 200), ("b", 206), ("c", 404), ("d", 416), ("x", 200)):
        watch.saw("asset", task_id, status=status)
    assert watch.row("download_in_time") == (actual.format(4), "FAIL", (5, 6, 7, 8))
    assert watch.row("unknown")[1] == "NOT_EXERCISED"


def test_downloads_with_credentials_are_counted_against_all() -> None:
    """A key that goes to the host of results fails the rule with its line, and each download counts."""
    watch = Watch()
    watch.saw("asset", "a")
    assert watch.row("key_stays_home") == ("credentials went with 0 of 1 downloads", "PASS", ())
    watch.saw("asset", "a", headers=KEY)
    watch.saw("asset", "a", headers=(("Cookie", "x"),))
    assert watch.row("key_stays_home") == ("credentials went with 2 of 3 downloads", "FAIL", (2, 3))


@pytest.mark.parametrize(
    ("margin_s", "actual"),
    [(-0.25, "250 ms too early at the closest"), (0.0, "0 ms after it at the closest"),
     (1.5, "1500 ms after it at the closest")],
)  # fmt: skip
def test_how_close_to_a_hint_is_told(margin_s: float, actual: str) -> None:
    """Of several who had to wait the one that came soonest is told, in whole milliseconds before or after the hint."""
    watch = Watch()
    for number, margin in enumerate((margin_s, margin_s + 3.0)):
        watch.manners.told_poll("t", 100.0 * number, 5.0)
        watch.manners.saw_poll("t", None, 100.0 * number + 5.0 + margin)
    is_early = margin_s < 0
    assert watch.row("retry_after") == (actual, "FAIL" if is_early else "PASS", (1,) if is_early else ())


@pytest.mark.parametrize("early", [0, 1, 2])
def test_early_creates_polls_and_requests_are_one_breach(early: int) -> None:
    """Whichever hint was not waited for, the rule fails, and its lines stand in the order of the journal."""
    request = Request("POST", "/", "", (), b"", "")
    watch = Watch()
    manners = watch.manners
    manners.told_request("t", 0.0, 5.0)
    manners.told_poll("t", 0.0, 5.0)
    manners.told_create(request, 0.0, 5.0)
    seen: tuple[Callable[[float], None], ...] = (
        lambda now_s: manners.saw_request("t", now_s),
        lambda now_s: manners.saw_poll("t", None, now_s),
        lambda now_s: manners.saw_create(request, now_s),
    )
    for number, saw in enumerate(seen):
        saw(4.0 if number == early else 6.0)
        watch.saw("cancel")
    assert watch.row("retry_after") == ("1000 ms too early at the closest", "FAIL", (early + 1,))
    manners.told_request("t", 10.0, 5.0)
    manners.saw_request("t", 12.0)
    assert watch.row("retry_after") == ("3000 ms too early at the closest", "FAIL", (early + 1, 4))


def test_the_shortest_time_between_two_polls_is_told() -> None:
    """The rule tells the least gap in milliseconds, and fails with the lines of the polls that came too soon."""
    watch = Watch()
    for number, now_s in enumerate((0.0, 2.0, 3.0, 3.25)):
        watch.manners.saw_poll("t", None, now_s)
        watch.saw("query", "t", told="RUNNING")
        expected: Sequence[tuple[str, str, tuple[int, ...]]] = (
            ("no task was asked for twice", "NOT_EXERCISED", ()),
            ("at the closest 2000 ms apart", "PASS", ()),
            ("at the closest 1000 ms apart", "PASS", ()),
            ("at the closest 250 ms apart", "FAIL", (4,)),
        )
        assert watch.row("poll_rate") == expected[number]


FORGETFUL = "; more was asked than is remembered"


@pytest.mark.parametrize(
    ("rule", "actual"),
    [
        ("create_once", "creates again: 0; answers that were lost: 3"),
        ("persistence", "polls that failed: 3; tasks that were given up after one: 0"),
        ("unknown", "answers UNKNOWN: 3; tasks that were given up after the first: 0"),
        ("download_in_time", "addresses that expired before the result was fetched: 0"),
    ],
)
def test_what_was_forgotten_proves_nothing_for_a_client(
    monkeypatch: pytest.MonkeyPatch, rule: str, actual: str
) -> None:
    """Where more was asked than is remembered, a rule that nothing is held against is INCOMPLETE, and its alone."""
    monkeypatch.setattr("fake_server.rules.conduct.MOST_REMEMBERED", 2)
    watch = Watch()
    for name in "abc":
        if rule == "create_once":
            watch.create(name.encode(), told=None)
        elif rule == "persistence":
            watch.saw("query", name, status=502, fault="f")
        elif rule == "unknown":
            watch.saw("query", name, told="UNKNOWN")
        else:
            watch.saw("asset", name, status=403)
    if rule != "create_once":
        assert watch.row(rule)[1:] == ("FAIL", (2, 3)), "the breaches that are remembered stand"
    if rule == "download_in_time":
        for name in "bc":
            watch.saw("asset", name)
    elif rule != "create_once":
        watch.saw("list")
    assert watch.row(rule) == (actual + FORGETFUL, "INCOMPLETE", ())
    others = {row.name: row.verdict for row in watch.conduct.judge() if row.name != rule}
    assert "INCOMPLETE" not in others.values()


def test_strangers_that_were_forgotten_leave_the_rate_open() -> None:
    """Where ids were forgotten that could have been asked for too soon, the rate of polls is INCOMPLETE unless it was
    broken, and no other rule is touched."""
    watch = Watch()
    watch.manners.has_forgotten = True
    assert watch.row("poll_rate")[1] == "NOT_EXERCISED"
    for now_s, expected in ((0.0, "NOT_EXERCISED"), (2.0, "INCOMPLETE"), (2.1, "FAIL")):
        watch.manners.saw_poll("t", None, now_s)
        watch.saw("query", "t", told="SUCCEEDED")
        assert watch.row("poll_rate")[1] == expected
        assert watch.row("quiet_after_end")[1] == "PASS"


def test_a_breach_stands_although_older_things_were_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen against a client is not made undone by what nobody remembers."""
    monkeypatch.setattr("fake_server.rules.conduct.MOST_REMEMBERED", 2)
    watch = Watch()
    for name in (b"a", b"b", b"c", b"c"):
        watch.create(name, told=None)
    assert watch.row("create_once") == ("creates again: 1; answers that were lost: 4", "FAIL", (4,))


def test_who_is_taken_for_new_is_not_held_against_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tasks that were known again are forgotten, even a first UNKNOWN may be none: nothing can be told; two of a
    bound of two are still remembered."""
    monkeypatch.setattr("fake_server.rules.conduct.MOST_REMEMBERED", 2)
    watch = Watch()
    for name, verdict in (("a", "PASS"), ("b", "PASS"), ("c", "INCOMPLETE")):
        for told in ("UNKNOWN", "RUNNING"):
            watch.saw("query", name, told=told)
        assert watch.row("unknown")[1] == verdict
    line = watch.saw("query", "a", told="UNKNOWN")
    actual = f"answers UNKNOWN: 4; tasks that were given up after the first: 1{FORGETFUL}"
    assert watch.row("unknown") == (actual, "INCOMPLETE", (line,))
    assert watch.row("persistence")[1] == "NOT_EXERCISED"


def test_what_was_noted_last_is_forgotten_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than the bound, the one noted longest ago goes, and noting one again makes it the latest."""
    monkeypatch.setattr("fake_server.rules.conduct.MOST_REMEMBERED", 2)
    watch = Watch(tasks=9)
    for name in (b"a", b"b", b"a", b"c"):
        watch.create(name, told=None)
    assert list(watch.conduct._lost) == [hash(b"a"), hash(b"c")]
