"""What fuzzing found, each as the shortest input that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_server.scenario import ScenarioErrors
from fake_server.scenario.library import load_scenario_text
from resilient_poll import ConfigurationError, OperationSpec
from resilient_poll.cli.batch.state import StateFile
from resilient_poll.dashscope.keeping.prices import PriceTable, load_price_table
from tests.fuzz.bounded import run_bounded
from tests.fuzz.targets import TARGETS
from tests.fuzz.words import OWNER

BEYOND_UNICODE = '"\\U99999999"'


def test_a_damaged_result_in_a_ledger_has_a_name() -> None:
    """A result in a ledger that is no JSON is an entry that is damaged, for whoever reads it."""
    for damage in (b'set entries.result 2 "{"', b'set entries.result 3 "{"'):
        assert "EntryCorrupt" in run_bounded(TARGETS["ledger"], damage)


def test_a_character_beyond_unicode_has_a_place(tmp_path: Path) -> None:
    """An escape that names no character is broken YAML to every reader of YAML."""
    with pytest.raises(ScenarioErrors):
        load_scenario_text("odd", BEYOND_UNICODE.encode())
    with pytest.raises(ConfigurationError):
        OperationSpec.from_text(BEYOND_UNICODE)
    path = tmp_path / "prices.yaml"
    path.write_text(BEYOND_UNICODE)
    with pytest.raises(ConfigurationError):
        load_price_table(path)


def test_a_price_made_of_aliases_is_not_written_out(tmp_path: Path) -> None:
    """An amount that aliases make a billion items long is refused with a few of them."""
    rows = [f"      - &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    path = tmp_path / "prices.yaml"
    path.write_text("\n".join(["currency: CNY", "models:", "  m:", "    second:", "      - &a0 [x, x]", *rows]))
    with pytest.raises(ConfigurationError) as caught:
        load_price_table(path)
    assert len(str(caught.value)) < 400


def test_a_price_of_thousands_of_digits_is_refused() -> None:
    """An amount that Python will not write out is refused all the same."""
    with pytest.raises(ConfigurationError, match="a value of type int"):
        PriceTable.of({"currency": "CNY", "models": {"m": {"second": 10**5000}}})


def test_a_state_of_a_strange_version_is_refused_in_short(tmp_path: Path) -> None:
    """However long the version of a state is, the message is a sentence."""
    path = tmp_path / "state"
    path.write_text('{"kind": "state of resilient-poll batch", "version": "' + "x" * 100_000 + '"}\n')
    with pytest.raises(ConfigurationError) as caught:
        StateFile(path, OWNER)
    assert len(str(caught.value)) < 400
