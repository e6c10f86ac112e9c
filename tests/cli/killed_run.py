"""The command line as a program that kills itself at a named point: ``killed_run.py WHEN:ACT words...``.

ACT is what the ledger is told (``begin``, ``license``, ``accept``, ``observe``, ``delivered``, ``saved``), or
``create``, the exchange itself, or ``keep``, the last step of a download. WHEN is ``before`` or ``after`` it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from resilient_poll.cli.__main__ import main
from resilient_poll.dashscope.saving.partial import PartialFile
from resilient_poll.ledger.logic import LedgerLogic
from resilient_poll.transports.exchange import Exchange

WHEN, ACT = sys.argv[1].split(":")
OWNERS: dict[str, type] = {"create": Exchange, "keep": PartialFile}


def kill_at(owner: type, act: str) -> None:
    """Have an act be the last thing that is done, or the first that is not."""
    done = getattr(owner, act)

    def deadly(*arguments: Any, **options: Any) -> Any:
        if WHEN == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = done(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, act, deadly)


kill_at(OWNERS.get(ACT, LedgerLogic), ACT)

if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
