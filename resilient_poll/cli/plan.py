"""What was asked for at the command line, and how to ask for more of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["PROGRAM", "Plan", "Wanted"]

PROGRAM = "resilient-poll"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the options say, as far as every command needs it.

    Attributes:
        dialect: The dialect's name, or None to infer it.
        base_url: Where the service is, or None for the environment's or the dialect's own.
        interval_s: The pause between polls.
        target: Where the results go.
        overwrite: Whether they may replace files that are there.
        task_id: The id or token that was typed, for commands about a task that exists.
        creates: Whether the command would make something.
    """

    dialect: str | None
    base_url: str | None
    interval_s: float | None = None
    target: str | None = None
    overwrite: bool = False
    task_id: str | None = None
    creates: bool = False

    def command(self, verb: str, task_id: str) -> str:
        """Return what to type to do something about a task, under the same options."""
        words = [PROGRAM, verb, task_id]
        if self.target is not None and verb in {"wait", "download"}:
            words += ["-o", self.target, *(["--overwrite"] if self.overwrite else [])]
        return self._at_this_service(words)

    def list_command(self, since: datetime) -> str:
        """Return what to type to see the tasks that were created since a moment."""
        return self._at_this_service([PROGRAM, "list", "--remote", "--since", f"{since:%Y-%m-%dT%H:%M:%SZ}"])

    def _at_this_service(self, words: list[str]) -> str:
        if self.dialect is not None:
            words += ["--dialect", self.dialect]
        if self.base_url is not None:
            words += ["--base-url", self.base_url]
        return shlex.join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be made.

    Attributes:
        model: The model's name.
        what: What to make, in the service's words.
        how: How to make it.
        endpoint: Where.
    """

    model: str
    what: Mapping[str, Any]
    how: Mapping[str, Any] | None
    endpoint: str
