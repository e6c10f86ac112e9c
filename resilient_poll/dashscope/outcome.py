"""A video that was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resilient_poll.dashscope.results import video_url_of
from resilient_poll.drive.outcome import Outcome

__all__ = ["VideoOutcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOutcome(Outcome):
    """A task that succeeded; ``result`` is the service's whole answer."""

    @property
    def video_url(self) -> str:
        """Where the video is, for a few hours."""
        url = video_url_of(self.result)
        if url is None:
            raise ValueError("this outcome was made by hand, of an answer without a video")
        return url

    @property
    def usage(self) -> Mapping[str, Any]:
        """What the service says it charges by: seconds, count, size, in the model's own words."""
        usage = self.result.get("usage")
        return usage if isinstance(usage, Mapping) else {}
