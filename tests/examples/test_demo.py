"""`make demo` shows what it says, and leaves nothing behind."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
LONGEST_S = 60
PROMISED_S = 20.0


def test_the_demo_holds_its_claims(tmp_path: Path) -> None:
    """The demo ends well and in time, every claim holds, and without a terminal it prints plain lines."""
    done = subprocess.run(  # noqa: S603  # our own example
        [sys.executable, "-W", "error", str(DEMO)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert done.stdout.count("✓") == 7
    assert "✗" not in done.stdout
    for line in ("create throttled: Retry-After 2 s", "HTTP 502", "DataInspectionFailed", "the fake's total: 1.00"):
        assert line in done.stdout
    assert len(list((tmp_path / "demo-output").glob("*.mp4"))) == 2
    seconds = [float(found) for found in re.findall(r"^ *([\d.]+) s ", done.stdout, re.MULTILINE)]
    assert max(seconds) < PROMISED_S


def test_an_interrupted_demo_ends_its_fake(tmp_path: Path) -> None:
    """SIGTERM in the middle ends the demo and the fake that it started."""
    with subprocess.Popen(  # noqa: S603  # our own example
        [sys.executable, str(DEMO)], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(re.findall(r"127\.0\.0\.1:(\d+)", process.stdout.readline())[0])
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LONGEST_S)
    assert process.returncode != 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
