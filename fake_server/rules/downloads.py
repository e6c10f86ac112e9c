"""Serving an asset the way an object store does: ranges, validators, and an expiry."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from fake_server.wire.messages import Reply, Request

_FOLDER = Path(__file__).resolve().parents[1] / "assets"
TYPES = {"mp4": "video/mp4", "png": "image/png", "glb": "model/gltf-binary"}
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file to serve."""

    content: bytes
    media_type: str
    etag: str


@functools.cache
def sample(extension: str) -> Asset:
    """The playable sample with this extension (a key of :data:`TYPES`), read once."""
    return make_asset((_FOLDER / f"sample.{extension}").read_bytes(), TYPES[extension])


def make_asset(content: bytes, media_type: str) -> Asset:
    """Bytes as something to serve."""
    # MD5 as object stores do for their ETag; nothing depends on it being hard to forge.
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest().upper()
    return Asset(content, media_type, f'"{digest}"')


def serve(asset: Asset, request: Request, date: str) -> Reply:
    """Answer a GET or HEAD for an asset.

    Returns:
        200 with everything, 206 with one range, or 416. Several ranges, and a range whose `If-Range` names
        another version, are answered with everything, as RFC 9110 (14.2) allows.
    """
    headers = [
        ("date", date),
        ("content-type", asset.media_type),
        ("accept-ranges", "bytes"),
        ("etag", asset.etag),
    ]
    size = len(asset.content)
    wanted = _wanted(request, asset.etag, size)
    if wanted is None:
        status, body = 200, asset.content
    elif wanted.start >= wanted.stop:
        status, body = 416, b""
        headers.append(("content-range", f"bytes */{size}"))
    else:
        status, body = 206, asset.content[wanted.start : wanted.stop]
        headers.append(("content-range", f"bytes {wanted.start}-{wanted.stop - 1}/{size}"))
    headers.append(("content-length", str(len(body))))
    return Reply(status, tuple(headers), b"" if request.method == "HEAD" else body)


def _wanted(request: Request, etag: str, size: int) -> range | None:
    """The bytes asked for; an empty range cannot be satisfied; None asks for everything."""
    value = request.header("range")
    # Only a GET has ranges (RFC 9110, 14.2).
    if value is None or request.method != "GET" or request.header("if-range") not in (None, etag):
        return None
    match = _RANGE.fullmatch(value.strip())
    if match is None or (not match[1] and not match[2]):
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        return range(size - length, size)
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    if match[2] and int(match[2]) < first:
        return None  # A range that ends before it starts is no range (RFC 9110, 14.1.1).
    return range(first, last + 1)
