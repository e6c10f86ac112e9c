"""Provoke every fault in every peer and in ours, and print what was seen as a page in Markdown."""

from __future__ import annotations

import logging
import os
import platform
import random
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.peers.middleware import httpx_retries_faults, pyresilience_breaker
from benchmarks.peers.parsers import parsed
from benchmarks.peers.pollers import (
    azure,
    botocore_waiters,
    fal_requests,
    google,
    openai_videos,
    replicate_predictions,
    runway,
)
from benchmarks.peers.service import Seen

KEPT = Path(__file__).parents[1] / "peers.md"
FAULTS = (
    azure,
    google,
    runway,
    openai_videos,
    replicate_predictions,
    botocore_waiters,
    fal_requests,
    httpx_retries_faults,
    pyresilience_breaker,
)
HEAD = ["peer", "what happened to both", "the peer", "ours", "the peer shows the fault"]


def page(faults: Iterable[Seen], parsers: list[list[str]]) -> str:
    """Return the page: what was provoked, who did what, and the parsers of ``Retry-After``."""
    rows = [[one.peer, one.provoked, one.theirs, one.ours, "yes" if one.is_shown else "no"] for one in faults]
    return "\n\n".join([_table([HEAD, *rows]), _table(parsers)]) + "\n"


def _table(rows: list[list[str]]) -> str:
    head, *others = rows
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *others])


def main() -> None:
    """See for ourselves; ``--write`` keeps the page for the documentation."""
    for name in [name for name in os.environ if "proxy" in name.lower()]:
        del os.environ[name]  # Everything here stays on this machine.
    logging.disable()
    random.seed(1)  # Backoffs draw from here.
    told = page((seen for fault in FAULTS for seen in fault()), parsed()[0])
    if sys.argv[1:] == ["--write"]:
        KEPT.write_text(told)
    sys.stdout.write(told)
    sys.stderr.write(f"seen on Python {platform.python_version()}\n")


if __name__ == "__main__":
    main()
