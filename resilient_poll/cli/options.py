"""The options that commands share, and the types of their values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from resilient_poll.cli.saving import TASK_PLACEHOLDERS, unknown_placeholder
from resilient_poll.dashscope.wire.dialects import DIALECTS
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS, VIDEO
from resilient_poll.machine.policy import DEFAULT_SUBMIT_S, DEFAULT_WAIT_S, MINIMUM_POLL_INTERVAL_S
from resilient_poll.machine.schedules import Fixed

__all__ = [
    "account_option",
    "books_options",
    "connection_options",
    "connection_options_with",
    "create_options",
    "endpoint_option",
    "interval_option",
    "json_object",
    "key_option",
    "ledger_option",
    "ledger_options",
    "output_option",
    "prices_option",
    "submit_timeout_option",
    "task_argument",
    "wait_options",
    "yes_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])


def _seconds(_context: click.Context, _option: click.Parameter, value: float) -> float:
    """Accept finite numbers above zero only: every wait here ends."""
    if not (math.isfinite(value) and value > 0):
        raise click.BadParameter(f"{value!r} is not a finite number of seconds above zero")
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise click.BadParameter(f"{next(name for name in names if names.count(name) > 1)!a} is there twice")
    return found


def json_object(_context: click.Context, _option: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Accept a JSON object."""
    if value is None:
        return None
    try:
        found = json.loads(value, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"this is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise click.BadParameter('expected a JSON object, such as {"size": "1280*720"}')
    return found


class _Target(click.Path):
    """Where a file goes. The empty path, which a script's unset variable makes, is not the working folder.

    Args:
        placeholders: What is filled in.
    """

    def __init__(self, placeholders: tuple[str, ...]) -> None:
        super().__init__()
        self._placeholders = placeholders

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what can name no file; what is there is looked at by the command. It stays a text, which may end in a
        separator and be a folder thereby.
        """
        output = str(value)
        if not output or "\0" in output:
            self.fail(f"{value!r} is no name of a file", param, ctx)
        if unknown := unknown_placeholder(output, self._placeholders):
            known = ", ".join(self._placeholders)
            self.fail(f"nothing is known to put in for {unknown} in {output!r}; there are {known}", param, ctx)
        return output


def connection_options(command: Command) -> Command:
    """Add what every command needs to reach the service."""
    return connection_options_with("Print exactly one JSON object on stdout, also on errors.")(command)


def connection_options_with(json_help: str) -> Callable[[Command], Command]:
    """Return what adds the options of every command, of one that prints JSON in its own way.

    Args:
        json_help: What ``--json`` does there.
    """

    def add(command: Command) -> Command:
        return _all(
            command,
            click.option(
                "--dialect",
                type=click.Choice(list(DIALECTS)),
                help="How the service speaks. Default: the one whose environment variables are set.",
            ),
            click.option(
                "--base-url", metavar="URL", help="Where the service is. Default: the environment's or its own."
            ),
            click.option("--json", "as_json", is_flag=True, help=json_help),
        )

    return add


def create_options(command: Command) -> Command:
    """Add what a create needs."""
    return _all(
        command,
        click.option("--model", required=True, metavar="MODEL", help="The model's name."),
        endpoint_option(),
        click.option("--prompt", metavar="TEXT", help="What to make. It replaces a prompt in --input."),
        click.option(
            "--input",
            "input_",
            callback=json_object,
            metavar="JSON",
            help='More of what to make, in the service\'s words: \'{"img_url": "https://..."}\'.',
        ),
        click.option(
            "--parameters",
            callback=json_object,
            metavar="JSON",
            help='How to make it, in the service\'s words: \'{"size": "1280*720"}\'.',
        ),
        submit_timeout_option(),
    )


def submit_timeout_option() -> Callable[[Command], Command]:
    """Add how long a submit may go on."""
    return click.option(
        "--submit-timeout",
        type=float,
        callback=_seconds,
        metavar="SECONDS",
        default=DEFAULT_SUBMIT_S,
        show_default=True,
        help="Until when a create may start, while the service is too busy. One that has started is never cut.",
    )


def _endpoints(_context: click.Context, _option: click.Parameter, beginning: str) -> list[CompletionItem]:
    return [
        CompletionItem(name, help=endpoint.makes) for name, endpoint in ENDPOINTS.items() if name.startswith(beginning)
    ]


def ledger_option(command: Command) -> Command:
    """Add which ledger is read."""
    return click.option(
        "--ledger",
        type=click.Path(),
        metavar="PATH",
        help="The ledger's file. Default: RESILIENT_POLL_LEDGER, or one in your state folder.",
    )(command)


def account_option(command: Command) -> Command:
    """Add the label of the account."""
    return click.option(
        "--account",
        metavar="LABEL",
        help="Your name for the account in the ledger, for all its API keys. Default: each API key is one.",
    )(command)


def ledger_options(command: Command) -> Command:
    """Add which ledger is used, and what the account is called in it."""
    return _all(
        command,
        ledger_option,
        click.option("--no-ledger", is_flag=True, help="Use none: what is sent is known to nobody after a crash."),
        account_option,
    )


def books_options(command: Command) -> Command:
    """Add which ledger is used by what makes no sense without one."""
    return _all(command, ledger_option, account_option)


def prices_option(command: Command) -> Command:
    """Add what things cost."""
    return click.option(
        "--prices",
        type=click.Path(),
        metavar="FILE",
        help="A table of prices, YAML or JSON, for the bill. Default: RESILIENT_POLL_PRICES.",
    )(command)


def yes_option(command: Command) -> Command:
    """Add the answer to a question that a script cannot be asked."""
    return click.option("--yes", is_flag=True, help="Do not ask: the risk that is told is taken.")(command)


def key_option(command: Command) -> Command:
    """Add the idempotency key."""
    return click.option(
        "--key",
        metavar="KEY",
        help="Your name for this one result, such as order-17: it is paid for once, whoever asks, however often.",
    )(command)


def endpoint_option() -> Callable[[Command], Command]:
    """Add what kind of thing is made."""
    return click.option(
        "--endpoint",
        metavar="NAME|PATH",
        shell_complete=_endpoints,
        default=VIDEO.name,
        show_default=True,
        help="What to make: a name of the list below, or the path of any other endpoint below the base URL.",
    )


def interval_option(command: Command) -> Command:
    """Add how often a task is asked about."""
    return click.option(
        "--interval",
        type=float,
        callback=_seconds,
        metavar="SECONDS",
        default=Fixed().interval_s,
        show_default=True,
        help=f"The pause between polls; never below {MINIMUM_POLL_INTERVAL_S:g} s.",
    )(command)


def wait_options(command: Command) -> Command:
    """Add what a wait needs."""
    return _all(
        command,
        click.option(
            "--timeout",
            type=float,
            callback=_seconds,
            metavar="SECONDS",
            default=DEFAULT_WAIT_S,
            show_default=True,
            help="How long to wait for the task. The task goes on when the wait ends.",
        ),
        interval_option,
    )


def output_option(
    *, default: str | None, text: str, placeholders: tuple[str, ...] = TASK_PLACEHOLDERS
) -> Callable[[Command], Command]:
    """Add where the results go, and whether they may replace what is there.

    Args:
        default: Where, if the option is not given.
        text: The option's help.
        placeholders: What is filled in.
    """

    def add(command: Command) -> Command:
        return _all(
            command,
            click.option(
                "-o",
                "--output",
                type=_Target(placeholders),
                metavar="PATH",
                default=default,
                show_default=default is not None,
                help=text,
            ),
            click.option("--overwrite", is_flag=True, help="Replace files that are there; otherwise none is."),
        )

    return add


def task_argument(command: Command) -> Command:
    """Add the task that the command is about."""
    return click.argument("task_id", metavar="ID")(command)


def _all(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
