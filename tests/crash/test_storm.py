"""The kill test's long form, made short: that it runs, finds nothing, and says what it did."""

from __future__ import annotations

import pytest

from tests.crash.__main__ import main


def test_a_short_storm_ends_at_rest(capsys: pytest.CaptureFixture[str]) -> None:
    """Workers hit at a few random moments leave nothing lost, nothing doubled, and the seed in the first line."""
    code = main(["--kills", "3", "--seed", "7"])
    said = capsys.readouterr().out
    assert code == 0, said
    assert said.startswith("seed 7\n")
    figures = {line[:32].strip(): line[32:].strip() for line in said.splitlines()[2:] if line[32:]}
    assert [figures[name] for name in ("duplicates", "lost", "undelivered")] == ["0", "0", "0"]
    assert int(figures["at random moments"]) >= 3
