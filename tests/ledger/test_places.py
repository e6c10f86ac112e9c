"""Where a ledger may be: what the kernel's list of mounts says, and what is told of a place that will not do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resilient_poll.ledger.errors import LedgerUnusable
from resilient_poll.ledger.places import (
    check_place,
    default_path,
    make_file,
    network_file_system,
    place_of_name,
    read_mounts,
)
from tests.support.tables import each_case

# By hand, from the manuals of file systems: what other machines, or the host of a virtual one, write to as well.
SHARED = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "afs", "coda", "ceph", "lustre", "gpfs", "beegfs"),
    *("davfs", "fuse.sshfs", "fuse.davfs2", "fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs"),
    *("fuse.gcsfuse", "fuse.grpcfuse", "fuse.osxfs", "vboxsf", "vmhgfs", "fuse.vmhgfs-fuse", "prl_fs"),
)
LOCAL = ("ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "vfat", "fuse.ntfs-3g", "fuseblk", "bcachefs")
ROOT = "22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/root rw"


def mount(point: str, kind: str = "nfs4", source: str = "server:/x") -> str:
    return f"30 22 0:50 / {point} rw,nosuid shared:7 - {kind} {source} rw,vers=4.2"


def found(path: str, *lines: str) -> str | None:
    return network_file_system(Path(path), "".join(f"{line}\n" for line in lines))


@each_case("kind", SHARED)
def test_what_others_write_to_as_well_is_known(kind: str) -> None:
    """Every file system on which locks do not reach everybody is known by its name, be it the root's own."""
    assert found("/srv/ledger", ROOT, mount("/srv", kind)) == kind
    assert found("/ledger", mount("/", kind)) == kind


@each_case("kind", LOCAL)
def test_a_disk_of_ones_own_will_do(kind: str) -> None:
    """A file system that only this machine writes to will do, also below one that is shared."""
    assert found("/srv/ledger", mount("/"), mount("/srv", kind, "/dev/sdb")) is None


@each_case(
    "point, path",
    [
        ("/a\\040b", "/a b"),
        ("/a\\011b", "/a\tb"),
        ("/a\\012b", "/a\nb"),
        ("/a\\134b", "/a\\b"),
        ("/a\\134040b", "/a\\040b"),
        ("/a\\040b\\040c\\134\\134", "/a b c\\\\"),
        ("/a\u3000b", "/a\u3000b"),  # Spaces of other scripts, and what ends lines elsewhere, come as they are.
        ("/a\u2028b", "/a\u2028b"),
        ("/a\x0cb\x85c\x1cd", "/a\x0cb\x85c\x1cd"),
    ],
)
def test_a_mount_with_an_odd_name_is_found(point: str, path: str) -> None:
    """The kernel spells four characters of a mount point in octal and leaves all others as they are."""
    assert found(f"{path}/ledger", ROOT, mount(point)) == "nfs4"
    assert found(f"{path}x/ledger", ROOT, mount(point)) is None


@each_case("name", [b"a\rb", b"\xff\xfe", b"\xe4\xb8\xad"])
def test_a_mount_is_found_whatever_bytes_its_name_has(name: bytes, tmp_path: Path) -> None:
    """The list of mounts is read to the byte: a carriage return stays one, and names need be no UTF-8."""
    listed = tmp_path / "mountinfo"
    listed.write_bytes(ROOT.encode() + b"\n" + mount("/srv/NAME").encode().replace(b"NAME", name) + b"\n")
    mounts = read_mounts(listed)
    assert mounts is not None
    assert network_file_system(Path(os.fsdecode(b"/srv/" + name + b"/ledger")), mounts) == "nfs4"
    assert read_mounts(tmp_path / "none") is None


@each_case("source", ["", "-", "server:/a\\040-\\040b", "none"])
def test_a_mount_of_an_odd_source_is_found(source: str) -> None:
    """Whatever is mounted, nothing and a dash included, the kind is what stands after the first lonely dash."""
    assert found("/srv/ledger", ROOT, mount("/srv", "nfs", source)) == "nfs"


@each_case("line", ["", "-", " - ", "junk", "junk - nfs rw", "1 2 3 4 - nfs x rw", mount("/srv/y", "").split(" - ")[0]])
def test_a_line_that_says_nothing_is_passed_over(line: str) -> None:
    """A line without a mount point or without a kind hides no other one, wherever it stands."""
    assert found("/srv/y/ledger", line, ROOT, mount("/srv")) == "nfs4"
    assert found("/srv/y/ledger", ROOT, mount("/srv"), line) == "nfs4"
    assert found("/srv/y/ledger", f"{mount('/srv/y', '').split(' - ')[0]} - ", ROOT, mount("/srv")) == "nfs4"


def test_the_latest_mount_of_a_place_decides() -> None:
    """Of several mounts on one place the last is the one that is seen, and a deeper one counts before it."""
    assert found("/srv/y/z", mount("/srv/y", "nfs"), mount("/srv/y", "ext4"), mount("/srv", "cifs")) is None
    assert found("/srv/y/z", mount("/srv/y", "ext4"), mount("/srv/y", "nfs"), mount("/srv", "ext4")) == "nfs"


def test_who_names_no_place_is_told_which_name_was_meant(tmp_path: Path) -> None:
    """The error about a place that cannot be repeats the name, so that a wrong variable is found."""
    with pytest.raises(LedgerUnusable, match=r"'odd\\x00name' is no place for a file"):
        place_of_name("odd\0name")
    with pytest.raises(LedgerUnusable, match="'~nobody-of-that-name/l' is in the folder of a user who has none"):
        place_of_name("~nobody-of-that-name/l")
    with pytest.raises(LedgerUnusable, match=f"'{tmp_path}/aaaaaaa.* cannot be looked at: File name too long"):
        check_place(tmp_path / ("a" * 300), None)
    with pytest.raises(LedgerUnusable, match=f"{tmp_path} is a folder"):
        check_place(tmp_path, None)
    with pytest.raises(LedgerUnusable, match=f"the folder {tmp_path}/none of the ledger does not exist"):
        check_place(tmp_path / "none" / "l", None)
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnusable, match=f"the folder {tmp_path}/file/resilient-poll .* made: Not a directory"):
        default_path({"XDG_STATE_HOME": str(tmp_path / "file")})
    with pytest.raises(LedgerUnusable, match=f"{tmp_path}/none/l cannot be made: No such file"):
        make_file(tmp_path / "none" / "l")


def test_a_new_file_is_its_users_and_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new file is open to its user only, its folder is brought to the disk, and no descriptor is left open."""
    synced: list[tuple[int, int]] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        fsync(descriptor)
        synced.append((descriptor, os.fstat(descriptor).st_ino))

    monkeypatch.setattr(os, "fsync", spy)
    for name in "abcde":
        make_file(tmp_path / name)
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert [inode for _, inode in synced] == [tmp_path.stat().st_ino] * 5
    assert len({descriptor for descriptor, _ in synced}) < 5, "descriptors stay open"


def test_a_name_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """A file that is there keeps what it holds and its mode, and a link that leads nowhere is not followed."""
    (tmp_path / "file").write_text("held")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("file", "link"):
        make_file(tmp_path / name)
    assert (tmp_path / "file").read_text() == "held"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert not (tmp_path / "elsewhere").exists()
