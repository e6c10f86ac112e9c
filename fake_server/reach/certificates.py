"""A certificate authority that lasts as long as the server: nobody needs to trust it for longer, or ever again."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.util
import shutil
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fake_server.clock import RealClock
from fake_server.reach.names import LOOPBACK_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CA_FILE = "fake-dashscope-ca.pem"
# It holds no secret: whoever shall trust the server must be able to read it.
CA_MODE = 0o644
# Apple's systems take no server certificate that is good for more than 825 days (support.apple.com/HT210176).
GOOD_FOR_S = 800 * 86_400.0


class NoCertificateError(Exception):
    """A certificate cannot be made; the text says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server shows, and what a client must trust.

    Args:
        context: For the server; the key is in it and in no file.
        ca_file: The authority's certificate as PEM, for `SSL_CERT_FILE`, `NODE_EXTRA_CA_CERTS`, `curl --cacert`.
        names: The names that it is good for.
    """

    context: ssl.SSLContext
    ca_file: Path
    names: tuple[str, ...]


@contextlib.contextmanager
def throw_away_certificate(names: Sequence[str]) -> Iterator[Certificate]:
    """A certificate of an authority made for it, whose file is gone when the block ends.

    Args:
        names: Host names and addresses beside the loopback's.

    Raises:
        NoCertificateError: If trustme is not installed, or a name can stand in no certificate.
    """
    if importlib.util.find_spec("trustme") is None:
        raise NoCertificateError("--tls needs the extra \"tls\": pip install 'resilient-poll[fake,tls]'")
    import trustme  # noqa: PLC0415 - only TLS needs it

    wanted = tuple(dict.fromkeys([*names, *LOOPBACK_NAMES]))
    authority = trustme.CA(
        organization_name="fake-dashscope", organization_unit_name="made for one run, trust it nowhere"
    )
    until = dt.datetime.fromtimestamp(RealClock().now().wall_s + GOOD_FOR_S, dt.UTC)
    try:
        leaf = authority.issue_cert(*wanted, not_after=until)
    except (ValueError, UnicodeError) as error:
        raise NoCertificateError(f"no certificate can be made for {', '.join(names)}: {error}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    leaf.configure_cert(context)
    folder = Path(tempfile.mkdtemp(prefix="fake-dashscope-"))  # Only its owner may look into it.
    try:
        ca_file = folder / CA_FILE
        authority.cert_pem.write_to_path(str(ca_file))
        ca_file.chmod(CA_MODE)
        yield Certificate(context, ca_file, wanted)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
