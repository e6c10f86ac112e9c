"""The page on scenarios says what the fake does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fake_server.scenario import load_scenario, shipped_folder
from fake_server.scenario.model import COUNTS, OUTCOMES
from fake_server.scenario.reader import _KEYS
from tests.fake_server.driving import scenario_from

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (shipped_folder() / "README.md").read_text(encoding="utf-8")


def test_every_example_is_read(tmp_path: Path) -> None:
    """Each YAML block is a scenario, or becomes one with the frame around it."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        text = block if "version:" in block else f"version: 1\nsummary: x.\nexpect: {{outcome: FAILED}}\n{block}"
        scenario_from(tmp_path, text)


def test_every_key_and_count_is_explained() -> None:
    """Every key, every count and every outcome of the grammar is on the page, and every duration there is one."""
    for word in (*_KEYS, *COUNTS, *OUTCOMES):
        assert f"`{word}`" in PAGE, word


def test_the_switches_are_as_written(tmp_path: Path) -> None:
    """The lines on `client`, `quotas` and `service` can be read as they stand, for each alternative."""
    frame = "version: 1\nsummary: x.\ntasks: [SUCCEEDED]\nexpect: {outcome: SUCCEEDED}\n"
    client = re.search(r"`(client: \{.*?\})`", PAGE, flags=re.DOTALL)
    quotas = re.search(r"`(\{concurrent_tasks.*?\})`", PAGE)
    assert client
    assert quotas
    path = tmp_path / "switches.yaml"
    path.write_text(f"{frame}{client[1]}\nquotas: {quotas[1]}\n")
    assert load_scenario(path).client.tasks == 4
    service = re.search(r"`service: \{(.*?)\}`", PAGE, flags=re.DOTALL)
    assert service
    for part in service[1].split(","):
        key, _, choices = part.partition(":")
        for choice in choices.split("|"):
            path.write_text(f"{frame}service: {{{key.strip()}: {choice.strip()}}}\n")
            assert getattr(load_scenario(path).service, key.strip()) == choice.strip()
