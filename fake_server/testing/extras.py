"""Says which packages are missing before anything fails in the middle of an import."""

from __future__ import annotations

import importlib.util

SERVER_PACKAGES = ("click", "httptools", "ruamel.yaml", "starlette", "uvicorn")
SCENARIO_PACKAGES = ("ruamel.yaml",)
STRATEGY_PACKAGES = ("hypothesis",)


class MissingExtraError(ImportError):
    """Something of this package needs other packages that are not installed."""


def need(what: str, packages: tuple[str, ...], install: str = "'resilient-poll[fake]'") -> None:
    """Make sure that some packages are there.

    Args:
        what: What needs them.
        packages: What they are imported as.
        install: What brings them, for `pip install`.

    Raises:
        MissingExtraError: If one is not; the sentence names all that are missing, and what to install.
    """
    missing = [package for package in packages if not _is_there(package)]
    if missing:
        verb = "which is" if len(missing) == 1 else "which are"
        raise MissingExtraError(f"{what} needs {', '.join(missing)}, {verb} not installed: pip install {install}")


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # its parent is missing, or it was taken out on purpose
        return False
