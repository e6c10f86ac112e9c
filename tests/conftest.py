"""What holds for all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest

from tests.support import counting, profiles, thorough, trust

# A shell lets what it starts in the background ignore Ctrl-C, and nohup the end of a terminal; what tests start and
# interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

profiles.load()
trust.trust_one_authority()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer to run the cases, too, that take long."""
    thorough.add_option(parser)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases that take long, unless they are asked for."""
    thorough.leave_out(config, items)


def pytest_configure(config: pytest.Config) -> None:
    """Measure coverage in the processes that run tests, and not in those that tests start; fix the seed.

    Those are hundreds, most of them short; measuring doubles what each of them costs, and whatever must be covered
    is covered by tests that call it. The process that hands tests to the workers must let them be measured.
    """
    if getattr(config.option, "numprocesses", None) is None or hasattr(config, "workerinput"):
        for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
            os.environ.pop(name, None)
    profiles.fix_the_seed(config)
    thorough.add_marker(config)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Count the values that a property is tried with, inside of what Hypothesis's own plugin does."""
    with counting.counted(item.nodeid):
        return (yield)
