"""A host that sends less than it was asked for, and says so rightly: nothing breaks off, and something is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dashscope.asset_hosts import AssetHost, Fault
from tests.dashscope.test_download_resume import VERSIONS, download
from tests.support.colours import COLOURS

SIZE = len(VERSIONS[0])


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("cut_after", [1, 700, SIZE - 2])
def test_a_part_of_the_rest_is_not_the_whole(colour: str, cut_after: int, tmp_path: Path) -> None:
    """An answer with half of what is missing is gone on with, and the file is the whole asset."""
    host = AssetHost((Fault(cut_after=cut_after), Fault(part="short"), Fault(part="short")), VERSIONS)
    done = download(colour, host, tmp_path)
    assert done.content == VERSIONS[0]
    assert done.left == ["clip.mp4"]
    assert len(host.asked) > 2
