"""The example that hands results to an application does so, over its own client, and again after a restart."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from types import ModuleType

import pytest
from starlette.testclient import TestClient

from resilient_poll.ledger import SqliteLedger
from tests.support.fake_process import running_fake

EXAMPLE = Path(__file__).parents[2] / "examples" / "hand_over.py"
SCENARIO = """
version: 1
summary: A video that is ready when it is asked about twice.
tasks: [RUNNING 1 polls -> SUCCEEDED]
expect: {outcome: SUCCEEDED}
"""
LONGEST_S = 60.0


def loaded() -> ModuleType:
    """Return the example, as a process of its own would have it."""
    spec = importlib.util.spec_from_file_location("hand_over_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_order_is_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order is made once however often it is placed, an event has it asked about at once, and its file is there."""
    (tmp_path / "hand-over.yaml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)
    with running_fake("--scenarios", str(tmp_path)) as fake:
        key = "sk-hand-over.example"
        world = fake.open_world(key)
        monkeypatch.setenv("DASHSCOPE_API_KEY", key)
        monkeypatch.setenv("DASHSCOPE_HTTP_BASE_URL", f"{fake.url}/api/v1")
        example, began_s = loaded(), time.monotonic()
        with TestClient(example.app) as app:
            first = app.post("/orders/17", json={"prompt": "a cat"})
            again = app.post("/orders/17", json={"prompt": "a cat"})
            assert (first.status_code, first.json()) == (202, again.json())
            hint = {"data": first.json() | {"task_id": first.json()["task"]}}
            while app.get("/orders/17").json() != {"order": "ready"}:
                assert time.monotonic() - began_s < LONGEST_S
                app.post("/events", json=hint)
                time.sleep(0.02)  # real: the worker beside the app asks in real time
            assert app.post("/events", json={"data": {"task_id": "no-such-task"}}).json() == {"asked": False}
        assert (tmp_path / "17.mp4").stat().st_size > 0
        assert len(fake.page(f"worlds/{world}/bill")["tasks"]) == 1
    with SqliteLedger(tmp_path / "orders.sqlite3") as ledger:
        (entry,) = ledger.entries()
        assert entry.delivered_wall_s is not None
        assert [Path(file.path).name for file in entry.files] == ["17.mp4"]


def test_it_is_as_short_as_it_says() -> None:
    """What a reader would copy is no longer than a page of code should be: fifteen lines."""
    shown = EXAMPLE.read_text().split("# --- example ---\n")[1].split("# --- end ---")[0]
    code = [line for line in shown.splitlines() if line.strip() and not line.startswith(("import ", "from "))]
    assert len(code) <= 15
