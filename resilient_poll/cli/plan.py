"""What was asked for at the command line, and how to ask for more of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from resilient_poll.cli.ledgers import NO_WISH, LedgerWish

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
        ledger: What the options say about the ledger.
        needs_ledger: Whether nothing can be done without one.
    """

    dialect: str | None
    base_url: str | None
    interval_s: float | None = None
    target: str | None = None
    overwrite: bool = False
    task_id: str | None = None
    creates: bool = False
    ledger: LedgerWish = NO_WISH
    needs_ledger: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any], **more: Any) -> Plan:
        """Return the plan of a command's options.

        Args:
            options: By their names; those that a command does not have are not among them.
            more: What the command knows besides.
        """
        values = {
            "dialect": options.get("dialect"),
            "base_url": options.get("base_url"),
            "interval_s": options.get("interval"),
            "overwrite": bool(options.get("overwrite")),
            "ledger": LedgerWish.of(options),
        }
        return cls(**{**values, **more})

    def command(self, verb: str, task_id: str) -> str:
        """Return what to type to do something about a task, under the same options."""
        words = [PROGRAM, verb, task_id]
        if self.target is not None and verb in {"wait", "download", "resume"}:
            words += ["-o", self.target, *(["--overwrite"] if self.overwrite else [])]
        return self._at_this_service(words)

    def reconcile_command(self, key: str | None = None) -> str:
        """Return what to type to see, and settle, the doubt about a key, or all doubts."""
        return self._at_this_service([PROGRAM, "reconcile", *([] if key is None else [key])])

    def list_command(self, since: datetime) -> str:
        """Return what to type to see the tasks that were created since a moment."""
        return self._at_this_service([PROGRAM, "list", "--remote", "--since", f"{since:%Y-%m-%dT%H:%M:%SZ}"])

    def _at_this_service(self, words: list[str]) -> str:
        if self.dialect is not None:
            words += ["--dialect", self.dialect]
        if self.base_url is not None:
            words += ["--base-url", self.base_url]
        # The service's own list knows of no ledger.
        return shlex.join(words if "--remote" in words else [*words, *self.ledger.words])


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
