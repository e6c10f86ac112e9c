"""The fake with its errors told: uvicorn's are silenced in the product, and the storm wants to see each."""

from __future__ import annotations

import logging


class LoudLogger(logging.Logger):
    """A logger that nobody can keep from telling errors."""

    def setLevel(self, level: int | str) -> None:  # noqa: N802  # logging's name
        """Take a level, but none above errors."""
        super().setLevel(min(level, logging.ERROR) if isinstance(level, int) else level)


if __name__ == "__main__":
    logging.setLoggerClass(LoudLogger)
    from fake_server.__main__ import main

    main()
