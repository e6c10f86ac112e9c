"""Two bare routes that answer in the form of the fake and know nothing: what the web framework alone costs."""

from __future__ import annotations

import json
import os
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.serving import CREATE_PATH, TASKS_PATH
from fake_server.server import bind

_ID = "0aa1b2c3-1111-4222-8333-444455556666"
_TIME = "2026-01-01 08:00:00.000"
CREATED = {"output": {"task_status": "PENDING", "task_id": _ID}, "request_id": _ID}
_OUTPUT = {"task_status": "RUNNING", "submit_time": _TIME, "scheduled_time": _TIME}
RUNNING = {"request_id": _ID, "output": {"task_id": _ID} | _OUTPUT}


async def create(request: Request) -> Response:
    """Accept whatever is asked for."""
    await request.json()
    return JSONResponse(CREATED)


async def query(request: Request) -> Response:
    """Tell of a task that runs for ever."""
    return JSONResponse({"request_id": _ID, "output": {"task_id": request.path_params["task_id"]} | _OUTPUT})


def main() -> None:
    """Serve until SIGTERM, and say on stdout where."""
    routes = [Route(CREATE_PATH, create, methods=["POST"]), Route(TASKS_PATH + "{task_id}", query)]
    listener = bind("127.0.0.1", 0)
    sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}", "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        Starlette(routes=routes),
        http="httptools",
        loop="auto",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
