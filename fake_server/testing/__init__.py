"""The fake in Python tests: on a socket, or without one; `docs/testing.md` shows both.

Nothing is imported until it is asked for, so that the parts that need less work where less is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_server.in_process import InProcessDashScope
    from fake_server.testing.clock import VirtualClock
    from fake_server.testing.extras import MissingExtraError
    from fake_server.testing.hand import Verdict
    from fake_server.testing.served import FakeDashScope, FakeWorld
    from fake_server.testing.transport import NeedsASocketError

__all__ = [
    "FakeDashScope",
    "FakeWorld",
    "InProcessDashScope",
    "MissingExtraError",
    "NeedsASocketError",
    "Verdict",
    "VirtualClock",
]

_PLACES = {
    "FakeDashScope": "fake_server.testing.served",
    "FakeWorld": "fake_server.testing.served",
    "InProcessDashScope": "fake_server.in_process",
    "MissingExtraError": "fake_server.testing.extras",
    "NeedsASocketError": "fake_server.testing.transport",
    "Verdict": "fake_server.testing.hand",
    "VirtualClock": "fake_server.testing.clock",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for.

    Raises:
        AttributeError: There is nothing of this name.
        MissingExtraError: What it needs is not installed.
    """
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - on first use only

    from fake_server.testing.extras import SCENARIO_PACKAGES, need  # noqa: PLC0415 - as above

    if name not in ("MissingExtraError", "VirtualClock"):
        need(f"fake_server.testing.{name}", SCENARIO_PACKAGES)
    return getattr(importlib.import_module(_PLACES[name]), name)
