"""A ledger for code that awaits: the same calls, elsewhere, and never cut."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.from_thread
import pytest

from resilient_poll.ledger.async_ledger import AsyncLedger
from resilient_poll.ledger.entry import Namespace
from resilient_poll.ledger.logic import LedgerLogic
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.machine.lifecycle import Phase

HERE = Namespace("https://api.test/v1", "generic", "main")
NAMES = sorted(name for name, _ in inspect.getmembers(Ledger, inspect.isfunction) if not name.startswith("_"))


@pytest.mark.parametrize("name", NAMES)
def test_every_call_has_its_twin(name: str) -> None:
    """What can be called can be awaited, with the same arguments and the same defaults."""
    promised, sync, awaited = (inspect.signature(getattr(kind, name)) for kind in (Ledger, LedgerLogic, AsyncLedger))

    def shape(signature: inspect.Signature) -> list[tuple[str, Any, Any]]:
        return [(one.name, one.kind, one.default) for one in signature.parameters.values()]

    assert shape(awaited) == shape(sync)
    assert [one[:2] for one in shape(promised)] == [one[:2] for one in shape(sync)]
    assert str(awaited.return_annotation) == str(sync.return_annotation)
    assert inspect.iscoroutinefunction(getattr(AsyncLedger, name))


class Recording:
    """Stands for a ledger: says what was called, with what, and on which thread."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[object, ...], dict[str, object]]] = []
        self.threads: set[int] = set()

    def __getattr__(self, name: str) -> Callable[..., str]:
        def call(*values: object, **named: object) -> str:
            self.calls.append((name, values, named))
            self.threads.add(threading.get_ident())
            return f"from {name}"

        return call


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_call_runs_on_the_event_loop(backend: str) -> None:
    """Every call is passed on whole, and runs on another thread than the loop's."""
    recording = Recording()

    async def main() -> int:
        ledger = AsyncLedger(recording)  # type: ignore[arg-type]  # it stands for one
        for name in NAMES:
            given = inspect.signature(getattr(Ledger, name)).parameters
            asked = {one: f"<{one}>" for one in given if one != "self"}
            answer = await getattr(ledger, name)(**asked)
            gives_nothing = str(inspect.signature(getattr(Ledger, name)).return_annotation) == "None"
            assert answer == (None if gives_nothing else f"from {name}")
            called, values, named = recording.calls.pop()
            bound = inspect.signature(getattr(Ledger, name)).bind(None, *values, **named).arguments
            bound.pop("self")
            assert (called, bound) == (name, asked)
        return threading.get_ident()

    assert anyio.run(main, backend=backend) not in recording.threads


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_caller_cuts_no_write(backend: str) -> None:
    """A write that began is finished, and one that a cancelled caller begins on its way out is made."""
    inside = MemoryLedger()

    async def main() -> None:
        ledger = AsyncLedger(inside)
        owner = await ledger.open_owner()
        licence = await ledger.license(await ledger.begin(HERE, "key", "digest", now_wall_s=1.0), owner, now_wall_s=1.0)
        assert licence is not None
        begun = threading.Event()
        genuine = inside.begin

        def slow(*values: Any, **named: Any) -> object:
            anyio.from_thread.run_sync(scope.cancel)
            begun.set()
            return genuine(*values, **named)

        inside.begin = slow  # type: ignore[method-assign]  # to be cancelled in the middle
        with anyio.CancelScope() as scope:
            try:
                await ledger.begin(HERE, "slow", "digest", now_wall_s=1.0)
                await anyio.lowlevel.checkpoint()
                raise AssertionError("it was cancelled")
            finally:
                await ledger.doubt(licence, "cancelled", now_wall_s=2.0)
        assert begun.is_set()
        await ledger.close()

    anyio.run(main, backend=backend)
    assert {entry.key: entry.phase for entry in inside.entries()} == {"slow": Phase.NEW, "key": Phase.IN_DOUBT}


def test_where_it_runs_is_the_callers() -> None:
    """The caller says where blocking calls run; the ledger is closed at the end of the block."""
    ran: list[object] = []

    async def run_here(function: Callable[[], Any], /) -> Any:
        ran.append(function)
        return function()

    async def main() -> None:
        async with AsyncLedger(MemoryLedger(), run_here) as ledger:
            assert await ledger.find(HERE, "key") is None

    anyio.run(main)
    assert len(ran) == 2
