"""Locks on files: who is alive, who is dead, and that nothing is left open or behind."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from resilient_poll.ledger.errors import LedgerForked, LedgerUnavailable
from resilient_poll.ledger.owners import FileOwners


@pytest.fixture
def owners(tmp_path: Path) -> Iterator[FileOwners]:
    """Owners in a folder that nobody made yet; nothing of them may stay open."""
    yield FileOwners(tmp_path / "owners")
    assert open_files(tmp_path) == 0


def open_files(folder: Path) -> int:
    """Return how many files of a folder this process has open, removed ones included; 0 where nobody can tell."""
    found = []
    for path in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):  # The listing's own is gone already.
            found.append(path.readlink())
    return sum(path.is_relative_to(folder) for path in found)


def lock_of(folder: Path, name: str) -> Path:
    return folder / "owners" / f"{name}.lock"


def test_an_owner_is_alive_until_it_is_closed(owners: FileOwners, tmp_path: Path) -> None:
    """An owner lives from its opening to its closing, is looked at any number of times, and leaves no file."""
    with owners.open_owner() as owner:
        assert [owners.is_dead(owner.name) for _ in range(3)] == [False] * 3
        owner.hold()
        owners.forget_the_dead()
        assert lock_of(tmp_path, owner.name).exists()
    assert owners.is_dead(owner.name) is True
    assert list((tmp_path / "owners").iterdir()) == []
    owner.close()
    with pytest.raises(LedgerUnavailable, match="is closed"):
        owner.hold()


def test_only_its_user_can_lock(owners: FileOwners, tmp_path: Path) -> None:
    """Folder and files are open to their user only, whatever the umask: who can lock can keep the dead alive."""
    umask = os.umask(0)
    try:
        with owners.open_owner() as owner:
            modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "owners", lock_of(tmp_path, owner.name))]
    finally:
        os.umask(umask)
    assert modes == [0o700, 0o600]


def test_a_dead_owner_stays_dead_and_is_cleared_away(owners: FileOwners, tmp_path: Path) -> None:
    """A file that nobody locks is a dead owner's, as often as one looks; clearing away takes it and leaves the rest."""
    with owners.open_owner() as living:
        dead, link, folder = (lock_of(tmp_path, name) for name in ("1-dead", "2-link", "3-folder"))
        other = tmp_path / "somebody else's"
        other.touch()
        dead.touch()
        link.symlink_to(other)
        folder.mkdir()
        assert [owners.is_dead("1-dead") for _ in range(3)] == [True] * 3
        owners.forget_the_dead()
        left = {path.name for path in (tmp_path / "owners").iterdir()}
        assert left == {f"{living.name}.lock", "2-link.lock", "3-folder.lock"}


def test_a_file_elsewhere_is_no_owner(owners: FileOwners, tmp_path: Path) -> None:
    """A name with a path in it is nobody's, and a link is not followed: it is said that nobody can tell."""
    with owners.open_owner():
        (tmp_path / "outside.lock").touch()
        assert owners.is_dead("../outside") is True
        lock_of(tmp_path, "2-link").symlink_to(tmp_path / "outside.lock")
        with pytest.raises(LedgerUnavailable, match="whether owner 2-link is alive cannot be told"):
            owners.is_dead("2-link")


def test_clearing_away_never_fails(tmp_path: Path) -> None:
    """What cannot be cleared away is left for the next time: nobody's submit fails for it."""
    FileOwners(tmp_path / "missing").forget_the_dead()
    FileOwners(tmp_path / ("x" * 300)).forget_the_dead()


def test_an_owner_takes_its_lock_anew(owners: FileOwners, tmp_path: Path) -> None:
    """Who finds its file gone or exchanged locks a new one, and lets the old one go; another's is not removed."""
    owner = owners.open_owner()
    lock_of(tmp_path, owner.name).unlink()
    assert owners.is_dead(owner.name) is True
    files = open_files(tmp_path)
    owner.hold()
    assert open_files(tmp_path) == files
    assert owners.is_dead(owner.name) is False
    lock_of(tmp_path, owner.name).unlink()
    lock_of(tmp_path, owner.name).touch()
    owner.close()
    assert lock_of(tmp_path, owner.name).exists(), "it was not this owner's any more"


def test_who_lost_its_file_can_be_closed(owners: FileOwners) -> None:
    """Closing is quiet where somebody closed every open file, as who becomes a daemon does."""
    owner = owners.open_owner()
    assert owner._descriptor is not None
    os.close(owner._descriptor)
    owner.close()
    owner.close()


def test_a_child_keeps_nobody_alive(owners: FileOwners, tmp_path: Path) -> None:
    """After a fork the child holds no lock, may not use the owner, and removes nothing by closing it."""
    owner = owners.open_owner()
    said, tell = os.pipe()
    go_on, let_go = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Newer Pythons warn where threads run: the child has none.
        child = os.fork()
    if child == 0:
        answer = b"it may hold it"
        try:
            owner.hold()
        except LedgerForked:
            answer = b"refused"
        finally:
            os.write(tell, answer)
            os.read(go_on, 1)
            owner.close()
            os._exit(0)
    try:
        assert os.read(said, 100) == b"refused"
        assert owners.is_dead(owner.name) is False
        owner._let_go()  # As when this process dies, while the child lives on.
        assert owners.is_dead(owner.name) is True
    finally:
        os.write(let_go, b".")
        os.waitpid(child, 0)
        for descriptor in (said, tell, go_on, let_go):
            os.close(descriptor)
    assert lock_of(tmp_path, owner.name).exists()
    owner.close()
