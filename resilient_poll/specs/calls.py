"""The requests of a declared operation: submit, query, cancel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

from resilient_poll.errors import ConfigurationError
from resilient_poll.specs.acceptors import is_whole
from resilient_poll.specs.addresses import checked_template
from resilient_poll.specs.places import InBody, InHeader, Place, place_of

__all__ = ["CancelCall", "QueryCall", "SubmitCall", "SubmitUrl", "UrlSource", "url_sources"]


@dataclass(frozen=True, slots=True)
class SubmitUrl:
    """The URL that the operation was submitted to: where a ``PUT`` has its resource afterwards."""


UrlSource = str | InBody | InHeader | SubmitUrl
"""Where a URL comes from: a text is the URL itself, with ``{id}`` in it; otherwise an answer names it."""
_SUBMIT_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_CANCEL_METHODS = ("POST", "DELETE", "PUT", "PATCH")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


def url_sources(given: object, where: str) -> tuple[UrlSource, ...]:
    """Return where a URL may come from, in order; the first that an answer names is used.

    Raises:
        ConfigurationError: It makes no sense.
    """
    rows = given if isinstance(given, list | tuple) else (given,)
    for row in rows:
        if isinstance(row, str):
            checked_template(row, where, needs_id=True)
        elif not isinstance(row, InBody | InHeader | SubmitUrl):
            raise ConfigurationError(f"{where}: a URL is a text, InBody, InHeader or SubmitUrl, not {row!r:.80}")
    if not rows:
        raise ConfigurationError(f"{where}: it has no URL")
    return tuple(rows)


def checked_headers(given: object, where: str) -> Mapping[str, str]:
    """Return the headers of a request.

    Raises:
        ConfigurationError: No request can have them.
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{where}: headers are names and values, not {given!r:.80}")
    for name, value in given.items():
        if InHeader(name).name in _OURS:
            raise ConfigurationError(f"{where}: the header {name} is the client's own business")
        if not isinstance(value, str) or not value.isascii() or not all(map(str.isprintable, value)):
            raise ConfigurationError(f"{where}: the value of the header {name} is a text of printable ASCII")
    return MappingProxyType(dict(given))


def _method(given: object, allowed: Sequence[str], where: str) -> None:
    if given not in allowed:
        raise ConfigurationError(f"{where}: the method is among {', '.join(allowed)}, not {given!r:.40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitCall:
    """How the operation is started.

    Attributes:
        method: The HTTP method.
        url: Where to, absolute or relative to the client's ``base_url``; None if each start names it.
        headers: Headers beside the client's own.
        id: Where the id is in the answer; None if the URL of the query is all that there is.
        at_once: HTTP statuses that bring the result itself where the answer names no operation.

    Raises:
        ConfigurationError: It makes no sense.
    """

    method: str = "POST"
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    id: Place | str | None = None
    at_once: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _method(self.method, _SUBMIT_METHODS, "submit")
        if self.url is not None:
            checked_template(self.url, "submit", needs_id=False)
        object.__setattr__(self, "headers", checked_headers(self.headers, "submit"))
        if self.id is not None:
            object.__setattr__(self, "id", place_of(self.id))
        given: object = self.at_once
        if not isinstance(given, list | tuple) or not all(is_whole(one) and 200 <= one < 300 for one in given):
            raise ConfigurationError(f"submit: at_once is a list of HTTP statuses from 200 to 299, not {given!r:.80}")
        object.__setattr__(self, "at_once", tuple(given))


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCall:
    """How the operation is asked about.

    Attributes:
        url: Where to. The service may name another one with each answer; then that one is asked next.
        headers: Headers beside the client's own.

    Raises:
        ConfigurationError: It makes no sense.
    """

    url: UrlSource | tuple[UrlSource, ...]
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", url_sources(self.url, "query"))
        object.__setattr__(self, "headers", checked_headers(self.headers, "query"))

    @property
    def urls(self) -> tuple[UrlSource, ...]:
        """Where the URL may come from, in order."""
        return cast("tuple[UrlSource, ...]", self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCall:
    """How the operation is cancelled.

    Attributes:
        method: The HTTP method.
        url: Where to.
        headers: Headers beside the client's own.

    Raises:
        ConfigurationError: It makes no sense.
    """

    url: UrlSource | tuple[UrlSource, ...]
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _method(self.method, _CANCEL_METHODS, "cancel")
        object.__setattr__(self, "url", url_sources(self.url, "cancel"))
        object.__setattr__(self, "headers", checked_headers(self.headers, "cancel"))

    @property
    def urls(self) -> tuple[UrlSource, ...]:
        """Where the URL may come from, in order."""
        return cast("tuple[UrlSource, ...]", self.url)
