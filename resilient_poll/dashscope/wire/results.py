"""What a finished task or a synchronous answer holds: assets, and what failed among them. Pure.

The shapes, by model (sources: Alibaba Cloud Model Studio, *API reference* of each; read in 2026):
``output.video_url`` · ``output.results.video_url`` · ``output.results[]``, each with a URL or
with code and message · ``output.choices[].message.content[]`` · any other ``url`` or ``…_url`` in
``output`` or one level below it, for endpoints whose results are kept raw.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from resilient_poll.dashscope.wire.error_bodies import text_of, word_of
from resilient_poll.http.urls import is_http_url

__all__ = ["Asset", "Failure", "assets_of", "failures_of", "is_readable", "made_nothing", "usage_of"]

MOST_ITEMS = 1_000
"""More results than any model makes at once; the answer's own limit of size bounds them too."""
_URL_NAMES = ("url", "video_url", "image", "video", "audio", "transcription_url")
_INPUT_NAMES = frozenset({"file_url", "img_url", "base_image_url", "first_frame_url", "last_frame_url", "orig_url"})
"""The caller's own files, which some answers repeat."""
_DESCRIBING = frozenset(
    {
        *("task_id", "task_status", "submit_time", "scheduled_time", "end_time", "task_metrics", "finished"),
        *("orig_prompt", "actual_prompt", "code", "message", "error", "video_url", "results", "choices"),
    }
)
"""What says something about a task, or is where an asset would stand."""
_SAYING_NOTHING = _DESCRIBING | _INPUT_NAMES | {*_URL_NAMES, "type", "role", "index", "finish_reason", "subtask_status"}
"""The same inside one result: what is left is something that was made, a text or a number."""
_UNCOUNTED = frozenset({"width", "height", "size", "resolution", "ratio", "SR", "fps"})
"""What ``usage`` says of how large a thing is, and not of how many there are."""
_EMPTY: tuple[object, ...] = (None, "", [], {})
_EXTENSIONS = frozenset(
    {
        *("mp4", "mov", "webm", "mkv", "png", "jpg", "jpeg", "webp", "gif", "bmp", "tiff"),
        *("wav", "mp3", "flac", "ogg", "aac", "m4a", "glb", "gltf", "obj", "fbx", "usdz", "stl", "ply"),
        *("zip", "json", "txt", "srt", "vtt"),
    }
)
_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,5})$")


@dataclass(frozen=True, slots=True)
class Asset:
    """One thing that was made.

    Attributes:
        url: Where it is, for a limited time. It holds a signature: who has it can fetch the asset.
        place: Where in the answer it stands.
        extension: The file extension that its URL shows, or None.
    """

    url: str
    place: str
    extension: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that was not made, inside a task that succeeded. It is not billed.

    Attributes:
        place: Where in the answer it stands.
        code: The service's error code, if it gave one.
        message: Its explanation, if it gave one.
    """

    place: str
    code: str | None
    message: str | None


def assets_of(result: object) -> tuple[Asset, ...]:
    """Return what was made, in the order of the answer.

    Args:
        result: The whole answer.
    """
    output = _inside(result, "output")
    known = [asset for place, item in _items(output) if (asset := _asset(item, place)) is not None]
    return tuple(known[:MOST_ITEMS] or list(_any_urls(output))[:MOST_ITEMS])


def failures_of(result: object) -> tuple[Failure, ...]:
    """Return what failed inside a success: a partial failure is still ``SUCCEEDED``.

    Args:
        result: The whole answer.
    """
    found = (_failure(item, place) for place, item in _items(_inside(result, "output")))
    return tuple(failure for failure in found if failure is not None)[:MOST_ITEMS]


def is_readable(result: object, *, must_have_assets: bool) -> bool:
    """Tell whether a success holds what a success must have.

    Args:
        result: The whole answer.
        must_have_assets: Whether only URLs (or failures in their place) count. Where it is not
            known what the task makes, a field that is no mere description of it counts too.
    """
    if assets_of(result) or failures_of(result):
        return True
    output = _inside(result, "output")
    if must_have_assets or not isinstance(output, Mapping):
        return False
    return _says_something(output, _DESCRIBING) or any(
        _says_something(item, _SAYING_NOTHING) for _, item in _items(output)
    )


def usage_of(result: object) -> Mapping[str, Any]:
    """Return what the service says it charges by, in the model's own words; empty if it says nothing."""
    usage = _inside(result, "usage")
    return usage if isinstance(usage, Mapping) else {}


def made_nothing(result: object) -> bool:
    """Tell whether a success says itself that it made nothing: all failed, and its usage counts none.

    Only where everything agrees: tokens or seconds beside a count of no images are charged all the same.

    Source: Model Studio, *Text to image*: only images that were made are counted and billed.
    """
    usage, output = usage_of(result), _inside(result, "output")
    count = usage.get("image_count")
    if not isinstance(count, int) or isinstance(count, bool) or count != 0:
        return False
    if any(value not in (*_EMPTY, 0) for name, value in usage.items() if name not in _UNCOUNTED):
        return False
    items = list(_items(output))
    has_only_failures = bool(items) and all(_failure(item, place) is not None for place, item in items)
    made = _inside(_inside(output, "task_metrics"), "SUCCEEDED")
    return has_only_failures and made in (*_EMPTY, 0) and not assets_of(result)


def _items(output: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every place that may hold one result."""
    if not isinstance(output, Mapping):
        return
    if "video_url" in output:
        yield "output", {"video_url": output["video_url"]}
    results = output.get("results")
    if isinstance(results, Mapping):
        yield "output.results", results
    for index, item in enumerate(_list(results)):
        if isinstance(item, Mapping):
            yield f"output.results[{index}]", item
    for index, choice in enumerate(_list(output.get("choices"))):
        content = _inside(_inside(choice, "message"), "content")
        if isinstance(content, str):
            yield f"output.choices[{index}].message", {"content": content}
        for part_index, part in enumerate(_list(content)):
            if isinstance(part, Mapping):
                yield f"output.choices[{index}].message.content[{part_index}]", part


def _asset(item: Mapping[str, Any], place: str) -> Asset | None:
    for name in _URL_NAMES:
        url = item.get(name)
        if isinstance(url, str) and is_http_url(url):
            return Asset(url, f"{place}.{name}", _extension_of(url))
    return None


def _failure(item: Mapping[str, Any], place: str) -> Failure | None:
    """Return why one thing was not made; None if it was made, or nothing is said of it."""
    code, message = word_of(item.get("code")), text_of(item.get("message"))
    status = word_of(item.get("subtask_status"))
    if status not in {None, "SUCCEEDED"}:
        return Failure(place, code or status, message)
    is_told = code is not None or message is not None
    return Failure(place, code, message) if is_told and _asset(item, place) is None else None


def _says_something(values: Mapping[str, Any], ignoring: frozenset[str]) -> bool:
    return any(value not in _EMPTY for name, value in values.items() if name not in ignoring)


def _any_urls(output: object) -> Iterator[Asset]:
    """Yield every other URL of an answer whose shape is not known, one level deep."""
    for place, values in _raw_places(output):
        for name, value in values.items():
            is_named_so = isinstance(name, str) and name.endswith("url") and name not in _INPUT_NAMES
            if is_named_so and isinstance(value, str) and is_http_url(value):
                yield Asset(value, f"{place}.{name}", _extension_of(value))


def _raw_places(output: object) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    if not isinstance(output, Mapping):
        return
    yield "output", output
    for name, inside in output.items():
        if isinstance(inside, Mapping):
            yield f"output.{name}", inside
        for index, item in enumerate(_list(inside)):
            if isinstance(item, Mapping):
                yield f"output.{name}[{index}]", item


def _extension_of(url: str) -> str | None:
    """Return the extension of a URL's path, if it is one that is known: a server names no files here."""
    match = _EXTENSION.search(urlsplit(url).path)
    extension = match[1].lower() if match else None
    return extension if extension in _EXTENSIONS else None


def _inside(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _list(value: object) -> Sequence[Any]:
    return value[: 4 * MOST_ITEMS] if isinstance(value, list) else ()
