"""The vendor's own package, unmodified, on the fake's clock: what it makes of scenarios, as lines of JSON.

``python -m tests.differential.package_run FACE BASE_URL ADMIN_URL SCENARIO…`` with FACE `v1` or `v2`. A process of its
own: the package reads its base URL when it is imported, and its sleeps become moves of the fake's clock.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from importlib import import_module
from typing import Any

from fake_server.scenario import Scenario, load_scenario, shipped_scenarios

__all__ = ["LONGEST_S", "main"]

LONGEST_S = 3600.0
"""Whoever still waits after an hour on the fake's clock waits for ever."""


class _StillWaitingError(BaseException):
    """Not one of those that a program catches."""


class _Came(dict[str, Any]):
    """What came of a task, where there is no answer to look at."""


class FakeTime:
    """The time of the package's process: it goes on when somebody sleeps, and the fake's goes with it.

    Args:
        admin_url: Where the fake's admin pages are.
    """

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._began_s, self._slept_s = time.time(), 0.0
        self.world = ""
        self._this_world_s = 0.0

    def begin(self, world: str) -> None:
        """Go over to another world."""
        self.world, self._this_world_s = world, 0.0

    def sleep(self, seconds: float) -> None:
        """Let the fake's clock go on."""
        self._slept_s += seconds
        self._this_world_s += seconds
        if self._this_world_s > LONGEST_S:
            raise _StillWaitingError
        if seconds > 0:
            _post(f"{self._admin_url}/worlds/{self.world}/clock/advance", {"seconds": seconds})

    def now(self) -> float:
        """Return the seconds since 1970 or since whenever: only differences are asked for."""
        return self._began_s + self._slept_s

    def take_over(self) -> None:
        """Take the place of the process's own clocks."""
        time.sleep, time.time, time.monotonic = self.sleep, self.now, self.now


def _post(url: str, body: object) -> Any:
    request = urllib.request.Request(  # noqa: S310  # of the fake
        url, json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # as above
        return json.loads(answer.read())


def first_face(scenario: Scenario, key: str) -> list[_Came]:
    """Play with the classes of version 1."""
    package: Any = import_module("dashscope")
    asked = scenario.client
    kind = package.ImageSynthesis if asked.endpoint == "text-to-image" else package.VideoSynthesis
    wanted = {"model": asked.model, "prompt": "a cat", "api_key": key, **asked.parameters}
    came: list[_Came] = []
    tasks = []
    for _ in range(asked.tasks):
        made = _tried(lambda: kind.async_call(**wanted), "create")
        if isinstance(made, _Came):
            came.append(made)
        elif made.status_code != 200:
            came.append(_refusal("create", made.status_code, made.code))
        else:
            tasks.append(made)
    for task in tasks:
        if asked.cancel is not None:
            kind.cancel(task, api_key=key)
        ended = _tried(lambda task=task: kind.wait(task, api_key=key), "wait")
        if isinstance(ended, _Came):
            came.append(ended)
        elif ended.status_code != 200:
            came.append(_refusal("wait", ended.status_code, ended.code))
        else:
            came.append(_end(dict(ended.output or {})))
    return came


def second_face(scenario: Scenario, key: str) -> list[_Came]:
    """Play with the client of version 2."""
    package: Any = import_module("dashscope")
    asked = scenario.client
    client = package.Client(base_url=os.environ["DASHSCOPE_HTTP_BASE_URL"], api_key=key)
    jobs = client.images.jobs if asked.endpoint == "text-to-image" else client.videos.jobs
    came: list[_Came] = []
    tasks = []
    for _ in range(asked.tasks):
        made = _tried(lambda: jobs.create(model=asked.model, prompt="a cat", **asked.parameters), "create")
        if isinstance(made, _Came):
            came.append(made)
        else:
            tasks.append(made)
    for task in tasks:
        if asked.cancel is not None:
            jobs.cancel(task.job_id)
        ended = _tried(lambda task=task: jobs.wait(task.job_id), "wait")
        came.append(ended if isinstance(ended, _Came) else _end(dict(ended.output or {})))
    return came


def _tried(call: Callable[[], Any], stage: str) -> Any:
    """Return what a call returned, or what it raised in words."""
    try:
        return call()
    except _StillWaitingError:
        return _Came(stage=stage, word="WAITS")
    except Exception as error:  # noqa: BLE001  # the package documents no better
        status, code = getattr(error, "status_code", None), getattr(error, "code", None)
        output = getattr(error, "body", None)
        if stage == "wait" and isinstance(output, dict) and "output" in output:
            return _end(output["output"] or {})
        if stage == "wait" and "canceled" in str(error):
            return _end({"task_status": "CANCELED"})
        return _refusal(stage, status, code, type(error).__name__)


def _refusal(stage: str, status: int | None, code: str | None, raised: str | None = None) -> _Came:
    return _Came(stage=stage, word="ERROR", status=status, code=str(code or "") or None, raised=raised)


def _end(output: dict[str, Any]) -> _Came:
    results = output.get("results") or []
    urls = [row.get("url") for row in results if isinstance(row, dict)] if isinstance(results, list) else []
    has_url = bool(output.get("video_url") or any(urls))
    return _Came(stage="wait", word=output.get("task_status"), code=output.get("code"), has_url=has_url)


FACES: dict[str, Callable[[Scenario, str], list[_Came]]] = {"v1": first_face, "v2": second_face}


def main() -> None:
    """Play scenarios, and print one line of JSON for each."""
    face, base_url, admin_url, *names = sys.argv[1:]
    logging.disable()
    os.environ["DASHSCOPE_HTTP_BASE_URL"] = base_url
    clock = FakeTime(admin_url.rstrip("/"))
    clock.take_over()
    import_module("dashscope").base_http_api_url = base_url  # type: ignore[attr-defined]  # it is one
    files = shipped_scenarios()
    for name in names:
        key = f"sk-{name}.{face}"
        clock.begin(_post(f"{admin_url.rstrip('/')}/worlds", {"key": key})["world"])
        came = FACES[face](load_scenario(files[name]), key)
        sys.stdout.write(json.dumps({"scenario": name, "came": came}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
