"""``resilient-poll completion SHELL``: what makes a shell complete this program's words."""

from __future__ import annotations

import os

import click
from click.shell_completion import ShellComplete, get_completion_class

from resilient_poll.cli.examples import epilog
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.session import PROGRAM
from resilient_poll.cli.streams import print_lines, say_stdout_trouble

__all__ = ["completion", "is_asked_by_a_shell"]

_VARIABLE = f"_{PROGRAM.replace('-', '_').upper()}_COMPLETE"
"""By which the script asks the program; its name is click's own."""


def is_asked_by_a_shell() -> bool:
    """Tell whether this run is a shell's question for words."""
    return _VARIABLE in os.environ


@click.command(epilog=epilog("completion"))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that makes a shell complete commands, options, endpoints and files.

    Evaluate it where the shell starts: in ~/.bashrc, in ~/.zshrc after compinit, or in fish
    as ~/.config/fish/completions/resilient-poll.fish.
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  # click has all three
    # Not bash's own method: that one asks which bash there is, which need not be the one that reads this.
    script = ShellComplete.source(kind(context.find_root().command, {}, PROGRAM, _VARIABLE))
    return say_stdout_trouble(print_lines(script.rstrip().splitlines()), int(ExitCode.SUCCEEDED))
