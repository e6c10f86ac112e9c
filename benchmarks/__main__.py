"""Measure everything, and print a table in Markdown.

``python -m benchmarks`` takes some minutes, ``--quick`` some seconds and only shows that
everything works.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks import (
    batch_on_a_cap,
    fake_throughput,
    fake_with_many_tasks,
    fake_wrk,
    imports,
    ledger_costs,
    lost_answers,
    machine_steps,
    many_waits,
    middleware_overhead,
    outage,
    per_poll,
    soak,
    spec_overhead,
)
from benchmarks.figures import Row, Scale, table

BENCHMARKS = {
    "per-poll": per_poll.measure,
    "spec": spec_overhead.measure,
    "many-waits": many_waits.measure,
    "machine": machine_steps.measure,
    "batch": batch_on_a_cap.measure,
    "ledger": ledger_costs.measure,
    "soak": soak.measure,
    "lost-answers": lost_answers.measure,
    "middleware": middleware_overhead.measure,
    "outage": outage.measure,
    "fake": fake_throughput.measure,
    "fake-memory": fake_with_many_tasks.measure,
    "fake-wrk": fake_wrk.measure,
    "imports": imports.measure,
}
"""All of them: a function from a scale to rows each. A new one is a line here."""
BY_NAME_ONLY = frozenset({"fake-wrk", "soak"})
"""Run only if they are named: they take long, or need what is not everywhere."""
HOW_TO_READ = (
    "Each figure is the median of repetitions that were made by turns, with the lowest and the highest; "
    "a ratio is that of neighbours, and less is better."
)
_PACKAGES = ("httpx", "httpx2", "anyio", "uvicorn", "uvloop", "httptools", "starlette", "dashscope")


def main() -> None:
    """Measure what is asked for; the table goes to stdout, and what is being done to stderr."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test: the figures mean nothing")
    parser.add_argument("names", nargs="*", help=f"only these of {', '.join(BENCHMARKS)}")
    given = parser.parse_args()
    for name in given.names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    scale = Scale(is_quick=given.quick)
    for name in [name for name in os.environ if "proxy" in name.lower()]:
        del os.environ[name]  # Everything here stays on this machine.
    rows: list[Row] = []
    header = about_this_run(scale)
    for name in given.names or [name for name in BENCHMARKS if name not in BY_NAME_ONLY]:
        sys.stderr.write(f"measuring {name} …\n")
        rows += BENCHMARKS[name](scale)
    sys.stdout.write(f"{header}\n\n{table(rows)}\n")


def about_this_run(scale: Scale) -> str:
    """Return where and with what the figures were measured, and how to read them."""
    found = [f"{name} {known}" for name in _PACKAGES if (known := _version_of(name))]
    where = f"{_processor()}, {os.cpu_count()} processors, {platform.system()} {platform.release()}"
    load = f"load {os.getloadavg()[0]:.1f} at the start"
    lines = [f"{where}, {load}; Python {platform.python_version()}, {', '.join(found)}.", HOW_TO_READ]
    if scale.is_quick:
        lines.append("This was a quick run: its figures mean nothing.")
    return "\n".join(lines)


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
