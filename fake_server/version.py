"""Which version this is."""

from __future__ import annotations

import functools
from importlib import metadata

DISTRIBUTION = "resilient-poll"


@functools.cache
def version() -> str:
    """The version of the installed distribution, or `0+unknown` from a bare checkout."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "0+unknown"
