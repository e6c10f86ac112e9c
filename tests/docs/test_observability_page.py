"""docs/observability.md is executed, and its tables are true."""

from __future__ import annotations

import importlib.util
import logging
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

import resilient_poll
from resilient_poll import Event
from tests.support.in_process import ORIGIN
from tests.telemetry.hearing import KEY, Served

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "observability.md").read_text()


def test_the_examples_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python example runs, in order, against the fake, and the handler says what happened."""
    monkeypatch.setattr(logging.getLogger("resilient_poll"), "level", logging.WARNING)  # An example sets it.
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 3
    served = Served("throttled-create-seconds")
    with httpx.Client(transport=served.transport()) as http_client:
        service = {
            "dialect": "dashscope",
            "api_key": KEY,
            "base_url": f"{ORIGIN}/api/v1",
            "http_client": http_client,
            "clock": served.clock,
        }
        names: dict[str, Any] = {"SERVICE": service}
        for number, example in enumerate(examples):
            exec(compile(example, f"observability.md example {number}", "exec"), names)  # noqa: S102  # that is the point
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "POST: 429"
    assert lines[1].startswith("throttled (")
    assert lines[2].startswith("waiting ")
    assert lines[-1].startswith("SUCCEEDED, BILLED, ")


def test_what_is_derived_is_up_to_date() -> None:
    """Every derived block is what the code derives now; `make docs` mends it."""
    spec = importlib.util.spec_from_file_location("derive", ROOT / "docs" / "derive.py")
    assert spec is not None
    assert spec.loader is not None
    derive = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(derive)
    assert derive.rewritten(PAGE) == PAGE


def test_every_event_is_in_the_table() -> None:
    """Each public event is a row of the table."""
    public = [value for name in resilient_poll.__all__ if isinstance(value := getattr(resilient_poll, name), type)]
    kinds = [
        kind.__name__ for kind in public if issubclass(kind, Event) and kind.__name__ not in {"Event", "RequestEvent"}
    ]
    assert len(kinds) > 20
    assert not [kind for kind in kinds if f"| `{kind}` |" not in PAGE]
