"""What is typed: arguments of `resilient-poll` and of `fake-dashscope`, one a line.

Every line is parsed, by each option's own rules; a command that asks nobody but the disk is run as well.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, suppress
from pathlib import Path

import click

from fake_server.cli import cli as fake_cli
from resilient_poll.cli.app import cli, run
from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.fuzz.ledger_file import good_ledger
from tests.fuzz.target import KEY, Target

__all__ = ["TARGETS"]

LOCAL = frozenset({"list", "show", "bill", "archive", "completion"})
ELSEWHERE = frozenset({"--remote", "--follow"})
FAKE_LOCAL = frozenset({"validate"})
ENVIRONMENT = {"DASHSCOPE_API_KEY": KEY, "HOME": "/nonexistent", "COLUMNS": "100"}
_OURS = ("AISA", "DASHSCOPE", "RESILIENT_POLL", "XDG", "FAKE")


def _words(raw: bytes) -> list[str]:
    # What the operating system hands over: no zero byte, and any other byte at all.
    return [line.decode("utf-8", "surrogateescape").replace("\0", "") for line in raw.split(b"\n")[:40]]


@contextmanager
def _in_a_folder() -> Iterator[Path]:
    """A folder with a ledger in it, an environment that names nobody's, and streams that are kept."""
    before, streams = dict(os.environ), (sys.stdout, sys.stderr)
    with tempfile.TemporaryDirectory() as name, chdir(name):
        folder = Path(name)
        Path("ledger.sqlite3").write_bytes(good_ledger())
        Path("prices.yaml").write_text("currency: CNY\nmodels: {wan2.5-t2v-preview: {second: 0.1}}\n")
        for variable in [key for key in os.environ if key.startswith(_OURS)]:
            del os.environ[variable]
        os.environ.update(ENVIRONMENT, XDG_STATE_HOME=name)
        # As Python itself opens them.
        sys.stdout = io.TextIOWrapper(io.BytesIO(), "utf-8")
        sys.stderr = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")
        try:
            yield folder
        finally:
            sys.stdout, sys.stderr = streams
            os.environ.clear()
            os.environ.update(before)


def _printed() -> str:
    said = ""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        said += stream.buffer.getvalue().decode("utf-8", "replace")
    return said


def _parsed(group: click.Group, words: Sequence[str]) -> str | None:
    """Parse a line as the program does, and return the command's name, if there is one."""
    with group.make_context("program", list(words)) as context:
        rest = [*context._protected_args, *context.args]
        if not rest:
            return None
        name, command, arguments = group.resolve_command(context, rest)
        if command is None:
            return None
        command.make_context(name, arguments, parent=context).close()
        return name


def _ours(raw: bytes) -> str:
    words = _words(raw)
    with _in_a_folder():
        try:
            name = _parsed(cli, words)
        except click.ClickException as error:
            error.format_message().encode("utf-8", "backslashreplace")
            return f"refused {type(error).__name__}"
        except click.exceptions.Exit:
            return "help"
        if name not in LOCAL or ELSEWHERE & {word.partition("=")[0] for word in words}:
            return f"{name} is meant"
        with Interrupts(until_exit=False) as interrupts:
            code = run(words, interrupts)
        said = _printed()
        assert "unexpected " not in said, said
        assert "Traceback" not in said, said
        assert KEY not in said
        assert isinstance(code, int)
        with suppress(OSError):
            SqliteLedger("ledger.sqlite3").close()
        return f"{name} ends with {code}"


def _fakes(raw: bytes) -> str:
    words = _words(raw)
    with _in_a_folder():
        try:
            name = _parsed(fake_cli, words)
            if name in FAKE_LOCAL:
                fake_cli.main(args=words, prog_name="fake-dashscope", standalone_mode=False)
        except click.ClickException as error:
            error.format_message().encode("utf-8", "backslashreplace")
            return f"refused {type(error).__name__}"
        except (click.exceptions.Exit, SystemExit) as end:
            return f"ends {end}"
        return f"{name} is meant"


_MAKE = ("--model", "wan2.6-t2v", "--prompt", "a cat")
_SEEDS = (
    *(("run", *_MAKE, "-o", "clip.mp4", "--timeout", "60"), ("submit", *_MAKE, "--parameters", '{"size": "1280*720"}')),
    *(("submit", *_MAKE, "--endpoint", name) for name in ENDPOINTS),
    *(
        ("wait", "t1", "--interval", "2"),
        ("status", "t1", "--json"),
        ("cancel", "t1"),
        ("download", "t1", "-o", "x.mp4"),
    ),
    *(("list", "--ledger", "ledger.sqlite3"), ("list", "--ledger", "ledger.sqlite3", "--json", "--limit", "3")),
    *(("list", "--ledger", "ledger.sqlite3", "--since", "2026-11-22T08:00:00Z", "--until", "2d"), ("list", "--remote")),
    *(("show", "made", "--ledger", "ledger.sqlite3"), ("show", "direct", "--ledger", "ledger.sqlite3", "--json")),
    *(
        ("bill", "--ledger", "ledger.sqlite3", "--prices", "prices.yaml"),
        ("bill", "--ledger", "ledger.sqlite3", "--json"),
    ),
    *(("archive", "--ledger", "ledger.sqlite3", "--older-than", "1d"), ("batch", "jobs.jsonl", "--concurrent", "3")),
    *(("resume", "--ledger", "ledger.sqlite3"), ("reconcile", "lost"), ("work", "--ledger", "ledger.sqlite3")),
    *(("completion", "bash"), ("--help",), ("run", "--help"), ("--version",), ("run", "--input", '{"prompt": "x"}')),
)
_FAKE_SEEDS = (
    *(("serve", "--port", "0", "--speed", "60"), ("serve", "--chaos", "light", "--seed", "7", "--clock", "manual")),
    *(("validate", "prices.yaml"), ("check", "--", "true"), ("scenarios", "--json"), ("serve", "--host", "127.0.0.1")),
    *(("check", "--scenario", "succeeds", "--dialect", "aisa", "--", "python", "client.py"), ("--version",)),
)


def _lines(rows: Sequence[Sequence[str]]) -> list[bytes]:
    return ["\n".join(row).encode() for row in rows]


_VALUES = (
    b"1e400",
    b"nan",
    b"-1",
    b"0",
    b"\xff",
    b"\xed\xa0\x80",
    b"--",
    b"-",
    b"=",
    b"\n--json",
    b"999999999d",
    b"1h",
    b"\x1b[2J",
)


def _options(group: click.Group) -> tuple[bytes, ...]:
    found = {option for command in group.commands.values() for param in command.params for option in param.opts}
    return tuple(b"\n" + option.encode() + b"\n" for option in sorted(found) if option.startswith("-"))


TARGETS = (
    Target("resilient-poll", "its arguments", lambda: _lines(_SEEDS), _ours, (*_options(cli), *_VALUES)),
    Target("fake-dashscope", "its arguments", lambda: _lines(_FAKE_SEEDS), _fakes, (*_options(fake_cli), *_VALUES)),
)
