"""A client that is good, but for the habits that it is told; some of these are odd and right, the others are wrong."""

from __future__ import annotations

import email.utils
import http.client
import json
import os
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

HABITS = set(sys.argv[1:])
TASK = json.loads(os.environ["FAKE_DASHSCOPE_TASK"])
BASE = urllib.parse.urlsplit(os.environ["DASHSCOPE_BASE_URL"])
AUTHORIZATION = {"Authorization": f"Bearer {os.environ['DASHSCOPE_API_KEY']}"}
UNTIL_S = time.monotonic() + float(os.environ["FAKE_DASHSCOPE_DEADLINE_S"])
INTERVAL_S = 0.1 if "hasty" in HABITS else 0.55
ENDS = ("SUCCEEDED", "FAILED", "CANCELED")
kept: list[http.client.HTTPConnection] = []


def ask(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any, bytes]:
    """Ask for something; status 0 where no whole answer came."""
    connection = kept.pop() if kept else http.client.HTTPConnection(BASE.netloc, timeout=15)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers or {})
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0, {}, b""
    if "keeps no connection" in HABITS:
        connection.close()
    else:
        kept.append(connection)
    return answer.status, answer.headers, content


def wait_s(headers: Any) -> float:
    """How long to stay away after a refusal."""
    told = headers.get("Retry-After") or ""
    if told.isdigit():
        return float(told)
    if not told or "reads no dates" in HABITS:
        return INTERVAL_S
    until_s = email.utils.parsedate_to_datetime(told).timestamp()
    if "reads dates by its own clock" in HABITS:
        return until_s - time.time()
    return until_s - email.utils.parsedate_to_datetime(headers["Date"]).timestamp()


def create() -> str | None:
    """The task's id; None where there may be one."""
    body = {"model": TASK["model"], "input": TASK["input"], "parameters": TASK["parameters"]}
    headers = {**AUTHORIZATION, "Content-Type": "application/json", "X-DashScope-Async": "enable"}
    if "forgets the header" in HABITS:
        del headers["X-DashScope-Async"]
    for _ in range(5):
        status, answered, content = ask("POST", BASE.path + TASK["path"], body, headers)
        if status == 200:
            task_id: str = json.loads(content)["output"]["task_id"]
            return task_id
        if status != 429 and "creates again" not in HABITS:
            return None
        time.sleep(wait_s(answered))  # real: a client of its own process
    return None


def look(task_id: str) -> tuple[str | None, dict[str, Any], float]:
    """The status, if it is told, the output, and how long to stay away."""
    if "lists" in HABITS:
        status, answered, content = ask("GET", f"{BASE.path}/tasks/?page_no=1&page_size=10", headers=AUTHORIZATION)
        rows = json.loads(content)["data"] if status == 200 else []
        if task_id in [row["task_id"] for row in rows if row["status"] not in ENDS]:
            # Steps that are counted in polls go on by polls only, so every list is followed by one.
            time.sleep(INTERVAL_S)  # real: as above
    status, answered, content = ask("GET", f"{BASE.path}/tasks/{task_id}", headers=AUTHORIZATION)
    if status != 200:
        return None, {}, max(INTERVAL_S, wait_s(answered) if status == 429 else 0.0)
    try:
        output: dict[str, Any] = json.loads(content)["output"]
        return output["task_status"], output, INTERVAL_S
    except (ValueError, KeyError, TypeError):
        return None, {}, INTERVAL_S


def follow(task_id: str) -> tuple[str, dict[str, Any]]:
    while time.monotonic() < UNTIL_S:
        word, output, pause_s = look(task_id)
        if word in ENDS:
            return word, output
        if (word is None and "stops at a failure" in HABITS) or (word == "UNKNOWN" and "stops at UNKNOWN" in HABITS):
            return "FAILED" if word is None else "EXPIRED", {}
        time.sleep(pause_s)  # real: as above
    return "STILL_GOING", {}


def download(url: str) -> bool:
    """Save the result; whether its address was still good."""
    at = urllib.parse.urlsplit(url)
    path = f"{at.path}?{at.query}"
    headers = AUTHORIZATION if "shows its key" in HABITS else {}
    if "asks for heads" in HABITS:
        ask("HEAD", path, headers=headers)
    if "fetches pieces" in HABITS:
        content = b""
        while True:
            span = f"bytes={len(content)}-{len(content) + 1999}"
            status, _, piece = ask("GET", path, headers={**headers, "Range": span})
            if status != 206:
                break
            content += piece
    else:
        status, _, content = ask("GET", path, headers=headers)
        if status != 200:
            return False
    Path(os.environ["FAKE_DASHSCOPE_OUTPUT"]).write_bytes(
        content[: len(content) // 2] if "saves a half" in HABITS else content
    )
    return True


def main() -> tuple[str, bool | None]:
    """What came of it, and whether it costs anything."""
    task_id = create()
    if task_id is None:
        return "IN_DOUBT", None
    word, output = follow(task_id)
    while word == "SUCCEEDED" and not download(output["video_url"]):
        time.sleep(INTERVAL_S)  # real: as above
        word, output = follow(task_id)
    if "asks on" in HABITS:
        time.sleep(0.6)  # real: as above
        look(task_id)
    return word, word == "SUCCEEDED" if word in ENDS else None


said, owes = main()
if "lives on" in HABITS and os.fork() == 0:
    os.setsid()
    time.sleep(60)  # real: outlives its parent, and is killed
if "says nothing" not in HABITS:
    claim = {"outcome": said, "billed": not owes if "errs about the bill" in HABITS else owes}
    sys.stdout.write(json.dumps(claim) + "\n")
sys.exit(0 if said == "SUCCEEDED" or "always claims success" in HABITS else 1)
