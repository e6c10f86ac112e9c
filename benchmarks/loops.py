"""The loops that people write by hand, as the other side of comparisons.

They do the least that such a loop must: ask, look at the HTTP status and the task's
status, stop at an end. No budget, no Retry-After, no deadline, no unknown word.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

__all__ = ["ENDS", "create", "wait", "wait_async"]

ENDS = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN"})
_BODY = {"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}}


def create(http_client: Any, url: str) -> str:
    """Create a task and return its id.

    Args:
        http_client: A blocking client with the key in its headers.
        url: Where creates go.
    """
    answer = http_client.post(url, json=_BODY, headers={"X-DashScope-Async": "enable"}).raise_for_status()
    task_id: str = answer.json()["output"]["task_id"]
    return task_id


def wait(http_client: Any, url: str, interval_s: float = 0.0) -> int:
    """Poll until an end, and return how often that was.

    Args:
        http_client: A blocking client with the key in its headers.
        url: The task's.
        interval_s: The pause between polls.
    """
    polls = 0
    while True:
        answer = http_client.get(url).raise_for_status()
        polls += 1
        if answer.json()["output"]["task_status"] in ENDS:
            return polls
        time.sleep(interval_s)


async def wait_async(http_client: Any, url: str, interval_s: float = 0.0) -> int:
    """Poll like :func:`wait`, in code that awaits."""
    polls = 0
    while True:
        answer = (await http_client.get(url)).raise_for_status()
        polls += 1
        if answer.json()["output"]["task_status"] in ENDS:
            return polls
        await asyncio.sleep(interval_s)
