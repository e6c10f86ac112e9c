"""Where a ledger's file may be: what is told before SQLite is asked, because it would not say it so clearly."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from resilient_poll.ledger.errors import LedgerUnusable

__all__ = [
    "check_place",
    "default_path",
    "make_file",
    "network_file_system",
    "place_of_name",
    "read_mounts",
    "sync_folder",
]

NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "afs", "coda", "ceph", "lustre", "gpfs", "beegfs"),
        *("davfs", "fuse.sshfs", "fuse.davfs2", "fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs"),
        *("fuse.gcsfuse", "fuse.grpcfuse", "fuse.osxfs", "vboxsf", "vmhgfs", "fuse.vmhgfs-fuse", "prl_fs"),
    }
)
"""File systems on which locks, or memory that processes share, do not reach everybody who can open the file.

Source: SQLite documentation, *Write-Ahead Logging*: it does not work over a network file system."""


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the command line keeps its ledger. The library itself writes no file unasked.

    ``RESILIENT_POLL_LEDGER``, or ``resilient-poll/ledger.sqlite3`` in ``XDG_STATE_HOME``
    (``~/.local/state``). The folder is made, open to its user only.

    Args:
        environment: The environment's variables.

    Raises:
        LedgerUnusable: There is no such folder, and it cannot be made.
    """
    if chosen := environment.get("RESILIENT_POLL_LEDGER"):
        return _of_user(chosen)
    state = environment.get("XDG_STATE_HOME", "")
    # The standard says that a path that is not absolute is to be ignored.
    base = Path(state) if Path(state).is_absolute() else _of_user("~/.local/state")
    folder = base / "resilient-poll"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerUnusable(f"the folder {folder} for the ledger cannot be made: {error.strerror}") from error
    return folder / "ledger.sqlite3"


def place_of_name(name: str | os.PathLike[str]) -> Path:
    """Return the absolute path, without symbolic links, that a name of a ledger stands for.

    Args:
        name: As the caller wrote it.

    Raises:
        LedgerUnusable: It is no name that a file can have.
    """
    try:
        return _of_user(name).resolve()
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise LedgerUnusable(f"the ledger {str(name)!r:.200} is no place for a file ({error}): name another") from error


def _of_user(name: str | os.PathLike[str]) -> Path:
    """Return a path with a user's folder in the place of ``~``.

    Raises:
        LedgerUnusable: Nobody knows that user's folder, as where a container's user has no name.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise LedgerUnusable(
            f"the ledger {str(name)!r:.200} is in the folder of a user who has none: name a place that does not "
            "begin with ~ (RESILIENT_POLL_LEDGER does it for the command line)"
        ) from error


def read_mounts(listed: Path) -> str | None:
    """Return what the kernel says of the mounts, or None if it says nothing. Names of folders need be no UTF-8.

    Args:
        listed: ``/proc/self/mountinfo``.
    """
    return os.fsdecode(listed.read_bytes()) if listed.exists() else None


def network_file_system(path: Path, mounts: str) -> str | None:
    """Return the name of the network file system that a path is on, or None if it is on none that is known.

    Args:
        path: An absolute path without symbolic links.
        mounts: The text of ``/proc/self/mountinfo``.
    """
    best, found = "", None
    for line in mounts.split("\n"):  # nothing else ends a line there, and names may hold what does so elsewhere
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) < 5 or not kinds[0]:  # the fifth field is the mount point
            continue
        point = fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
        # The last mount on a place is the one that is seen.
        if path.is_relative_to(point) and len(point) >= len(best):
            best, found = point, kinds[0]
    return found if found in NETWORK_FILE_SYSTEMS else None


def check_place(path: Path, mounts: str | None) -> None:
    """Do nothing if a ledger may be at a path.

    Args:
        path: An absolute path without symbolic links.
        mounts: The text of ``/proc/self/mountinfo``; None where there is none, or where it does not matter.

    Raises:
        LedgerUnusable: It may not.
    """
    try:
        if path.is_dir():
            raise LedgerUnusable(f"the ledger {path} is a folder: name a file in it")
        if not path.parent.is_dir():
            raise LedgerUnusable(f"the folder {path.parent} of the ledger does not exist: make it first")
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise LedgerUnusable(f"the ledger {path} is no regular file: name another")
    except OSError as error:
        raise LedgerUnusable(
            f"the ledger {str(path)!r:.200} cannot be looked at: {error.strerror}; make its folder usable for this "
            "user, or name another place"
        ) from error
    kind = None if mounts is None else network_file_system(path, mounts)
    if kind is not None:
        raise LedgerUnusable(
            f"the ledger {path} is on a file system that is shared over a network ({kind}), where locks do not reach "
            "everybody and a task could be paid twice: put it on a local disk, or use PostgreSQL"
        )


def make_file(path: Path) -> None:
    """Make an empty file that only its user can open, if there is none.

    Raises:
        LedgerUnusable: It cannot be made.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise LedgerUnusable(
            f"the ledger {path} cannot be made: {error.strerror}; make its folder writable, or name another place"
        ) from error
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, so that a new file is still there after a power cut.

    Raises:
        LedgerUnusable: The system refuses that.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise LedgerUnusable(
            f"the folder {folder} of the ledger cannot be brought to the disk ({error.strerror}), so a power cut could "
            "take the ledger away: make the folder readable for this user, or name another place"
        ) from error
