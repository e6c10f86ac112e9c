"""docs/fake.md: what it says of options and of the wire is what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from fake_server.serving import TOKEN_VARIABLE, serve
from fake_server.wire.messages import Reply, WireFault, WireFaultKind
from fake_server.wire.spoiling import HUGE_HEADER_BYTES, End, plan
from tests.fake_server.test_wire_faults import TABLE

PAGE = (Path(__file__).parents[2] / "docs" / "fake.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.replace("\\|", "/").splitlines()
    if line.startswith("| `")
]
WIRE = {kind: row for row in ROWS for kind in re.findall(r"`(\w+)`", row[0]) if kind in get_args(WireFaultKind)}
AFTERWARDS = {"keep": "kept", "close": "closed", "reset": "reset"}


def test_the_page_names_options_that_exist() -> None:
    """Every option of the page's table is one of the command's, and the variable of the token is named."""
    options = {option for parameter in serve.params for option in parameter.opts}
    named = {option for row in ROWS for option in re.findall(r"--[a-z-]+", row[0])}
    assert {"--tls", "--exit-with-parent", "--admin-token", "--chaos", "--seed", "--public-url"} <= named <= options
    assert TOKEN_VARIABLE in PAGE


def test_the_page_has_the_table_of_the_wire() -> None:
    """The page has a row for every kind of fault, with what httpx raises and what becomes of the connection."""
    assert set(WIRE) == set(get_args(WireFaultKind))
    for fault, _, raised in TABLE:
        if isinstance(fault, WireFault) and fault.for_s is None:
            said = WIRE[fault.kind][3]
            assert said.startswith("nothing") if raised == "success" else raised in said, fault
    for kind, row in WIRE.items():
        *_, end = plan(Reply(200, (), b"{}", wire=WireFault(kind, for_s=1.0)))  # type: ignore[arg-type]  # a kind
        assert isinstance(end, End)
        assert row[2] == AFTERWARDS[end.how], kind
    assert f"{HUGE_HEADER_BYTES // 1000} kB of header" in PAGE
