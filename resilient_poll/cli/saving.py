"""Where results go on disk, for every command that saves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resilient_poll.dashscope.client import DashScope
from resilient_poll.dashscope.direct import standing_of_result
from resilient_poll.dashscope.download import DownloadProblem, PartialFile, target_paths
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.results import Asset
from resilient_poll.dashscope.task import Task
from resilient_poll.errors import ConfigurationError, DownloadFailed, Standing

__all__ = ["check_writable", "save_direct", "save_task"]

_PROBE = Asset("", "", None)


def check_writable(output: Path, nothing_was: str = "nothing was sent") -> None:
    """Refuse to pay for a result that has nowhere to go.

    Args:
        output: A file, a folder or a template.
        nothing_was: What to say of the money.

    Raises:
        ConfigurationError: Nothing can be saved there.
    """
    try:
        # What the download will do, with nothing in it: no question about rights answers as surely.
        with PartialFile(target_paths(output, "probe", (_PROBE,), "part")[0]):
            pass
    except (OSError, DownloadProblem) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"nothing can be saved to {str(output)!r}: {reason}; {nothing_was}") from None


def save_task(task: Task, target: Path) -> tuple[Path, ...]:
    """Write what a task made; where its answer shows no URL, the answer itself, as JSON.

    Raises:
        TaskError: There is nothing to save, or it is not on disk.
    """
    files = task.download_all(target)
    outcome = task.outcome
    if files or outcome is None or outcome.failures:
        return files
    return _save_answer(outcome.result, target, task.id, lambda: task.standing)


def save_direct(client: DashScope, outcome: DirectOutcome, target: Path) -> tuple[Path, ...]:
    """Write what came without a task; see :func:`save_task`.

    Raises:
        DownloadFailed: It is not on disk.
    """
    files = client.download_all(outcome, target)
    if files or outcome.failures:
        return files
    return _save_answer(outcome.result, target, outcome.request_id or "result", lambda: standing_of_result(outcome))


def _save_answer(result: Any, target: Path, name: str, standing: Callable[[], Standing]) -> tuple[Path, ...]:
    file = target_paths(target, name, (Asset("", "", "json"),), "json")[0]
    try:
        with PartialFile(file) as partial:
            partial.write(json.dumps(result, indent=2).encode())
            partial.keep()
    except (OSError, DownloadProblem) as error:
        raise DownloadFailed(f"succeeded, but its answer is not saved: {error}", standing()) from error
    return (file,)
