"""The life of one worker: it submits by keys, waits, downloads, and hands each end to a handler."""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

from resilient_poll import AsyncDashScope, DashScope, Fixed, Limits, ResilientPollError, SubmitPolicy, WaitPolicy
from resilient_poll.errors import SubmitInDoubt, SubmitRefused
from resilient_poll.ledger.errors import LedgerError
from tests.crash.between import WORKER_HEADER
from tests.crash.clock import LeapingClock, PacedClock
from tests.crash.nursery import Order, say
from tests.crash.planted import LEDGERS
from tests.crash.points import HitLedger, Hitter
from tests.crash.requests import key_of, number_of, request_of
from tests.support.colours import COLOURS, got, run_in

__all__ = ["ACCOUNT", "warm_up", "work"]

ACCOUNT = "crash test"


def warm_up() -> None:
    """Load what a client loads when it is first needed, so that no child has to; nothing stays open."""

    async def use(client: Any) -> None:
        try:
            await got(client.task("nobody").refresh())
        except ResilientPollError:
            return
        finally:
            await got(client.close())

    options: dict[str, Any] = {"dialect": "dashscope", "api_key": "sk-nobody", "base_url": "http://127.0.0.1:9/api/v1"}
    options["wait_policy"] = WaitPolicy(attempt_timeout_s=0.1)
    for colour in COLOURS:
        run_in(colour, lambda is_sync=colour == "sync": use((DashScope if is_sync else AsyncDashScope)(**options)))


def work(number: int, order: Order) -> int:
    """Do what an order says, and return the exit code."""
    faulthandler.register(signal.SIGUSR1)  # So that one that hangs can be asked where.
    random.seed(number)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=f"{number} %(message)s")
    run_in(order["colour"], lambda: _Worker(number, order).run())
    return 0


class _Worker:
    def __init__(self, number: int, order: Order) -> None:
        self._number, self._order = number, order
        self._clock = (LeapingClock if order.get("leaps") else PacedClock)(Path(order["clock"]))
        self._folder = Path(order["folder"])
        self._hitter = Hitter(order.get("point"), order.get("how", "kill"), order.get("nth", 1), self._tell_of_hit)
        self._hitter.listen(self._folder / "files")

    async def run(self) -> None:
        """Live."""
        order = self._order
        try:
            ledger = LEDGERS[order.get("ledger", "genuine")](order["path"], busy_s=order["busy_s"])
        except LedgerError as error:
            say(event="unable", worker=self._number, why=type(error).__name__)
            return
        with ledger:
            client = self._client(HitLedger(ledger, self._hitter, self._heard))
            try:
                if order.get("permits"):
                    await self._permit(client)
                if order.get("reconciles"):
                    await self._reconcile(client)
                await (self._hand_over(client) if order["hands_over"] else self._wait_for_each(client))
            except ResilientPollError as error:
                say(event="unable", worker=self._number, why=type(error).__name__)
            finally:
                await got(client.close())

    def _client(self, ledger: Any) -> Any:
        order, is_sync = self._order, self._order["colour"] == "sync"
        policy = WaitPolicy(
            timeout_s=order["wait_s"],
            attempt_timeout_s=order["attempt_s"],
            schedule=Fixed(0.5),
        )
        return (DashScope if is_sync else AsyncDashScope)(
            dialect=order["dialect"],
            api_key=order["api_key"],
            base_url=order["base_url"],
            ledger=ledger,
            account=ACCOUNT,
            headers={WORKER_HEADER: str(self._number)},
            clock=self._clock if is_sync else self._clock.for_async(),
            wait_policy=policy,
            submit_policy=SubmitPolicy(timeout_s=order["submit_s"], attempt_timeout_s=order["attempt_s"]),
            limits=Limits(queries_per_second=1000.0) if order["dialect"] == "dashscope" else None,
        )

    async def _hand_over(self, client: Any) -> None:
        """Submit while a worker of ours is at work, then work on until nothing is left to do."""
        is_sync = self._order["colour"] == "sync"
        handler = self._handler if is_sync else self._async_handler
        worker = client.worker(on_outcome=handler)
        await got(worker.__enter__() if is_sync else worker.__aenter__())
        try:
            for wanted in self._order["wanted"]:
                came = await self._submit(client, wanted)
                say(event="came", worker=self._number, wanted=wanted, to=came if isinstance(came, str) else "accepted")
        finally:
            await got((worker.__exit__ if is_sync else worker.__aexit__)(None, None, None))
        await got(client.worker(on_outcome=handler).run_until_idle(timeout=self._order["wait_s"]))

    async def _wait_for_each(self, client: Any) -> None:
        """Submit and wait, one after the other."""
        for wanted in self._order["wanted"]:
            came = await self._submit(client, wanted)
            if not isinstance(came, str):
                came = await self._wait(key_of(wanted), came)
            say(event="came", worker=self._number, wanted=wanted, to=came)

    async def _submit(self, client: Any, wanted: int) -> Any:
        """Return the task of a key, or a word for what came instead."""
        model, asked, parameters = request_of(wanted)
        try:
            return await got(client.submit(model, asked, parameters, idempotency_key=key_of(wanted)))
        except SubmitInDoubt:
            return "doubt"
        except SubmitRefused:
            return "refused"
        except ResilientPollError as error:
            return type(error).__name__

    async def _wait(self, key: str, task: Any) -> str:
        try:
            await got(task.wait())
            await got(task.download(self._target(task)))
        except ResilientPollError as error:
            if not task._poller.record.is_ended or task.outcome is not None:
                return type(error).__name__
        self._handle(key, task.id, str(task.phase))
        return str(task.phase)

    async def _reconcile(self, client: Any) -> None:
        for found in await got(client.reconcile()):
            say(event="settled", worker=self._number, to=str(found.verdict), why=found.why)

    async def _permit(self, client: Any) -> None:
        """Be a human who has some doubts sent again, and says so before it is done."""
        for entry in await got(client.doubts()):
            if random.random() < self._order["permits"]:  # noqa: S311  # nothing here is secret
                say(event="permits", worker=self._number, key=entry.key)
                await got(client.permit_resubmit(entry.key))

    def _handler(self, handed: Any) -> None:
        if handed.outcome is not None:
            handed.task.download(self._target(handed.task))
        self._handle(handed.idempotency_key, handed.task_id, str(handed.phase))

    async def _async_handler(self, handed: Any) -> None:
        if handed.outcome is not None:
            await handed.task.download(self._target(handed.task))
        self._handle(handed.idempotency_key, handed.task_id, str(handed.phase))

    def _target(self, task: Any) -> Path:
        return self._folder / "files" / f"{task.id}.mp4"

    def _handle(self, key: str, task_id: str | None, phase: str) -> None:
        """Be the application: keep what was handed over."""
        self._hitter.passes("handler called")
        _append(self._folder / "handled", {"key": key, "task_id": task_id, "phase": phase, "worker": self._number})
        self._hitter.passes("handler done")
        say(event="came", worker=self._number, wanted=number_of(key), to=phase)

    def _tell_of_hit(self, point: str) -> None:
        say(event="hit", worker=self._number, point=point)

    def _heard(self, task_id: str) -> None:
        _append(self._folder / "heard", {"task_id": task_id, "worker": self._number})


def _append(path: Path, line: dict[str, Any]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
