"""What makes no sense is refused before anything is sent, in text and in JSON alike."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from resilient_poll.cli.app import cli
from resilient_poll.cli.exit_codes import MEANINGS
from tests.cli.command_line import MAKE, Account, here

Capture = pytest.CaptureFixture[str]
COMMANDS = tuple(cli.commands)
WRONG = [
    ((), "Commands:"),
    (("sing",), "No such command"),
    (("run",), "Missing option '--model'"),
    (("run", "--model", "m"), "nothing to make"),
    (("submit", "--model", "", "--prompt", "x"), "model's name is missing"),
    (("submit", *MAKE, "--parameters", "{"), "no JSON"),
    (("submit", *MAKE, "--parameters", "[1]"), "expected a JSON object"),
    (("submit", *MAKE, "--input", "[" * 100_000), "no JSON"),
    (("submit", *MAKE, "--submit-timeout", "0.2"), "timeout"),
    (("submit", *MAKE, "--dialect", "klingon"), "klingon"),
    (("submit", *MAKE, "--base-url", "ftp://x"), "base URL"),
    (("submit", *MAKE, "--api-key=sk-canary-canary"), "No such option"),
    (("run", *MAKE, "--timeout", "nan"), "finite"),
    (("run", *MAKE, "--interval", "-1"), "finite"),
    (("run", *MAKE, "--timeout", "soon"), "not a valid float"),
    (("run", *MAKE, "-o", "no/such/folder/clip.mp4"), "nothing can be saved"),
    (("run", *MAKE, "-o", ""), "is no name of a file"),
    (("run", *MAKE, "-o", "n" * 300), "nothing can be saved"),
    (("run", *MAKE, "-o", "clip\x00.mp4"), "is no name of a file"),
    (("wait", "t1", "-o", ""), "is no name of a file"),
    (("wait",), "Missing argument 'ID'"),
    (("wait", "t1", "-o", "no/such/folder/clip.mp4"), "nothing can be saved"),
    (("wait", "../../etc"), "no task id"),
    (("status", "rpt1.e30"), "resume token"),
    (("download", "t1", "-o", "no/such/folder/clip.mp4"), "nothing can be saved"),
    (("cancel", "t1"), "no way to cancel"),
    (("completion", "tcsh"), "is not one of"),
    (("batch",), "Missing argument 'FILE'"),
    (("batch", "no-such.jsonl"), "cannot be read from 'no-such.jsonl': No such file"),
    (("batch", "."), "cannot be read from '.': Is a directory"),
    (("batch", os.devnull, "--concurrent", "0"), "0 is not in the range"),
    (("batch", os.devnull, "--model", "m"), "there is no job"),
    (("list", "--ledger", "no-such.sqlite3"), "there is no ledger 'no-such.sqlite3'"),
    (("show", "order-17"), "knows neither a task nor a key 'order-17'"),
    (("bill", "--prices", "no-such.yaml"), "the price table 'no-such.yaml' cannot be read"),
    (("run", "--model", "m", "--prompt", "x", "--key", "k", "--no-ledger"), "--key needs the ledger"),
    (("run", "--model", "m", "--prompt", "x", "--key", "k", "--new"), "give another --key"),
    (("run", "--model", "m", "--prompt", "x", "--ledger", "l", "--no-ledger"), "contradict each other"),
    (("list", "--remote"), "dialect 'aisa' documents no way to list tasks"),
    (("list", "--remote", "--since", "yesterday"), "neither a time"),
    (("list", "--remote", "--since", "2026-11-22T08:00"), "names no time zone"),
    (("list", "--remote", "--until", "999999999d"), "longer ago than there are dates"),
    (("list", "--remote", "--limit", "0"), "0 is not in the range"),
]


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("arguments", "why"), WRONG)
def test_nonsense_is_refused(
    account: Account, capfd: Capture, arguments: tuple[str, ...], why: str, as_json: bool
) -> None:
    """A wrong call ends with 2 and its reason, on stderr or as the one JSON object, without key or traceback."""
    key = account.open("at-once", AISA_BASE_URL="http://127.0.0.1:1/apis/v1")
    ended = here(capfd, *arguments, *(["--json"] if as_json else []))
    assert ended.code == 2, ended
    for secret in (key, "sk-canary-canary"):
        assert secret not in ended.stdout + ended.stderr
    if not as_json:
        assert why in ended.stderr
        assert ended.stdout == ""
        return
    said = ended.object
    assert said["outcome"] == "usage"
    assert ".;" not in said["error"]["text"]
    # Nothing was made by a wrong create; a wrong question is no reason to make the task again.
    about_a_task = bool(arguments) and arguments[0] not in {"run", "submit", "batch", "sing"}
    assert said["safe_to_submit_again"] == ("no" if about_a_task else "yes")


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"AISA_API_KEY": ""}, "no API key"),
        ({"AISA_API_KEY": "sk canary canary"}, "holds a character"),
        ({"DASHSCOPE_API_KEY": "sk-canary-canary"}, "which dialect"),
        ({"ALL_PROXY": "canary://user:sk-canary-canary@proxy"}, "proxy or certificate settings"),
    ],
)
def test_a_wrong_environment_is_a_usage_error(
    account: Account, capfd: Capture, variables: dict[str, str], why: str
) -> None:
    """A missing or broken key, a doubtful dialect and an unusable proxy end with 2, and quote no secret."""
    account.open("at-once", **variables)
    ended = here(capfd, "submit", *MAKE)
    assert ended.code == 2, ended
    assert why in ended.stderr
    assert "canary" not in ended.stdout + ended.stderr


def test_nobody_pays_for_a_video_that_cannot_be_saved(
    account: Account, capfd: Capture, fake: object, tmp_path: Path
) -> None:
    """A target that cannot be written is found out before the create is sent."""
    del fake
    account.open("at-once")
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "nowhere").symlink_to("no/such/folder/clip.mp4")
    for target in ("file/clip.mp4", "pipe", "link", "nowhere"):
        ended = here(capfd, "run", *MAKE, "-o", target)
        assert ended.code == 2, target
        assert f"nothing can be saved to '{target}': " in ended.stderr
        assert ended.stderr.endswith("; nothing was sent\n")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "link", "nowhere", "pipe"]


def test_nobody_pays_in_a_folder_that_was_deleted(
    account: Account, capfd: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A working folder that is gone is found out before the create is sent."""
    account.open("at-once")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    ended = here(capfd, "run", *MAKE)
    monkeypatch.chdir(tmp_path)
    assert ended.code == 2
    assert "nothing can be saved to '.': No such file or directory; nothing was sent" in ended.stderr


def test_the_help_fits_a_terminal(capfd: Capture) -> None:
    """No line of the help is longer than 80 columns, the exit codes among them."""
    for words in ((), *((name,) for name in COMMANDS)):
        ended = here(capfd, *words, "--help")
        assert max(len(line) for line in ended.stdout.splitlines()) <= 80, words


def test_no_argument_is_a_question_for_help(capfd: Capture) -> None:
    """The bare command prints its help, on stderr since it is no result, and ends with 2."""
    ended = here(capfd)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == here(capfd, "--help").stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_documents_every_command(capfd: Capture, name: str) -> None:
    """The help of each command says what it does, every option with its sentence, and every exit code."""
    ended = here(capfd, name, "--help")
    command = cli.commands[name]
    assert ended.code == 0
    assert command.help is not None
    assert command.help.split(".")[0] in " ".join(ended.stdout.split())
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.opts[-1] in ended.stdout
    for code, meaning in MEANINGS.items():
        assert f"  {code.value}  {meaning}" in ended.stdout


def test_help_lists_the_commands(capfd: Capture) -> None:
    """The help names all commands, and where the API key comes from; no option takes a secret."""
    ended = here(capfd, "--help")
    assert tuple(sorted(cli.commands)) == tuple(sorted(COMMANDS))
    assert all(f"  {name} " in ended.stdout for name in COMMANDS)
    assert "The API key comes from the environment only" in ended.stdout
    options = [option for command in cli.commands.values() for parameter in command.params for option in parameter.opts]
    assert {one for one in options if one[0] == "-" and ("key" in one or "token" in one)} == {"--key"}
