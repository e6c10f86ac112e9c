"""docs/specs.md is executed, and its tables are true."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from resilient_poll import OperationSpec
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.machine.lifecycle import ENDS
from resilient_poll.specs import ready
from resilient_poll.specs.calls import UrlSource
from resilient_poll.specs.file_form import KEYS, STATES
from tests.support.raw_server import RawRequest, RawServer, json_answer

PAGE = (Path(__file__).parents[2] / "docs" / "specs.md").read_text()
PICTURE = {"id": "7", "picture": {"state": "ready", "url": "http://assets.test/7.png"}}


def test_the_examples_run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example runs, in order, against a server that speaks as the declaration says."""

    def answer(request: RawRequest) -> bytes:
        return json_answer(201, {"id": "7"}) if request.method == "POST" else json_answer(200, PICTURE)

    (file,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    clock = VirtualClock()  # The page waits by the real ones.
    monkeypatch.setattr("resilient_poll.operations.operation.RealClock", lambda: clock)
    monkeypatch.setattr("resilient_poll.operations.operation_async.RealAsyncClock", clock.for_async)
    monkeypatch.setattr("resilient_poll.generic.RealClock", lambda: clock)
    Path("paint.yaml").write_text(file, encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with RawServer.answering(answer) as server:
        names: dict[str, Any] = {"URL": server.url, "KEY": "canary"}
        for number, example in enumerate(examples):
            exec(compile(example, f"specs.md example {number}", "exec"), names)  # noqa: S102  # that is the point
    url = PICTURE["picture"]["url"]  # type: ignore[index]  # a mapping, as above
    assert capsys.readouterr().out.split("\n")[:4] == [f"{url} BILLED 1", url, "True", url]


def named(url: UrlSource) -> str:
    """Return what the table calls the source of a URL."""
    return url if isinstance(url, str) else str(getattr(url, "name", getattr(url, "path", "")))


def rows_of(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading."""
    table = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def test_the_table_of_the_ready_declarations_is_true() -> None:
    """The table names each ready declaration with its method, its URLs, its words for an end and whether it cancels."""
    rows = {row[0].strip("`"): row for row in rows_of("Ready declarations")}
    for name, row in rows.items():
        spec: OperationSpec = getattr(ready, name)
        assert spec.submit is not None
        assert spec.query is not None
        assert row[1] == spec.submit.method
        urls = [
            one if isinstance(one, str) else getattr(one, "name", getattr(one, "path", "")) for one in spec.query.urls
        ]
        assert row[2] == " or ".join(f"`{url}`" for url in urls)
        assert row[3] == ", ".join(sorted(word for word, phase in spec.lifecycle.statuses.items() if phase in ENDS))
        assert row[5] == ("no" if spec.cancel is None else "yes")
    assert set(rows) == {name for name in ready.__all__ if name != "READY"}


def test_each_ready_declaration_names_its_sources() -> None:
    """What each ready declaration says is followed by where that was read, and by what is only assumed."""
    source = Path(ready.__file__).read_text()
    for name in ready.__all__[:-2]:
        text = source.split(f"\n{name}: Final")[1].split('"""')[1]
        assert "Source" in text
        assert "Assumed" in text or name == "AZURE_LOCATION"


def test_every_key_of_a_file_is_explained() -> None:
    """The page names every key that a file may have, every state, and nothing that a declaration lacks."""
    missing = [key for key in (*KEYS, *STATES) if f"{key}" not in PAGE]
    assert not missing
    known = {field.name for field in fields(OperationSpec)}
    assert {"status", "result", "progress", "retry_after", "allow_hosts", "interval_s", "timeout_s"} <= known
