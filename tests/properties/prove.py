"""Try every property with far more values than there is time for otherwise: ``make prove``.

File by file, several at once. What is done stands in ``.prove/done.jsonl`` with a digest of the code that it was done
with, so that a run that was broken off goes on where it stopped: the same command again. A value that failed is kept in
``.prove/examples``, and tried first by the next run.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.counting import ENVIRONMENT
from tests.support.profiles import FOLDER

ROOT = Path(__file__).resolve().parents[2]
DONE = FOLDER / "done.jsonl"
RECORD = ROOT / "docs" / "examples_run.json"
CODE = ("resilient_poll", "fake_server", "scenarios", "tests")
# What thousands of values log would bury the one that fails.
BRIEF = ("--tb=short", "--show-capture=no")
# What makes a file of tests one that draws values.
SIGNS = ("Property(", "@given(", "run_state_machine_as_test(", "run_machine(", ".TestCase")


@dataclass(frozen=True)
class Done:
    """One file that was tried.

    Attributes:
        code: A digest of the code that it was tried with.
        profile: How deep.
        file: Which.
        passed: Whether all went well.
        took_s: How long it took.
        examples: How many values each test tried.
        computed_s: How many seconds of processor time these tests took; what processes of theirs took is not in it.
    """

    code: str
    profile: str
    file: str
    passed: bool
    took_s: float
    examples: dict[str, int]
    computed_s: float


def files() -> list[str]:
    """Return the files of tests that draw values; those of the thirteen properties first."""
    found = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if any(sign in path.read_text() for sign in SIGNS)
    ]
    return sorted(found, key=lambda name: (not name.startswith("tests/properties/"), name))


def digest() -> str:
    """Return a digest of all code that a test may run."""
    found = hashlib.sha256()
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".yaml", ".json"} and path.is_file():
                found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def already(code: str, profile: str, done: Iterable[str]) -> dict[str, Done]:
    """Return what was done with this code and as deep, by file; a later line counts instead of an earlier one."""
    # A run that was killed may have left half a line.
    lines = [json.loads(line) for line in done if line.endswith("}\n")]
    of_this = [Done(**line) for line in lines if (line["code"], line["profile"]) == (code, profile)]
    return {one.file: one for one in of_this if one.passed}


def run(file: str, code: str, profile: str, until_s: float) -> Done | None:
    """Try the properties of a file; None if there is no time left."""
    if time.monotonic() > until_s:
        return None
    name = profile.split(maxsplit=1)[0]
    thorough = [] if name in {"dev", "ci"} else ["--thorough"]
    with TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.jsonl"
        began_s = time.monotonic()
        done = subprocess.run(  # noqa: S603  # our own command
            [sys.executable, "-m", "pytest", "-q", *thorough, "-p", "no:cacheprovider", *BRIEF, file],
            cwd=ROOT,
            env={**os.environ, "HYPOTHESIS_PROFILE": name, ENVIRONMENT: str(counts)},
            capture_output=True,
            text=True,
            check=False,
        )
        told = [json.loads(line) for line in counts.read_text().splitlines()] if counts.exists() else []
    if done.returncode:
        sys.stdout.write(done.stdout[-20_000:] + done.stderr[-5_000:])
    examples = {one["test"]: int(one["examples"]) for one in told}
    computed_s = round(sum(float(one["took_s"]) for one in told), 2)
    took_s = round(time.monotonic() - began_s, 1)
    return Done(code, profile, file, done.returncode == 0, took_s, examples, computed_s)


def tried(files: Iterable[str], run_one: Callable[[str], Done | None], at_once: int) -> Iterator[Done]:
    """Try files, several at once; each is given out when it is done, so that Ctrl-C loses only what is under way."""
    pool = ThreadPoolExecutor(at_once)
    try:
        for future in as_completed([pool.submit(run_one, file) for file in files]):
            done = future.result()
            if done is not None:
                yield done
    finally:
        pool.shutdown(cancel_futures=True)


def write_down(results: Iterable[Done], profile: str, *, of_all: bool) -> None:
    """Keep how many values each test was tried with, for docs/correctness.md.

    Args:
        results: What was done.
        profile: How deep.
        of_all: Whether these are all files there are; what was counted of others before is kept otherwise.
    """
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    done = list(results)
    these = {one.file for one in done}
    kept = (
        {} if of_all else {test: n for test, n in record.get(profile, {}).items() if test.split("::")[0] not in these}
    )
    record[profile] = kept | {test: count for one in done for test, count in one.examples.items()}
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def main(arguments: list[str]) -> int:
    """Try what is left to be tried."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.properties.prove", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--profile", default="night", help="how deep: dev, ci, short or night")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no further file after so long")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="how many files at once")
    parser.add_argument("--again", action="store_true", help="begin anew, whatever was done")
    parser.add_argument("--write", action="store_true", help="keep the numbers of examples for docs/correctness.md")
    parser.add_argument("files", nargs="*", help="these only")
    options = parser.parse_args(arguments)
    FOLDER.mkdir(exist_ok=True)
    code, wanted = digest(), options.files or files()
    depth = " ".join([options.profile, os.environ.get("PROPERTY_EXAMPLES", "")]).strip()
    lines = DONE.read_text().splitlines(keepends=True) if DONE.exists() and not options.again else []
    results = already(code, depth, lines)
    left = [file for file in wanted if file not in results]
    sys.stdout.write(f"{len(wanted)} files, {len(left)} to be tried, profile {depth}, code {code}\n")
    until_s = time.monotonic() + 60 * options.minutes
    failed = []
    with DONE.open("a") as record:
        for done in tried(left, functools.partial(run, code=code, profile=depth, until_s=until_s), options.at_once):
            record.write(json.dumps(asdict(done)) + "\n")
            record.flush()
            results[done.file] = done
            failed += [] if done.passed else [done.file]
            values = sum(done.examples.values())
            sys.stdout.write(f"{'ok  ' if done.passed else 'FAIL'} {done.took_s:7.1f} s {values:9,} {done.file}\n")
            sys.stdout.flush()
    missing = [file for file in wanted if file not in results]
    total = sum(sum(done.examples.values()) for done in results.values())
    computed_s = sum(done.computed_s for done in results.values())
    sys.stdout.write(
        f"{total:,} values in {len(results)} files, {computed_s:.0f} s of processor time in the tests that draw them; "
        f"{len(failed)} failed; {len(missing)} not tried yet\n"
    )
    if missing:
        sys.stdout.write("there was no time for all: the same command goes on where this one stopped\n")
    if options.write:
        tried_files = [results[file] for file in wanted if file in results]
        write_down(tried_files, options.profile, of_all=not options.files and not missing)
    return 1 if failed or missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from here")
