"""The `__main__.py` of fake-dashscope.pyz: unpacks what the file carries, once, and runs it.

Python cannot import compiled modules out of an archive, and two of the fake's parts are compiled. So they are unpacked
into the user's cache, into a folder named by a digest of the contents; where that cannot be written, into a private
temporary folder that is gone at the end. Needs nothing but the standard library.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
import shutil
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

ARCHIVE = Path(__file__).parent
PAYLOAD = "payload/"


def here() -> dict[str, str]:
    """What compiled modules must have been made for to run here."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return {"python": f"{platform.python_implementation()} {version}", "platform": sysconfig.get_platform()}


def unpacked(archive: zipfile.ZipFile, digest: str) -> Path:
    """The folder with the contents, made if need be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fake-dashscope"
    folder = cache / digest
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=cache, prefix=".unpacking-"))
    except OSError:
        partial = folder = Path(tempfile.mkdtemp(prefix="fake-dashscope-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    archive.extractall(partial, [name for name in archive.namelist() if name.startswith(PAYLOAD)])
    if partial != folder:
        try:
            partial.rename(folder)  # All of it or nothing, and whoever was faster has the same.
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def main() -> None:
    """Run the fake, or say why it cannot run here."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        made_for = json.loads(archive.read("made_for.json"))
        digest = made_for.pop("digest")
        if made_for != here():
            expected, found = (f"{made['python']} on {made['platform']}" for made in (made_for, here()))
            sys.stderr.write(
                f"error: this file was made for {expected} and this is {found}: "
                "make one here (make pyz), or pip install 'resilient-poll[fake]'\n"
            )
            sys.exit(2)
        try:
            folder = unpacked(archive, digest)
        except OSError as error:
            sys.stderr.write(f"error: there is no place to unpack this file: {error}\n")
            sys.exit(2)
    sys.path.insert(0, str(folder / PAYLOAD))
    from fake_server.__main__ import main as run  # noqa: PLC0415 - it is here only now

    run()


if __name__ == "__main__":
    main()
