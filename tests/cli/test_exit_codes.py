"""Every exit code, in real runs against the fake."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from resilient_poll import errors
from resilient_poll.cli.exit_codes import MEANINGS, ExitCode, verdict_on_error, verdict_on_phase
from resilient_poll.machine.lifecycle import ENDS, OPEN, Billing, Phase
from tests.cli.command_line import MAKE, SOON, Account, as_process, here

RUN = ("run", *MAKE, "-o", "clip.mp4", *SOON)
EVERY_CODE = [
    ("at-once", (), ExitCode.SUCCEEDED, "succeeded", "BILLED", "no"),
    ("gone-at-once", (), ExitCode.OTHER, "download_failed", "BILLED", "no"),
    ("at-once", ("--timeout", "0"), ExitCode.USAGE, "usage", "NONE", "yes"),
    ("fails-at-once", (), ExitCode.FAILED, "failed", "NONE", "yes"),
    ("goes-on", ("--timeout", "0.3"), ExitCode.STILL_GOING, "still_going", "ON_SUCCESS", "no"),
    ("create-dropped", (), ExitCode.IN_DOUBT, "in_doubt", "UNDETERMINED", "unknown"),
    ("refused-create", (), ExitCode.REFUSED, "refused", "NONE", "yes"),
    ("throttled-create-too-long", (), ExitCode.THROTTLED, "throttled", "NONE", "yes"),
]


@pytest.mark.parametrize(("scenario", "more", "code", "outcome", "billing", "again"), EVERY_CODE)
def test_a_script_can_act_on_each_code(
    account: Account,
    capfd: pytest.CaptureFixture[str],
    scenario: str,
    more: tuple[str, ...],
    code: ExitCode,
    outcome: str,
    billing: str,
    again: str,
) -> None:
    """A run ends with the documented code, and its JSON object says the same in words."""
    account.open(scenario)
    ended = here(capfd, *RUN, *more, "--json")
    assert ended.code == code, ended
    said = ended.object
    assert (said["outcome"], said["billing"], said["safe_to_submit_again"]) == (outcome, billing, again)
    assert (said["error"] is None) == (code is ExitCode.SUCCEEDED)
    assert (said["file"] == "clip.mp4") == Path("clip.mp4").exists() == (code is ExitCode.SUCCEEDED)


@pytest.mark.thorough(plain=3)
@pytest.mark.parametrize(("scenario", "more", "code"), [row[:3] for row in EVERY_CODE])
def test_each_code_as_a_process(account: Account, scenario: str, more: tuple[str, ...], code: ExitCode) -> None:
    """As a process too: results go to stdout, trouble to stderr, and nothing traces or shows the key."""
    key = account.open(scenario)
    ended = as_process(*RUN, *more)
    assert ended.code == code, ended
    assert (ended.stdout != "") == (code is ExitCode.SUCCEEDED)
    assert "Traceback" not in ended.stderr
    assert key not in ended.stdout + ended.stderr


def test_the_table_is_total() -> None:
    """Every error that can be raised has an exit code and a word of its own, and every code has a meaning."""
    assert set(MEANINGS) == set(ExitCode)
    standing = errors.Standing(task_id="t", phase=Phase.RUNNING, status="RUNNING", billing=Billing.ON_SUCCESS)
    leaves = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.ResilientPollError) and not kind.__subclasses__()
    ]
    for kind in leaves:
        error = kind("x", standing) if issubclass(kind, errors.TaskError) else kind("x")
        code, outcome = verdict_on_error(error)
        assert outcome != "error", kind
        assert code is not ExitCode.SUCCEEDED
    assert verdict_on_error(errors.ResilientPollError("x")) == (ExitCode.OTHER, "error")


def test_where_a_task_stands_has_a_code() -> None:
    """An open phase is "still going", an end without a result is "failed", and only success is 0."""
    assert {verdict_on_phase(phase)[0] for phase in OPEN} == {ExitCode.STILL_GOING}
    ends = {phase: verdict_on_phase(phase)[0] for phase in ENDS - {Phase.REFUSED}}
    assert ends.pop(Phase.SUCCEEDED) is ExitCode.SUCCEEDED
    assert set(ends.values()) == {ExitCode.FAILED}
