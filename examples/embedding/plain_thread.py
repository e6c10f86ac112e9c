"""In a plain thread: the caller goes on, and hears of the end through a queue."""

from __future__ import annotations

# --- example ---
import queue
import threading

from examples.embedding.decorator import finished  # the one above
from resilient_poll import Outcome, TaskError

Ended = queue.SimpleQueue[Outcome[dict[str, str]] | TaskError]


def watch(url: str, ended: Ended) -> None:
    try:
        ended.put(finished(url))
    except TaskError as error:  # it knows the task, and whether it goes on
        ended.put(error)


def start(url: str, ended: Ended) -> threading.Thread:
    thread = threading.Thread(target=watch, args=(url, ended), daemon=True)
    thread.start()
    return thread


# --- end ---
