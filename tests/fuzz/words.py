"""What people and programs hand to the client as text: tokens, declarations, replies of other services, manifests."""

from __future__ import annotations

import base64
import functools
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from resilient_poll import ConfigurationError, DashScope, OperationSpec, SnapshotError
from resilient_poll.cli.batch.jobs import Defaults, Line, read_jobs
from resilient_poll.cli.batch.plan import Wishes, fates_of
from resilient_poll.cli.batch.results import result_of_earlier_run
from resilient_poll.cli.batch.state import Owner, StateFile, Step
from resilient_poll.dashscope.keeping.prices import load_price_table
from resilient_poll.dashscope.wire.dialects import DASHSCOPE
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.task_record import TaskRecord
from resilient_poll.operations.token import PREFIX as OPERATION_PREFIX
from resilient_poll.operations.token import Kept, read_token, write_token
from resilient_poll.specs.reading import observe_submit, reply_from, success_of
from resilient_poll.specs.ready import READY
from tests.fuzz.answers import TASK_ID, answers_of
from tests.fuzz.target import KEY, Target, told
from tests.specs.file_forms import as_file

__all__ = ["TARGETS"]

NOW = Instant(100.0, 1_750_000_000.0)
HOME, SPEC = "https://api.test:443", "paint"
DEFAULTS = Defaults(model="m", parameters={"size": "1*1", "seed": 1}, endpoint="video", output=".")
OWNER = Owner(file="jobs.jsonl", dialect="dashscope", service="mark", key=KEY)
PREFIX = b"rpt1."


def _text(raw: bytes) -> str:
    # As argv and files opened without a thought give it.
    return raw.decode("utf-8", "surrogateescape")


def _client(account: str | None = None) -> DashScope:
    # A client of the caller's, which asks nobody: to load certificates for one takes most of the time.
    http_client = httpx.Client(transport=httpx.MockTransport(lambda _request: httpx.Response(500)))
    return DashScope(
        dialect="dashscope", api_key=KEY, base_url="https://api.test/v1", account=account, http_client=http_client
    )


def _unpacked(token: str) -> bytes:
    packed = token.partition(".")[2]
    return token.partition(".")[0].encode() + b"." + base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))


def _token(raw: bytes) -> str:
    """Read a token; what follows the prefix is its JSON, or it is the token itself where there is no JSON."""
    prefix, dot, content = raw.partition(b".")
    packed = base64.urlsafe_b64encode(content).rstrip(b"=") if content[:1] in (b"{", b"[", b'"') else content
    token = _text(prefix + dot + packed)
    try:
        if token.startswith(OPERATION_PREFIX):
            record, kept = read_token(token, SPEC, HOME, NOW)
            write_token(SPEC, HOME, record, Kept(), NOW)
            return f"operation {record.phase} {len(kept.urls())}"
        with _client() as client:
            task = client.task(token)
            again = client.task(task.resume_token)
            assert (again.id, again.status, again.standing.phase) == (task.id, task.status, task.standing.phase)
            return f"task {task.standing.phase} {task.standing.billing}"
    except (SnapshotError, ConfigurationError) as error:
        return told(error)


@functools.cache
def _token_seeds() -> Sequence[bytes]:
    record = TaskRecord.known_by_id(TASK_ID, NOW)
    operation = write_token(SPEC, HOME, record, Kept(status=f"{HOME}/x?y=1", result="https://cdn.test/a"), NOW)
    with _client(account="studio") as client:
        labelled = client.task(TASK_ID).resume_token
    with _client() as client:
        plain = client.task(TASK_ID).resume_token
    seen = json.loads(_unpacked(plain)[len(PREFIX) :])
    seen["task"] |= {"status": "RUNNING", "phase": "RUNNING", "seen": True, "polls": 7, "earlier_s": {"QUEUED": 2.5}}
    return (_unpacked(plain), _unpacked(labelled), _unpacked(operation), PREFIX + json.dumps(seen).encode(), b"t-17")


def _specification(raw: bytes) -> str:
    """Read a declaration from a file, as text, and as a waiter of botocore's."""
    came = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spec.yaml")
        path.write_bytes(raw)
        for read in (lambda: OperationSpec.from_file(path), lambda: OperationSpec.from_text(_text(raw))):
            try:
                came.append(f"declares {len(read().lifecycle.statuses) > 2}")
            except ConfigurationError as error:
                came.append(told(error))
    try:
        waiter: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return " / ".join(came)
    try:
        came.append(f"waits {len(OperationSpec.from_botocore(waiter).acceptors)}")
    except ConfigurationError as error:
        came.append(told(error))
    return " / ".join(came)


@functools.cache
def _specification_seeds() -> Sequence[bytes]:
    found = [json.dumps(as_file(spec), indent=1).encode() for spec in READY]
    for spec in READY[:4]:
        text = io.StringIO()
        YAML(typ="safe", pure=True).dump(as_file(spec), text)
        found.append(text.getvalue().encode())
    rows = [
        {"state": "success", "matcher": "path", "argument": "render.state", "expected": "done"},
        {"state": "failure", "matcher": "pathAny", "argument": "render.items[].state", "expected": "bad"},
        {"state": "retry", "matcher": "error", "expected": "Throttled"},
        {"state": "failure", "matcher": "status", "expected": 410},
    ]
    waiter = {"operation": "render", "delay": 3, "maxAttempts": 100, "acceptors": rows}
    return (
        *found,
        json.dumps(waiter).encode(),
        json.dumps({"version": 1, "name": "render", "acceptors": rows}).encode(),
    )


def _replies(raw: bytes) -> str:
    """Let every ready declaration read an answer, as one to a query and as one to a submit."""
    answer = answers_of(raw)[0]
    head = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in answer.headers)
    reply = reply_from(answer.status, head, answer.body)
    came = set()
    for spec in READY:
        came.add(type(spec.observe(reply, now_wall_s=NOW.wall_s)).__name__)
        success_of(spec, reply)
        if spec.submit is not None:
            came.add(f"submit {type(observe_submit(spec, reply, NOW.wall_s, names_a_url=None)).__name__}")
    return " ".join(sorted(came))


@functools.cache
def _reply_seeds() -> Sequence[bytes]:
    head = b"200\nlocation: /pictures/7\noperation-location: https://api.test/operations/7\nretry-after: 20\n\n"
    bodies = (
        {"id": "7", "status": "Succeeded", "resourceLocation": "/pictures/7", "properties": {"provisioningState": "x"}},
        {"id": "p7", "status": "processing", "urls": {"get": "https://api.test/p7", "cancel": "/c"}, "output": ["a"]},
        {"name": "projects/x/operations/7", "done": True, "response": {"a": 1}, "metadata": {"percent": 10}},
        {"name": "operations/7", "done": True, "error": {"code": 3, "message": "bad", "details": []}},
        {"id": "v", "status": "failed", "failure": "no", "failureCode": "X", "error": {"code": "c", "message": "m"}},
    )
    return [head + json.dumps(body).encode() for body in bodies] + [b"429\nretry-after-ms: 1.5\n\n{}", b"204\n\n"]


def _jobs(raw: bytes) -> str:
    try:
        jobs = read_jobs("jobs", io.BytesIO(raw), DEFAULTS, DASHSCOPE, lambda job: job)
    except ConfigurationError as error:
        return told(error)
    for line in jobs.lines[:20]:
        job = jobs.job(line)
        json.dumps([job.model, job.input, job.parameters], allow_nan=False).encode()
        line.target.encode()
    return f"{min(len(jobs.lines), 3)} jobs"


def _state(raw: bytes) -> str:
    """Open the state of a batch, and do what a run does before it sends anything."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state")
        path.write_bytes(raw)
        try:
            with StateFile(path, OWNER) as state:
                lines = [Line(number=1, id=None, key=key, digest="d", target=".", offset=0, size=0) for key in "ab"]
                fates = fates_of(lines, state.entries, Wishes(retry_failed=True), lambda file: file == "there")
                for line in lines:
                    if (entry := state.entries.get(line.key)) is not None and entry.step is Step.ENDED:
                        result_of_earlier_run(line, entry.report or {}, entry.exit_code or 0).as_json()
                state.note("c", Step.SUBMITTING, digest="d", line=3)
            with StateFile(path, OWNER) as again:
                assert "c" in again.entries
                assert set(state.entries) == set(again.entries)
            return " ".join(sorted(str(fate) for fate in fates.values()))
        except ConfigurationError as error:
            # What is refused stays as it was, but for a last line that was being written when something stopped.
            assert raw.startswith(path.read_bytes()) or not raw.strip()
            return told(error)


@functools.cache
def _state_seeds() -> Sequence[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state")
        with StateFile(path, OWNER) as state:
            state.note("a", Step.SUBMITTING, digest="d", line=1)
            first = path.read_bytes()
            state.note("a", Step.ACCEPTED, task_id="t1", resume_token="rpt1.x")
            state.note("b", Step.SUBMITTING, digest="d", line=2)
            state.note("b", Step.ANSWERED, result={"output": {"results": []}}, request_id="r")
            second = path.read_bytes()
            state.note("b", Step.ENDED, report={"files": ["there"], "urls": [], "outcome": "succeeded"}, exit_code=0)
            state.note("a", Step.ENDED, report={"error": {"text": "no"}, "safe_to_submit_again": "yes"}, exit_code=1)
            return first, second, path.read_bytes()


def _prices(raw: bytes) -> str:
    came = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("prices.yaml", "prices.json"):
            path = Path(folder, name)
            path.write_bytes(raw)
            try:
                table = load_price_table(path)
                repr(table).encode()
                came.append("prices")
            except ConfigurationError as error:
                came.append(told(error))
    return " / ".join(came)


_PRICES = b'{"currency": "CNY", "models": {"wan2.5-t2v-preview": {"second": "0.10"}, "wanx": {"image": "0.2"}}}'
_PRICES_YAML = b"currency: CNY\nmodels:\n  wan2.5-t2v-preview: {second: 0.10}\n  wanx: {image: '0.2'}\n"
_JOBS = (
    b'{"input": {"prompt": "a cat"}}\n{"input": {"prompt": "b"}, "id": "x", "output": "{id}-{line}.mp4"}\n',
    b'\xef\xbb\xbf{"model": "m", "input": {"p": 1}, "parameters": {"n": 1}, "endpoint": "video"}\r\n\r\n',
)
_SPEC_WORDS = (
    *(b"version: 1", b"name: ", b"submit: ", b"query: ", b"status: ", b"states: ", b"acceptors: ", b"billing: "),
    *(b"header: ", b"body: ", b"fold_case: ", b"interval_s: ", b"allow_hosts: ", b"retry_after: ", b"result_url: "),
    *(b"a.b.c", b"items[?state=='x'] | [0]", b"@", b"`1`", b"to_number(a)", b"{id}", b"{+id}", b"pathAll", b"delay"),
)
TARGETS = (
    Target("token", "resume tokens and task ids", _token_seeds, _token, (PREFIX, b"rpo1.", b'"task"', b'"phase"')),
    Target(
        "specification",
        "declarations of other services, and waiters",
        _specification_seeds,
        _specification,
        _SPEC_WORDS,
    ),
    Target(
        "replies", "answers of other services", _reply_seeds, _replies, (b'"status"', b'"done"', b'"error"', b"429")
    ),
    Target(
        "jobs", "manifests of a batch", lambda: _JOBS, _jobs, (b'"id"', b'"output"', b'"endpoint"', b'"parameters"')
    ),
    Target(
        "state", "the state of a batch", _state_seeds, _state, (b'"step": "ended"', b'"job"', b'"report"', b'"digest"')
    ),
    Target(
        "prices", "price tables", lambda: (_PRICES, _PRICES_YAML), _prices, (b"models: ", b"second", b"image", b"1e400")
    ),
)
