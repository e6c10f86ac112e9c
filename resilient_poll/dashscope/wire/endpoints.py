"""Where things are created: the documented endpoints as data, and any other by its path.

Sources: Alibaba Cloud Model Studio, *API reference* of each model; AIsa documentation,
*Async Operations*: an endpoint that returns a result instead of a task id is synchronous.
Read in 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from resilient_poll.dashscope.checking import refused, shown
from resilient_poll.dashscope.wire.dialects import AISA, DASHSCOPE, VIDEO_SYNTHESIS_PATH, Dialect

__all__ = ["ENDPOINTS", "IMAGE_SYNCHRONOUS", "VIDEO", "Endpoint", "endpoint_for"]

_PATH = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){1,12}")
"""Plain segments only: a path of this shape cannot leave the API, nor carry a query."""
_EXTENSION = re.compile(r"[A-Za-z0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to create something.

    Attributes:
        name: What users call it; its path, where it was given by its path.
        path: Below the base URL.
        makes: What it makes, in a word or two, for messages.
        extension: The file extension of what it makes, where its URL does not say.
        is_synchronous: Whether it answers with the result itself, and makes no task.
        dialects: The names of the dialects that document it; empty for a path of the caller's.
    """

    name: str
    path: str
    makes: str
    extension: str
    is_synchronous: bool = False
    dialects: frozenset[str] = frozenset()


_BOTH = frozenset({AISA.name, DASHSCOPE.name})
_VENDOR = frozenset({DASHSCOPE.name})

VIDEO = Endpoint("video", VIDEO_SYNTHESIS_PATH, "video", "mp4", dialects=_BOTH)
IMAGE_SYNCHRONOUS = Endpoint(
    "image-synchronous", "/services/aigc/multimodal-generation/generation", "images", "png", True, _BOTH
)
"""In ``aisa`` its path is assumed to be the vendor's: the page says only that images are synchronous."""

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        endpoint.name: endpoint
        for endpoint in (
            VIDEO,
            Endpoint("keyframe-video", "/services/aigc/image2video/video-synthesis", "video", "mp4", dialects=_VENDOR),
            Endpoint("text-to-image", "/services/aigc/text2image/image-synthesis", "images", "png", dialects=_VENDOR),
            Endpoint("image-to-image", "/services/aigc/image2image/image-synthesis", "images", "png", dialects=_VENDOR),
            Endpoint("image-messages", "/services/aigc/image-generation/generation", "images", "png", dialects=_VENDOR),
            IMAGE_SYNCHRONOUS,
            Endpoint("model-3d", "/services/aigc/video-generation/3d-generation", "3D model", "glb", dialects=_VENDOR),
            Endpoint("transcription", "/services/audio/asr/transcription", "transcription", "json", dialects=_VENDOR),
        )
    }
)


def endpoint_for(endpoint: str | Endpoint, dialect: Dialect) -> Endpoint:
    """Return an endpoint by its name or its path.

    Args:
        endpoint: A name of ``ENDPOINTS``, a path below the base URL that begins with a
            slash, or an endpoint.
        dialect: Who shall answer.

    Raises:
        ConfigurationError: There is none of this name, it is no path, or the dialect does
            not document it; nothing was sent.
    """
    if isinstance(endpoint, Endpoint):
        found = endpoint
    elif not isinstance(endpoint, str):
        raise refused(f"the endpoint must be a name or a path, not {type(endpoint).__name__}")
    elif endpoint.startswith("/"):
        found = Endpoint(endpoint, endpoint, "result", "bin")
    elif endpoint in ENDPOINTS:
        found = ENDPOINTS[endpoint]
    else:
        raise refused(f"there is no endpoint {shown(endpoint)}; there are {', '.join(ENDPOINTS)}, and any path")
    _check(found)
    if found.dialects and dialect.name not in found.dialects:
        raise refused(
            f"dialect {dialect.name!r} does not document the endpoint {found.name!r}; "
            f"give its path, {found.path}, if the service has it all the same"
        )
    return found


def _check(endpoint: Endpoint) -> None:
    if not _is_like(_PATH, endpoint.path):
        raise refused(f"{shown(endpoint.path)} is no path of an API: plain segments, nothing behind a ? or #")
    if not _is_like(_EXTENSION, endpoint.extension):
        raise refused(f"{shown(endpoint.extension)} is no file extension: a few letters and digits")
    if not isinstance(endpoint.dialects, frozenset | set):
        raise refused(f"the endpoint's dialects must be a set of names, not {shown(endpoint.dialects)}")
    if not isinstance(endpoint.is_synchronous, bool):
        raise refused(f"the endpoint's is_synchronous must be True or False, not {shown(endpoint.is_synchronous)}")


def _is_like(pattern: re.Pattern[str], value: object) -> bool:
    # Types are hints at run time, and callers make endpoints of their own.
    return isinstance(value, str) and pattern.fullmatch(value) is not None
