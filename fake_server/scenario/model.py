"""A scenario after reading: frozen values, with every default filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from fake_server.wire.bodies import DIALECTS, Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from fake_server.faults.model import Fault
    from fake_server.scenario.lifecycles import Lifecycle
    from fake_server.wire.endpoints import EndpointName
    from fake_server.wire.errors import ErrorShape
    from fake_server.wire.messages import DropHow, DropWhen

RetryAfterForm = Literal["seconds", "http-date", "none"]
AnswerKind = Literal["pass", "throttle", "status", "drop"]

# What a good client may report for a task.
OUTCOMES = (
    "SUCCEEDED",
    "FAILED",
    "CANCELED",
    "EXPIRED",
    "STILL_GOING",
    "IN_DOUBT",
    "REFUSED",
    "THROTTLED",
)

# The numbers a scenario may expect, with what each counts. The bounds are named so, the others are exact.
COUNTS: dict[str, str] = {
    "tasks_created": "tasks that exist, whoever heard of them, and results that a synchronous create made",
    "billed_tasks": "those of them that cost something",
    "create_requests": "create requests that arrived",
    "early_creates": "creates that came before a create's Retry-After had passed",
    "early_polls": "status queries before a query's Retry-After, or faster than 2 a second for a task",
    "early_requests": "requests before the Retry-After of a limit on all requests had passed",
    "polls_after_end": "status queries of a task after its end had been answered",
    "max_polls": "status queries at most",
    "downloads": "tasks whose asset was fetched",
    "min_throttled_creates": "creates that a limit refused at least; fewer prove nothing",
    "max_throttled_creates": "creates that a limit refused at most",
    "min_over_cap": "creates beyond the concurrency cap at least, refused or queued; fewer prove nothing",
}

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Tier:
    """What a tier of the gateway allows: requests a minute, and tasks at once."""

    requests_per_minute: int
    concurrent_tasks: int


# AIsa docs, rate-limits. That its "concurrent" is about tasks, and that polls count as requests, is assumed. The
# limits of tokens are left out: nothing that the fake makes costs tokens.
TIERS: dict[str, Tier] = {"free": Tier(60, 5), "starter": Tier(600, 20), "growth": Tier(3000, 50)}


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits of one world, which is the account.

    The defaults are those of the pages: 3 videos at once and 30 synchronous images a minute for a key (AIsa docs,
    async-operations), 20 queries a second for query, list and cancel together (vendor's page Manage asynchronous
    tasks).

    Args:
        concurrent_tasks: Tasks at once; more are refused in `aisa` and queue in `dashscope`.
        queries_per_second: In `dashscope` only.
        images_per_minute: Synchronous images, in `aisa` only.
        requests_per_minute: All requests, in `aisa` only; None for no limit, and no headers that tell of one.
        by_model: Whether `dashscope` has the limits of each model, instead of `concurrent_tasks`.
    """

    concurrent_tasks: int = 3
    queries_per_second: int = 20
    images_per_minute: int = 30
    requests_per_minute: int | None = None
    by_model: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """Behaviour on which the sources disagree or are silent, so that a scenario chooses.

    Args:
        async_header: Whether a create with the wrong `X-DashScope-Async` for its endpoint is refused.
        task_id_query: Whether `GET …/tasks?task_id=` answers, or says `500 unsupported uri`.
        cancel_of_unknown: What cancelling an id that nobody knows gives.
        models: Whether any name passes for a model, or only known ones.
        gzip: Which bodies are packed for a request that accepts it: large ones, or all.
    """

    async_header: Literal["required", "ignored"] = "required"
    task_id_query: Literal["answers", "unsupported"] = "answers"
    cancel_of_unknown: Literal["refused", "accepted"] = "refused"
    models: Literal["any", "known"] = "any"
    gzip: Literal["large", "always"] = "large"


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """One entry of `create:` or `poll:`; which fields count depends on `kind`.

    Args:
        kind: What happens to the request.
        line: Where it stands in the file, from 1; reports name it.
        times: How many requests it strikes (for `pass`: lets through).
        status: The HTTP status.
        codes: The error code per dialect, where the script names one.
        message: The error sentence, where the script names one.
        shape: The error shape, or None for the dialect's own.
        body: A raw body instead of an error of the dialect.
        content_type: The type of that body.
        headers: Extra headers.
        retry_after_s: What `Retry-After` asks for, in the client's own seconds.
        form: How `Retry-After` says it.
        retry_after_text: `Retry-After` spelt out, right or wrong, instead of the form.
        when: Whether the request was carried out before the answer was spoilt.
        how: How a connection is cut.
    """

    kind: AnswerKind
    line: int
    times: int = 1
    status: int = 429
    codes: Mapping[str, str] = field(default_factory=dict)
    message: str | None = None
    shape: ErrorShape | None = None
    body: bytes | None = None
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    retry_after_s: float | None = None
    form: RetryAfterForm = "seconds"
    retry_after_text: str | None = None
    when: DropWhen = "before_commit"
    how: DropHow = "reset"

    @property
    def is_fault(self) -> bool:
        """Whether this entry does anything to a request."""
        return self.kind != "pass"

    def describe(self, route: str) -> str:
        """A few words for the journal and for reports."""
        what = {"drop": f"drop {self.when}", "status": f"status {self.status}"}.get(self.kind, self.kind)
        return f"{route} {what} (line {self.line})"


@dataclass(frozen=True, slots=True)
class ClientBrief:
    """What a driver is asked to do with its client; durations in the client's own seconds.

    Args:
        tasks: How many tasks to create.
        cancel: At which status to cancel each, or None.
        timeout_s: How long to wait for each, from its acceptance.
        submit_timeout_s: How long to try to submit each.
        download: Whether to fetch what succeeds.
        endpoint: Where to create, by the names of :data:`fake_server.wire.endpoints.BY_NAME`.
        model: The model to ask for.
        input: The `input` of each create.
        parameters: The `parameters` of each create.
    """

    tasks: int = 1
    cancel: str | None = None
    timeout_s: float = 60.0
    submit_timeout_s: float = 60.0
    download: bool = True
    endpoint: EndpointName = "video"
    model: str = "wan2.5-t2v-preview"
    input: Mapping[str, Any] = field(default_factory=lambda: {"prompt": "a cat"})
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"duration": 5})


_ONE_PROMPT: Mapping[str, Any] = {"prompt": "a cat"}
_ONE_MESSAGE: Mapping[str, Any] = {"messages": [{"role": "user", "content": [{"text": "a cat"}]}]}
# What a driver asks for at each endpoint where the scenario does not say: model, input, parameters.
DEFAULT_REQUESTS: dict[EndpointName, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {
    "video": ("wan2.5-t2v-preview", _ONE_PROMPT, {"duration": 5}),
    "keyframe-video": (
        "wan2.2-kf2v-flash",
        {"prompt": "a cat", "first_frame_url": "https://example.com/a.png"},
        {"resolution": "720P"},
    ),
    "text-to-image": ("wan2.5-t2i-preview", _ONE_PROMPT, {"n": 1}),
    "image-to-image": ("wan2.5-i2i-preview", {"prompt": "a cat", "images": ["https://example.com/a.png"]}, {"n": 1}),
    "image-messages": ("wan2.6-image", _ONE_MESSAGE, {"n": 1}),
    "image-synchronous": ("wan2.6-t2i", _ONE_MESSAGE, {"n": 1}),
    "model-3d": ("Tripo/Tripo-P1.0", _ONE_PROMPT, {}),
    "transcription": ("paraformer-v2", {"file_urls": ["https://example.com/a.wav"]}, {}),
}


@dataclass(frozen=True, slots=True)
class Expect:
    """What a good client makes of the scenario.

    Args:
        outcomes: One word per task in order; a single word holds for every task.
        counts: Expected numbers by the names of :data:`COUNTS`.
    """

    outcomes: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """The outcome of the first task; the only one, in most scenarios."""
        return self.outcomes[0]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One script, complete. `line` numbers inside refer to the file it was read from."""

    name: str
    summary: str
    tasks: tuple[Lifecycle, ...]
    expect: Expect
    dialects: tuple[Dialect, ...] = DIALECTS
    quotas: Quotas = field(default_factory=Quotas)
    service: Service = field(default_factory=Service)
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    create: tuple[ScriptedAnswer, ...] = ()
    poll: tuple[ScriptedAnswer, ...] = ()
    faults: tuple[Fault, ...] = ()
    retention_s: float = DAY_S
    url_lifetime_s: float = DAY_S
    takes_s: float = 0.0  # how much of its own time a good client needs at least
    client: ClientBrief = field(default_factory=ClientBrief)

    @property
    def needs_socket(self) -> bool:
        """Whether it cuts connections or spoils bytes, which nothing without a socket can show faithfully."""
        return bool(self.socket_faults)

    @property
    def socket_faults(self) -> tuple[str, ...]:
        """What needs a socket, in words that name it and its line."""
        scripts = (("create", self.create), ("poll", self.poll))
        drops = [answer.describe(route) for route, answers in scripts for answer in answers if answer.kind == "drop"]
        return (*drops, *(fault.describe() for fault in self.faults if fault.needs_socket))

    def lifecycle_of(self, ordinal: int) -> Lifecycle:
        """The script of the task with this number (from 0); the last one serves all further tasks."""
        return self.tasks[min(ordinal, len(self.tasks) - 1)]
