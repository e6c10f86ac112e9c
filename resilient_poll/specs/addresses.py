"""Which URLs of an answer are followed, and which of them get the credentials. Pure.

A status URL that a service sends may lead anywhere. The caller's key goes to the origin that the
submit goes to and nowhere else; other hosts are asked only if the declaration names them, without it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

from resilient_poll.errors import ConfigurationError
from resilient_poll.http.urls import is_http_url

__all__ = ["Address", "Forbidden", "checked_template", "filled", "host_of", "origin_of", "resolved", "shows_a_secret"]

_PORTS = {"http": 80, "https": 443}
_ENCODED_DOTS = re.compile(r"(?i:\.|%2e)(?i:\.|%2e)?")
_FIELD = re.compile(r"\{(\+?)([^{}]*)\}")
_SECRET_NAMES = frozenset(
    {
        *("access_token", "api-key", "api_key", "apikey", "auth", "code", "key", "password", "secret", "sig"),
        *("signature", "subscription-key", "token", "x-amz-security-token", "x-amz-signature", "x-goog-signature"),
    }
)
"""Parameters of a URL that are a key by themselves."""


class Forbidden(Exception):
    """A URL that is not followed, and why in one clause. It never leaves the package."""


@dataclass(frozen=True, slots=True)
class Address:
    """A URL that may be asked.

    Attributes:
        url: Absolute, or relative to the caller's client.
        is_home: Whether it is of the origin that the credentials are for.
    """

    url: str
    is_home: bool


def origin_of(url: str) -> str:
    """Return scheme, host and port of an absolute URL, each spelt out."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{(parts.hostname or '').rstrip('.')}:{parts.port or _PORTS.get(parts.scheme, 0)}"


def host_of(url: str) -> str:
    """Return a URL's host in lower case."""
    return (urlsplit(url).hostname or "").rstrip(".")


def resolved(found: object, asked_url: str, home: str, allow_hosts: Collection[str]) -> Address:
    """Return the address that an answer names.

    Args:
        found: What stands in the answer.
        asked_url: The URL that was asked; a relative one is relative to it (RFC 3986).
        home: The origin that the credentials are for.
        allow_hosts: Other hosts that may be asked, without them.

    Raises:
        Forbidden: It is no URL, or leads where nothing is sent to.
    """
    if not isinstance(found, str) or not found.strip():
        raise Forbidden("the answer's URL is no text")
    try:
        url = urljoin(asked_url, found.strip())
        parts = urlsplit(url)
    except ValueError:
        raise Forbidden("the answer's URL is no URL") from None
    if not is_http_url(url):
        raise Forbidden("the answer's URL is no http or https URL")
    if parts.username is not None or parts.password is not None:
        raise Forbidden("the answer's URL has a user's name in it")
    url = url.partition("#")[0]
    if origin_of(url) == home:
        return Address(url, is_home=True)
    if home.startswith("https:") and parts.scheme == "http":
        raise Forbidden(f"the answer's URL leads from https to http at {host_of(url)}")
    if host_of(url) not in allow_hosts:
        raise Forbidden(f"the answer's URL leads to another origin, {origin_of(url)}, and allow_hosts does not name it")
    return Address(url, is_home=False)


def checked_template(url: object, where: str, *, needs_id: bool) -> str:
    """Return a URL of a declaration, in which ``{id}`` or ``{+id}`` may stand for the operation's id.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(url, str) or not url or any(c.isspace() or not c.isprintable() for c in url):
        raise ConfigurationError(f"{where}: a URL is a text without spaces, not {url!r:.80}")
    fields = _FIELD.findall(url)
    if any(name != "id" for _, name in fields) or "{" in _FIELD.sub("", url) or "}" in _FIELD.sub("", url):
        raise ConfigurationError(f"{where}: only {{id}} and {{+id}} have a meaning in {url!r:.80}")
    if needs_id and not fields:
        raise ConfigurationError(
            f"{where}: {{id}} or {{+id}} must stand in {url!r:.80}: it is the same for all otherwise"
        )
    if not needs_id and fields:
        raise ConfigurationError(f"{where}: there is no id yet that could stand in {url!r:.80}")
    if "://" in url and not is_http_url(_FIELD.sub("x", url)):
        raise ConfigurationError(f"{where}: {url!r:.80} is no http or https URL")
    return url


def filled(template: str, task_id: str) -> str:
    """Return a URL with the id in its place; with ``{+id}`` its slashes stay slashes.

    Raises:
        Forbidden: The id would lead elsewhere.
    """

    def spelt(match: re.Match[str]) -> str:
        if not match[1]:
            if task_id in {".", ".."}:
                raise Forbidden(f"the id {task_id!r:.80} cannot stand in a URL")
            return quote(task_id, safe="")
        if any(not part or _ENCODED_DOTS.fullmatch(part) for part in task_id.split("/")):
            raise Forbidden(f"the id {task_id!r:.80} cannot stand in a URL")
        return quote(task_id, safe="/:@!$&'()*+,;=")

    try:
        return _FIELD.sub(spelt, template)
    except UnicodeEncodeError:  # Half a surrogate pair.
        raise Forbidden("the id cannot stand in a URL") from None


def shows_a_secret(url: str) -> bool:
    """Return whether a URL is a key by itself, as far as its parameters' names show."""
    names = {name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    return not names.isdisjoint(_SECRET_NAMES)
