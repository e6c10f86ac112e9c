"""Where an asset may be fetched from, and how large it may be. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import urljoin, urlsplit

from resilient_poll.dashscope.checking import shown
from resilient_poll.errors import ConfigurationError
from resilient_poll.http.urls import is_host, is_http_url

__all__ = ["LARGEST_ASSET_BYTES", "AssetRules", "DownloadProblem", "Gone", "asset_rules", "next_hop", "problem_with"]

LONGEST_REDIRECT_CHAIN = 5
LARGEST_ASSET_BYTES = 4 * 1024**3
"""A minute of 4K video is below 1 GiB; more than four is a server gone mad, and a full disk."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({403, 404, 410})


class DownloadProblem(Exception):
    """Why an asset did not come to disk, in one clause."""


class Gone(DownloadProblem):
    """Its URL does not lead to it any more, or never did; the service may give another one."""


@dataclass(frozen=True, slots=True)
class AssetRules:
    """What the caller allows.

    Attributes:
        largest_bytes: How large one asset may be.
        insecure_hosts: The hosts that may be asked without TLS, besides this machine.
    """

    largest_bytes: int = LARGEST_ASSET_BYTES
    insecure_hosts: frozenset[str] = frozenset()

    def check_url(self, url: str) -> None:
        """Check that an asset may be fetched from there. Of the URL, which holds a signature, only the host is told.

        Raises:
            DownloadProblem: It may not.
        """
        parts = urlsplit(url)
        host = _plain(parts.hostname or "")
        if parts.username is not None:
            raise DownloadProblem(f"the URL at {host} holds a user's name, and nothing is sent in anybody's name")
        if parts.scheme != "https" and not _is_loopback(host) and host not in self.insecure_hosts:
            raise DownloadProblem(
                f"its URL begins with http://{host}, so anybody on the way could read and replace it; "
                f'insecure_asset_hosts=["{host}"] allows that'
            )


def asset_rules(base_url: str, largest_asset_bytes: object, insecure_asset_hosts: object) -> AssetRules:
    """Return the rules of a client.

    Args:
        base_url: Where its service is. A service that is asked without TLS itself has named its host by that:
            whoever could replace the asset could replace the answer that names it, and has read the key.
        largest_asset_bytes: The caller's limit.
        insecure_asset_hosts: The caller's exceptions, names or addresses without a port.

    Raises:
        ConfigurationError: They make no sense.
    """
    most, hosts = largest_asset_bytes, insecure_asset_hosts
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ConfigurationError(f"largest_asset_bytes must be a whole number of bytes, 1 or more, not {shown(most)}")
    # A text is a collection of texts too: its letters.
    if isinstance(hosts, str | bytes | Mapping) or not isinstance(hosts, Collection):
        raise ConfigurationError(f"insecure_asset_hosts must be a list of host names, not {shown(hosts)}")
    for host in hosts:
        if not isinstance(host, str) or not is_host(host):
            raise ConfigurationError(
                f"insecure_asset_hosts must hold host names without scheme, port or path, not {shown(host)}"
            )
    service = urlsplit(base_url)
    own = [] if service.scheme == "https" else [service.hostname or ""]
    return AssetRules(most, frozenset(_plain(host) for host in [*hosts, *own]))


def next_hop(url: str, status: int, headers: Mapping[str, str], hops: int) -> str | None:
    """Return where to go on, or None if the answer is no redirect.

    Args:
        url: Where the answer came from.
        status: Its HTTP status.
        headers: Its headers, names in lower case.
        hops: How many redirects there were already.

    Raises:
        DownloadProblem: It is a redirect that is not followed.
    """
    if status not in _REDIRECTS:
        return None
    location = headers.get("location", "")
    try:
        target = urljoin(url, location)
    except ValueError:
        raise DownloadProblem("the asset's host redirects to what is no URL") from None
    if not location or not is_http_url(target):
        raise DownloadProblem("the asset's host redirects to what is no URL")
    before, after = urlsplit(url), urlsplit(target)
    if before.scheme != after.scheme:
        raise DownloadProblem(f"the asset's host redirects from {before.scheme} to {after.scheme}")
    if hops >= LONGEST_REDIRECT_CHAIN:
        raise DownloadProblem(f"the asset's host redirects more than {LONGEST_REDIRECT_CHAIN} times")
    return target


def problem_with(status: int) -> DownloadProblem:
    """Return what is wrong with an answer that is neither the asset, nor leads to it, nor makes sense later."""
    if status in _GONE:
        said = f"the asset's host answered HTTP {status}; its URL lives for a limited time and may have expired"
        return Gone(said)
    return DownloadProblem(f"the asset's host answered HTTP {status}")


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (inner or address).is_loopback
