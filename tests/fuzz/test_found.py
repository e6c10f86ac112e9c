"""What fuzzing found, each as the shortest input that shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fake_server.scenario import ScenarioErrors, shipped_scenarios
from fake_server.scenario.library import load_scenario_text
from resilient_poll import ConfigurationError, OperationSpec
from resilient_poll.cli.batch.state import StateFile
from resilient_poll.dashscope.keeping.prices import PriceTable, load_price_table
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.observations import StatusSeen
from resilient_poll.specs.reading import reply_from
from resilient_poll.specs.ready import OPENAI_VIDEOS
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


def test_a_price_table_of_brackets_is_refused_at_once(tmp_path: Path) -> None:
    """Brackets within brackets are not handed to a parser that takes seconds for a thousand of them."""
    path = tmp_path / "prices.yaml"
    path.write_text("currency: CNY\nmodels: " + "[" * 2_000)
    with pytest.raises(ConfigurationError, match="nested deeper than 20"):
        load_price_table(path)


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


def test_a_key_that_cannot_be_kept_is_nobodys(tmp_path: Path) -> None:
    """A ledger that is asked for a key which none can have, such as half a character, says that there is none."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger:
        assert ledger.entries(key="dire\udc93").entries == ()
        assert ledger.entries(key="a\0b").entries == ()


def test_a_price_with_an_exponent_beyond_reason_is_no_json(tmp_path: Path) -> None:
    """A number whose exponent no decimal can have is told as what it is."""
    path = tmp_path / "prices.json"
    path.write_text('{"currency": "CNY", "models": {"m": {"second": 1e99999999999999999999}}}')
    with pytest.raises(ConfigurationError, match="exponent"):
        load_price_table(path)


def test_a_version_of_half_characters_is_refused(tmp_path: Path) -> None:
    """What a state says of itself can be printed, whatever it says."""
    path = tmp_path / "state"
    path.write_text('{"kind": "state of resilient-poll batch", "version": "\\udfff"}\n')
    with pytest.raises(ConfigurationError) as caught:
        StateFile(path, OWNER)
    str(caught.value).encode()


def test_a_folder_without_a_readable_name_can_be_validated(tmp_path: Path) -> None:
    """A scenario in a folder whose name is no UTF-8 is validated like any other."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xae"))
    folder.mkdir()
    (folder / "good.yaml").write_bytes(shipped_scenarios()["succeeds"].read_bytes())
    command = [sys.executable, "-m", "fake_server", "validate", str(folder / "good.yaml")]
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "PYTHONUTF8": "1"})  # noqa: S603  # ours
    assert done.returncode == 0, done.stderr
    assert b"ok, good" in done.stdout


def test_what_another_service_says_can_be_printed() -> None:
    """A status, code or explanation from a declared operation is one printable line, whatever the service wrote."""
    odd = "a\ud800b\x1b[2J\nc"
    for body in (
        {"id": "v", "status": "failed", "error": {"code": odd, "message": odd}},
        {"id": "v", "status": odd},
    ):
        seen = OPENAI_VIDEOS.observe(reply_from(200, (), json.dumps(body).encode()))
        assert isinstance(seen, StatusSeen)
        for said in (seen.status, seen.code, seen.message):
            assert said is None or said.isprintable()
    assert seen.status == "a b [2J c"
