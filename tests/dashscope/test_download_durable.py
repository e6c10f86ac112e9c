"""What of a download a power cut leaves: what was synced, and nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from resilient_poll.dashscope.saving.partial import PartialFile, make_folder
from tests.dashscope.asset_hosts import AssetHost, Fault
from tests.dashscope.test_download_resume import VERSIONS, download
from tests.support.colours import COLOURS


@dataclass
class Syncs:
    """What was synced: of a file how many of its bytes, of a folder which names were in it; the syncs are real.

    Attributes:
        sizes: Bytes, by file.
        names: Names, by folder.
    """

    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    names: dict[Path, set[str]] = field(default_factory=dict)

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> Syncs:
        """Watch ``os.fsync`` from now on."""
        genuine = os.fsync

        def synced(descriptor: int) -> None:
            genuine(descriptor)
            seen = os.fstat(descriptor)
            place = Path(f"/proc/self/fd/{descriptor}").resolve()
            self.sizes[seen.st_dev, seen.st_ino] = seen.st_size
            if place.is_dir():
                self.names[place] = {inside.name for inside in place.iterdir()}

        monkeypatch.setattr(os, "fsync", synced)
        return self

    def survives(self, path: Path) -> bool:
        """Tell whether a file is there, whole and under its name, after the power was cut."""
        seen = path.stat()
        is_whole = self.sizes.get((seen.st_dev, seen.st_ino)) == seen.st_size
        return is_whole and path.name in self.names.get(path.parent.resolve(), set())


pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="what a descriptor is of is told by Linux")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("cut_after", [None, 700])
def test_a_saved_file_survives_a_power_cut(
    colour: str, cut_after: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a download is over, and in the ledger, its bytes and its name are on the disk."""
    syncs = Syncs().watch(monkeypatch)
    faults = () if cut_after is None else (Fault(cut_after=cut_after),)
    done = download(colour, AssetHost(faults, VERSIONS), tmp_path)
    assert done.content == VERSIONS[0]
    assert syncs.survives(tmp_path / "clip.mp4")


def test_no_name_comes_before_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that replaces another one is whole on the disk before it has the name."""
    target = tmp_path / "clip.mp4"
    target.write_bytes(b"the one before")
    syncs = Syncs().watch(monkeypatch)
    renamed: list[bool] = []
    genuine = Path.replace

    def replace(self: Path, other: Path) -> Path:
        seen = self.stat()
        renamed.append(syncs.sizes.get((seen.st_dev, seen.st_ino)) == seen.st_size)
        return genuine(self, other)

    monkeypatch.setattr(Path, "replace", replace)
    with PartialFile(target) as file:
        file.write(b"what was made")
        file.keep()
    assert renamed == [True]
    assert target.read_bytes() == b"what was made"


def test_a_new_folder_survives_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folder that is made on the way is synced into the one that it lies in."""
    syncs = Syncs().watch(monkeypatch)
    make_folder(tmp_path / "of" / "today")
    assert "of" in syncs.names.get(tmp_path.resolve(), set())
    assert "today" in syncs.names.get((tmp_path / "of").resolve(), set())
