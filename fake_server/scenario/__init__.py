"""Scenario files: finding them, reading them with every mistake placed, and what they say."""

from fake_server.scenario.chaos import CHAOS_LEVELS, chaos_faults
from fake_server.scenario.fault_reader import FaultErrors, PointedProblem, read_fault
from fake_server.scenario.library import (
    find_scenarios,
    load_scenario,
    load_scenario_text,
    merged,
    shipped_folder,
    shipped_scenarios,
)
from fake_server.scenario.model import ClientBrief, Expect, Quotas, Scenario, ScriptedAnswer, Service
from fake_server.scenario.yaml_nodes import Problem, ScenarioErrors

__all__ = [
    "CHAOS_LEVELS",
    "ClientBrief",
    "Expect",
    "FaultErrors",
    "PointedProblem",
    "Problem",
    "Quotas",
    "Scenario",
    "ScenarioErrors",
    "ScriptedAnswer",
    "Service",
    "chaos_faults",
    "find_scenarios",
    "load_scenario",
    "load_scenario_text",
    "merged",
    "read_fault",
    "shipped_folder",
    "shipped_scenarios",
]
