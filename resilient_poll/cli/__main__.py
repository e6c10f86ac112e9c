"""Where ``resilient-poll`` and ``python -m resilient_poll.cli`` start. Imports nothing that an extra brings."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

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
    _open_standard_streams()
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with Interrupts(until_exit=arguments is None) as interrupts:
            return _run(words, interrupts)
    except Interrupted as interruption:
        # Everything after the first imports reports its own interruptions.
        return _too_early(interruption, words)


def _open_standard_streams() -> None:
    """Lead what is closed to nowhere: else the next connection becomes stdout, and gets what is printed there.

    A stdout that was closed cannot be written: a result that goes nowhere is not one that was printed.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDONLY if name == "stdout" else os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "r" if descriptor == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115  # a descriptor, for good


def _too_early(interruption: Interrupted, words: list[str]) -> int:
    with suppress(OSError):
        if "--json" not in words:
            sys.stderr.write(_TOO_EARLY)
            return _OTHER
        from resilient_poll.cli.accidents import report_of_early_end  # noqa: PLC0415  # needs no extra, but takes its time

        sys.stdout.write(report_of_early_end(interruption.signal_name, words).as_json() + "\n")
        sys.stdout.flush()
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
