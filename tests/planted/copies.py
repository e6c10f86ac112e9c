"""Copies of the packages and their tests, in which bugs can be planted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.planted.diffs import Planted

__all__ = ["ROOT", "copy_all", "copy_with"]

ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("resilient_poll", "fake_server", "tests", "scenarios")
_LEFT_OUT = shutil.ignore_patterns(".hypothesis", "planted", "*.part")


def copy_all(target: Path) -> None:
    """Copy what tests need, with what Python compiled of it; what is edited meanwhile then changes nothing."""
    for name in _COPIED:
        shutil.copytree(ROOT / name, target / name, ignore=_LEFT_OUT)
    shutil.copy2(ROOT / "pyproject.toml", target)


def copy_with(bug: Planted, clean: Path, target: Path) -> None:
    """Make a copy with a bug planted; all other files are the clean copy's own, by another name.

    Args:
        bug: What is planted.
        clean: A copy without it, in the same file system.
        target: Where the new copy goes.

    Raises:
        DoesNotApply: The bug fits this code no more.
    """
    changed = bug.apply(clean)
    shutil.copytree(clean, target, copy_function=os.link)
    for path, text in changed.items():
        file = target / path
        # A new file in the place of the old one, which the clean copy shares.
        file.unlink()
        file.write_text(text, encoding="utf-8")
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
            compiled.unlink()
