"""Where a finished task's result is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

__all__ = ["video_url_of"]

_LONGEST_URL = 8192  # Signed URLs run to about 1,500 characters.


def video_url_of(result: object) -> str | None:
    """Return the URL of a finished video, or None if the answer holds none that can be used.

    Most models put it into ``output.video_url``, some into ``output.results.video_url``.

    Args:
        result: The whole answer.
    """
    output = _inside(result, "output")
    for place in (output, _inside(output, "results")):
        url = place.get("video_url") if isinstance(place, Mapping) else None
        if isinstance(url, str) and _is_usable(url):
            return url
    return None


def _inside(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _is_usable(url: str) -> bool:
    if len(url) > _LONGEST_URL or not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
