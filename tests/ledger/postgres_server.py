"""A PostgreSQL server that lives as long as a test run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MISSING = "needs PostgreSQL's server programs (Debian: postgresql); .ci/run installs them"


def programs() -> Path | None:
    """Return the folder of the server's programs, the newest there is."""
    if (found := shutil.which("initdb")) and shutil.which("postgres"):
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    return folders[-1] if folders else None


@contextmanager
def running_server(programs: Path) -> Iterator[str]:
    """Run a server on a socket in a folder of its own; give how to reach it."""
    # The path of a socket is short, and root may not run the server.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # made with a name of its own, mode 0700
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)

    def run(program: str, *arguments: str | Path) -> None:
        command = [programs / program, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder)  # noqa: S603  # our own

    data, options = folder / "data", f"-k {folder} -c listen_addresses= -c max_connections=200"
    try:
        run("initdb", "--no-sync", "--auth=trust", "--username=test", "--encoding=UTF8", "--locale=C", data)
        run("pg_ctl", "start", "-w", "-D", data, "-l", folder / "log", "-o", options)
        try:
            yield f"host={folder} user=test dbname=postgres"
        finally:
            run("pg_ctl", "stop", "-m", "immediate", "-D", data)
    finally:
        shutil.rmtree(folder)
