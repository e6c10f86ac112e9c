"""Which certificate authority the tests' clients trust: one; they speak to loopback, mostly without TLS."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

import certifi

_END = "-----END CERTIFICATE-----"


def trust_one_authority() -> None:
    """Let every client here, and in the processes that tests start, read one certificate instead of all of certifi's.

    Reading all of them takes 22 ms (OpenSSL 3.0) for each client: 376 of them in tests/dashscope. Tests that speak TLS
    name their own authority, in this variable, too. What the caller has set stays.
    """
    if os.environ.get("SSL_CERT_FILE"):
        return
    first = Path(certifi.where()).read_text(encoding="utf-8").partition(_END)[0] + _END
    path = Path(_folder().name, "one.pem")
    path.write_text(first[first.index("-----BEGIN") :] + "\n", encoding="ascii")
    os.environ["SSL_CERT_FILE"] = str(path)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that lasts as long as this process; those that run tests are its children."""
    return tempfile.TemporaryDirectory(prefix="trust-")
