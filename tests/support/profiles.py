"""How deep the properties are tried: one number, by which all others are scaled.

HYPOTHESIS_PROFILE names one of these, or `--hypothesis-profile`; `ci` is what is used otherwise, by `make test` too.

- `dev`: seconds, while something is being written.
- `ci`: minutes. The same values every time, so that no change is blamed for a value that another draw would have found.
- `short`: what `make prove-short` draws: more, and from another seed, which is as fixed.
- `night`: what `make prove` draws: far more, at random; what fails is kept in `.prove/`, and is tried first next time.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

FOLDER = Path(__file__).resolve().parents[2] / ".prove"
# A property that names a number of its own, names what it is tried with where others are tried with this many.
USUAL = 100
DEV, CI, SHORT, NIGHT = 10, 25, 50, 2000
LEAST = 5
SHORT_SEED = 1302


def load() -> None:
    """Register the profiles, and use the one that the environment names."""
    # A slow machine is not a falsified property. What is not said here, Hypothesis takes from the profile in use, which
    # is another one where it finds that it runs in CI.
    calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False, print_blob=True)
    settings.register_profile("dev", calm, max_examples=DEV)
    settings.register_profile("ci", calm, max_examples=CI, derandomize=True, database=None)
    settings.register_profile("short", calm, max_examples=SHORT, database=None)
    settings.register_profile(
        "night", calm, max_examples=NIGHT, database=DirectoryBasedExampleDatabase(FOLDER / "examples")
    )
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
    if "PROPERTY_EXAMPLES" in os.environ:
        settings.register_profile(
            settings.get_current_profile_name(), settings(), max_examples=int(os.environ["PROPERTY_EXAMPLES"])
        )
        settings.load_profile(settings.get_current_profile_name())


def examples(usual: int) -> int:
    """Return how many values to draw now where a hundred is usual for others.

    Args:
        usual: How many, beside the hundred that most properties are tried with: fewer where one takes long, more
            where what is looked for is rare.

    Returns:
        That many, scaled by the profile.
    """
    return max(LEAST, usual * settings().max_examples // USUAL)


def fix_the_seed(config: pytest.Config) -> None:
    """Let `short` draw the same values every time, and others than `ci` does."""
    if settings.get_current_profile_name() == "short" and config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(SHORT_SEED)
