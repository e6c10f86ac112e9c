"""What every client owes, whatever the scenario: seen as requests come, judged from running notes.

A scenario's `expect` says what a good client ends with. These rules say how it behaves on the way; a client that
was never put to a rule's test is NOT_EXERCISED by it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from fake_server.rules.expectations import Judgement, Verdict
from fake_server.rules.manners import MOST_LINES_OF_EVIDENCE
from fake_server.wire import bodies

if TYPE_CHECKING:
    from collections import Counter

    from fake_server.rules.answers import Answer, Call
    from fake_server.rules.journal import Entry
    from fake_server.rules.manners import Manners
    from fake_server.scenario.model import Scenario

Key = TypeVar("Key")
Value = TypeVar("Value")

# What each rule asks for, in the order of a report. The sources stand in README's page on drivers.
RULES: Final[dict[str, str]] = {
    "async_header": "X-DashScope-Async on creates of asynchronous endpoints, and nowhere else",
    "create_once": "no create again after one that was carried out and whose answer was lost",
    "retry_after": "nothing before the Retry-After that it was told has passed",
    "poll_rate": "no task asked for more often than twice a second",
    "quiet_after_end": "no poll of a task whose end was told",
    "persistence": "a poll that was spoilt, refused for now or cut is followed by another",
    "unknown": "the first UNKNOWN is not taken for the end",
    "download_in_time": "results are fetched before their address expires, or with a new one",
    "key_stays_home": "no credentials go to the host of results",
}
# Tasks and creates whose story is still open; who leaves more behind is told so by other rules.
MOST_REMEMBERED = 10_000
ASYNC_HEADER = "x-dashscope-async"


class Conduct:
    """Watches one world's client.

    Args:
        manners: Has judged who came too early.
        counters: Where breaches are counted, by the names of :data:`RULES`.
        scenario: Says how many equal creates are wanted.
    """

    def __init__(self, manners: Manners, counters: Counter[str], scenario: Scenario) -> None:
        self._manners = manners
        self._counters = counters
        self._wanted = scenario.client.tasks
        self._seen: Counter[str] = type(counters)()
        self._lines: dict[str, list[int]] = {}
        self._made = 0
        # Marks of the creates that were carried out and whose answer was lost. Those that were heard need no memory.
        self._lost: _Notes[int, None] = _Notes()
        # By task: the line of the last answer that calls for another question.
        self._failed_polls: _Notes[str, int] = _Notes()
        self._unknowns: _Notes[str, int] = _Notes()
        self._expired: _Notes[str, int] = _Notes()
        self._known_again: _Notes[str, None] = _Notes()

    def saw(self, call: Call, answer: Answer, entry: Entry) -> None:
        """Take note of a request and its answer; `entry` is its line of the journal."""
        kind = call.route.kind
        if kind == "query":
            self._saw_query(answer, entry)
            return
        if kind == "create":
            self._saw_create(call, answer, entry)
        elif kind == "asset":
            self._saw_asset(entry)
        elif ASYNC_HEADER in entry.header_names and kind != "unmatched":
            self._breach("async_header", entry.ordinal)
        if kind == "list":
            # A list asks for every task at once.
            self._failed_polls.clear()
            self._unknowns.clear()

    def judge(self, *, gave_up: bool = False) -> list[Judgement]:
        """Judge the client by each of :data:`RULES`.

        Args:
            gave_up: Whether it says that its own time was up; then it need not have asked again.
        """
        return [self._as_far_as_remembered(getattr(self, f"_judge_{name}")(gave_up)) for name in RULES]

    def _as_far_as_remembered(self, row: Judgement) -> Judgement:
        """The same, unless what it rests on was forgotten: then nothing seen against a client is no proof for it."""
        forgets = {
            "create_once": self._lost.has_forgotten,
            "poll_rate": self._manners.has_forgotten,
            "persistence": self._failed_polls.has_forgotten,
            "unknown": self._unknowns.has_forgotten or self._known_again.has_forgotten,
            "download_in_time": self._expired.has_forgotten,
        }
        # Who was known again and is forgotten is taken for new: what is held against it may be wrong, too.
        may_be_wrong = row.name == "unknown" and self._known_again.has_forgotten
        if not forgets.get(row.name) or not (row.verdict == "PASS" or (row.verdict == "FAIL" and may_be_wrong)):
            return row
        return replace(row, actual=f"{row.actual}; more was asked than is remembered", verdict="INCOMPLETE")

    def _saw_create(self, call: Call, answer: Answer, entry: Entry) -> None:
        is_asynchronous = not call.route.endpoint.synchronous
        self._seen["async_header"] += 1
        if (ASYNC_HEADER in entry.header_names) is not is_asynchronous:
            self._breach("async_header", entry.ordinal)
        # A loop that makes so many equal tasks has not repeated itself before there are as many.
        if self._lost and self._made >= self._wanted and hash(call.request.body) in self._lost:
            self._breach("create_once", entry.ordinal)
        if answer.committed:
            self._made += 1
            if answer.told is None:
                self._seen["create_once"] += 1
                self._lost.note(hash(call.request.body), None)

    def _saw_query(self, answer: Answer, entry: Entry) -> None:
        if ASYNC_HEADER in entry.header_names:
            self._breach("async_header", entry.ordinal)
        task_id = entry.task_id or ""
        if self._failed_polls:
            self._failed_polls.pop(task_id, None)
        if task_id in self._unknowns:
            self._unknowns.pop(task_id)
            self._known_again.note(task_id, None)
        if answer.told is None and answer.fault is not None and _passes(entry.status):
            self._seen["persistence"] += 1
            self._failed_polls.note(task_id, entry.ordinal)
        elif answer.told == bodies.UNKNOWN:
            self._seen["unknown"] += 1
            if task_id not in self._known_again:
                self._unknowns.note(task_id, entry.ordinal)
        elif answer.told in bodies.ENDS:
            self._seen["quiet_after_end"] += 1

    def _saw_asset(self, entry: Entry) -> None:
        self._seen["key_stays_home"] += 1
        self._seen["download_in_time"] += 1
        if entry.carried_secret:
            self._breach("key_stays_home", entry.ordinal)
        task_id = entry.task_id or ""
        if entry.status == 403:
            self._expired.note(task_id, entry.ordinal)
        elif entry.status in (200, 206):
            self._expired.pop(task_id, None)

    def _breach(self, rule: str, line: int) -> None:
        self._counters[f"breaches_of_{rule}"] += 1
        lines = self._lines.setdefault(rule, [])
        if len(lines) < MOST_LINES_OF_EVIDENCE:
            lines.append(line)

    def _judge_async_header(self, _: bool) -> Judgement:
        return self._judge_breaches("async_header", "{} requests had it wrong; {} were creates")

    def _judge_create_once(self, _: bool) -> Judgement:
        return self._judge_breaches("create_once", "creates again: {}; answers that were lost: {}")

    def _judge_key_stays_home(self, _: bool) -> Judgement:
        return self._judge_breaches("key_stays_home", "credentials went with {} of {} downloads")

    def _judge_download_in_time(self, _: bool) -> Judgement:
        left = list(self._expired.values())
        actual = f"addresses that expired before the result was fetched: {len(left)}"
        verdict: Verdict = "FAIL" if left else "PASS" if self._seen["download_in_time"] else "NOT_EXERCISED"
        lines = tuple(left[:MOST_LINES_OF_EVIDENCE])
        return Judgement("download_in_time", RULES["download_in_time"], actual, verdict, lines)

    def _judge_breaches(self, rule: str, words: str) -> Judgement:
        breaches = self._counters[f"breaches_of_{rule}"]
        verdict: Verdict = "FAIL" if breaches else "PASS" if self._seen[rule] else "NOT_EXERCISED"
        return Judgement(rule, RULES[rule], words.format(breaches, self._seen[rule]), verdict, self._evidence(rule))

    def _judge_retry_after(self, _: bool) -> Judgement:
        margin_s = self._manners.least_margin_s
        names = ("early_creates", "polls_before_retry_after", "early_requests")
        lines = tuple(sorted(line for name in names for line in self._manners.evidence.get(name, ())))
        if margin_s is None:
            return Judgement("retry_after", RULES["retry_after"], "nobody was told to wait", "NOT_EXERCISED")
        when = f"{abs(margin_s) * 1000:.0f} ms {'too early' if margin_s < 0 else 'after it'} at the closest"
        verdict: Verdict = "FAIL" if any(self._counters[name] for name in names) else "PASS"
        return Judgement("retry_after", RULES["retry_after"], when, verdict, lines)

    def _judge_poll_rate(self, _: bool) -> Judgement:
        gap_s = self._manners.least_poll_gap_s
        if gap_s is None:
            return Judgement("poll_rate", RULES["poll_rate"], "no task was asked for twice", "NOT_EXERCISED")
        verdict: Verdict = "FAIL" if self._counters["hasty_polls"] else "PASS"
        lines = tuple(self._manners.evidence.get("hasty_polls", ()))
        return Judgement("poll_rate", RULES["poll_rate"], f"at the closest {gap_s * 1000:.0f} ms apart", verdict, lines)

    def _judge_quiet_after_end(self, _: bool) -> Judgement:
        polls = self._counters["polls_after_end"]
        verdict: Verdict = "FAIL" if polls else "PASS" if self._seen["quiet_after_end"] else "NOT_EXERCISED"
        lines = tuple(self._manners.evidence.get("polls_after_end", ()))
        return Judgement("quiet_after_end", RULES["quiet_after_end"], f"polls after an end: {polls}", verdict, lines)

    def _judge_persistence(self, gave_up: bool) -> Judgement:
        left = [] if gave_up else list(self._failed_polls.values())
        actual = f"polls that failed: {self._seen['persistence']}; tasks that were given up after one: {len(left)}"
        verdict: Verdict = "FAIL" if left else "PASS" if self._seen["persistence"] else "NOT_EXERCISED"
        return Judgement("persistence", RULES["persistence"], actual, verdict, tuple(left[:MOST_LINES_OF_EVIDENCE]))

    def _judge_unknown(self, gave_up: bool) -> Judgement:
        left = [] if gave_up else list(self._unknowns.values())
        actual = f"answers UNKNOWN: {self._seen['unknown']}; tasks that were given up after the first: {len(left)}"
        verdict: Verdict = "FAIL" if left else "PASS" if self._seen["unknown"] else "NOT_EXERCISED"
        return Judgement("unknown", RULES["unknown"], actual, verdict, tuple(left[:MOST_LINES_OF_EVIDENCE]))

    def _evidence(self, rule: str) -> tuple[int, ...]:
        return tuple(self._lines.get(rule, ()))


def _passes(status: int) -> bool:
    """Whether an answer of this status, or a cut (0), may be different next time; other 4xx say "never"."""
    return not 400 <= status < 500 or status in (408, 425, 429)


class _Notes(OrderedDict[Key, Value]):
    """What a rule has to remember; beyond the bound the oldest is forgotten, and that it was is told."""

    has_forgotten = False

    def note(self, key: Key, value: Value) -> None:
        """Note a value, as the latest."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > MOST_REMEMBERED:
            self.popitem(last=False)
            self.has_forgotten = True
