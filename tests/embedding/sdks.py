"""Real SDKs of other services, each in both colours, as one kind of thing: a client, a question and a create."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, cast

import anyio
import openai
import runwayml
from replicate.client import Client as ReplicateClient

from tests.support.raw_server import RawRequest, json_answer

__all__ = ["SDKS", "Sdk", "says"]

_ANSWERS: dict[str, dict[str, Any]] = {
    "/v1/responses": {"id": "job", "object": "response", "status": "completed", "output": [], "created_at": 0},
    "/v1/tasks": {"id": "job", "status": "SUCCEEDED", "createdAt": "2025-01-01T00:00:00Z", "output": ["made"]},
    "/v1/text_to_video": {"id": "job"},
    "/v1/predictions": {
        "id": "job",
        "status": "succeeded",
        "version": "1",
        "model": "a/b",
        "input": {},
        "output": "made",
        "logs": "",
        "created_at": None,
        "urls": {"get": "", "cancel": ""},
    },
}


def says(request: RawRequest, **changed: Any) -> bytes:
    """Return a good answer to a question or a create of any of them."""
    (answer,) = [answer for path, answer in _ANSWERS.items() if request.path.startswith(path)]
    return json_answer(200, answer | changed)


@dataclass(frozen=True)
class Sdk:
    """One SDK in one colour.

    Attributes:
        name: What tests call it.
        library: The HTTP library that it stands on.
        is_awaited: Its colour.
        make: Makes a client from the server's address, a transport of ours (None for its own) and whether it may
            repeat by itself.
        ask: Asks about a job.
        create: Creates one.
        connection_error, timeout_error: What it raises if a request fails, and if it takes too long.
        own_attempts: How often it sends a request by itself.
    """

    name: str
    library: str
    is_awaited: bool
    make: Callable[[str, Any, bool], Any]
    ask: Callable[[Any], Any]
    create: Callable[[Any], Any]
    connection_error: type[Exception]
    timeout_error: type[Exception]
    own_attempts: int

    def transport(self, **settings: Any) -> Any:
        """Return the standard stack for it."""
        module = import_module(f"resilient_poll.transports.{self.library}")
        return (module.async_resilient_transport if self.is_awaited else module.resilient_transport)(**settings)

    def problem(self, name: str) -> type[Exception]:
        """Return one of our errors, as its library's."""
        return cast("type[Exception]", getattr(import_module(f"resilient_poll.transports.{self.library}"), name))

    def run(self, work: Callable[[Any], Any], url: str, transport: Any, *, repeats: bool) -> Any:
        """Do some work with a client and close it."""
        if not self.is_awaited:
            client = self.make(url, transport, repeats)
            try:
                return work(client)
            finally:
                _inner(client).close()

        async def main() -> Any:
            client = self.make(url, transport, repeats)
            try:
                return await cast("Awaitable[Any]", work(client))
            finally:
                await _inner(client).aclose()

        return anyio.run(main)


def _inner(client: Any) -> Any:
    """Return the HTTP client inside; replicate has one of each colour and makes it when it is asked for."""
    if isinstance(client, ReplicateClient):
        made = [client.__dict__.get(f"_Client__{name}") for name in ("client", "async_client")]
        return next(one for one in made if one is not None)
    return client._client


def _openai(kind: str, http: str) -> Callable[[str, Any, bool], Any]:
    def make(url: str, transport: Any, repeats: bool) -> Any:
        settings: dict[str, Any] = {} if repeats else {"max_retries": 0}
        if transport is not None:
            settings["http_client"] = getattr(openai, http)(transport=transport)
        return getattr(openai, kind)(api_key="sk-test", base_url=f"{url}/v1", **settings)

    return make


def _runwayml(kind: str, http: str) -> Callable[[str, Any, bool], Any]:
    def make(url: str, transport: Any, repeats: bool) -> Any:
        settings: dict[str, Any] = {} if repeats else {"max_retries": 0}
        if transport is not None:
            settings["http_client"] = getattr(runwayml, http)(transport=transport)
        return getattr(runwayml, kind)(api_key="key-test", base_url=url, **settings)

    return make


def _replicate(url: str, transport: Any, repeats: bool) -> Any:
    settings: dict[str, Any] = {}
    if transport is not None:
        settings = {"transport": transport} if repeats else {"mounts": {"all://": transport}}
    return ReplicateClient("r8-test", base_url=url, **settings)


def _new_video(client: Any) -> Any:
    return client.text_to_video.create(model="veo3.1", prompt_text="a cat", ratio="1280:720", duration=4)


def _new_prediction(client: Any) -> Any:
    return client.predictions.create(version="1", input={"prompt": "a cat"})


_OPENAI = Sdk(
    name="openai",
    library="httpx2",
    is_awaited=False,
    make=_openai("OpenAI", "DefaultHttpx2Client"),
    ask=lambda client: client.responses.retrieve("job"),
    create=lambda client: client.responses.create(model="m", input="a cat", background=True),
    connection_error=openai.APIConnectionError,
    timeout_error=openai.APITimeoutError,
    own_attempts=3,
)
_RUNWAYML = Sdk(
    name="runwayml",
    library="httpx",
    is_awaited=False,
    make=_runwayml("RunwayML", "DefaultHttpxClient"),
    ask=lambda client: client.tasks.retrieve("job"),
    create=_new_video,
    connection_error=runwayml.APIConnectionError,
    timeout_error=runwayml.APITimeoutError,
    own_attempts=3,
)
_REPLICATE = Sdk(
    name="replicate",
    library="httpx",
    is_awaited=False,
    make=_replicate,
    ask=lambda client: client.predictions.get("job"),
    create=_new_prediction,
    connection_error=Exception,  # it hands on what httpx raises
    timeout_error=Exception,
    own_attempts=10,
)
SDKS = {
    "openai": _OPENAI,
    "openai, awaited": replace(_OPENAI, is_awaited=True, make=_openai("AsyncOpenAI", "DefaultAsyncHttpx2Client")),
    "runwayml": _RUNWAYML,
    "runwayml, awaited": replace(
        _RUNWAYML, is_awaited=True, make=_runwayml("AsyncRunwayML", "DefaultAsyncHttpxClient")
    ),
    "replicate": _REPLICATE,
    "replicate, awaited": replace(
        _REPLICATE,
        is_awaited=True,
        ask=lambda client: client.predictions.async_get("job"),
        create=lambda client: client.predictions.async_create(version="1", input={"prompt": "a cat"}),
    ),
}
