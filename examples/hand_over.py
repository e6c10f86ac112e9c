"""Handing results to the application: a worker beside a Starlette or FastAPI app, over the team's own httpx client.

Run it: uvicorn examples.hand_over:app, with DASHSCOPE_API_KEY set. Orders are in memory here; yours are in a database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from resilient_poll import AsyncDashScope, HandedOver
from resilient_poll.ledger import SqliteLedger

ORDERS: dict[str, str] = {}


# --- example ---
async def hand_over(done: HandedOver[Any]) -> None:  # at least once for each order, also after a crash
    if done.outcome is not None and done.task is not None:
        await done.task.download(f"{done.idempotency_key}.mp4")
    ORDERS[done.idempotency_key] = "ready" if done.error is None else str(done.error)


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    async with httpx.AsyncClient() as http:  # your own client, with its proxies, certificates and hooks
        with SqliteLedger("orders.sqlite3") as ledger:
            async with AsyncDashScope(http_client=http, ledger=ledger) as videos, videos.worker(on_outcome=hand_over):
                yield {"videos": videos}


# --- end ---


async def order(request: Request) -> JSONResponse:
    """Take an order; the same order again makes no second video."""
    wanted, number = await request.json(), request.path_params["number"]
    task = await request.state.videos.submit("wan2.5-t2v-preview", wanted, idempotency_key=number)
    return JSONResponse({"task": task.id}, status_code=202)


async def status(request: Request) -> JSONResponse:
    """Say how an order does."""
    return JSONResponse({"order": ORDERS.get(request.path_params["number"], "being made")})


async def event(request: Request) -> JSONResponse:
    """Take EventBridge's word that a task has ended as a hint to ask now."""
    told = await request.json()
    return JSONResponse({"asked": request.state.videos.wake(told["data"]["task_id"])})


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/orders/{number}", order, methods=["POST"]),
        Route("/orders/{number}", status),
        Route("/events", event, methods=["POST"]),
    ],
)
