"""What a disk holds after a power cut: of every file what was last synced, and nothing after that.

SQLite asks its operating-system layer to sync a file. Here that layer is watched from within: each
file's table of functions is replaced by a copy with another ``xSync``, which notes the file's content.
That a file is gone is on the disk only when its folder was synced as well. Shown is what is asked for,
not whether the kernel and the disk obey.

The layout is that of ``sqlite3_vfs`` and ``sqlite3_io_methods`` (SQLite documentation, *C interface*).
"""

from __future__ import annotations

import ctypes
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MISSING = "needs a Python whose sqlite3 uses SQLite as a shared library"
_METHODS = (
    *("xClose", "xRead", "xWrite", "xTruncate", "xSync", "xFileSize", "xLock", "xUnlock", "xCheckReservedLock"),
    *("xFileControl", "xSectorSize", "xDeviceCharacteristics", "xShmMap", "xShmLock", "xShmBarrier", "xShmUnmap"),
    *("xFetch", "xUnfetch"),
)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_Open = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int)
)
_FOR_EVER: list[object] = []
"""What SQLite may still call."""


class _Methods(ctypes.Structure):
    _fields_ = (("iVersion", ctypes.c_int), *((name, ctypes.c_void_p) for name in _METHODS))


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("szOsFile", ctypes.c_int),
        ("mxPathname", ctypes.c_int),
        ("pNext", ctypes.c_void_p),
        ("zName", ctypes.c_char_p),
        ("pAppData", ctypes.c_void_p),
        ("xOpen", ctypes.c_void_p),
    )


def library() -> str | None:
    """Return the shared library of SQLite that this process uses, or None."""
    sqlite3.connect(":memory:").close()
    try:
        found = re.search(r"\S*/libsqlite3\.so\S*", Path("/proc/self/maps").read_text())
    except OSError:
        return None
    return None if found is None else found.group()


@contextmanager
def watched_disk(library: str) -> Iterator[dict[str, bytes]]:
    """Give a mapping of paths to what was last synced, for files that are opened meanwhile."""
    found = ctypes.CDLL(library).sqlite3_vfs_find
    found.restype = ctypes.POINTER(_Vfs)
    vfs = found(None).contents
    genuine_open, before = _Open(vfs.xOpen), vfs.xOpen
    synced: dict[str, bytes] = {}
    paths: dict[int, str] = {}

    def open_file(this: Any, name: int | None, file: int, flags: int, given: Any) -> int:
        # The name is handed on as the pointer that it is: SQLite keeps it, and finds more behind it.
        result = int(genuine_open(this, name, file, flags, given))
        if result == 0 and name is not None:
            paths[file] = os.fsdecode(ctypes.string_at(name))
            slot = ctypes.cast(file, ctypes.POINTER(ctypes.POINTER(_Methods)))
            copy = _Methods.from_buffer_copy(slot[0].contents)
            genuine_sync = _Sync(copy.xSync)

            def sync(this_file: int, how: int) -> int:
                done = int(genuine_sync(this_file, how))
                if done == 0:
                    synced[paths[this_file]] = Path(paths[this_file]).read_bytes()
                return done

            hook = _Sync(sync)
            copy.xSync = ctypes.cast(hook, ctypes.c_void_p)
            _FOR_EVER.extend([hook, copy])
            slot[0] = ctypes.pointer(copy)
        return result

    def sync_folder(descriptor: int) -> None:
        genuine_fsync(descriptor)
        folder = Path(f"/proc/self/fd/{descriptor}").readlink()
        for name in list(synced):
            if Path(name).parent == folder and not Path(name).exists():
                del synced[name]

    hook = _Open(open_file)
    _FOR_EVER.append(hook)
    vfs.xOpen = ctypes.cast(hook, ctypes.c_void_p)
    genuine_fsync, os.fsync = os.fsync, sync_folder
    try:
        yield synced
    finally:
        vfs.xOpen = before
        os.fsync = genuine_fsync


def disk_after(synced: dict[str, bytes], path: Path, folder: Path, *, torn_at: int | None = None) -> Path:
    """Lay out what is left of a ledger after a power cut.

    Args:
        synced: What was last synced.
        path: The ledger.
        folder: Where to.
        torn_at: How many bytes of the log reached the disk beyond what was synced; none, if None.

    Returns:
        Where the ledger is now.
    """
    folder.mkdir()
    for name, content in synced.items():
        if name.startswith(str(path)):
            (folder / Path(name).name).write_bytes(content)
    if torn_at is not None:
        log = Path(f"{path}-wal")
        written, kept = log.read_bytes(), synced[str(log)]
        (folder / log.name).write_bytes(written[: len(kept) + torn_at])
    return folder / path.name
