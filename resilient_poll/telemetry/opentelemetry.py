"""Spans and metrics of OpenTelemetry, made of the events: ``DashScope(on_event=OpenTelemetry())``.

A span for each task, from its submit (or the wait that resumed it) to its end, and beneath it one for each HTTP
attempt. It never becomes the current span, so nothing of one task leaks into another one's, nor into your own code;
what is current when a task is submitted becomes its parent.

This module is the only one that imports ``opentelemetry``: ``pip install "resilient-poll[otel]"``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from opentelemetry import metrics, trace

from resilient_poll.errors import ConfigurationError
from resilient_poll.events import Event
from resilient_poll.telemetry.measures import Measures
from resilient_poll.telemetry.spans import Spans

__all__ = ["OpenTelemetry"]

MOST_OPEN = 10_000
"""Tasks whose spans are open at the same time: a few KB each. The one that is open longest makes room."""
_SCOPE = "resilient_poll"


class OpenTelemetry:
    """Hears events, and makes spans and metrics of them. One may serve many clients, transports and threads.

    Args:
        tracer_provider: Where spans go; the global one, unless given.
        meter_provider: Where metrics go; the global one, unless given.
        most_open: How many tasks are followed at the same time. A task that nobody waits for any more keeps its
            span open; where there are more, the span that is open longest ends, and says so.
        wall_s: Returns the time in seconds since 1970, for spans.

    Raises:
        ConfigurationError: ``most_open`` is not a whole number above zero.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        *,
        most_open: int = MOST_OPEN,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        if most_open < 1:
            raise ConfigurationError(f"most_open must be a whole number above zero, not {most_open!r:.40}")
        self._lock = threading.RLock()
        self._spans = Spans(trace.get_tracer(_SCOPE, tracer_provider=tracer_provider), most_open, wall_s)
        self._measures = Measures(metrics.get_meter(_SCOPE, meter_provider=meter_provider), most_open)

    def __call__(self, event: Event) -> None:
        """Take in an event; pass this object as ``on_event=``."""
        with self._lock:
            self._spans.hear(event)
            self._measures.hear(event)

    def close(self) -> None:
        """End the spans of all tasks that are still followed. Flushing and closing the providers stays yours."""
        with self._lock:
            self._spans.leave_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
