"""Scripted services that speak as the ready declarations' sources say, on a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from resilient_poll import Event
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.operations.operation import Operation
from resilient_poll.operations.operation_async import AsyncOperation
from resilient_poll.specs import ready
from resilient_poll.specs.operation import OperationSpec
from tests.support.colours import COLOURS, LIBRARIES, got
from tests.support.raw_server import Connection, RawRequest, RawServer, http_answer, json_answer

WAYS = [(colour, library) for colour in COLOURS for library in LIBRARIES]
KEY = "Bearer canary-0123456789"
RESULT = {"picture": "a cat"}
Answer = Callable[[str], bytes]
"""Makes an answer, given the service's origin."""


@dataclass(frozen=True)
class Service:
    """How one service speaks.

    Attributes:
        spec: Our declaration of it.
        accepts: Its answer to a submit.
        says: Its answer to a query, by what it is about.
        result: What a success brings.
        fetches: Its answer to the one more request for a result, where it has one, by path.
        submits_to: The path of a submit, where the declaration leaves it open.
    """

    spec: OperationSpec
    accepts: Answer
    says: dict[str, Answer]
    result: Any
    fetches: dict[str, bytes] = field(default_factory=dict)
    submits_to: str | None = None


def _says(status: int, body: object, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(origin: str) -> bytes:
        text = json.dumps(body).replace("ORIGIN", origin)
        return json_answer(status, json.loads(text), {name: v.replace("ORIGIN", origin) for name, v in named.items()})

    return answer


_AZURE_ERROR = {"error": {"code": "Broken", "message": "It broke."}}
_MONITOR = {
    "queued": _says(200, {"id": "7", "status": "NotStarted"}, retry_after="20"),
    "running": _says(200, {"id": "7", "status": "running"}, retry_after="20"),
    "failed": _says(200, {"id": "7", "status": "Failed", **_AZURE_ERROR}),
    "canceled": _says(200, {"id": "7", "status": "Canceled"}),
    "unlisted": _says(200, {"id": "7", "status": "Pondering"}),
}
_PREDICTION = {"id": "p7", "urls": {"get": "ORIGIN/v1/predictions/p7", "cancel": "ORIGIN/v1/predictions/p7/cancel"}}
_OPERATION = {"name": "projects/x/operations/7", "metadata": {"percent": 10}}

SERVICES = [
    Service(
        ready.AZURE_OPERATION_LOCATION,
        _says(202, {"id": "7", "status": "NotStarted"}, operation_location="ORIGIN/operations/7?api-version=1"),
        {**_MONITOR, "succeeded": _says(200, {"status": "Succeeded", "resourceLocation": "/pictures/7"})},
        RESULT,
        {"/pictures/7": json_answer(200, RESULT)},
        "/pictures:paint",
    ),
    Service(
        ready.AZURE_ASYNC_OPERATION,
        _says(201, {"properties": {"provisioningState": "Creating"}}, azure_asyncoperation="/operations/7?t=1"),
        {**_MONITOR, "succeeded": _says(200, {"status": "Succeeded"})},
        RESULT,
        {"/subscriptions/s/pictures/7": json_answer(200, RESULT)},
        "/subscriptions/s/pictures/7",
    ),
    Service(
        ready.AZURE_LOCATION,
        _says(202, None, location="/operationresults/7", retry_after="20"),
        {
            "queued": _says(202, None, location="/operationresults/7/next", retry_after="20"),
            "running": _says(202, None, retry_after="20"),
            "unlisted": _says(206, {"half": True}),
            "succeeded": _says(200, RESULT),
        },
        RESULT,
        {},
        "/pictures",
    ),
    Service(
        ready.GOOGLE_OPERATIONS,
        _says(200, _OPERATION),
        {
            "queued": _says(200, _OPERATION),
            "running": _says(200, {**_OPERATION, "done": False}),
            "failed": _says(200, {**_OPERATION, "done": True, "error": {"code": 13, "message": "It broke."}}),
            "canceled": _says(200, {**_OPERATION, "done": True, "error": {"code": 1, "message": "Stopped."}}),
            "succeeded": _says(200, {**_OPERATION, "done": True, "response": RESULT}),
        },
        RESULT,
        {},
        "/v1/projects/x/pictures",
    ),
    Service(
        ready.OPENAI_VIDEOS,
        _says(200, {"id": "video_7", "object": "video", "status": "queued", "progress": 0}),
        {
            "queued": _says(200, {"id": "video_7", "status": "queued", "progress": 0}, openai_poll_after_ms="20000"),
            "running": _says(200, {"id": "video_7", "status": "in_progress", "progress": 33}),
            "failed": _says(200, {"id": "video_7", "status": "failed", **_AZURE_ERROR}),
            "unlisted": _says(200, {"id": "video_7", "status": "Pondering"}),
            "succeeded": _says(200, {"id": "video_7", "status": "completed", "progress": 100}),
        },
        {"id": "video_7", "status": "completed", "progress": 100},
    ),
    Service(
        ready.REPLICATE_PREDICTIONS,
        _says(201, {**_PREDICTION, "status": "starting"}),
        {
            "queued": _says(200, {**_PREDICTION, "status": "starting"}),
            "running": _says(200, {**_PREDICTION, "status": "processing"}),
            "failed": _says(200, {**_PREDICTION, "status": "failed", "error": "It broke."}),
            "canceled": _says(200, {**_PREDICTION, "status": "canceled"}),
            "aborted": _says(200, {**_PREDICTION, "status": "aborted"}),
            "unlisted": _says(200, {**_PREDICTION, "status": "Pondering"}),
            "succeeded": _says(200, {**_PREDICTION, "status": "succeeded", "output": RESULT}),
        },
        RESULT,
    ),
]
BY_NAME = {service.spec.name: service for service in SERVICES}
CUT = b"HTTP/1.1 200 Cut\r\ncontent-length: 900\r\ncontent-type: application/json\r\n\r\n{"
TROUBLES: dict[str, Answer] = {
    "throttled": _says(429, {"error": {"code": "TooMany", "message": "Slowly."}}, retry_after="40"),
    "bad gateway": lambda _: http_answer(502, b"<html>bad gateway</html>"),
    "html": lambda _: http_answer(200, b"<html>sign in</html>"),
    "refused": _says(403, {"error": {"code": "NoAccess", "message": "No."}, "detail": "No."}),
    "cut": lambda _: CUT,
}
LOST = b""
"""The answer that never comes: the connection is closed."""


class Scripted:
    """A service that accepts what is submitted, and then says one thing after the other, the last for ever.

    Args:
        service: How it speaks.
        steps: What its answers to queries are about.
        creates: Its answers to submits; it accepts all, unless given.
    """

    def __init__(self, service: Service, steps: Sequence[str], creates: Sequence[Answer] = ()) -> None:
        self.service = service
        self._steps = list(steps)
        self._creates = list(creates)
        self._submit_paths = {service.submits_to, service.spec.submit.url if service.spec.submit else None}
        self.server = RawServer(self._script)

    def _script(self, connection: Connection) -> None:
        while request := connection.read_request():
            answer = self._answer(request)
            connection.send(answer)
            if answer in {LOST, CUT}:
                return

    def _answer(self, request: RawRequest) -> bytes:
        origin, service = self.server.url, self.service
        if self._is_submit(request):
            made = self._creates.pop(0) if self._creates else service.accepts
            return made(origin)
        if request.method == "POST":
            self._steps = ["canceled"]
            return json_answer(200, {})
        if request.path in service.fetches:
            return service.fetches[request.path]
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        return {**TROUBLES, **service.says}[step](origin)

    @property
    def submits(self) -> list[RawRequest]:
        """The submits that came."""
        return [request for request in self.server.requests if self._is_submit(request)]

    def _is_submit(self, request: RawRequest) -> bool:
        return request.method != "GET" and request.path.partition("?")[0] in self._submit_paths


@dataclass
class Run:
    """One operation against a scripted service, in one colour with one library."""

    colour: str
    library: str
    origin: str
    clock: VirtualClock = field(default_factory=VirtualClock)
    events: list[Event] = field(default_factory=list)
    http_client: Any = None

    @asynccontextmanager
    async def client(self, **options: Any) -> Any:
        """Yield a client of the library, with a key in its headers."""
        module = LIBRARIES[self.library]
        make = module.Client if self.colour == "sync" else module.AsyncClient
        settings = {"base_url": self.origin, "headers": {"authorization": KEY}, "verify": False, **options}
        self.http_client = make(**settings)
        try:
            yield self.http_client
        finally:
            await got(self.http_client.close() if self.colour == "sync" else self.http_client.aclose())

    @property
    def face(self) -> Any:
        """The class of this colour."""
        return Operation if self.colour == "sync" else AsyncOperation

    @property
    def options(self) -> dict[str, Any]:
        """What every operation of this run is made with."""
        clock = self.clock if self.colour == "sync" else self.clock.for_async()
        return {"clock": clock, "on_event": self.events.append}

    async def start(self, service: Service, **options: Any) -> Any:
        """Start an operation."""
        options = {"url": service.submits_to, **self.options, **options}
        return await got(self.face.start(service.spec, self.http_client, {"prompt": "a cat"}, **options))

    def resume(self, spec: OperationSpec, token: str) -> Any:
        """Go on with one."""
        return self.face.resume(spec, self.http_client, token, **self.options)

    def known(self, spec: OperationSpec, task_id: str) -> Any:
        """Go on with one by its id."""
        return self.face.known(spec, self.http_client, task_id, **self.options)
