"""The two dialects of the API, as data: paths, variables, words and what a create's answer means.

Sources: AIsa documentation, *Async Operations*, *Rate Limits*, *Errors*; Alibaba Cloud
Model Studio, *Manage asynchronous tasks*, *Error messages*; read in 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import quote

from resilient_poll.dashscope.wire.error_catalogue import OnCreate, codes_of
from resilient_poll.errors import ConfigurationError, ErrorKind
from resilient_poll.machine.lifecycle import Lifecycle, Phase

__all__ = ["AISA", "DASHSCOPE", "DIALECTS", "VIDEO_SYNTHESIS_PATH", "Dialect", "dialect_named"]

VIDEO_SYNTHESIS_PATH = "/services/aigc/video-generation/video-synthesis"

STATUSES: Mapping[str, Phase] = MappingProxyType(
    {
        "PENDING": Phase.QUEUED,
        # A constant of the vendor's package only, never seen on the wire: treated as waiting.
        "SUSPENDED": Phase.QUEUED,
        "RUNNING": Phase.RUNNING,
        "SUCCEEDED": Phase.SUCCEEDED,
        "FAILED": Phase.FAILED,
        "CANCELED": Phase.CANCELED,
        "UNKNOWN": Phase.UNRECOGNIZED,
    }
)

RETENTION_S = 24 * 3600.0
"""Source: *Manage asynchronous tasks*: task data and result URLs live 24 hours."""

LIFECYCLE = Lifecycle(name="dashscope", statuses=STATUSES, retention_s=RETENTION_S)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between the two dialects.

    Attributes:
        name: What users call it.
        base_url: Where it lives, unless told otherwise.
        key_variable: The environment variable of its key. No other dialect's key is ever read.
        base_url_variables: Environment variables of its base URL, first wins.
        status_prefix: The path that a task id follows.
        can_cancel: Whether a task can be cancelled.
        can_list: Whether the account's tasks can be listed.
        error_shapes: How its error bodies look: ``"flat"``, ``"nested"``, ``"text"``.
        money_codes: Codes that mean money whatever their status: coming back does not help. The
            gateway passes on the vendor's.
        passing_503_codes: 503 codes that a create may be sent again after.
        refuses_over_cap: Whether a create over the cap on open tasks is refused with 429. Otherwise it
            is accepted and queued, and a 429 is about the rate.
        queries_per_second: How many queries, lists and cancels an account has in a second, if that
            is known.
    """

    name: str
    base_url: str
    key_variable: str
    base_url_variables: tuple[str, ...]
    status_prefix: str
    can_cancel: bool
    can_list: bool
    error_shapes: frozenset[str]
    money_codes: frozenset[str] = field(default=codes_of(kind=ErrorKind.MONEY))
    passing_503_codes: frozenset[str] = field(default_factory=frozenset)
    refuses_over_cap: bool = True
    queries_per_second: float | None = None

    def status_path(self, task_id: str) -> str:
        """Return the path of a task's status."""
        return self.status_prefix + quote(task_id, safe="")

    def cancel_path(self, task_id: str) -> str:
        """Return the path that cancels a task.

        Raises:
            ConfigurationError: The dialect cannot cancel.
        """
        if not self.can_cancel:
            raise ConfigurationError(
                f"dialect {self.name!r} documents no way to cancel a task; task {task_id} goes on, nothing was sent"
            )
        return f"{self.status_prefix}{quote(task_id, safe='')}/cancel"

    def list_path(self) -> str:
        """Return the path of the list of tasks.

        Raises:
            ConfigurationError: The dialect cannot list.
        """
        if not self.can_list:
            raise ConfigurationError(f"dialect {self.name!r} documents no way to list tasks; nothing was sent")
        return self.status_prefix


AISA = Dialect(
    name="aisa",
    base_url="https://api.aisa.one/apis/v1",
    key_variable="AISA_API_KEY",
    base_url_variables=("AISA_BASE_URL",),
    status_prefix="/services/aigc/tasks/",
    can_cancel=False,
    can_list=False,
    error_shapes=frozenset({"nested", "text"}),
)

DASHSCOPE = Dialect(
    name="dashscope",
    base_url="https://dashscope.aliyuncs.com/api/v1",
    key_variable="DASHSCOPE_API_KEY",
    base_url_variables=("DASHSCOPE_HTTP_BASE_URL", "DASHSCOPE_BASE_URL"),
    status_prefix="/tasks/",
    can_cancel=True,
    can_list=True,
    error_shapes=frozenset({"flat"}),
    passing_503_codes=codes_of(dialect="dashscope", on_create=OnCreate.THROTTLED, status=503),
    refuses_over_cap=False,
    queries_per_second=20,
)

DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in (AISA, DASHSCOPE)})


def dialect_named(name: str) -> Dialect:
    """Return the dialect of a name.

    Raises:
        ConfigurationError: There is none.
    """
    try:
        return DIALECTS[name]
    except KeyError:
        raise ConfigurationError(f"there is no dialect {name!r}; there are {', '.join(DIALECTS)}") from None
