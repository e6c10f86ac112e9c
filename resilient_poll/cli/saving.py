"""Where results go on disk, for every command that saves: nothing that is there already is replaced unasked."""

from __future__ import annotations

import filecmp
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path
from typing import Any

from resilient_poll.dashscope.client import DashScope
from resilient_poll.dashscope.direct import file_name_of, standing_of_result
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.saving.download import (
    DownloadProblem,
    PartialFile,
    make_folder,
    names_a_folder,
    target_paths,
)
from resilient_poll.dashscope.task import Task
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS
from resilient_poll.dashscope.wire.results import Asset
from resilient_poll.errors import ConfigurationError, DownloadFailed, Standing
from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.protocol import Ledger

__all__ = [
    "TASK_PLACEHOLDERS",
    "IfThere",
    "check_free",
    "check_writable",
    "fold_back",
    "is_folder",
    "save_direct",
    "save_task",
    "unknown_placeholder",
]

TASK_PLACEHOLDERS = ("{task_id}", "{index}", "{extension}")
_PLACEHOLDER = re.compile(r"\{\w*\}")
_PROBE = Asset("", "", None)
_ANSWER = Asset("", "", "json")
_EXTENSIONS = tuple(sorted({endpoint.extension for endpoint in ENDPOINTS.values()} | {"mp4", "png", "json", "bin"}))
"""What a result without an extension of its own may get: which one is not known before it is there."""


class IfThere(Enum):
    """What is done with a result whose file is there already."""

    REPLACE = auto()
    """The file is replaced: it was asked for, or it is known to be of the same result."""
    REFUSE = auto()
    """Nothing is saved: the task can be asked for its result again."""
    BESIDE = auto()
    """It gets the task's name besides: it was paid for a moment ago, and must not wait for a better idea."""


def is_folder(output: str) -> bool:
    """Tell whether results get names of their own there: it is a folder, or says that it is one."""
    return os.path.isdir(output) or names_a_folder(output)  # noqa: PTH112  # Path.is_dir() raises on odd names


def unknown_placeholder(output: str, known: Iterable[str]) -> str | None:
    """Return the first placeholder of a template that nothing is put in for, or None. A folder that is there has none.

    Args:
        output: A file, a folder or a template.
        known: The placeholders that are filled in.
    """
    if os.path.isdir(output):  # noqa: PTH112  # as above
        return None
    return next((word for word in _PLACEHOLDER.findall(output) if word not in known), None)


def check_writable(output: str, nothing_was: str = "nothing was sent") -> None:
    """Refuse to pay for a result that has nowhere to go. A folder that is to be made is made.

    Args:
        output: A file, a folder or a template.
        nothing_was: What to say of the money.

    Raises:
        ConfigurationError: Nothing can be saved there.
    """
    try:
        if names_a_folder(output) and not os.path.isdir(output):  # noqa: PTH112  # as above
            # Of a folder that gets the task's name only what lies around it can be made now.
            folder = Path(output)
            while any(word in str(folder) for word in TASK_PLACEHOLDERS):
                folder = folder.parent
            make_folder(folder)
            output = str(folder)
        # What the download will do, with nothing in it: no question about rights answers as surely.
        with PartialFile(target_paths(output, "probe", (_PROBE,), "part")[0]):
            pass
    except (OSError, ValueError, DownloadProblem) as error:
        if isinstance(error, ConfigurationError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"nothing can be saved to {output!r}: {reason}; {nothing_was}") from None


def check_free(output: str, task_id: str | None = None) -> None:
    """Refuse to replace a file, as far as its name is known before the result is there.

    Args:
        output: A file, a folder or a template.
        task_id: The task whose result it is to be; None if there is none yet.

    Raises:
        ConfigurationError: A file of that name is there.
    """
    if task_id is None and (is_folder(output) or "{task_id}" in output):
        return  # A new task's name is no file's yet.
    if there := _there(output, task_id or "", (_PROBE,), _EXTENSIONS):
        raise _refused(there, task_id)


def save_task(task: Task, output: str, if_there: IfThere) -> tuple[Path, ...]:
    """Write what a task made; where its answer shows no URL, the answer itself, as JSON.

    Args:
        task: The task.
        output: A file, a folder or a template.
        if_there: What to do about files that are there already.

    Raises:
        TaskError: There is nothing to save, or it is not on disk.
        ConfigurationError: A file is there already.
    """
    outcome = task.outcome
    if outcome is None:
        return task.download_all(output)  # Which says why there is nothing.
    output = _spared(output, task.id, outcome.assets, _EXTENSIONS, if_there)
    files = task.download_all(output)
    if files or outcome.failures:
        return files
    return _save_answer(outcome.result, output, task.id, lambda: task.standing)


def save_direct(client: DashScope, outcome: DirectOutcome, output: str, if_there: IfThere) -> tuple[Path, ...]:
    """Write what came without a task; see :func:`save_task`.

    Raises:
        DownloadFailed: It is not on disk.
    """
    name = file_name_of(outcome)
    output = _spared(output, name, outcome.assets, (outcome.extension,), if_there)
    files = client.download_all(outcome, output)
    if files or outcome.failures:
        return files
    return _save_answer(outcome.result, output, name, lambda: standing_of_result(outcome))


def fold_back(
    ledger: Ledger, entry: Entry, files: Sequence[Path], output: str, name: str, assets: Sequence[Asset]
) -> tuple[Path, ...]:
    """Return where results are, after copies of what a killed run had just saved were put in its place.

    A run that dies between giving a file its name and telling the ledger leaves a file that could be anybody's,
    so the result is saved beside it. If it turns out to be the same, one of them is enough.

    Args:
        ledger: Is told.
        entry: What the results are of.
        files: Where they were saved now.
        output: Where they were to go: a file, a folder or a template.
        name: The task's id, or what stands in its place.
        assets: The results.
    """
    known = {os.path.abspath(saved.path): saved for saved in ledger.get(entry.entry_id).files}  # noqa: PTH100  # a key
    kept: list[Path] = []
    for number, file in enumerate(files):
        wanted = next(
            (
                paths[number]
                for extension in _EXTENSIONS
                if len(paths := target_paths(output, name, assets, extension)) == len(files)
                and paths[number] != file
                and _are_the_same(paths[number], file)
            ),
            None,
        )
        if wanted is None:
            kept.append(file)
            continue
        saved = known.get(os.path.abspath(file))  # noqa: PTH100  # as above
        file.replace(wanted)
        kept.append(wanted)
        if saved is not None:
            there = replace(saved, path=os.path.abspath(wanted))  # noqa: PTH100  # as above
            ledger.saved(entry, there, now_wall_s=time.time())
    return tuple(kept)


def _are_the_same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _spared(output: str, name: str, assets: Sequence[Asset], extensions: Iterable[str], if_there: IfThere) -> str:
    """Return where to save so that nothing is replaced that is not to be."""
    if if_there is IfThere.REPLACE:
        return output
    there = _there(output, name, assets or (_ANSWER,), extensions)
    if there is None:
        return output
    if if_there is IfThere.REFUSE:
        raise _refused(there, name)
    if is_folder(output):
        return os.path.join(output, "{task_id}-again-{index}.{extension}")  # noqa: PTH118  # it may end in a separator
    path = Path(output)
    return str(path.with_name(f"{path.stem}-{{task_id}}{path.suffix}"))


def _there(output: str, name: str, assets: Sequence[Asset], extensions: Iterable[str]) -> Path | None:
    for extension in extensions:
        for file in target_paths(output, name, assets, extension):
            if os.path.isfile(file):  # noqa: PTH113  # never raises
                return file
    return None


def _refused(there: Path, task_id: str | None) -> ConfigurationError:
    left = "nothing was sent" if task_id is None else f"task {task_id} is not affected"
    return ConfigurationError(f"the file {str(there)!r} is there already and is replaced only with --overwrite; {left}")


def _save_answer(result: Any, output: str, name: str, standing: Callable[[], Standing]) -> tuple[Path, ...]:
    file = target_paths(output, name, (_ANSWER,), "json")[0]
    try:
        with PartialFile(file) as partial:
            partial.write(json.dumps(result, indent=2).encode())
            partial.keep()
    except (OSError, DownloadProblem) as error:
        raise DownloadFailed(f"succeeded, but its answer is not saved: {error}", standing()) from error
    return (file,)
