"""``python -m resilient_poll`` is ``resilient-poll``."""

from __future__ import annotations

import sys

from resilient_poll.cli.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
