"""A service without a socket that behaves well, while the network around it does not.

It keeps the truth: how many tasks it accepted. Whether an answer arrives, and as what, is
scripted. Refusals are honest: what it refuses it did not accept. It is written against
the documentation, not against the client.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from types import ModuleType
from typing import Any

import httpx


class Fate(Enum):
    """What becomes of one create."""

    ACCEPTED = "accepted, answered"
    ACCEPTED_LOST = "accepted, the answer is lost"
    ACCEPTED_RESET = "accepted, the connection is reset"
    ACCEPTED_BUT_500 = "accepted, a gateway answers 500"
    ACCEPTED_BUT_HTML_429 = "accepted, a gateway answers 429 with a page of its own"
    ACCEPTED_BUT_408 = "accepted, answered 408"
    ACCEPTED_GARBLED = "accepted, the answer is cut"
    ACCEPTED_WITHOUT_ID = "accepted, the answer has no id"
    ACCEPTED_REDIRECT = "accepted, a gateway redirects"
    NOT_CONNECTED = "never arrived: no connection"
    LOST_ON_THE_WAY = "never arrived, after its body was sent"
    THROTTLED = "refused for now"
    REFUSED = "refused"


ACCEPTING = frozenset(fate for fate in Fate if fate.name.startswith("ACCEPTED"))


class HonestService:
    """Answers creates by a script, and queries with success.

    Args:
        fates: What becomes of each create, in order; the last repeats.
        library: Whose errors the network raises.
        dialect: How refusals are worded.
    """

    def __init__(self, fates: Sequence[Fate], library: ModuleType = httpx, dialect: str = "aisa") -> None:
        self._fates = fates
        self._library = library
        self._dialect = dialect
        self.creates = 0
        self.accepted = 0

    def transport(self) -> Any:
        """Return a transport of the library, for both colours; a body is read only where it is sent."""
        service, library = self, self._library

        class Wire(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[name-defined,misc]  # chosen at run time
            def handle_request(self, request: Any) -> Any:
                fate = service.connect(request)
                request.read()
                return service.answer(fate, request)

            async def handle_async_request(self, request: Any) -> Any:
                fate = service.connect(request)
                await request.aread()
                return service.answer(fate, request)

        return Wire()

    def connect(self, request: Any) -> Fate | None:
        """Return the fate of a create, None for a query; raise where no connection is made."""
        if request.method != "POST":
            return None
        fate = self._fates[min(self.creates, len(self._fates) - 1)]
        self.creates += 1
        if fate is Fate.NOT_CONNECTED:
            raise self._library.ConnectError("connection refused", request=request)
        return fate

    def answer(self, fate: Fate | None, request: Any) -> Any:
        """Return the library's response to a request whose body has left, or raise its error."""
        if fate is None:
            return self._finished(request)
        self.accepted += fate in ACCEPTING
        return self._create_answer(fate, request)

    def _create_answer(self, fate: Fate, request: Any) -> Any:
        library = self._library
        match fate:
            case Fate.ACCEPTED:
                return self._json(200, {"output": {"task_status": "PENDING", "task_id": f"task-{self.accepted}"}})
            case Fate.ACCEPTED_LOST | Fate.LOST_ON_THE_WAY:
                raise library.ReadTimeout("no answer", request=request)
            case Fate.ACCEPTED_RESET:
                raise library.ReadError("connection reset", request=request)
            case Fate.ACCEPTED_BUT_500:
                return self._json(500, self._error("InternalError"))
            case Fate.ACCEPTED_BUT_HTML_429:
                return library.Response(429, headers={"retry-after": "1"}, text="<html>slow down</html>")
            case Fate.ACCEPTED_BUT_408:
                return self._json(408, self._error("RequestTimeOut"))
            case Fate.ACCEPTED_GARBLED:
                return library.Response(200, text='{"output": {"task_status": "PEND')
            case Fate.ACCEPTED_WITHOUT_ID:
                return self._json(200, {"output": {"task_status": "PENDING"}})
            case Fate.ACCEPTED_REDIRECT:
                return library.Response(307, headers={"location": str(request.url)})
            case Fate.THROTTLED:
                return self._json(429, self._error("rate_limit_exceeded" if self._dialect == "aisa" else "Throttling"))
            case _:
                return self._json(400, self._error("InvalidParameter"))

    def _finished(self, request: Any) -> Any:
        task_id = request.url.path.rpartition("/")[2]
        output = {"task_id": task_id, "task_status": "SUCCEEDED", "video_url": "http://assets.test/clip.mp4"}
        return self._json(200, {"request_id": "r", "output": output, "usage": {}})

    def _error(self, code: str) -> dict[str, Any]:
        if self._dialect == "aisa":
            return {"error": {"type": "error", "code": code, "message": "no", "request_id": "r"}}
        return {"code": code, "message": "no", "request_id": "r"}

    def _json(self, status: int, body: dict[str, Any]) -> Any:
        content = json.dumps(body).encode()
        return self._library.Response(status, headers={"content-type": "application/json"}, content=content)
