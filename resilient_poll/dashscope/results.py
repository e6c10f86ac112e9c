"""Where a finished task's result is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resilient_poll.http.urls import is_http_url

__all__ = ["video_url_of"]


def video_url_of(result: object) -> str | None:
    """Return the URL of a finished video, or None if the answer holds none that can be used.

    Most models put it into ``output.video_url``, some into ``output.results.video_url``.

    Args:
        result: The whole answer.
    """
    output = _inside(result, "output")
    for place in (output, _inside(output, "results")):
        url = place.get("video_url") if isinstance(place, Mapping) else None
        if isinstance(url, str) and is_http_url(url):
            return url
    return None


def _inside(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None
