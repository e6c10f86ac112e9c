"""In a background task of Starlette or FastAPI: answer at once, and wait behind the answer."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

# --- example ---
import httpx
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse

from examples.embedding.task_group import finished  # the one above
from resilient_poll import TaskError

JOBS: dict[str, str] = {}


async def watch(http: httpx.AsyncClient, job_id: str) -> None:
    try:
        JOBS[job_id] = (await finished(http, job_id)).result["url"]
    except TaskError as error:  # failed, or still going when the time was up: its text says which, and what is owed
        JOBS[job_id] = str(error)


async def order(request: Request) -> JSONResponse:
    job_id = str((await request.json())["job"])
    JOBS[job_id] = "being made"
    waiting = BackgroundTask(watch, request.state.http, job_id)  # in FastAPI: background_tasks.add_task(watch, …)
    return JSONResponse({"job": job_id}, status_code=202, background=waiting)


# --- end ---

from starlette.applications import Starlette  # noqa: E402  # what the recipe itself needs stands in it
from starlette.routing import Route  # noqa: E402  # as above


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncGenerator[dict[str, httpx.AsyncClient], None]:
    """Keep one client for all orders."""
    async with httpx.AsyncClient(base_url=os.environ.get("JOBS_URL", "https://api.example.com")) as http:
        yield {"http": http}


async def state(request: Request) -> JSONResponse:
    """Say how a job is doing."""
    return JSONResponse({"job": JOBS.get(request.path_params["job"], "unknown")})


app = Starlette(lifespan=lifespan, routes=[Route("/orders", order, methods=["POST"]), Route("/orders/{job}", state)])
