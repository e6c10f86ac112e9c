"""What an import costs, each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.figures import Row, Scale, beside

__all__ = ["measure"]

AT_MOST = 1.15
_PROGRAMS = {
    "httpx": "import httpx",
    "package": "import resilient_poll",
    "class": "from resilient_poll import DashScope",
    "httpx client": "import httpx; httpx.Client()",
    "client": "from resilient_poll import DashScope; DashScope(dialect='aisa', api_key='sk-x')",
}
_ROWS = (
    ("`import resilient_poll` / `import httpx`", "package", "httpx", AT_MOST),
    ("`from resilient_poll import DashScope` / `import httpx`", "class", "httpx", AT_MOST),
    ("import and make a `DashScope` / import and make an `httpx.Client`", "client", "httpx client", None),
)


def measure(scale: Scale) -> list[Row]:
    """Measure whole processes by turns, the interpreter's own start included on both sides."""
    took_ms: dict[str, list[float]] = {name: [] for name in _PROGRAMS}
    for number in range(scale.of(25, 1) + 1):
        for name, program in _PROGRAMS.items():
            elapsed_ms = _run_ms(program)
            if number:  # The first round writes byte code and fills the file cache.
                took_ms[name].append(elapsed_ms)
    return [beside(what, took_ms[ours], took_ms[other], "ms", at_most=most) for what, ours, other, most in _ROWS]


def _run_ms(program: str) -> float:
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  # our own programs
    return (time.perf_counter() - began_s) * 1e3
