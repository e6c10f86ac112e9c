"""The recorded bodies under `scenarios/contract`, as data, read once by a process that runs tests."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

__all__ = ["contract_bodies"]

_FOLDER = Path(__file__).resolve().parents[2] / "scenarios" / "contract"


@functools.cache
def contract_bodies() -> tuple[dict[str, Any], ...]:
    """Return all bodies, in the order of their files."""
    return tuple(body for path in sorted(_FOLDER.glob("*.yaml")) for body in YAML(typ="safe").load(path))
