"""`fake-dashscope serve`: what is asked for on the command line, checked before anything is started."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fake_server.reach.names import is_loopback, own_names, public_host
from fake_server.reach.parent import is_orphan
from fake_server.scenario.chaos import chaos_faults
from fake_server.scenario.library import find_scenarios
from fake_server.scenario.yaml_nodes import ScenarioErrors, did_you_mean
from fake_server.telling import DRAWN_SEEDS, MOST_SEED, fail, fail_with, say, say_while_serving, scenario_files

if TYPE_CHECKING:
    from fake_server.faults.model import Fault
    from fake_server.reach.certificates import Certificate
    from fake_server.worlds import Worlds

DEFAULT_SCENARIO = "succeeds"
SCENARIO_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
TOKEN_VARIABLE = "FAKE_DASHSCOPE_ADMIN_TOKEN"  # noqa: S105 - a variable's name
# Long enough that nobody in reach guesses it, and of letters that a header carries (RFC 6750, b64token).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{8,200}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of `serve`."""

    scenario: str | None
    host: str
    port: int
    speed: float
    clock: str
    folder: Path | None
    public_url: str | None
    allow_remote: bool
    admin_token: str | None = field(repr=False)
    tls: bool
    exit_with_parent: bool
    chaos: str | None
    seed: int | None

    @property
    def name(self) -> str:
        """The scenario for keys that name none."""
        return self.scenario or DEFAULT_SCENARIO

    def replay(self, seed: int) -> str:
        """The command whose server answers the same requests with the same faults."""
        words = ["fake-dashscope", "serve", self.name]
        options = {"--speed": self.speed, "--clock": self.clock, "--scenarios": self.folder, "--chaos": self.chaos}
        defaults = {"--speed": 1.0, "--clock": "real", "--scenarios": None, "--chaos": None}
        for option, value in options.items():
            if value != defaults[option]:
                words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
        return shlex.join([*words, "--seed", str(seed)])


@click.command()
@click.argument("scenario", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address.")
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option("--speed", default=1.0, show_default=True, type=float, help="Divides scripted times.")
@click.option(
    "--clock",
    default="real",
    show_default=True,
    type=click.Choice(["real", "manual"]),
    help="How time passes.",
)
@click.option("--scenarios", "folder", type=SCENARIO_FOLDER, help="A folder of scenarios to add.")
@click.option("--public-url", help="What URLs in answers start with (default: as the client reached us).")
@click.option("--tls", is_flag=True, help="Speak https, with a certificate made for this run.")
@click.option("--allow-remote", is_flag=True, help="Listen beyond this machine.")
@click.option(
    "--admin-token",
    envvar=TOKEN_VARIABLE,
    show_envvar=True,
    help="What requests to /__admin must carry; needed beyond this machine.",
)
@click.option("--exit-with-parent", is_flag=True, help="End when the process that started this one is gone.")
@click.option("--chaos", metavar="light|heavy|FILE", help="Faults by chance, beside those of the scenarios.")
@click.option(
    "--seed",
    type=click.IntRange(0, MOST_SEED),
    help="What all chance is drawn by; the same requests meet the same faults (default: 0; with --chaos a new one).",
)
def serve(**options: Any) -> None:
    """Serve the fake until it is told to stop.

    SCENARIO is played to every key that names none; sk-NAME as API key picks the scenario NAME, sk-NAME.x
    in a world of its own.
    """
    wanted = Wanted(**options)
    seed = _seed(wanted)
    files = scenario_files(wanted.folder)
    if wanted.name not in files:
        hint = did_you_mean(wanted.name, files) or "; `fake-dashscope scenarios` lists them"
        fail(f"there is no scenario {wanted.name!r}{hint}")
    check(wanted)

    from fake_server.server import Serving, bind  # noqa: PLC0415 - `scenarios` and `--help` need no server
    from fake_server.server import serve as serve_until_told  # noqa: PLC0415 - as above
    from fake_server.worlds import Worlds  # noqa: PLC0415 - as above

    worlds = Worlds(
        files,
        wanted.name,
        speed=wanted.speed,
        manual=wanted.clock == "manual",
        tell=say_while_serving,
        faults=_chaos(wanted),
        draw_seed=seed or 0,
    )
    _load(worlds, wanted)
    with contextlib.ExitStack() as stack:
        certificate = _certificate(stack, wanted)
        try:
            listener = bind(wanted.host, wanted.port)
        except OSError as error:
            fail(f"cannot listen on {wanted.host} port {wanted.port}: {error.strerror or error}")
        say(f"playing {wanted.name!r} to every key; a key such as sk-bad-gateway picks another scenario")
        if certificate is not None:
            say(f"clients must trust {certificate.ca_file}; the server is {', '.join(certificate.names)}")
        serving = Serving(
            wanted.host,
            public_url=wanted.public_url,
            certificate=certificate,
            admin_token=wanted.admin_token or None,
            seed=seed,
            exit_with_parent=wanted.exit_with_parent,
        )
        serve_until_told(worlds, listener, serving)


def _seed(wanted: Wanted) -> int | None:
    """The seed, told before anything else, with the line that replays a run; None where nothing is left to chance."""
    if wanted.seed is None and wanted.chaos is None:
        return None
    seed = secrets.randbelow(DRAWN_SEEDS) if wanted.seed is None else wanted.seed
    say(f"seed {seed}; the same again: {wanted.replay(seed)}")
    return seed


def _chaos(wanted: Wanted) -> tuple[Fault, ...]:
    """The faults that were asked for; exits if their file is broken."""
    if wanted.chaos is None:
        return ()
    try:
        return chaos_faults(wanted.chaos)
    except ScenarioErrors as errors:
        fail_with(errors)


def check(wanted: Wanted) -> None:
    """Exit with a sentence if the options contradict each other or cannot be."""
    if not 0 < wanted.speed <= 1_000_000:
        fail(f"found --speed {wanted.speed}, expected a number above 0, up to 1000000")
    url = wanted.public_url
    if url is not None and not (url.startswith(("http://", "https://")) and public_host(url)):
        fail(f"found --public-url {url!r}, expected one that starts with http:// or https:// and names a host")
    if wanted.admin_token and not _TOKEN.fullmatch(wanted.admin_token):
        found = f"found an admin token of {len(wanted.admin_token)} characters"
        fail(f"{found}, expected 8 to 200 letters, digits and ._~+/=-")
    if not is_loopback(wanted.host):
        if not wanted.allow_remote:
            fail(f"{wanted.host} is not the loopback: everyone who reaches it may use this fake; add --allow-remote")
        if not wanted.admin_token:
            fail(
                f"{wanted.host} is not the loopback: whoever reaches it could use the admin pages; "
                f"set {TOKEN_VARIABLE} (or --admin-token) to what their requests must carry"
            )
        say(f"warning: listening on {wanted.host}; everyone who reaches it may use this fake")
    if wanted.exit_with_parent:
        if os.name != "posix":
            fail("--exit-with-parent is not supported here: this system does not tell that a parent is gone")
        if is_orphan():
            fail("--exit-with-parent: the process that started this one is gone already, or is process 1")


def _load(worlds: Worlds, wanted: Wanted) -> None:
    """Read the scenarios that were asked for; exits if one is broken."""
    try:
        for own in {wanted.name} | set(find_scenarios(wanted.folder) if wanted.folder else ()):
            worlds.load(own)
    except ScenarioErrors as errors:
        fail_with(errors)


def _certificate(stack: contextlib.ExitStack, wanted: Wanted) -> Certificate | None:
    """What the server shows, until the stack ends; exits if it cannot be made."""
    if not wanted.tls:
        return None
    from fake_server.reach.certificates import (  # noqa: PLC0415 - only TLS needs it
        NoCertificateError,
        throw_away_certificate,
    )

    try:
        return stack.enter_context(throw_away_certificate(own_names(wanted.host, wanted.public_url)))
    except NoCertificateError as error:
        fail(str(error))
