"""Creates a task, as often as it is told, and says what it was told to say; nothing else."""

from __future__ import annotations

import http.client
import os
import sys
import urllib.error
import urllib.request

URL = os.environ["DASHSCOPE_HTTP_BASE_URL"] + "/services/aigc/video-generation/video-synthesis"
HEADERS = {"Authorization": f"Bearer {os.environ['DASHSCOPE_API_KEY']}", "X-DashScope-Async": "enable"}
BODY = b'{"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}}'

times, say, code = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for _ in range(times):
    try:
        with urllib.request.urlopen(urllib.request.Request(URL, BODY, HEADERS), timeout=10) as answer:  # noqa: S310  # http
            answer.read()
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        sys.stderr.write(f"{error}\n")
sys.stdout.write(f"{say}\n")
sys.exit(code)
