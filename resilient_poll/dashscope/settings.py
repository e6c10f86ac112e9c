"""Which dialect, key and base URL a client uses, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from urllib.parse import urlsplit

from resilient_poll.dashscope.keeping.header import HeaderTreatment, IdempotencyHeader
from resilient_poll.dashscope.wire.dialects import DIALECTS, Dialect, dialect_named
from resilient_poll.errors import ConfigurationError
from resilient_poll.http.urls import is_host

__all__ = ["Settings", "checked_label", "resolve_settings"]

LONGEST_LABEL = 200
"""Characters of an account's label."""
_KEY = re.compile(r"[\x21-\x7e]{1,512}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]{0,4096}")
_OURS = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "x-dashscope-async",
    }
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client needs to know of the service.

    Attributes:
        dialect: How it speaks.
        base_url: Where it is, without a slash at the end.
        api_key: The key. Kept out of every repr.
        headers: What the caller wants sent along to the API.
        account: The caller's label for the account, if it has one.
        idempotency_header: What the service makes of a header that names a create.
    """

    dialect: Dialect
    base_url: str
    api_key: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    account: str | None = None
    idempotency_header: IdempotencyHeader = field(default_factory=IdempotencyHeader.ignored)

    @property
    def origin(self) -> str:
        """Where the service is, spelt in one way."""
        parts = urlsplit(self.base_url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        return f"{parts.scheme}://{parts.hostname}:{port}{parts.path}"

    @property
    def origin_mark(self) -> str:
        """A short hash of where the service is, for resume tokens: it tells origins apart and names none."""
        return blake2b(self.origin.encode(), digest_size=8).hexdigest()

    @property
    def account_mark(self) -> str | None:
        """A short hash of the account's label, for resume tokens; None where it has none."""
        if self.account is None:
            return None
        return blake2b(self.account.encode(), digest_size=8, key=self.origin_mark.encode()).hexdigest()


def resolve_settings(
    *,
    dialect: str | None,
    api_key: str | None,
    base_url: str | None,
    headers: Mapping[str, str] | None,
    environ: Mapping[str, str],
    account: str | None = None,
    idempotency_header: IdempotencyHeader | None = None,
) -> Settings:
    """Decide the settings from arguments and environment; arguments win.

    Args:
        dialect: Its name; None to infer it from whose variables are set.
        api_key: The key; None to read the dialect's own variable.
        base_url: Where the service is; None to read the dialect's variables, then its default.
        headers: Additional headers for the API.
        environ: The environment.
        account: The caller's label for the account.
        idempotency_header: What the service makes of a header that names a create; None: nothing that is known.

    Raises:
        ConfigurationError: Something is missing or makes no sense; it says what to set.
    """
    chosen = dialect_named(dialect) if dialect is not None else _infer(environ)
    key = environ.get(chosen.key_variable, "") if api_key is None else api_key
    if not _is_text(key):
        raise ConfigurationError(f"the API key must be a text, not {type(key).__name__}")
    if not key:
        raise ConfigurationError(f"no API key: set {chosen.key_variable} or pass api_key")
    if not _KEY.fullmatch(key):
        raise ConfigurationError("the API key holds a character that no key has (a space or a line break, perhaps)")
    url = _checked_url(_choose_url(chosen, base_url, environ))
    sent = _checked_headers(headers or {})
    label = None if account is None else checked_label(account, key)
    return Settings(chosen, url, key, sent, label, _checked_idempotency(idempotency_header, sent))


def checked_label(account: str, api_key: str) -> str:
    """Return a label for an account that a ledger can keep.

    Raises:
        ConfigurationError: It is none, or holds the key.
    """
    if not _is_text(account) or not 0 < len(account) <= LONGEST_LABEL or not account.isprintable():
        raise ConfigurationError(f"the account's label must be a short text, not {account!r:.80}")
    if api_key in account:
        raise ConfigurationError("the account's label must not hold the API key: it is kept in the ledger")
    return account


def _checked_idempotency(header: IdempotencyHeader | None, headers: tuple[tuple[str, str], ...]) -> IdempotencyHeader:
    if header is None:
        return IdempotencyHeader.ignored()
    given: object = header
    if not isinstance(given, IdempotencyHeader):
        raise ConfigurationError(
            f"idempotency_header must be an IdempotencyHeader such as IdempotencyHeader.honoured(), not {given!r:.60}"
        )
    if header.treatment is HeaderTreatment.IGNORED:
        return header
    if header.name.lower() in _OURS:
        raise ConfigurationError(f"the header {header.name!r} means something else, and cannot name a create")
    if any(name.lower() == header.name.lower() for name, _ in headers):
        raise ConfigurationError(
            f"the header {header.name!r} is among headers, and would be the same for every create: leave it out"
        )
    return header


def _infer(environ: Mapping[str, str]) -> Dialect:
    found = [
        dialect
        for dialect in DIALECTS.values()
        if any(environ.get(name) for name in (dialect.key_variable, *dialect.base_url_variables))
    ]
    if len(found) == 1:
        return found[0]
    what = "variables of both dialects are set" if found else "no dialect's variables are set"
    keys = " or ".join(f"{dialect.key_variable} ({dialect.name})" for dialect in DIALECTS.values())
    raise ConfigurationError(f"which dialect? {what}: pass dialect, or set one of {keys}")


def _choose_url(dialect: Dialect, base_url: str | None, environ: Mapping[str, str]) -> str:
    if base_url is not None:
        return base_url
    set_by_variable = (environ[name] for name in dialect.base_url_variables if environ.get(name))
    return next(set_by_variable, dialect.base_url)


def _checked_url(url: str) -> str:
    if not _is_text(url):
        raise ConfigurationError(f"the base URL must be a text, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"the base URL {_shown(url)} cannot be read: {error}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationError(f"the base URL must begin with http:// or https:// and name a host, not {_shown(url)}")
    if "?" in url or "#" in url or parts.username is not None:
        raise ConfigurationError("the base URL must not hold a user, a query or a fragment")
    if not url.isascii() or any(character.isspace() or not character.isprintable() for character in url):
        raise ConfigurationError(f"the base URL holds a character that no URL has: {_shown(url)}")
    if not is_host(host) or port == 0:
        raise ConfigurationError(f"the base URL names a host or port that cannot be: {_shown(url)}")
    return url.rstrip("/")


def _is_text(value: object) -> bool:
    # Types are hints at run time: callers without a type checker pass bytes and numbers too.
    return isinstance(value, str)


def _shown(url: str) -> str:
    # A password, or a key in the place of a URL, must not end in a log.
    return "(not shown: it may hold a secret)" if "@" in url or "sk-" in url else repr(url)


def _checked_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for name, value in headers.items():
        if not _is_text(name) or not _is_text(value):
            raise ConfigurationError(f"the header {name!r} and its value must be texts")
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ConfigurationError(f"the header {name!r} or its value holds a character that no header has")
        if name.lower() in _OURS:
            raise ConfigurationError(f"the header {name!r} is set by the client itself")
    return tuple(headers.items())
