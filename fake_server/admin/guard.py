"""Who may ask: this machine, or whoever knows the token; and never a page of another origin.

A page in a browser on this machine must not reach the admin pages through a name that it made point here (DNS
rebinding), so without a token Host has to be one of our own names. A token is no cookie: no page can know it.
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fake_server.admin.asking import AdminError

if TYPE_CHECKING:
    from starlette.requests import Request

TOKEN_HEADER = "x-fake-admin-token"  # noqa: S105 - the name of a header
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Lets requests in or raises.

    Args:
        own_hosts: Host names beside the loopback's that are ours.
        token: What a request must carry, or None: then only this machine may ask.
    """

    def __init__(self, own_hosts: frozenset[str], token: str | None) -> None:
        self._allowed = _LOOPBACK_NAMES | own_hosts
        self._token = None if token is None else token.encode("utf-8", "surrogateescape")

    def check(self, request: Request) -> None:
        """Let a request in.

        Raises:
            AdminError: If it may not be answered.
        """
        if self._token is not None:
            self._check_token(request, self._token)
        else:
            if request.client is None or not _is_loopback(request.client.host):
                raise AdminError(403, "the admin pages answer to this machine only, as this server has no admin token")
            if _host_of(f"//{request.headers.get('host', '')}") not in self._allowed:
                raise AdminError(403, "the Host of this request is not one of this server's names")
        origin = request.headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] != request.headers.get("host", "").lower():
            raise AdminError(403, "this request comes from a page of another origin")

    def check_page(self, request: Request) -> None:
        """Let a request in for a file that tells of no world: a browser that opens a page has no token to send.

        Raises:
            AdminError: If it may not be answered.
        """
        if self._token is None:
            self.check(request)

    def _check_token(self, request: Request, token: bytes) -> None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = request.headers.get(TOKEN_HEADER) or (bearer.strip() if scheme.lower() == "bearer" else "")
        if not hmac.compare_digest(given.encode("latin-1", "replace"), token):
            detail = "expected the admin token as Authorization: Bearer TOKEN, or in X-Fake-Admin-Token"
            raise AdminError(401, detail, headers={"WWW-Authenticate": 'Bearer realm="admin"'})


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
