"""The fixture `fake_dashscope`: a world for each test, on one server for the whole run; `docs/testing.md` shows it.

This module is loaded with every start of pytest where the package is installed, so it imports nothing but pytest.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from fake_server.testing.served import FakeDashScope, FakeWorld

MARK = "fake_dashscope"
_SCENARIO, _FOLDER = "fake_dashscope_scenario", "fake_dashscope_scenarios"
_CHAOS, _SEED = "fake_dashscope_chaos", "fake_dashscope_seed"
_DEFAULTS = {"scenario": None, "clock": "manual", "speed": 1.0}
# So much of a test's name stands in the name of its world, for people; a hash makes it its own.
_NAME_LENGTH = 40
# Lines of the journal that a failing test shows.
_MOST_LINES = 50


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("fake_dashscope", "fake DashScope")
    group.addoption(
        "--fake-dashscope-chaos", dest=_CHAOS, metavar="light|heavy|FILE", help="Faults by chance in every world."
    )
    group.addoption("--fake-dashscope-seed", dest=_SEED, type=int, default=0, help="What that chance is drawn by.")
    parser.addini(_SCENARIO, "The scenario of tests that name none.", default="succeeds")
    parser.addini(_FOLDER, "A folder of scenarios, beside those that come with the fake.", type="paths", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    text = f"{MARK}(scenario, clock='manual', speed=1.0): what the fixture {MARK} plays to this test."
    config.addinivalue_line("markers", text)


def pytest_report_header(config: pytest.Config) -> str | None:
    """What replays a run under chaos."""
    chaos, seed = config.getoption(_CHAOS), config.getoption(_SEED)
    return f"fake DashScope: --fake-dashscope-chaos {chaos} --fake-dashscope-seed {seed}" if chaos else None


class _Servers:
    """The servers of this process: one for each kind of clock and each speed that a test asked for."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._running: dict[tuple[str, float], FakeDashScope] = {}

    def get(self, clock: str, speed: float) -> FakeDashScope:
        """A server, started if need be."""
        from fake_server.testing import FakeDashScope  # noqa: PLC0415 - only where a test asks for it

        if (clock, speed) not in self._running:
            folders = self._config.getini(_FOLDER)
            if len(folders) > 1:
                raise pytest.UsageError(f"found {len(folders)} folders in {_FOLDER}, expected one")
            fake = FakeDashScope(
                clock=clock,  # type: ignore[arg-type]  # looked at by what gets it
                speed=speed,
                scenarios=folders[0] if folders else None,
                chaos=self._config.getoption(_CHAOS),
                seed=self._config.getoption(_SEED),
            )
            fake.__enter__()
            self._running[clock, speed] = fake
        return self._running[clock, speed]

    def stop(self) -> None:
        """Stop them all."""
        for fake in self._running.values():
            fake.__exit__(None, None, None)


@pytest.fixture(scope="session")
def _fake_dashscope_servers(pytestconfig: pytest.Config) -> Iterator[_Servers]:
    servers = _Servers(pytestconfig)
    yield servers
    servers.stop()


@pytest.fixture
def fake_dashscope(request: pytest.FixtureRequest, _fake_dashscope_servers: _Servers) -> Iterator[FakeWorld]:
    """A fake DashScope: `url`, `key`, `base_url()`, `clock`, `advance()`, `journal`, `bill`, `verdict()`, `load()`."""
    world = _world(request, _fake_dashscope_servers)
    if isinstance(world, str):
        pytest.fail(f"the fixture {MARK}: {world}", pytrace=False)
    yield world
    world.give_back()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test shows what the fake was asked."""
    report = yield
    world: Any = getattr(item, "funcargs", {}).get(MARK)
    if report.when == "call" and report.failed and hasattr(world, "journal"):
        report.sections.append((f"{MARK}: what {world.name} was asked", _lines(world)))
    return report


def _world(request: pytest.FixtureRequest, servers: _Servers) -> FakeWorld | str:
    """The world of a test, or why there is none."""
    asked = _asked(request)
    try:
        fake = servers.get(asked["clock"], float(asked["speed"]))
        return fake.world(asked["scenario"] or request.config.getini(_SCENARIO), _tail(request))
    except (ImportError, LookupError, ValueError) as error:
        return str(error.args[0])
    except Exception as error:
        if type(error).__name__ != "ScenarioErrors":  # Its module may not be there to import it from.
            raise
        return str(error)


def _asked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the nearest marker asks for."""
    marker = request.node.get_closest_marker(MARK)
    asked = dict(_DEFAULTS)
    if marker is None:
        return asked
    unknown = sorted(marker.kwargs.keys() - asked.keys())
    if unknown or len(marker.args) > 1:
        found = ", ".join(unknown) or f"{len(marker.args)} positional arguments"
        pytest.fail(f"the marker {MARK}: found {found}, expected scenario, clock, speed", pytrace=False)
    if marker.args:
        asked["scenario"] = marker.args[0]
    asked.update(marker.kwargs)
    return asked


def _tail(request: pytest.FixtureRequest) -> str:
    """What ends the name of a test's world: the same in every run, and no other test's."""
    node = request.node.nodeid
    return f"{request.node.name[:_NAME_LENGTH]}-{hashlib.sha256(node.encode()).hexdigest()[:12]}"


def _lines(world: FakeWorld) -> str:
    entries = world.journal
    kept = entries[-_MOST_LINES:]
    lines = [f"… {len(entries) - len(kept)} lines before"] if len(entries) > len(kept) else []
    for entry in kept:
        struck = f" [{entry.fault}]" if entry.fault else ""
        answered = entry.status or "cut"
        lines.append(f"{entry.ordinal}. {entry.at_s:.3f} s {entry.method} {entry.path} -> {answered}{struck}")
    return "\n".join(lines) or "nothing"
