"""Which ledger a command uses: the user's own, unless an option or the environment names another, or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resilient_poll.dashscope.keeping.prices import PriceTable, load_price_table
from resilient_poll.errors import ConfigurationError
from resilient_poll.ledger.errors import LedgerUnavailable, LedgerUnusable
from resilient_poll.ledger.places import default_path
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.sqlite import SqliteLedger

__all__ = ["NO_WISH", "LedgerWish"]

_ELSEWHERE = "; --ledger PATH or RESILIENT_POLL_LEDGER names another place, --no-ledger does without one"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerWish:
    """What the options say about the ledger.

    Attributes:
        path: The file that was named, or None for the user's own.
        is_off: Whether there is to be none.
        account: The label of the account.
        prices: The file of the price table that was named.
    """

    path: str | None = None
    is_off: bool = False
    account: str | None = None
    prices: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> LedgerWish:
        """Return the wish of a command's options."""
        return cls(
            path=options.get("ledger"),
            is_off=bool(options.get("no_ledger")),
            account=options.get("account"),
            prices=options.get("prices"),
        )

    @property
    def words(self) -> tuple[str, ...]:
        """The options, as they are typed for who goes on: the price of what was submitted is in the ledger."""
        named = (("--ledger", self.path), ("--account", self.account))
        typed = [word for name, value in named if value is not None for word in (name, value)]
        return (*typed, *(["--no-ledger"] if self.is_off else []))

    @property
    def place(self) -> Path:
        """Where the ledger is, or would be.

        Raises:
            LedgerUnusable: Its folder cannot be made.
        """
        return default_path() if self.path is None else Path(self.path).expanduser()

    def open(self) -> Ledger | None:
        """Open the ledger, and make it if there is none; None if there is to be none.

        Raises:
            LedgerError: It cannot be used; nothing was sent.
            ConfigurationError: The options contradict each other.
        """
        self._check()
        if self.is_off:
            return None
        try:
            return SqliteLedger(self.place)
        except LedgerUnusable as error:
            raise LedgerUnusable(f"{error}{_ELSEWHERE}; nothing was sent") from error
        except LedgerUnavailable as error:
            raise LedgerUnavailable(f"{error}; nothing was sent") from error

    def open_if_there(self) -> SqliteLedger | None:
        """Open the ledger if there is one: who only reads makes none.

        Raises:
            LedgerError: It cannot be used.
            ConfigurationError: There is none where an option says that there is one.
        """
        self._check()
        if self.is_off:
            return None
        try:
            place = self.place
        except LedgerUnusable:
            return None  # Where there can be no folder, there is no ledger.
        if not os.path.lexists(place):
            if self.path is not None:
                raise ConfigurationError(f"there is no ledger {self.path!r}; run, submit and batch make one")
            return None
        return SqliteLedger(place)

    def price_table(self) -> PriceTable | None:
        """Return the price table, if one is named.

        Raises:
            ConfigurationError: It cannot be read.
        """
        path = self.prices or os.environ.get("RESILIENT_POLL_PRICES")
        return load_price_table(path) if path else None

    def _check(self) -> None:
        if self.is_off and self.path is not None:
            raise ConfigurationError("--ledger and --no-ledger contradict each other; nothing was sent")


NO_WISH = LedgerWish()
