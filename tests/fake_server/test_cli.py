"""`fake-dashscope` as a process: starting, stopping, and every way to get it wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import httpx
import pytest
from click.testing import CliRunner

from fake_server import __main__
from fake_server.cli import cli
from fake_server.scenario import shipped_scenarios

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "fake_server"]
GOOD = "version: 1\nsummary: Mine.\ntasks: [SUCCEEDED]\nexpect: {outcome: SUCCEEDED}\n"


class Process:
    """A served fake."""

    def __init__(self, *arguments: str) -> None:
        self.popen = subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, "serve", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.popen.stdout is not None
        self.out: IO[str] = self.popen.stdout
        self.line = json.loads(self.out.readline())

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal; exit code and stderr."""
        self.popen.send_signal(number)
        _, errors = self.popen.communicate(timeout=10)
        return self.popen.returncode, errors


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with one scenario."""
    (tmp_path / "mine.yaml").write_text(GOOD)
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serving_begins_with_a_line_and_ends_with_a_signal(number: signal.Signals) -> None:
    """One JSON line says where it listens, and connections are accepted by then; a signal ends it with 0,
    also while a client keeps a connection open."""
    process = Process("demo", "--speed", "60")
    assert set(process.line) == {"url", "admin_url", "pid", "version"}
    assert process.line["pid"] == process.popen.pid
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{process.line['admin_url']}/health").json()["status"] == "ok"
        assert client.get(f"{process.line['admin_url']}/scenarios").json()["default"] == "demo"
        code, errors = process.stop(number)
    assert code == 0
    assert "Traceback" not in errors
    assert process.out.closed or process.out.read() == ""


def test_own_scenarios_and_a_manual_clock(folder: Path) -> None:
    """`--scenarios` adds a folder, whose scenarios keys can name, and `--clock manual` stands still."""
    process = Process("mine", "--scenarios", str(folder), "--clock", "manual", "--public-url", "http://fake.example")
    with httpx.Client(base_url=process.line["url"], trust_env=False) as client:
        headers = {"Authorization": "Bearer sk-mine.x", "X-DashScope-Async": "enable"}
        url = "/api/v1/services/aigc/video-generation/video-synthesis"
        answer = client.post(url, json={"model": "m", "input": {}}, headers=headers)
        task_id = answer.json()["output"]["task_id"]
        output = client.get(f"/api/v1/tasks/{task_id}", headers=headers).json()["output"]
    assert output["video_url"] == f"http://fake.example/w/mine.x/assets/{task_id}.mp4"
    assert output["submit_time"] == "2026-01-01 08:00:00.000"
    assert process.stop(signal.SIGTERM)[0] == 0


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command, in this process."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_port_that_is_taken_is_one_sentence() -> None:
    """A taken port ends the command with 2 and one sentence."""
    process = Process()
    port = process.line["url"].rpartition(":")[2]
    code, out, errors = run("serve", "--port", port)
    process.stop(signal.SIGTERM)
    assert (code, out) == (2, "")
    assert errors == f"error: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("suceeds",), "there is no scenario 'suceeds'; did you mean succeeds?"),
        (("../x",), "there is no scenario '../x'"),
        (("zzz",), "`fake-dashscope scenarios` lists them"),
        (("--speed", "0"), "found --speed 0.0, expected a number above 0"),
        (("--speed", "nan"), "found --speed nan, expected a number above 0"),
        (("--public-url", "fake.example"), "expected one that starts with http:// or https://"),
        (("--host", "0.0.0.0"), "add --allow-remote"),  # noqa: S104 - refused
        (("--host", "nowhere.invalid"), "add --allow-remote"),
        (("--host", "nowhere.invalid", "--allow-remote"), "set FAKE_DASHSCOPE_ADMIN_TOKEN"),
        (
            ("--host", "nowhere.invalid", "--allow-remote", "--admin-token", "a-long-token"),
            "cannot listen on nowhere.invalid port 0",
        ),
        (("--admin-token", "short"), "found an admin token of 5 characters"),
        (("--admin-token", "with a space in it"), "expected 8 to 200 letters"),
        (("--public-url", "http://"), "names a host"),
        (("--public-url", "http://[bad"), "names a host"),
        (("--port", "99999"), "Invalid value for '--port'"),
        (("--scenarios", "/nowhere"), "does not exist"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    """A wrong argument ends the command with 2 and a sentence on stderr, nothing on stdout."""
    code, out, errors = run("serve", *arguments)
    assert (code, out) == (2, "")
    assert sentence in errors
    assert "Traceback" not in errors


def test_broken_scenarios_stop_the_server(folder: Path) -> None:
    """A broken file in `--scenarios` ends the command with 2 and its complaints, whichever scenario was named."""
    (folder / "broken.yaml").write_text("version: 2\nsummary: x\n")
    code, _, errors = run("serve", "--scenarios", str(folder))
    assert code == 2
    assert [line.split(": ")[1] for line in errors.splitlines()] == [
        "found no expect, expected expect",
        "found no tasks, expected tasks",
        "found 2, expected 1, the version of the grammar that is read here",
    ]
    (folder / "theme").mkdir()
    (folder / "theme" / "mine.yaml").write_text(GOOD)
    code, _, errors = run("scenarios", "--scenarios", str(folder))
    assert code == 2
    assert "a second scenario named mine" in errors


def test_the_scenarios_are_listed(folder: Path) -> None:
    """The table and the JSON name every scenario, own ones too, with what each is for; broken ones as broken."""
    code, out, _ = run("scenarios", "--scenarios", str(folder), "--json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(out)}
    assert set(rows) == {*shipped_scenarios(), "mine"}
    assert rows["mine"]["summary"] == "Mine."
    (folder / "broken.yaml").write_text("")
    code, out, _ = run("scenarios", "--scenarios", str(folder))
    assert code == 0
    for name in rows:
        assert name in out
    assert "broken" in out


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_list_fits_a_terminal(folder: Path, columns: int) -> None:
    """In a terminal each scenario has its whole name and outcome, and its whole summary in lines of bearable length;
    brackets in a summary are text; into a pipe each scenario is one line."""
    (folder / "mine.yaml").write_text(GOOD.replace("Mine.", "Mine [red] and long" + ", " * 40 + "to its end."))
    whole = CliRunner().invoke(cli, ["scenarios", "--scenarios", str(folder)], env={"COLUMNS": None}).stdout
    shown = CliRunner().invoke(cli, ["scenarios", "--scenarios", str(folder)], env={"COLUMNS": str(columns)})
    lines = shown.stdout.splitlines()
    assert len(shipped_scenarios()) + 1 == len(whole.splitlines())
    assert all(len(line) <= columns for line in lines)
    assert len(lines) < 6 * len(whole.splitlines()), "no column of single words"
    found = {line.split()[0]: line.split()[1] for line in lines if not line.startswith(" ")}
    assert len(found) == len(shipped_scenarios()) + 1
    assert "".join("".join(lines).split()) == "".join(whole.split())
    assert found["server-error-after-commit"] == "IN_DOUBT"
    assert found["demo"] == "SUCCEEDED,FAILED"
    assert "Mine [red] and long" in whole
    assert "to its end." in whole


def test_a_key_that_names_no_scenario_is_told_without_the_key() -> None:
    """The server says on stderr, once a world, that such a key plays the default; it never says the key."""
    process = Process("--clock", "manual")
    with httpx.Client(base_url=process.line["url"], trust_env=False) as client:
        for key in ("sk-0123456789abcdef", "sk-0123456789abcdef", "sk-succeeds", "sk-bad-gatway"):
            client.get("/api/v1/tasks/x", headers={"Authorization": f"Bearer {key}"})
    _, errors = process.stop(signal.SIGTERM)
    (line,) = [line for line in errors.splitlines() if "names no scenario" in line]
    assert line.startswith("a key that names no scenario plays 'succeeds' in world succeeds~")
    assert "0123456789" not in errors


def test_files_are_validated_all_of_them(folder: Path) -> None:
    """`validate` says ok for good files and every complaint for broken ones, and exits with 2 if there is any."""
    good, bad = str(folder / "mine.yaml"), str(folder / "bad.yaml")
    Path(bad).write_text("version: 1\nsumary: x\n")
    assert run("validate", good) == (0, f"{good}: ok, mine: Mine.\n", "")
    code, out, errors = run("validate", good, bad, "absent.yaml")
    assert (code, out) == (2, f"{good}: ok, mine: Mine.\n")
    assert len(errors.splitlines()) == 5
    assert f"{bad}:2:1: found the key sumary" in errors
    assert "absent.yaml:1:1: found no readable file" in errors


def test_all_shipped_scenarios_validate() -> None:
    """Every shipped file is valid by the command that a user would run."""
    code, _, errors = run("validate", *map(str, shipped_scenarios().values()))
    assert (code, errors) == (0, "")


def test_without_its_extra_the_command_says_which(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra there is one sentence and exit code 2, not a traceback."""
    monkeypatch.setattr(__main__, "_NEEDED", ("click", "no_such_package.inner"))
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "the fake needs the extra \"fake\": pip install 'resilient-poll[fake]'\n"


def test_the_entry_point_imports_nothing_of_the_extra(tmp_path: Path) -> None:
    """`fake_server.__main__` can be imported by an interpreter that has no third-party package at all."""
    root = Path(__main__.__file__).resolve().parents[1]
    script = f"import sys; sys.path.insert(0, {str(root)!r}); import fake_server.__main__ as m; m.main()"
    run = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith('the fake needs the extra "fake"')


def test_the_entry_point_runs_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra, the entry point is the command line."""
    monkeypatch.setattr(sys, "argv", ["fake-dashscope", "--version"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("fake-dashscope, version ")
