"""What both runners share of a request: what is asked, and how a caller's client builds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from resilient_poll.errors import ConfigurationError
from resilient_poll.http.messages import ExchangeFailed
from resilient_poll.specs.addresses import origin_of
from resilient_poll.specs.calls import checked_headers
from resilient_poll.transports.library import HttpLibrary, library_of
from resilient_poll.transports.once_body import OnceBytes
from resilient_poll.transports.rules.marks import REPEAT, Repeat
from resilient_poll.transports.wire import CONNECT_S

__all__ = ["Ask", "Maker", "body_of"]

_ACCEPTED = {"accept": "application/json", "accept-encoding": "gzip, identity"}
"""What the answers are read as. Whoever wants another form declares it."""

_MOST_URLS = 8
"""An operation has four at a time, and the service may name others as it goes on."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request without a body that may be repeated.

    Attributes:
        url: Absolute, or relative to the client's ``base_url``.
        is_home: Whether it goes to the origin that the client's credentials are for.
        is_exact: Whether the service named the URL: then nothing of the client's is added to it.
        method: The HTTP method.
        headers: Headers beside the client's own.
    """

    url: str
    is_home: bool = True
    is_exact: bool = False
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)


def body_of(body: Any, headers: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """Return the bytes of a submit's body and its headers.

    Args:
        body: Bytes as they are; None for an empty one; anything else as JSON.
        headers: What the caller adds; a ``Content-Type`` among them wins.

    Raises:
        ConfigurationError: It has no form in JSON; nothing was sent.
    """
    given = {name.lower(): value for name, value in checked_headers(headers, "headers").items()}
    if body is None or isinstance(body, bytes):
        return body or b"", given
    try:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode(), {"content-type": "application/json"} | given
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"the body has no form in JSON ({error}); nothing was sent") from error


class Maker:
    """Builds the requests of one operation for a caller's client.

    At home a request has the client's headers, cookies, parameters and auth. Elsewhere it has nothing of them.

    Args:
        http_client: A client of httpx or httpx2.
        is_async: Whether it has to be one that awaits.

    Attributes:
        marks: What tells of whom the requests are, for events of transports beneath the client.

    Raises:
        ConfigurationError: It is none.
    """

    def __init__(self, http_client: Any, *, is_async: bool) -> None:
        self.client = http_client
        self.library: HttpLibrary = library_of(http_client)
        if isinstance(http_client, type) or hasattr(http_client, "aclose") is not is_async:
            wanted = "AsyncOperation takes an AsyncClient" if is_async else "Operation takes a Client"
            raise ConfigurationError(f"{wanted}, not {type(http_client).__name__}; nothing was sent")
        self.marks: dict[str, str] = {}
        # Reading a URL takes as long as everything else that is done for a query, and the URL is mostly the same.
        self._read = lru_cache(_MOST_URLS)(self._reading)

    def absolute(self, url: str) -> str:
        """Return where a declaration's URL leads to with this client.

        Raises:
            ConfigurationError: Nowhere: it is relative, and the client has no ``base_url``.
        """
        return str(self._read(url, is_exact=False))

    def _reading(self, url: str, *, is_exact: bool) -> Any:
        """Return a URL as the library has it, with what the client adds to it unless the service named it."""
        try:
            made = self.client.build_request("GET", url).url
            made = type(made)(url) if is_exact else made
        except (self.library.invalid_url, ValueError) as error:
            if is_exact:
                raise ExchangeFailed(f"the answer's URL is none ({error})", surely_not_sent=True) from None
            raise ConfigurationError(f"{url!r:.80} is no URL ({error}); nothing was sent") from None
        if is_exact and origin_of(str(made)) != origin_of(url):
            # Two readers of one URL that disagree of its host: somebody wants the key to go elsewhere.
            raise ExchangeFailed("the answer's URL is read in two ways", surely_not_sent=True)
        if not made.is_absolute_url:
            raise ConfigurationError(
                f"the URL {url!r:.80} is relative: give the client a base_url, or declare it with its host. "
                "Nothing was sent"
            )
        return made

    def query(self, ask: Ask, timeout_s: float) -> tuple[Any, dict[str, Any]]:
        """Return the library's request, and what is to be passed to ``send`` with it."""
        extensions = {"timeout": _timeouts(timeout_s), **self.marks}
        headers = {**_ACCEPTED, **ask.headers}
        if not ask.is_home:
            return self.library.request(ask.method, ask.url, headers=headers, extensions=extensions), {"auth": None}
        url = self._read(ask.url, is_exact=ask.is_exact)
        built = self.client.build_request(ask.method, url, headers=headers, extensions=extensions)
        if ask.is_exact:
            built.url = url  # Without the client's own parameters: it may be signed.
        return built, {}

    def create(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> tuple[Any, OnceBytes]:
        """Return the library's request of a submit, and its body, which can be read once."""
        made = self.client.build_request(method, url, content=body, headers={**_ACCEPTED, **headers})
        once = self.library.once_body(body)
        kept = [(name, value) for name, value in made.headers.multi_items() if name.lower() != "content-length"]
        kept.append(("content-length", str(len(body))))
        # Our own transports, should the client have any, neither repeat it nor cut it while it is under way.
        extensions = {"timeout": _timeouts(timeout_s), REPEAT: Repeat.NEVER, **self.marks}
        return self.library.request(method, made.url, headers=kept, stream=once, extensions=extensions), once

    def home_of(self, url: str) -> str:
        """Return the origin of a declaration's URL with this client.

        Raises:
            ConfigurationError: See :meth:`absolute`.
        """
        return origin_of(self.absolute(url))


def _timeouts(timeout_s: float) -> dict[str, float]:
    connect_s = min(timeout_s, CONNECT_S)
    return {"connect": connect_s, "pool": connect_s, "read": timeout_s, "write": timeout_s}
