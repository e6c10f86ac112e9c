"""Asking before something that cannot be taken back."""

from __future__ import annotations

import sys

from resilient_poll.cli.streams import PatientConsole, say
from resilient_poll.errors import ConfigurationError

__all__ = ["check_consent"]


def check_consent(risk: str, is_given: bool) -> None:  # the flag --yes
    """Return if the user takes a risk upon themselves: by ``--yes``, or by saying so.

    Args:
        risk: What happens, in a sentence.
        is_given: Whether ``--yes`` was typed.

    Raises:
        ConfigurationError: They do not, or there is nobody to ask.
    """
    console = PatientConsole(stderr=True)
    if not is_given and not sys.stdin.isatty():
        raise ConfigurationError(f"{risk}. Give --yes if that is wanted; nothing was changed")
    say(console, f"! {risk}")
    if is_given:
        return
    console.print("go on? [y/N] ", end="", markup=False)
    console.file.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise ConfigurationError("not confirmed; nothing was changed")
