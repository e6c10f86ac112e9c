"""Puts the fake and what it needs, and nothing else, into a folder or into one file that runs by itself.

    python tools/build_fake.py dist/fake-dashscope.pyz      one file, for this Python and platform
    python tools/build_fake.py --folder /opt/fake           a folder for PYTHONPATH, as the Dockerfile uses it

What it needs is copied out of the environment that runs this, so that the versions are those that were tested there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import zipapp
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
OWN = "resilient-poll"
EXTRAS = ("fake", "tls")
SKIPPED = ("__pycache__", "*.pyc", "*.pyi", "*.pyx", "*.pxd", "*.c", "*.h", "tests")


def needed() -> list[metadata.Distribution]:
    """The installed distributions that the fake stands on, by name; not httpx, which is the client's."""
    own = metadata.distribution(OWN)
    open_ones = [requirement for requirement in map(Requirement, own.requires or ()) if _is_asked(requirement)]
    found: dict[str, metadata.Distribution] = {}
    while open_ones:
        requirement = open_ones.pop()
        name = requirement.name.lower()
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        for inner in map(Requirement, found[name].requires or ()):
            extras = requirement.extras or {""}
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                open_ones.append(inner)
    return [found[name] for name in sorted(found)]


def _is_asked(requirement: Requirement) -> bool:
    marker = requirement.marker
    without = marker is None or marker.evaluate({"extra": ""})
    return not without and marker is not None and any(marker.evaluate({"extra": extra}) for extra in EXTRAS)


def fill(folder: Path) -> None:
    """Put everything into a folder that is to stand on the path of modules."""
    ignored = shutil.ignore_patterns(*SKIPPED)
    for distribution in needed():
        for file in distribution.files or ():
            source = Path(str(distribution.locate_file(file)))
            skips = file.parts[0] == ".." or any(Path(part).match(skip) for part in file.parts for skip in SKIPPED)
            if not skips and source.is_file():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / file)
    shutil.copytree(ROOT / "fake_server", folder / "fake_server", ignore=ignored, dirs_exist_ok=True)
    shutil.copytree(ROOT / "scenarios", folder / "fake_server" / "scenarios", ignore=ignored, dirs_exist_ok=True)
    own = metadata.distribution(OWN)
    told = folder / f"{OWN.replace('-', '_')}-{own.version}.dist-info" / "METADATA"
    told.parent.mkdir(exist_ok=True)
    told.write_text(f"Metadata-Version: 2.1\nName: {OWN}\nVersion: {own.version}\n")


def digest_of(folder: Path) -> str:
    """A digest of every name and byte below a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


def make_pyz(target: Path) -> None:
    """Make the one file."""
    sys.path.insert(0, str(ROOT / "tools"))
    from pyz_main import here  # noqa: PLC0415 - a file that lies beside this one

    with tempfile.TemporaryDirectory() as scratch:
        fill(Path(scratch) / "payload")
        made_for = {**here(), "digest": digest_of(Path(scratch))}
        (Path(scratch) / "made_for.json").write_text(json.dumps(made_for))
        shutil.copyfile(ROOT / "tools" / "pyz_main.py", Path(scratch) / "__main__.py")
        target.parent.mkdir(parents=True, exist_ok=True)
        zipapp.create_archive(scratch, target, interpreter="/usr/bin/env python3", compressed=True)
    size_mb = target.stat().st_size / 1e6
    print(f"{target}: {size_mb:.1f} MB, for {made_for['python']} on {made_for['platform']}")  # noqa: T201 - a command


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("--folder", action="store_true", help="Fill a folder instead of making one file.")
    asked = parser.parse_args()
    if asked.folder:
        fill(asked.target)
    else:
        make_pyz(asked.target)


if __name__ == "__main__":
    main()
