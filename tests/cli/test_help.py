"""What the help shows can be typed, and shells complete it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resilient_poll.cli.app import cli
from resilient_poll.cli.examples import EXAMPLES
from tests.cli.command_line import LONGEST_RUN_S, Account, here

Capture = pytest.CaptureFixture[str]
SCRIPTS = Path(sys.executable).parent


def in_a_shell(script: str, *, shell: str = "bash") -> subprocess.CompletedProcess[str]:
    """Run a script in a shell that finds the installed programs."""
    return subprocess.run(  # noqa: S603  # our own examples
        [shutil.which(shell) or shell, "-euc" if shell != "zsh" else "-fc", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_RUN_S,
        env={**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}"},
    )


def test_every_command_has_examples() -> None:
    """Each command shows one to three examples of its own, and no other has any."""
    assert set(EXAMPLES) == set(cli.commands)
    for name, examples in EXAMPLES.items():
        assert 1 <= len(examples) <= 3
        assert any(f"resilient-poll {name}" in example for example in examples)


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_examples_can_be_typed(account: Account, capfd: Capture, name: str) -> None:
    """Every example of the help, typed into a shell in its order, does what it says against a service."""
    account.open("queues" if name == "cancel" else "at-once", "DASHSCOPE")
    task_id = account.submitted(capfd)
    Path("cats").mkdir()
    done = in_a_shell(f"ID={task_id}\n" + "\n".join(EXAMPLES[name]))
    assert done.returncode == (6 if name == "cancel" else 0), done
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_help_shows_its_examples(capfd: Capture, name: str) -> None:
    """The help of a command holds its examples line by line."""
    shown = here(capfd, name, "--help").stdout
    for example in EXAMPLES[name]:
        first, *more = example.splitlines()
        assert f"$ {first}\n" in shown
        assert all(f"  {line}\n" in shown for line in more)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(
    capfd: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    """The script for a shell names the program, and the shell reads it without a complaint where it is installed."""
    monkeypatch.chdir(tmp_path)
    ended = here(capfd, "completion", shell)
    assert (ended.code, ended.stderr) == (0, "")
    assert "_RESILIENT_POLL_COMPLETE" in ended.stdout
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here; its script was only looked at")
    Path("script").write_text(ended.stdout)
    begin = "autoload -U compinit; compinit -D;" if shell == "zsh" else ""
    read = in_a_shell(f"{begin} source ./script", shell=shell)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("resilient-poll ba", ["plain,batch"]),
        ("resilient-poll run --endpoint im", ["image-to-image", "image-messages", "image-synchronous"]),
        ("resilient-poll wait t1 --dialect da", ["plain,dashscope"]),
        ("resilient-poll batch jo", ["file,jo"]),
    ],
)
def test_words_are_completed(typed: str, offered: list[str]) -> None:
    """What a shell asks for is answered: commands, endpoints, dialects and files."""
    words = typed.split()
    question = {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1), "_RESILIENT_POLL_COMPLETE": "bash_complete"}
    done = subprocess.run(  # noqa: S603  # our own program
        [str(SCRIPTS / "resilient-poll")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **question},
        timeout=LONGEST_RUN_S,
    )
    assert [line for line in done.stdout.splitlines() if not any(word in line for word in offered)] == []
    assert len(done.stdout.splitlines()) == len(offered), done
