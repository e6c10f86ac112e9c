"""What the SDK's own in-memory exporters got of a run against the fake's engine, on a clock that nobody waits for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fake_server.engine import Engine
from fake_server.moment import Moment
from fake_server.scenario import load_scenario, shipped_scenarios
from resilient_poll import AsyncDashScope, DashScope, Event
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.telemetry.opentelemetry import OpenTelemetry
from tests.support.colours import got
from tests.support.in_process import ORIGIN, answer_from, engine_transport

__all__ = ["NAME", "Exported", "Served", "serving"]

NAME = "resilient_poll.task"
KEY = "sk-canary-key-0123456789"


class Exported:
    """An adapter and what came out of it.

    Attributes:
        clock: By which spans are timed.
        events: Everything that it heard, in order.
        telemetry: The adapter.
        provider: Makes spans of a caller's own.
    """

    def __init__(self, clock: VirtualClock | None = None, **options: Any) -> None:
        self.clock = clock or VirtualClock()
        self.events: list[Event] = []
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._spans))
        meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.telemetry = OpenTelemetry(self.provider, meters, wall_s=lambda: self.clock.now().wall_s, **options)

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self.telemetry(event)

    @property
    def spans(self) -> list[ReadableSpan]:
        """All spans that ended, in this order."""
        return list(self._spans.get_finished_spans())

    @property
    def tasks(self) -> list[ReadableSpan]:
        """The spans of tasks."""
        return [span for span in self.spans if span.name == NAME]

    @property
    def attempts(self) -> list[ReadableSpan]:
        """The spans of HTTP attempts."""
        return [span for span in self.spans if span.name != NAME and span.kind.name == "CLIENT"]

    def kinds(self) -> list[str]:
        """Return the names of all that was heard."""
        return [type(event).__name__ for event in self.events]

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """Return a metric's attributes and, of a counter, its value, of a histogram, its sum and count."""
        return [(about, value) for found, about, value in self.measured() if found == name]

    def measured(self) -> Iterator[tuple[str, dict[str, Any], Any]]:
        """Yield all that was measured."""
        data = self._reader.get_metrics_data()
        for resource in [] if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        value = point.value if hasattr(point, "value") else (point.sum, point.count)
                        yield metric.name, dict(point.attributes or {}), value

    def said(self) -> list[str]:
        """Return everything that would leave the process, as text."""
        return [span.to_json() for span in self.spans] + [repr(point) for point in self.measured()]


class Served:
    """A fake without a socket, and clients of it.

    Attributes:
        clock: What the fake, the clients and the spans go by.
        engine: The fake.
        exported: What its clients tell.
    """

    def __init__(self, scenario: str, *, dialect: str = "dashscope", **options: Any) -> None:
        self.clock = VirtualClock()
        started = Moment(self.clock.now().monotonic_s, self.clock.now().wall_s)
        self.engine = Engine(load_scenario(shipped_scenarios()[scenario]), started=started)
        self.exported = Exported(self.clock, **options)
        self._dialect = dialect

    def transport(self) -> Any:
        """Return what reaches the fake, for both colours."""
        return engine_transport(httpx, lambda request, body: answer_from(self.engine, self.clock, request, body))

    @asynccontextmanager
    async def client(self, colour: str, *, transport: Any = None, **options: Any) -> AsyncIterator[Any]:
        """Yield a client of ours, over a caller's that has a transport."""
        is_async = colour != "sync"
        http_client: Any = (httpx.AsyncClient if is_async else httpx.Client)(transport=transport or self.transport())
        base_url = ORIGIN + ("/api/v1" if self._dialect == "dashscope" else "/apis/v1")
        settings: dict[str, Any] = {
            "dialect": self._dialect,
            "api_key": KEY,
            "base_url": base_url,
            "http_client": http_client,
            "clock": self.clock.for_async() if is_async else self.clock,
            "on_event": self.exported,
        }
        client: Any = (AsyncDashScope if is_async else DashScope)(**settings | options)
        try:
            yield client
        finally:
            await got(client.close())
            await got(http_client.aclose() if is_async else http_client.close())


def serving(scenario: str, **options: Any) -> Served:
    """Return a fake that plays a scenario."""
    return Served(scenario, **options)
