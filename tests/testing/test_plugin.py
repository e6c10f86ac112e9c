"""The fixture `fake_dashscope`, in runs of pytest of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

# Whatever else is installed here is left out, so that the runs are quick.
QUIET = ("-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:anyio")

A_TEST_FOR_EVERYTHING = """
import httpx
import pytest

SEEN = {}


def ask(fake, path="/tasks/x", **options):
    with httpx.Client(verify=False, headers={"Authorization": f"Bearer {fake.key}"}) as client:
        return client.get(fake.base_url() + path, **options).status_code


def test_default(fake_dashscope):
    assert (fake_dashscope.scenario.name, ask(fake_dashscope)) == ("own-default", 200)
    SEEN["default"] = fake_dashscope


def test_another_world(fake_dashscope):
    assert fake_dashscope.url == SEEN["default"].url, "one server for the whole run"
    assert fake_dashscope.name != SEEN["default"].name
    assert fake_dashscope.journal == ()


def test_the_first_was_given_back():
    assert SEEN["default"].journal == ()


@pytest.mark.fake_dashscope("bad-gateway")
def test_named(fake_dashscope):
    assert fake_dashscope.key.startswith("sk-bad-gateway.test_named-")


@pytest.mark.fake_dashscope(clock="real", speed=60)
def test_real(fake_dashscope):
    assert fake_dashscope.url != SEEN["default"].url
    with pytest.raises(ValueError):
        fake_dashscope.advance(1)


@pytest.mark.fake_dashscope("version: 1\\nsummary: Here.\\ntasks: [FAILED]\\nexpect: {outcome: FAILED}\\n")
@pytest.mark.parametrize("number", ["one", "two"])
def test_text(fake_dashscope, number):
    assert fake_dashscope.scenario.summary == "Here."
    assert ask(fake_dashscope) == 200
    assert len(fake_dashscope.journal) == 1


def test_that_fails(fake_dashscope):
    ask(fake_dashscope, "/tasks/some-task")
    assert fake_dashscope.verdict().passed


@pytest.mark.fake_dashscope("bad-gatewya")
def test_slip(fake_dashscope):
    pass


@pytest.mark.fake_dashscope(sped=3)
def test_slip_in_the_marker(fake_dashscope):
    pass


@pytest.mark.fake_dashscope("version: 1\\n")
def test_broken(fake_dashscope):
    pass
"""
OWN = "version: 1\nsummary: Ours.\ntasks: [SUCCEEDED]\nexpect: {outcome: SUCCEEDED}\n"
CHAOS = "version: 1\nsummary: Nothing works.\nfaults:\n  - {fault: status, status: 503, on: query}\n"


def test_a_world_for_each_test_on_one_server(pytester: pytest.Pytester) -> None:
    """Marker and ini choose what is played, worlds do not meet, slips are told, and a failure shows the journal."""
    pytester.mkdir("scenarios").joinpath("own-default.yaml").write_text(OWN)
    pytester.makeini("[pytest]\nfake_dashscope_scenario = own-default\nfake_dashscope_scenarios = scenarios\n")
    pytester.makepyfile(A_TEST_FOR_EVERYTHING)
    result = pytester.runpytest_inprocess("--strict-markers", *QUIET)
    result.assert_outcomes(passed=7, failed=1, errors=3)
    result.stdout.fnmatch_lines_random(
        [
            "the fixture fake_dashscope: there is no scenario 'bad-gatewya'; did you mean bad-gateway?",
            "the marker fake_dashscope: found sped, expected scenario, clock, speed",
            "the fixture fake_dashscope: own.yaml:1:1: found no expect, *",
            "*fake_dashscope: what own-default.test_that_fails-* was asked*",
            "1. 0.000 s GET /api/v1/tasks/some-task -> 200",
            "*FAIL unknown: *",
        ]
    )


def test_chaos_is_for_the_whole_run(pytester: pytest.Pytester) -> None:
    """Chaos from the command line strikes in every world, and the header of the run says how to replay it."""
    chaos = Path(pytester.path, "chaos.yaml")
    chaos.write_text(CHAOS)
    pytester.makepyfile(
        A_TEST_FOR_EVERYTHING.partition("def test_default")[0]
        + """
def test_struck(fake_dashscope):
    assert ask(fake_dashscope) == 503
"""
    )
    result = pytester.runpytest_inprocess("--fake-dashscope-chaos", str(chaos), "--fake-dashscope-seed", "7", *QUIET)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"fake DashScope: --fake-dashscope-chaos {chaos} --fake-dashscope-seed 7"])


@pytest.mark.thorough
def test_workers_of_xdist_do_not_meet(pytester: pytest.Pytester) -> None:
    """Tests that run at once in several processes have a server for each process, and worlds of their own."""
    pytester.makepyfile(
        A_TEST_FOR_EVERYTHING.partition("def test_default")[0]
        + """
import pathlib

@pytest.mark.parametrize("number", range(8))
def test_alone(fake_dashscope, number):
    for _ in range(number + 1):
        assert ask(fake_dashscope) == 200
        fake_dashscope.advance(1)
    assert len(fake_dashscope.journal) == number + 1
    assert fake_dashscope.now_s == number + 1
    with pathlib.Path("urls").open("a") as urls:
        urls.write(fake_dashscope.url + "\\n")
"""
    )
    result = pytester.runpytest_subprocess("-n", "2", *QUIET)
    result.assert_outcomes(passed=8)
    assert len(set(Path(pytester.path, "urls").read_text().split())) == 2


def test_it_costs_nothing_and_names_what_is_missing(pytester: pytest.Pytester) -> None:
    """Without the fixture nothing of the fake is imported; with it, what is not installed is named in one line."""
    pytester.makepyfile("""
import sys

def test_first():
    loaded = {"starlette", "uvicorn", "ruamel", "httpx", "hypothesis", "fake_server.testing"} & sys.modules.keys()
    assert not loaded
    assert "fake_server.pytest_plugin" in sys.modules
    sys.modules["starlette"] = sys.modules["ruamel"] = sys.modules["ruamel.yaml"] = None

def test_second(fake_dashscope):
    pass

def test_third():
    pass
""")
    result = pytester.runpytest_subprocess(*QUIET)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["the fixture fake_dashscope: *ruamel.yaml, *pip install 'resilient-poll?fake?'"])
