"""The scenarios that come with the fake, each read once by a process that runs tests."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

from fake_server.scenario import Scenario, load_scenario, shipped_scenarios

__all__ = ["all_shipped", "shipped"]


@functools.cache
def shipped(name: str) -> Scenario:
    """Return a scenario, which nobody can change."""
    return load_scenario(shipped_scenarios()[name])


@functools.cache
def all_shipped() -> Mapping[str, Scenario]:
    """Return all of them by name."""
    return MappingProxyType({name: shipped(name) for name in shipped_scenarios()})
