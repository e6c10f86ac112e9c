"""What the layers read of answers and failures: the pure rules of ``http/``, in one place."""

from __future__ import annotations

from resilient_poll.http.headroom import Headroom, read_headroom
from resilient_poll.http.retry_after import read_retry_after
from resilient_poll.http.sent import describe, is_library_error, is_of_the_network, names_of, surely_not_sent

__all__ = [
    "Headroom",
    "describe",
    "is_library_error",
    "is_of_the_network",
    "names_of",
    "read_headroom",
    "read_retry_after",
    "surely_not_sent",
]
