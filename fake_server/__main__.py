"""Where `fake-dashscope` and `python -m fake_server` start. Imports nothing that an extra brings."""

from __future__ import annotations

import importlib.util
import sys

# What the fake cannot do without; uvloop is faster, not needed.
_NEEDED = ("click", "httptools", "rich", "ruamel.yaml", "starlette", "uvicorn")
_MISSING = "the fake needs the extra \"fake\": pip install 'resilient-poll[fake]'\n"


def main() -> None:
    """Run the command line; without the extra, say so in one sentence and exit with 2."""
    if not all(_is_installed(name) for name in _NEEDED):
        sys.stderr.write(_MISSING)
        sys.exit(2)
    from fake_server.cli import cli  # noqa: PLC0415 - only now is it known that its imports exist

    cli(prog_name="fake-dashscope")


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent of a dotted name
        return False


if __name__ == "__main__":
    main()
