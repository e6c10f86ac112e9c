"""The fake tells the stories that are written down."""

from __future__ import annotations

import pytest

from tests.fake_server.stories.stories import HERE, STORIES, told
from tests.support.written import must_be_as_written


@pytest.mark.parametrize("name", STORIES)
def test_the_stories_are_those_that_are_written_down(name: str) -> None:
    """The same requests at the same moments bring the same answers, bill, verdict and journal as when written down."""
    must_be_as_written(HERE / "told" / f"{name}.txt", told(name), "python -m tests.fake_server.stories")
