"""`make prove` goes on where it was stopped, counts truly, and tries as much as its profile says."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import prove
from tests.support import counting, profiles
from tests.support.profiles import LEAST, USUAL, examples


def test_what_is_done_is_not_done_again() -> None:
    """Of what stands in the record only what passed, with this code and as deep, is left out the next time."""
    good = prove.Done("code", "night", "a.py", passed=True, took_s=1.0, examples={"a": 3}, computed_s=0.5)
    others = [
        {**asdict(good), "file": "b.py", "passed": False},
        {**asdict(good), "file": "c.py", "code": "another"},
        {**asdict(good), "file": "d.py", "profile": "ci"},
    ]
    lines = [json.dumps(one) + "\n" for one in (asdict(good), *others)] + ['{"code": "code", "file": "e.p']
    assert prove.already("code", "night", lines) == {"a.py": good}


def test_who_stops_keeps_what_is_done() -> None:
    """Each file is given out when it is done; whoever stops listening waits for what is under way, and for no more."""
    begun: list[str] = []
    turns = threading.Semaphore(3)

    def run_one(file: str) -> prove.Done | None:
        begun.append(file)
        turns.acquire()
        return None if file == "late.py" else prove.Done("code", "dev", file, True, 0.0, {}, 0.0)

    assert {done.file for done in prove.tried(["a.py", "late.py", "b.py"], run_one, 2)} == {"a.py", "b.py"}
    turns.release()
    listening = prove.tried([f"{number}.py" for number in range(3_000)], run_one, 1)
    next(listening)
    stopping = threading.Thread(target=listening.close)
    stopping.start()
    while stopping.is_alive():
        turns.release()
        stopping.join(0.01)  # real: the pool's threads are what is tested
    assert len(begun) < 2_900


def test_files_that_draw_are_found() -> None:
    """The files of the properties come first, and a file that draws nothing is none of them."""
    found = prove.files()
    assert found[0].startswith("tests/properties/test_01")
    assert "tests/ledger/test_properties.py" in found
    assert "tests/oracle/test_naive.py" not in found


def test_values_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly the values that a test saw are counted, under its name."""
    seen: list[int] = []

    @settings(max_examples=17, database=None)
    @given(st.integers())
    def check(number: int) -> None:
        seen.append(number)

    path = tmp_path / "counts.jsonl"
    monkeypatch.setenv(counting.ENVIRONMENT, str(path))
    with counting.counted("a test"):
        check()
    told = json.loads(path.read_text())
    assert (told["test"], told["examples"]) == ("a test", len(seen))
    assert len(seen) == 17


def test_numbers_of_tests_are_scaled() -> None:
    """A test with a number of its own gets its share of what the profile says, and never none."""
    now = settings().max_examples
    assert examples(USUAL) == max(LEAST, now)
    assert examples(3 * USUAL) == max(LEAST, 3 * now)
    assert examples(1) == max(LEAST, now // USUAL)


def test_the_profiles_are_what_they_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """In CI the same values come every time and nothing is kept; at night they are drawn and what fails is kept."""
    found = {}
    try:
        with monkeypatch.context() as patch:
            patch.delenv("PROPERTY_EXAMPLES", raising=False)
            for name in ("dev", "ci", "short", "night"):
                patch.setenv("HYPOTHESIS_PROFILE", name)
                profiles.load()
                found[name] = settings()
    finally:
        profiles.load()
    assert found["ci"].derandomize
    assert found["ci"].database is None
    assert found["short"].database is None
    assert found["night"].database is not None
    assert not found["night"].derandomize
    numbers = [found[name].max_examples for name in ("dev", "ci", "short", "night")]
    assert numbers == sorted(set(numbers))
