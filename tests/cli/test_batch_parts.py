"""The parts of a batch: lines, state, what is done with each line, the exit code, the table."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rich.console import Console

from resilient_poll import events
from resilient_poll.cli.batch.jobs import Defaults, JobFile, Line, read_jobs
from resilient_poll.cli.batch.plan import Fate, Wishes, fates_of
from resilient_poll.cli.batch.results import exit_code_of, result_of, summary_of
from resilient_poll.cli.batch.state import Entry, Owner, StateFile, StateLost, Step
from resilient_poll.cli.batch.view import BatchView, Row
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.report import report_of_standing
from resilient_poll.dashscope.wire.dialects import AISA
from resilient_poll.errors import ConfigurationError, Standing
from resilient_poll.machine.lifecycle import Billing, Phase

DEFAULTS = Defaults(model="m", parameters={"size": "1*1", "seed": 1}, endpoint="video", output=".")
OWNER = Owner(file="jobs.jsonl", dialect="aisa", service="mark", key="sk-canary-canary")
IN_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
WORDS = st.sampled_from(["model", "input", "parameters", "endpoint", "id", "output", "prompt"])


def parsed(content: bytes, defaults: Defaults = DEFAULTS) -> JobFile:
    """Read a file of jobs."""
    return read_jobs("jobs", io.BytesIO(content), defaults, AISA, lambda job: job)


def complaint(content: bytes) -> str:
    """Why a file of jobs is refused."""
    with pytest.raises(ConfigurationError) as raised:
        parsed(content)
    return str(raised.value)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "it is no JSON"),
        (b"[]", "must be a JSON object, not a list"),
        (b"null", "must be a JSON object, not null"),
        (b'{"input": {"p": "\xff"}}', "it is not UTF-8: byte 18 of the line"),
        (b'{"input": {"p": NaN}}', "NaN is no JSON number"),
        (b'{"input": {"p": 1, "p": 2}}', "'p' is there twice"),
        (b'{"input": {"p": ' + b"9" * 5000 + b"}}", "it is no JSON that can be read"),
        (b'{"input": ' + b"[" * 100_000, "it is nested too deeply"),
        (b'{"input": "' + b"x" * 17_000_000 + b'"}', "it is longer than 16 MiB"),
        (b"{}", 'there is nothing to make: "input" is missing'),
        (b'{"input": {}}', "there is nothing to make"),
        (b'{"input": []}', '"input" must be an object, not a list'),
        (b'{"input": {"p": 1}, "parameters": 3}', '"parameters" must be an object, not a number'),
        (b'{"input": {"p": 1}, "model": true}', '"model" must be a text, not true or false'),
        (b'{"input": {"p": 1}, "id": {}}', '"id" must be a printable text'),
        (b'{"input": {"p": 1}, "id": "a\\u001b[2J"}', '"id" must be a printable text'),
        (b'{"input": {"p": 1}, "id": ""}', '"id" must be a printable text'),
        (b'{"input": {"p": 1}, "output": ""}', '"output" is no name of a file'),
        (b'{"input": {"p": 1}, "output": "a\\u0000"}', '"output" is no name of a file'),
        (b'{"input": {"p": 1}, "paramters": {}}', "'paramters' is no word of a job"),
        (b'{"input": {"p": 1}, "endpoint": "image-synchronous"}', "answers with the result itself"),
        (b'{"input": {"p": 1}, "endpoint": "text-to-image"}', "dialect 'aisa' does not document"),
        (b'{"input": {"p": 1}, "endpoint": "/a/../b"}', "is no path of an API"),
    ],
)
def test_a_wrong_line_is_named(line: bytes, why: str) -> None:
    """Whatever is wrong with a line is told in one printable line with its number, and short."""
    said = complaint(b'{"input": {"p": 1}}\n\n' + line + b"\n")
    assert said.startswith("1 of 2 jobs in 'jobs' makes no sense; nothing was sent\n  line 3: ")
    assert why in said
    assert said.count("\n") == 1
    assert said.replace("\n", "").isprintable()
    assert len(said) < 600


@given(st.lists(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()), max_size=6))
def test_any_file_is_read_or_refused(lines: list[bytes]) -> None:
    """Whatever bytes a file holds, it is read or refused in a sentence that a terminal can show."""
    try:
        parsed(b"\n".join(lines))
    except ConfigurationError as error:
        said = str(error)
    else:
        said = ""
    assert said.replace("\n", "").isprintable()


@given(st.dictionaries(WORDS, JSON, max_size=5))
def test_any_job_is_read_or_refused(said: dict[str, Any]) -> None:
    """Whatever types a job's words have, it becomes a request that JSON can hold, or is refused."""
    try:
        jobs = parsed(json.dumps({"input": {"p": 1}, **said}).encode())
    except ConfigurationError:
        return
    job = jobs.job(jobs.lines[0])
    assert json.dumps([job.model, job.input, job.parameters])


def test_a_line_is_laid_over_the_defaults() -> None:
    """A line's parameters replace those of the options one by one, and its key comes back with its job."""
    jobs = parsed(
        b'\xef\xbb\xbf{"input": {"p": 1}, "parameters": {"seed": 2}, "id": "a/b", "output": "{id}-{line}"}\r\n'
    )
    (line,) = jobs.lines
    job = jobs.job(line)
    assert job.parameters == {"size": "1*1", "seed": 2}
    assert (line.key, line.target, line.label) == ("id:a/b", "a_b-1", "a/b")
    assert (job.label, getattr(job.endpoint, "name", None)) == ("id:a/b", "id:a/b")


def test_only_so_many_mistakes_are_told() -> None:
    """Of a file full of mistakes the first fifty are named, and the others counted."""
    said = complaint(b"x\n" * 80)
    assert said.startswith("80 of 80 jobs")
    assert said.endswith("\n  and 30 more")


@IN_ONE_FOLDER
@given(cut=st.integers(min_value=0, max_value=2000))
def test_a_state_that_was_torn_is_its_whole_lines(tmp_path: Path, cut: int) -> None:
    """Cut at any byte, a state is read as the lines that were whole, and goes on from there."""
    path = tmp_path / "state"
    path.unlink(missing_ok=True)
    with StateFile(path, OWNER) as state:
        state.note("a", Step.SUBMITTING, digest="d", line=1)
        state.note("a", Step.ACCEPTED, task_id="t1", resume_token="rpt1.x")
        state.note("b", Step.SUBMITTING, digest="e" * 500, line=2)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    steps = [line["step"] for line in map(json.loads, whole[:cut].split(b"\n")[1:-1])]
    with StateFile(path, OWNER) as state:
        assert len(state.entries) == len({"a": 1, "b": 2}) if len(steps) == 3 else len(state.entries) <= 1
        if "accepted" in steps:
            assert state.entries["a"].task_id == "t1"
        elif "submitting" in steps:
            assert state.entries["a"].step is Step.SUBMITTING
        state.note("c", Step.SUBMITTING, digest="f", line=3)
    with StateFile(path, OWNER) as state:
        assert "c" in state.entries
    assert path.read_bytes().endswith(b"\n")
    assert all(map(json.loads, path.read_text().splitlines()))


@IN_ONE_FOLDER
@given(content=st.binary(min_size=1, max_size=300))
def test_a_file_that_is_no_state_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """Whatever else is in a file that is given as a state, it is refused, and stays as it was."""
    path = tmp_path / "state"
    assume(not b'{"kind": "state of resilient-poll batch"'.startswith(content))
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="nothing was sent"):
        StateFile(path, OWNER)
    assert path.read_bytes() == content


def test_a_state_that_cannot_be_written_gives_no_licence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk takes only a part of a line, that part is taken back, and the licence is not given."""
    with StateFile(tmp_path / "state", OWNER) as state:
        before = state.path.read_bytes()
        monkeypatch.setattr("os.fsync", _full)
        with pytest.raises(StateLost, match="cannot be written: No space left on device"):
            state.note("a", Step.SUBMITTING, digest="d", line=1)
        assert state.entries == {}
        assert state.path.read_bytes() == before


def _full(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def line(number: int, key: str, digest: str = "d") -> Line:
    """A line."""
    return Line(number=number, id=None, key=key, digest=digest, target=".", offset=0, size=0)


@pytest.mark.parametrize(
    ("entry", "fate", "with_wishes"),
    [
        (None, Fate.SEND, Fate.SEND),
        (Entry(Step.FREE, "d", 1), Fate.SEND, Fate.SEND),
        (Entry(Step.SUBMITTING, "d", 1), Fate.DOUBT, Fate.SEND),
        (Entry(Step.ACCEPTED, "d", 1, task_id="t"), Fate.GO_ON, Fate.GO_ON),
        (Entry(Step.ANSWERED, "d", 1), Fate.SAVE, Fate.SAVE),
        (Entry(Step.ENDED, "d", 1, report={"files": ["there"]}), Fate.REPEAT, Fate.REPEAT),
        (Entry(Step.ENDED, "d", 1, report={"files": ["gone"]}, task_id="t"), Fate.FETCH, Fate.FETCH),
        (Entry(Step.ENDED, "d", 1, report={"files": ["gone"]}), Fate.SAVE, Fate.SAVE),
        (Entry(Step.ENDED, "d", 1, report={"safe_to_submit_again": "yes"}), Fate.REPEAT, Fate.SEND),
        (Entry(Step.ENDED, "d", 1, report={"safe_to_submit_again": "unknown"}), Fate.REPEAT, Fate.REPEAT),
    ],
)
def test_what_is_done_with_a_line(entry: Entry | None, fate: Fate, with_wishes: Fate) -> None:
    """Only what was never sent, or surely came to nothing, is sent; a doubt and a free failure on request."""
    entries = {} if entry is None else {"a": entry}
    exists: Callable[[str], bool] = lambda file: file == "there"  # noqa: E731  # a line is enough
    assert fates_of([line(1, "a")], entries, Wishes(), exists) == {"a": fate}
    wishes = Wishes(resubmit_doubtful=True, retry_failed=True)
    assert fates_of([line(1, "a")], entries, wishes, exists) == {"a": with_wishes}


@given(st.dictionaries(st.sampled_from(list(ExitCode)), st.integers(min_value=0, max_value=3)))
def test_the_exit_code_never_hides_a_doubt(codes: dict[ExitCode, int]) -> None:
    """0 means that all succeeded; a doubt, a task that goes on and a paid result that is not on disk come first."""
    found = {code for code, count in codes.items() if count}
    code = exit_code_of(codes)
    assert (code is ExitCode.SUCCEEDED) == (found <= {ExitCode.SUCCEEDED})
    if ExitCode.IN_DOUBT in found:
        assert code is ExitCode.IN_DOUBT
    elif ExitCode.STILL_GOING in found:
        assert code is ExitCode.STILL_GOING
    total = sum(codes.values())
    assert sum(map(int, re.findall(r"(\d+) [a-z]", summary_of(codes, total).partition(":")[2]))) == total


NOW_S = 1000.0


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def a_view(width: int, *, height: int = 10, total: int = 3) -> BatchView:
    """A view of jobs a and b, on a terminal."""
    console = Console(file=Terminal(), force_terminal=True, width=width, height=height)
    return BatchView(total, {"a": "cat", "b": "a-very-long-name-猫猫猫-of-a-job"}, as_json=True, console=console)


def drawn(view: BatchView, width: int) -> list[str]:
    """What the table shows at this moment."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(view)
    return capture.get().splitlines()


def accept(view: BatchView, key: str, task_id: str) -> None:
    """Tell a view that a job was accepted."""
    view.on_event(events.PhaseChanged(task_id, NOW_S, Phase.SUBMITTING, Phase.QUEUED, "PENDING"))
    view.on_event(events.JobAccepted(task_id, NOW_S, 0, key))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_table_shows_each_open_job(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Each open job has one line with its name, its task and the service's words, however narrow the terminal is."""
    monkeypatch.setattr(time, "monotonic", lambda: NOW_S)
    view = a_view(width)
    accept(view, "a", "0123456789")
    accept(view, "b", "\x1b[2Jtask")
    view.on_event(events.Throttled(None, NOW_S, "rate", 3.0, NOW_S + 3.0))
    view.on_event(events.BatchProgress(None, NOW_S, 0, 1, 2, 0, 0))
    lines = drawn(view, width)
    assert re.match(r"cat +01234567 +PENDING 0\.0 s", lines[0])
    assert lines[1].startswith("a-very-l")
    assert lines[2].startswith("  ! creates throttled (rate) · quiet fo")
    assert lines[3][1:].startswith(" 1 submitting · 2 open")
    assert len(lines) == 4
    assert "\x1b" not in "".join(lines)
    view.saving("0123456789")
    assert width == 40 or "saving" in drawn(view, width)[0]


def test_a_crowd_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """More open jobs than the terminal has lines are counted in one line, so that the table never scrolls."""
    monkeypatch.setattr(time, "monotonic", lambda: NOW_S)
    view = a_view(80, height=10, total=50)
    for number in range(40):
        accept(view, "a", f"task-{number:04}")
    lines = drawn(view, 80)
    assert len(lines) <= 9
    assert "  … and 35 more" in lines


def test_without_a_terminal_counts_come_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal the counts are told every few seconds, failures at once, and results as JSON lines."""
    now = [NOW_S]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    file = io.StringIO()
    view = BatchView(3, {"a": "cat"}, as_json=False, console=Console(file=file, width=200))
    for _ in range(10):
        now[0] += 1
        accept(view, "a", f"t{now[0]:.0f}")
        view.on_event(events.BatchProgress(None, now[0], 0, 0, int(now[0] - NOW_S), 0, 0))
    assert len(file.getvalue().splitlines()) == 2
    standing = Standing(
        task_id="t1001", phase=Phase.FAILED, status="FAILED", billing=Billing.NONE, code="Bad", message="no"
    )
    view.saving("t1001")
    view.over(result_of(line(1, "a"), report_of_standing(standing)))
    assert "✗ line 1: FAILED: Bad: no\n" in file.getvalue()
    assert json.loads(capfd.readouterr().out)["outcome"] == "failed"
    assert view.codes == {ExitCode.FAILED: 1}


def test_a_row_is_a_value() -> None:
    """A row cannot be changed while the table draws it."""
    with pytest.raises(AttributeError):
        Row("t1").label = "x"  # type: ignore[misc]  # that is the point
