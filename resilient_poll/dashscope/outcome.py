"""What was made: by a task, or by an answer that came at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from resilient_poll.dashscope.wire.results import Asset, Failure, assets_of, failures_of, usage_of
from resilient_poll.drive.outcome import Outcome
from resilient_poll.machine.lifecycle import Billing

__all__ = ["DirectOutcome", "GenerationOutcome", "Made"]


class Made:
    """What both kinds of outcome tell of the service's answer."""

    __slots__ = ()
    result: Any

    @property
    def assets(self) -> tuple[Asset, ...]:
        """What was made, in the order of the answer; empty if the answer's shape is not known."""
        return assets_of(self.result)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What failed inside this success, and is not billed: two images of four, say."""
        return failures_of(self.result)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the assets are, for some hours."""
        return tuple(asset.url for asset in self.assets)

    @property
    def video_url(self) -> str:
        """Where the video is, for some hours.

        Raises:
            ValueError: There is nothing, or not one thing: see ``assets`` and ``failures``.
        """
        urls = self.urls
        if len(urls) != 1:
            raise ValueError(f"there are {len(urls)} results where one video was expected; see assets and failures")
        return urls[0]

    @property
    def usage(self) -> Mapping[str, Any]:
        """What the service says it charges by: seconds, count, size, in the model's own words."""
        return usage_of(self.result)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationOutcome(Outcome, Made):
    """A task that succeeded; ``result`` is the service's whole answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectOutcome(Made):
    """What a synchronous endpoint answered. There is no task: what is lost here cannot be asked for again.

    Attributes:
        request_id: The service's id of the request, which is all that names it.
        billing: What is owed.
        attempts: How often it was sent; all but the last were refused, or surely did not arrive.
        result: The service's whole answer, as it came.
        extension: The file extension of what its endpoint makes, for results whose URL shows none.
        entry_id: The number of its entry in the ledger, where there is one.
    """

    request_id: str | None
    billing: Billing
    attempts: int
    result: Any = field(repr=False)
    extension: str = "bin"
    entry_id: int | None = field(default=None, repr=False, compare=False)
