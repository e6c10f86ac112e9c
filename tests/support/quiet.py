"""Keeping our client from logging, where it says thousands of lines that nobody reads."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Say nothing, and leave the level of the log as it was found."""
    logger = logging.getLogger("resilient_poll")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
