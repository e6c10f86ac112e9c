"""The names under which a server may be reached."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognised here, not bound to
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host.

    Args:
        host: A name or address, as it was asked for.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def public_host(public_url: str | None) -> str | None:
    """The host of a public URL in small letters, or None where there is none.

    Args:
        public_url: What URLs in answers start with.
    """
    try:
        return urlsplit(public_url).hostname if public_url else None
    except ValueError:
        return None


def own_names(host: str, public_url: str | None) -> tuple[str, ...]:
    """The names beside the loopback's under which this server is known, without wildcards, in small letters.

    Args:
        host: Where it listens.
        public_url: What URLs in answers start with.
    """
    names = ["" if host in WILDCARDS else host.lower(), public_host(public_url) or ""]
    return tuple(dict.fromkeys(name for name in names if name and name not in LOOPBACK_NAMES))
