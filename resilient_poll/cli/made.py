"""What a success brought: URLs, files, and what failed inside it, for people and for machines. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.dashscope.wire.results import Asset, Failure, assets_of, failures_of

__all__ = ["NOTHING_MADE", "Made", "made_of"]

MOST_REASONS_TOLD = 3
"""Different reasons of failures in one sentence; the JSON object has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made, and what was not.

    Attributes:
        assets: What was made.
        failures: What failed inside a success.
        raw: The whole answer, where it shows no URL: all there is.
    """

    assets: tuple[Asset, ...] = ()
    failures: tuple[Failure, ...] = ()
    raw: Any = None

    @property
    def verdict(self) -> tuple[ExitCode, str]:
        """The exit code and the machine's word for a success that holds this."""
        if not self.failures:
            return ExitCode.SUCCEEDED, "succeeded"
        return (ExitCode.PARTLY, "partly") if self.assets else (ExitCode.FAILED, "failed")

    @property
    def urls(self) -> list[str]:
        """Where the assets are, for some hours."""
        return [asset.url for asset in self.assets]

    @property
    def failures_as_json(self) -> list[dict[str, str | None]]:
        """What failed, as the JSON object shows it."""
        return [{"place": failure.place, "code": failure.code, "message": failure.message} for failure in self.failures]

    def __str__(self) -> str:
        made, failed = len(self.assets), len(self.failures)
        if not failed:
            return f"{made} made"
        verb = "is" if failed == 1 else "are"
        return f"{made} of {made + failed} made; {failed} failed and {verb} not billed: {_reasons(self.failures)}"


NOTHING_MADE = Made()


def made_of(result: object) -> Made:
    """Return what a success brought.

    Args:
        result: The service's whole answer.
    """
    assets, failures = assets_of(result), failures_of(result)
    return Made(assets=assets, failures=failures, raw=None if assets or failures else result)


def _reasons(failures: tuple[Failure, ...]) -> str:
    said = Counter(": ".join(part for part in (failure.code, failure.message) if part) for failure in failures)
    told = [
        f"{reason or 'without a reason'}{f' ({count} times)' if count > 1 and len(said) > 1 else ''}"
        for reason, count in said.most_common(MOST_REASONS_TOLD)
    ]
    if len(said) > MOST_REASONS_TOLD:
        told.append(f"and {len(said) - MOST_REASONS_TOLD} more reasons")
    return "; ".join(told)
