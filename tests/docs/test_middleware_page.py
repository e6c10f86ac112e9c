"""docs/middleware.md is executed, and its tables are true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import resilient_poll
from resilient_poll.transports.rules.repeating import RETRY_STATUSES, SAFE_METHODS
from tests.docs.test_readme import load
from tests.support.raw_server import RawRequest, RawServer, http_answer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "middleware.md").read_text()


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every Python example runs, in order, against a server, and each prints that it was answered."""
    asked: list[RawRequest] = []
    monkeypatch.chdir(tmp_path)

    def answer(request: RawRequest) -> bytes:
        asked.append(request)
        return http_answer(200, b"whole")

    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 5
    with RawServer.answering(answer) as server:
        names: dict[str, Any] = {"URL": f"{server.url}/thing"}
        for number, example in enumerate(examples):
            exec(compile(example, f"middleware.md example {number}", "exec"), names)  # noqa: S102  # that is the point
    assert len(asked) == 5
    assert capsys.readouterr().out.split("\n")[:5] == ["200", "200", "1 200 None 0.0", "200", "200"]


def test_the_tables_name_what_there_is() -> None:
    """The page names every error, event, status and method of the transports."""
    names = [
        name
        for name in resilient_poll.__all__
        if getattr(resilient_poll, name).__module__.startswith("resilient_poll.transports.middleware.")
    ]
    assert len(names) > 10
    missing = [name for name in names if f"{name}" not in PAGE and name not in {"RequestEvent", "TransportProblem"}]
    assert not missing
    for word in (*map(str, RETRY_STATUSES), *SAFE_METHODS):
        assert word in PAGE


def test_what_is_derived_is_current() -> None:
    """The page's derived tables are what the code and the kept runs say now."""
    assert load(ROOT / "docs" / "derive.py").rewritten(PAGE) == PAGE
