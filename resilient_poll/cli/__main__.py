"""Where ``resilient-poll`` and ``python -m resilient_poll.cli`` start. Imports nothing that an extra brings."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from resilient_poll.cli.interrupts import Interrupted, Interrupts

__all__ = ["main"]

_USAGE = 2  # ExitCode.USAGE, whose module is not imported before the signals are in hand.
_OTHER = 1
_MISSING = "the command line needs the extra \"cli\": pip install 'resilient-poll[cli]'\n"
_TOO_EARLY = "interrupted; nothing was sent\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the program's name; those of this process, unless given.

    Returns:
        The exit code.
    """
    try:
        with Interrupts() as interrupts:
            return _run(sys.argv[1:] if arguments is None else list(arguments), interrupts)
    except Interrupted:
        # Everything after the first imports reports its own interruptions.
        sys.stderr.write(_TOO_EARLY)
        return _OTHER


def _run(arguments: list[str], interrupts: Interrupts) -> int:
    try:
        import click  # noqa: F401, PLC0415  # only to see whether it is there
        import rich  # noqa: F401, PLC0415  # as above
    except ImportError:
        sys.stderr.write(_MISSING)
        return _USAGE
    from resilient_poll.cli.app import run  # noqa: PLC0415  # only now is it known that its imports exist

    return run(arguments, interrupts)


if __name__ == "__main__":
    sys.exit(main())
