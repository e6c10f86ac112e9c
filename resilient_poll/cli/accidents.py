"""What a command has to say when a signal, or a surprise, ended it. Prints nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.report import OWED, Report, error_words, makes_nothing, next_lines
from resilient_poll.errors import SafeToSubmitAgain, Standing, TryAgain
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["report_of_early_end", "report_of_interruption", "report_of_surprise"]

_WITHOUT_TASK: Mapping[ExitCode, tuple[Phase | None, Billing | None, SafeToSubmitAgain]] = MappingProxyType(
    {
        ExitCode.IN_DOUBT: (Phase.IN_DOUBT, Billing.UNDETERMINED, SafeToSubmitAgain.UNKNOWN),
        ExitCode.OTHER: (Phase.NEW, Billing.NONE, SafeToSubmitAgain.YES),
    }
)
"""What an interruption leaves where no task was accepted."""


def report_of_interruption(
    signal_name: str,
    verdict: tuple[ExitCode, str],
    what_it_means: str,
    *,
    standing: Standing | None = None,
    task_id: str | None = None,
    creates: bool = True,
    next_command: str | None = None,
) -> Report:
    """Report that a signal ended the command.

    Args:
        signal_name: Which one.
        verdict: Exit code and outcome.
        what_it_means: What is known of the task, and what to do, in a sentence.
        standing: Where the task stands.
        task_id: Its id, if only that is known.
        creates: Whether the command would have made something.
        next_command: What to type to go on.
    """
    code, _ = verdict
    text = f"interrupted ({signal_name}): {what_it_means}"
    is_about_a_task = standing is not None or task_id is not None or not creates
    phase, billing, safe = (None, None, SafeToSubmitAgain.NO) if is_about_a_task else _WITHOUT_TASK[code]
    return Report(
        exit_code=code,
        outcome=verdict[1],
        safe_to_submit_again=safe,
        standing=standing,
        task_id=task_id,
        phase=phase,
        billing=billing,
        error=error_words("Interrupted", text, try_again=TryAgain(safe.value), next_command=next_command),
        notes=(f"✗ {text}", *next_lines(next_command)),
    )


def report_of_early_end(signal_name: str, words: list[str]) -> Report:
    """Report that a signal came before the command had begun."""
    report = report_of_interruption(signal_name, (ExitCode.OTHER, "interrupted"), "nothing was sent.")
    if makes_nothing(words):
        return replace(report, phase=None, billing=None, safe_to_submit_again=SafeToSubmitAgain.NO)
    return report


def report_of_surprise(
    error: Exception,
    *,
    standing: Standing | None,
    task_id: str | None,
    doubt: str | None,
    creates: bool,
    next_command: str | None,
) -> Report:
    """Report what nobody thought of, by its kind alone: its text could hold anything.

    Args:
        error: What was raised.
        standing: Where the task stands.
        task_id: Its id, if only that is known.
        doubt: What may be owed, if something may have been sent whose answer is not known.
        creates: Whether the command would have made something.
        next_command: What to type to go on.
    """
    phase, billing, safe = _WITHOUT_TASK[ExitCode.OTHER if doubt is None else ExitCode.IN_DOUBT]
    if standing is not None:
        what = f"task {standing.task_id} exists ({OWED[standing.billing] or 'nothing is known of its price'})"
    elif task_id is not None:
        what = f"task {task_id} is not affected"
    else:
        what = doubt or ("nothing was sent" if creates else "nothing was changed")
    if standing is not None or task_id is not None or not creates:
        phase, billing, safe = None, None, SafeToSubmitAgain.NO
    text = f"unexpected {type(error).__name__} (RESILIENT_POLL_TRACEBACK=1 shows more): {what}"
    return Report(
        exit_code=ExitCode.OTHER,
        outcome="error",
        safe_to_submit_again=safe,
        standing=standing,
        task_id=task_id,
        phase=phase,
        billing=billing,
        error=error_words(type(error).__name__, text, try_again=TryAgain(safe.value), next_command=next_command),
        notes=(f"✗ {text}", *next_lines(next_command)),
    )
