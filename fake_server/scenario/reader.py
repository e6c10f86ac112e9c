"""Reads the sections of a scenario file into a :class:`Scenario`, noting everything that is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from fake_server.scenario.answer_reader import plain_value, read_answers
from fake_server.scenario.fault_reader import read_faults
from fake_server.scenario.fields import of_version
from fake_server.scenario.lifecycle_reader import read_decimal, read_tasks
from fake_server.scenario.model import (
    COUNTS,
    DEFAULT_REQUESTS,
    OUTCOMES,
    TIERS,
    ClientBrief,
    Expect,
    Quotas,
    Scenario,
    Service,
)
from fake_server.wire import bodies
from fake_server.wire.endpoints import BY_NAME, OFFERED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from fake_server.scenario.yaml_nodes import Notes
    from fake_server.wire.endpoints import EndpointName

Value = TypeVar("Value")
Fields = dict[str, tuple[Node, Node]]

# Counts beyond this are typing errors; the bound also keeps a quota from growing a world's memory.
LARGEST_COUNT = 1_000_000
MOST_CONCURRENT = 10_000
MOST_CLIENT_TASKS = 10_000
LONGEST_SUMMARY = 300
# A price per second of video above this is a typing error in any currency.
LARGEST_PRICE = Decimal(1_000_000)

_KEYS = (
    *("version", "summary", "dialects", "quotas", "service", "prices", "create", "tasks", "poll", "faults"),
    *("retention", "url_lifetime", "takes", "client", "expect"),
)
REQUIRED = {
    "version": "version: 1",
    "summary": "summary: a sentence of purpose",
    "tasks": "tasks: a list of lifecycles",
    "expect": "expect: at least an outcome",
}
SERVICE_CHOICES = {
    "async_header": ("required", "ignored"),
    "task_id_query": ("answers", "unsupported"),
    "cancel_of_unknown": ("refused", "accepted"),
    "models": ("any", "known"),
    "gzip": ("large", "always"),
}
_QUOTA_KEYS = ("concurrent_tasks", "queries_per_second", "images_per_minute", "tier", "by_model")
_CLIENT_KEYS = (
    *("tasks", "cancel", "timeout", "submit_timeout", "download"),
    *("endpoint", "model", "input", "parameters"),
)


def read_scenario(root: Node, name: str, notes: Notes) -> Scenario | None:
    """Read a whole file.

    Args:
        root: Its root node.
        name: The scenario's name.
        notes: Receives every complaint.

    Returns:
        The scenario, or None if anything was noted.
    """
    fields = notes.as_mapping(root, "a scenario: a mapping that starts with version: 1", _KEYS)
    if fields is None:
        return None
    for key, expected in REQUIRED.items():
        if key not in fields:
            notes.at(root, f"found no {key}, expected {expected}")
    sections = _Sections(fields, notes)
    sections.take("version", of_version().read)
    values: dict[str, Any] = {}
    for key, reader in _readers().items():
        if key in fields:
            values[key] = sections.take(key, reader)
    if "client" in fields:
        _check_endpoint(fields["client"][1], values, notes)
    if notes.problems:
        return None
    if "client" in fields:
        _check_together(fields, values, values["client"], notes)
        if notes.problems:
            return None
    for key in ("retention", "url_lifetime", "takes"):
        if key in values:
            values[f"{key}_s"] = values.pop(key)
    return Scenario(name=name, **values)


def _readers() -> dict[str, Callable[[Node, Notes], Any]]:
    return {
        "summary": _read_summary,
        "dialects": _read_dialects,
        "quotas": _read_quotas,
        "service": _read_service,
        "prices": _read_prices,
        "create": lambda node, notes: read_answers(node, notes, "create"),
        "tasks": read_tasks,
        "poll": lambda node, notes: read_answers(node, notes, "poll"),
        "faults": read_faults,
        "retention": lambda node, notes: notes.as_duration(node),
        "url_lifetime": lambda node, notes: notes.as_duration(node),
        "takes": lambda node, notes: notes.as_duration(node),
        "client": _read_client,
        "expect": _read_expect,
    }


@dataclass(slots=True)
class _Sections:
    """The keys of one mapping, read one by one."""

    fields: Fields
    notes: Notes
    values: dict[str, Any] = field(default_factory=dict)

    def take(self, key: str, reader: Callable[[Node, Notes], Value]) -> Value | None:
        """Read one key if it is there."""
        if key not in self.fields:
            return None
        return reader(self.fields[key][1], self.notes)


def _section(node: Node, notes: Notes, expected: str, keys: Collection[str] | None) -> _Sections:
    return _Sections(notes.as_mapping(node, expected, keys) or {}, notes)


def _read_summary(node: Node, notes: Notes) -> str | None:
    text = notes.as_text(node, "a sentence")
    if text is not None and len(text) > LONGEST_SUMMARY:
        notes.at(node, f"found {len(text)} characters, expected a sentence of at most {LONGEST_SUMMARY}")
    return " ".join(text.split()) if text else None


def _read_dialects(node: Node, notes: Notes) -> tuple[bodies.Dialect, ...]:
    items = notes.as_list(node, "a list such as [aisa, dashscope]")
    if items is not None and not items:
        notes.at(node, "found an empty list, expected aisa, dashscope or both")
    words = [notes.as_choice(item, bodies.DIALECTS) for item in items or []]
    return tuple(cast("bodies.Dialect", word) for word in dict.fromkeys(words) if word)


def _read_quotas(node: Node, notes: Notes) -> Quotas:
    default = Quotas()
    section = _section(node, notes, "a mapping of quotas", _QUOTA_KEYS)

    def number(key: str) -> int | None:
        return notes.as_integer(section.fields[key][1], 1, MOST_CONCURRENT) if key in section.fields else None

    name = section.take("tier", lambda value, _: notes.as_choice(value, TIERS) or "")
    tier = TIERS.get(name or "")
    by_model = section.take("by_model", lambda value, _: notes.as_flag(value))
    if by_model and "concurrent_tasks" in section.fields:
        text = "found concurrent_tasks beside by_model, expected one of them: each model then has its own"
        notes.at(section.fields["concurrent_tasks"][0], text)
    return Quotas(
        # What is spelt out counts; a tier only changes the default.
        concurrent_tasks=number("concurrent_tasks") or (tier or default).concurrent_tasks,
        queries_per_second=number("queries_per_second") or default.queries_per_second,
        images_per_minute=number("images_per_minute") or default.images_per_minute,
        requests_per_minute=tier.requests_per_minute if tier else None,
        by_model=bool(by_model),
    )


def _read_service(node: Node, notes: Notes) -> Service:
    section = _section(node, notes, "a mapping of the service's ways", tuple(SERVICE_CHOICES))
    values: dict[str, Any] = {}
    for key in section.fields:
        values[key] = notes.as_choice(section.fields[key][1], SERVICE_CHOICES[key])
    return Service(**values)


def _read_prices(node: Node, notes: Notes) -> dict[str, Decimal]:
    fields = notes.as_mapping(node, "a mapping from model to price per second", None) or {}
    prices = {model: read_decimal(value, notes, LARGEST_PRICE) for model, (_, value) in fields.items()}
    return {model: price for model, price in prices.items() if price is not None}


def _read_client(node: Node, notes: Notes) -> ClientBrief:
    default = ClientBrief()
    section = _section(node, notes, "a mapping that says what a driver does", _CLIENT_KEYS)
    tasks = section.take("tasks", lambda value, _: notes.as_integer(value, 1, MOST_CLIENT_TASKS))
    cancel = section.take("cancel", lambda value, _: notes.as_choice(value, (bodies.PENDING, bodies.RUNNING)))
    timeout_s = section.take("timeout", lambda value, _: notes.as_duration(value))
    submit_timeout_s = section.take("submit_timeout", lambda value, _: notes.as_duration(value))
    download = section.take("download", lambda value, _: notes.as_flag(value))
    name = cast("EndpointName", section.take("endpoint", lambda value, _: notes.as_choice(value, BY_NAME)) or "video")
    model = section.take("model", lambda value, _: notes.as_text(value, "the name of a model"))
    given, parameters = section.take("input", _read_object), section.take("parameters", _read_object)
    return ClientBrief(
        tasks=tasks or default.tasks,
        cancel=cancel,
        timeout_s=default.timeout_s if timeout_s is None else timeout_s,
        submit_timeout_s=default.submit_timeout_s if submit_timeout_s is None else submit_timeout_s,
        download=default.download if download is None else download,
        endpoint=name,
        model=model or DEFAULT_REQUESTS[name][0],
        input=given or DEFAULT_REQUESTS[name][1],
        parameters=DEFAULT_REQUESTS[name][2] if parameters is None else parameters,
    )


def _read_object(node: Node, notes: Notes) -> dict[str, Any] | None:
    """A JSON object of a request."""
    if not isinstance(node, MappingNode):
        notes.wrong(node, "a mapping, as it stands in a request")
        return None
    return dict(plain_value(node, notes))


def _check_endpoint(node: Node, values: dict[str, Any], notes: Notes) -> None:
    """Complain where a driver is sent to an endpoint that one of the scenario's dialects lacks."""
    brief = values.get("client") or ClientBrief()
    for dialect in values.get("dialects") or bodies.DIALECTS:
        names = [endpoint.name for endpoint in OFFERED[dialect]]
        if brief.endpoint not in names:
            text = f"found the endpoint {brief.endpoint}, expected one that {dialect} has: {', '.join(names)}"
            notes.at(node, f"{text} (or dialects without {dialect})")


def _check_together(fields: Fields, values: dict[str, Any], brief: ClientBrief, notes: Notes) -> None:
    """Complain of what each section allows, and what its own driver can never come to."""
    outcomes = values["expect"].outcomes
    if len(outcomes) not in (1, brief.tasks):
        text = f"found {len(outcomes)} outcomes for {brief.tasks} tasks, expected one for each, or one word for all"
        notes.at(fields["expect"][1], text)
    form = BY_NAME[brief.endpoint].form
    if form in ("video", "model") and any(life.results is not None for life in values["tasks"]):
        text = f"found results where client asks for {brief.endpoint}, expected an endpoint that makes several things"
        notes.at(fields["tasks"][1], f"{text} (client: {{endpoint: text-to-image}}, say)")


def _read_expect(node: Node, notes: Notes) -> Expect:
    section = _section(node, notes, "a mapping with at least outcome", ("outcome", *COUNTS))
    if "outcome" not in section.fields and isinstance(node, MappingNode):
        notes.at(node, f"found no outcome, expected one of {', '.join(OUTCOMES)}")
    outcomes = section.take("outcome", _read_outcomes) or ()
    counts: dict[str, int] = {}
    for key in section.fields:
        if key != "outcome":
            count = notes.as_integer(section.fields[key][1], 0, LARGEST_COUNT)
            counts[key] = -1 if count is None else count
    return Expect(outcomes, counts)


def _read_outcomes(node: Node, notes: Notes) -> tuple[str, ...]:
    items = list(node.value) if isinstance(node, SequenceNode) else [node]
    if not items:
        notes.at(node, f"found an empty list, expected one of {', '.join(OUTCOMES)} for each task")
    return tuple(notes.as_choice(item, OUTCOMES) or "" for item in items)
