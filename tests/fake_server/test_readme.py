"""The page on scenarios says what the fake does."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fake_server.faults.model import BODY_FORMS, DRIFTS, HINT_FORMS, REDIRECTS, ROUTE_KINDS
from fake_server.scenario import CHAOS_LEVELS, load_scenario, shipped_folder
from fake_server.scenario.fault_forms import COMMON_FIELDS, FAULT_FORMS, WIRE_KINDS
from fake_server.scenario.model import COUNTS, OUTCOMES
from fake_server.scenario.reader import _KEYS
from tests.fake_server.driving import scenario_from

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fake_server.conftest import Running

PAGE = (shipped_folder() / "README.md").read_text(encoding="utf-8")


def test_every_example_is_read(tmp_path: Path) -> None:
    """Each YAML block is a scenario, or becomes one with the frame around it."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        tasks = "" if "tasks:" in block else "tasks: [SUCCEEDED]\n"
        frame = f"version: 1\nsummary: x.\nexpect: {{outcome: FAILED}}\n{tasks}"
        text = block if "version:" in block else frame + block
        scenario_from(tmp_path, text)


def test_every_key_and_count_is_explained() -> None:
    """Every key, every count and every outcome of the grammar is on the page, and every duration there is one."""
    for word in (*_KEYS, *COUNTS, *OUTCOMES):
        assert f"`{word}`" in PAGE, word


def test_every_fault_is_explained() -> None:
    """Each fault has a row with all its own keys, and each common key, kind, form and body is on the page."""
    rows = {cells[1].strip(" `"): cells for line in PAGE.splitlines() if len(cells := line.split("|")) == 5}
    for name, form in FAULT_FORMS.items():
        keys = {*form.fields, *(["when"] if len(form.whens) > 1 else [])}
        assert keys <= set(re.findall(r"[a-z_]+", rows[name][3])), name
    for word in (
        *COMMON_FIELDS,
        *ROUTE_KINDS,
        *WIRE_KINDS,
        *HINT_FORMS,
        *BODY_FORMS,
        *DRIFTS,
        *REDIRECTS,
        *CHAOS_LEVELS,
    ):
        assert f"`{word}`" in PAGE, word


def test_the_switches_are_as_written(tmp_path: Path) -> None:
    """The lines on `client`, `quotas` and `service` can be read as they stand, for each alternative."""
    frame = "version: 1\nsummary: x.\ntasks: [SUCCEEDED]\nexpect: {outcome: SUCCEEDED}\n"
    client = re.search(r"`(client: \{.*?\})`", PAGE, flags=re.DOTALL)
    quotas = re.search(r"`quotas: (\{concurrent_tasks.*?\})`", PAGE)
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


def test_the_curl_lines_work_as_written(fake: Running) -> None:
    """Create, poll, bill and verdict are answered when sent as the page says, in both dialects."""
    lines = re.findall(r"^\$ (curl .*)$", PAGE, flags=re.MULTILINE)
    assert len(lines) == 3
    task_id = ""
    for line in lines:
        words = shlex.split(line)
        headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
        body = words[words.index("-d") + 1] if "-d" in words else None
        for url in (urlsplit(word) for word in words if word.startswith("http")):
            target = url.path.replace("TASK_ID", task_id) + (f"?{url.query}" if url.query else "")
            answer = fake.client.request("POST" if body else "GET", target, headers=headers, content=body)
            assert answer.status_code == 200, answer.text
            if body:
                task_id = answer.json()["output"]["task_id"]
                assert json.loads(body)["model"]
    gateway = re.search(r"`(/apis/v1/\S+)TASK_ID`", PAGE)
    assert gateway
    headers = {"Authorization": "Bearer sk-succeeds.mine"}
    task_id = fake.create("sk-succeeds.mine", "aisa").json()["output"]["task_id"]
    assert fake.client.get(gateway[1] + task_id, headers=headers).json()["output"]["task_status"] == "PENDING"


def test_the_keys_get_what_the_table_says(fake: Running) -> None:
    """The refused keys of the table are a 401, the rejected one in each dialect's own code."""
    assert fake.create("sk-bad-gatway").status_code == 401
    assert "Did you mean sk-bad-gateway?" in fake.create("sk-bad-gatway").text
    for dialect, code in (("dashscope", "InvalidApiKey"), ("aisa", "invalid_api_key")):
        answer = fake.create("sk-invalid", dialect)
        assert answer.status_code == 401
        assert f'"{code}"' in answer.text
        assert f"`{code}`" in PAGE
