"""Which texts are URLs that can be asked for. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["is_host", "is_http_url"]

LONGEST_URL = 8192  # Signed URLs run to about 1,500 characters.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})"  # RFC 1035 (2.3.4): 63 characters at most, none empty.
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?")
_NUMBERS = re.compile(r"[0-9.]+")  # Whoever writes only these means an IPv4 address.


def is_http_url(url: str) -> bool:
    """Return whether a text is an absolute http or https URL whose host and port can exist."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        return False


def is_host(host: str) -> bool:
    """Return whether a text is a host name or an IP address."""
    if ":" not in host and not _NUMBERS.fullmatch(host):
        return bool(_HOST.fullmatch(host))
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
