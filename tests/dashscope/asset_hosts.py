"""A host of one asset that misbehaves as it is told to, without a socket, and a client that downloads from it."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import LIBRARIES, dashscope_client

__all__ = ["ASSET_URL", "TASK_ID", "AssetHost", "Fault", "a_client"]

TASK_ID = "11111111-2222-3333-4444-555555555555"
ASSET_URL = "https://assets.test/clip.mp4"


@dataclass(frozen=True)
class Fault:
    """What is wrong with one answer; by default nothing is.

    Attributes:
        cut_after: After how many bytes of the body the connection breaks.
        breaks_before: Whether it breaks before there is an answer.
        status: Another status, without the asset.
        retry_after: What ``Retry-After`` says then.
        etag: How the version is named: ``strong``, ``weak``, ``none``, or ``same`` for one name of all versions.
        is_new_version: Whether the asset is another one from this request on.
        part: How a range is answered: ``right``, ``whole``, ``early``, ``short``, ``other total``, ``other version``,
            ``unsaid``, ``none``.
        says_length: Whether the length is told.
        encoding: A content encoding: ``gzip``, which is applied, or another one, which is only claimed.
    """

    cut_after: int | None = None
    breaks_before: bool = False
    status: int | None = None
    retry_after: str | None = None
    etag: str = "strong"
    is_new_version: bool = False
    part: str = "right"
    says_length: bool = True
    encoding: str | None = None


@dataclass
class AssetHost:
    """Serves an API with one finished task, and its asset.

    Attributes:
        faults: One for each request for the asset; those after them are answered well.
        versions: What the asset is, one after the other.
        asked: The requests for the asset: URL, ``Range``, ``If-Range``.
        urls: What the answers about the task name, one after the other; the last repeats.
        gone: The URLs that lead nowhere, with the status.
        redirects: The URLs that lead elsewhere, and where to.
        statuses: The task's status by each answer; the last repeats.
        queries: How many queries came.
        sent_bytes: How much of bodies was taken, in pieces of 300.
        seen_headers: The headers of the requests for the asset.
    """

    faults: tuple[Fault, ...] = ()
    versions: tuple[bytes, ...] = (bytes(range(256)) * 4,)
    urls: tuple[tuple[str, ...], ...] = ((ASSET_URL,),)
    gone: dict[str, int] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: tuple[str, ...] = ("SUCCEEDED",)
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    queries: int = 0
    sent_bytes: int = 0
    seen_headers: list[dict[str, str]] = field(default_factory=list)
    _version: int = 0

    def api_answer(self) -> dict[str, Any]:
        """Answer a query."""
        at = self.queries
        self.queries += 1
        urls = self.urls[min(at, len(self.urls) - 1)]
        status = self.statuses[min(at, len(self.statuses) - 1)]
        output: dict[str, Any] = {"task_id": TASK_ID, "task_status": status}
        if status == "SUCCEEDED" and len(urls) == 1:
            output["video_url"] = urls[0]
        elif status == "SUCCEEDED":
            output["results"] = [{"url": url} for url in urls]
        return {"request_id": "r", "output": output}

    def serve(self, url: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes, Fault]:
        """Answer a request for the asset."""
        fault = self.faults[len(self.asked)] if len(self.asked) < len(self.faults) else Fault()
        wanted, condition = headers.get("range"), headers.get("if-range")
        self.asked.append((url, wanted, condition))
        self.seen_headers.append(headers)
        if url in self.gone:
            return self.gone[url], {}, b"<Error>expired</Error>", fault
        if url in self.redirects:
            return 302, {"location": self.redirects[url]}, b"", fault
        if fault.is_new_version:
            self._version = (self._version + 1) % len(self.versions)
        if fault.status is not None:
            hint = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
            return fault.status, hint, b"sorry", fault
        content = self.versions[self._version]
        etag = {"strong": f'"v{self._version}"', "weak": f'W/"v{self._version}"', "same": '"v"'}.get(fault.etag)
        said = {} if etag is None else {"etag": etag}
        if fault.encoding is not None:
            said["content-encoding"] = fault.encoding
        if fault.encoding == "gzip":
            content = gzip.compress(content, mtime=0)
        match = re.fullmatch(r"bytes=([0-9]+)-", wanted or "")
        if match is None or condition != etag or fault.part == "whole":
            length = {"content-length": str(len(content))} if fault.says_length else {}
            return 200, {**said, **length}, content, fault
        first = int(match[1])
        if first >= len(content) or fault.part == "none":
            return 416, {"content-range": f"bytes */{len(content)}"}, b"", fault
        return self._part(first, content, said, fault)

    @staticmethod
    def _part(
        first: int, content: bytes, said: dict[str, str], fault: Fault
    ) -> tuple[int, dict[str, str], bytes, Fault]:
        last, total = len(content) - 1, len(content)
        match fault.part:
            case "early":
                first, last = first - 1, last - 1
            case "short":
                last = first + (last - first) // 2
            case "other total":
                total += 7
            case "other version":
                said, content = {"etag": '"another"'}, bytes(reversed(content))
        body = content[first : last + 1]
        length = {"content-length": str(len(body))}
        if fault.part != "unsaid":
            length["content-range"] = f"bytes {first}-{last}/{total}"
        return 206, {**said, **length}, body, fault

    def transport(self, library: ModuleType) -> Any:
        """Return a transport of httpx or httpx2, for both colours."""
        host = self

        class Body(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[name-defined,misc]  # chosen at run time
            def __init__(self, content: bytes, fault: Fault) -> None:
                self._content, self._fault = content, fault

            def _pieces(self) -> Iterator[bytes]:
                cut = self._fault.cut_after
                content = self._content if cut is None else self._content[:cut]
                for at in range(0, len(content), 300):
                    host.sent_bytes += 300
                    yield content[at : at + 300]
                if cut is not None and cut < len(self._content):
                    raise library.ReadError("the peer went away")

            def __iter__(self) -> Iterator[bytes]:
                return self._pieces()

            async def __aiter__(self) -> AsyncIterator[bytes]:
                for piece in self._pieces():
                    yield piece

        class Transport(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[name-defined,misc]  # as above
            def handle_request(self, request: Any) -> Any:
                if request.url.host == "api.test":
                    return library.Response(200, json=host.api_answer())
                status, headers, body, fault = host.serve(str(request.url), dict(request.headers.items()))
                if fault.breaks_before:
                    raise library.ReadError("the peer went away", request=request)
                return library.Response(status, headers=headers, stream=Body(body, fault))

            async def handle_async_request(self, request: Any) -> Any:
                return self.handle_request(request)

        return Transport()


@asynccontextmanager
async def a_client(
    colour: str, host: AssetHost, clock: VirtualClock | None = None, library: str = "httpx2", **options: Any
) -> AsyncIterator[Any]:
    """Yield our client over a caller's client that asks the host."""
    clock = clock or VirtualClock()
    options = {"clock": clock if colour == "sync" else clock.for_async(), "make_seed": lambda: "seed", **options}
    transport = {"transport": host.transport(LIBRARIES[library])}
    base_url = options.pop("base_url", "https://api.test/v1")
    async with dashscope_client(colour, library, base_url, transport, **options) as client:
        yield client
