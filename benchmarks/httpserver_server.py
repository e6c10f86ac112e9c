"""pytest-httpserver with two handlers that answer in the form of the fake: what a test would use instead of it."""

from __future__ import annotations

import json
import os
import re
import sys
import threading

from pytest_httpserver import HTTPServer

from benchmarks.bare_server import CREATED, RUNNING
from benchmarks.serving import CREATE_PATH, TASKS_PATH


def main() -> None:
    """Serve until SIGTERM, and say on stdout where."""
    with HTTPServer(threaded=True) as server:
        server.expect_request(CREATE_PATH, method="POST").respond_with_json(CREATED)
        server.expect_request(re.compile(re.escape(TASKS_PATH) + ".*")).respond_with_json(RUNNING)
        sys.stdout.write(json.dumps({"url": server.url_for("").rstrip("/"), "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        threading.Event().wait()  # SIGTERM kills: an orderly end waits for connections that clients keep open


if __name__ == "__main__":
    main()
