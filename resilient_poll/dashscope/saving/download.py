"""Under which names what was made comes to disk, and how it is told that some of it did not. No network here."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from resilient_poll.dashscope.checking import shown
from resilient_poll.dashscope.saving.partial import PartialFile, make_folder
from resilient_poll.dashscope.saving.rules import DownloadProblem
from resilient_poll.dashscope.wire.redaction import cut_text_without_key, mentions_key
from resilient_poll.dashscope.wire.results import Asset
from resilient_poll.errors import ConfigurationError, DownloadFailed, Standing
from resilient_poll.http.messages import ExchangeFailed

__all__ = [
    "DOWNLOAD_S",
    "DownloadProblem",
    "NotAllSaved",
    "PartialFile",
    "Saving",
    "make_folder",
    "names_a_folder",
    "target_paths",
    "telling_of_failure",
]

DOWNLOAD_S = 3600.0
"""How long a download may take in all: 4 GiB at 10 Mbit/s; slower than that, it is a drip."""
_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]")
_BY_FIELD = {"video_url": "mp4", "video": "mp4", "image": "png", "transcription_url": "json"}
"""What stands in an answer's field, where neither its URL nor its endpoint tells."""
_SEPARATORS = tuple(separator for separator in (os.sep, os.altsep) if separator)
_MOST_NAMED = 5
"""Of a hundred files that are missing, the first few say what went wrong."""


class NotAllSaved(DownloadProblem):
    """Which of some assets did not come to disk, and why.

    Args:
        said: The same in one clause.
        saved: The files that are on disk.
        missing: Those that are not.
    """

    def __init__(self, said: str, saved: tuple[Path, ...], missing: tuple[Path, ...]) -> None:
        self.saved, self.missing = saved, missing
        super().__init__(said)


def target_paths(
    path: str | os.PathLike[str], task_id: str, assets: Sequence[Asset], default_extension: str | None
) -> tuple[Path, ...]:
    """Return the files to write, one for each asset, no two of them alike.

    In a folder they get the task's name; a path that ends with a separator is a folder, and is
    made if it is not there. ``{task_id}``, ``{index}`` (from 1) and ``{extension}`` in a path are
    filled in. Where several assets would get one name, their index is put before its extension.

    Args:
        path: A folder, a file or a template.
        task_id: The service's id; of what comes from a server, only what is harmless gets into a name.
        assets: What is to be saved.
        default_extension: For assets whose URL shows none; None to go by the field of the answer.

    Raises:
        ConfigurationError: It is no path.
    """
    name = _NO_FILE_NAME.sub("_", task_id).lstrip(".") or "result"
    folder = Path()
    in_a_folder = "{task_id}-{index}.{extension}" if len(assets) > 1 else "{task_id}.{extension}"
    try:
        template = Path(path)
    except TypeError:
        raise ConfigurationError(f"the path must be a text or a path, not {shown(path)}; nothing was sent") from None
    is_new_folder = False
    if os.path.isdir(template):  # noqa: PTH112  # Path.is_dir() raises on a name that no file can have
        # A folder that is there has the name that it has, braces and all.
        folder = template
        template = Path(in_a_folder)
    elif names_a_folder(path):
        is_new_folder = True
        template /= in_a_folder
    elif len(assets) > 1 and "{index}" not in str(template):
        template = template.with_name(f"{template.stem}-{{index}}{template.suffix}")
    targets = tuple(
        folder
        / str(template)
        .replace("{task_id}", name)
        .replace("{index}", str(index))
        .replace("{extension}", asset.extension or default_extension or _extension_by_field(asset))
        for index, asset in enumerate(assets, start=1)
    )
    if is_new_folder:
        # What cannot be made is told by the file that then cannot be opened in it.
        with suppress(OSError, ValueError):
            for target in targets:
                make_folder(target.parent)
    return targets


def names_a_folder(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path says of itself that it is a folder: it ends with a separator."""
    return os.fspath(path).endswith(_SEPARATORS)


def _extension_by_field(asset: Asset) -> str:
    return _BY_FIELD.get(asset.place.rpartition(".")[2], "bin")


class Saving:
    """Which of several assets came to disk: one that does not come keeps none of the others from coming.

    Args:
        targets: The files, one for each.
    """

    def __init__(self, targets: Sequence[Path]) -> None:
        self._targets = tuple(targets)
        self._problems: list[tuple[Path, Exception]] = []

    @contextmanager
    def one(self, target: Path) -> Generator[None, None, None]:
        """Note what becomes of one asset, whatever it is."""
        try:
            yield
        except (DownloadProblem, ExchangeFailed, OSError) as problem:
            self._problems.append((target, problem))

    def finish(self) -> tuple[Path, ...]:
        """Return the files, in the order of the results.

        Raises:
            NotAllSaved: At least one is missing; the others are on disk.
        """
        targets = self._targets
        if not self._problems:
            return targets
        problem = self._problems[0][1]
        if len(targets) == 1:
            raise NotAllSaved(str(problem), (), targets) from problem
        missing = tuple(target for target, _ in self._problems)
        saved = tuple(target for target in targets if target not in missing)
        why = _some([f"{target.name} ({problem})" for target, problem in self._problems])
        there = _some([target.name for target in saved])
        raise NotAllSaved(
            f"{len(missing)} of {len(targets)} are missing: {why}; on disk: {there or 'none'}", saved, missing
        ) from problem


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


@contextmanager
def telling_of_failure(standing: Callable[[], Standing], api_key: str) -> Generator[None, None, None]:
    """Turn whatever goes wrong inside into the error that says what it means for the money.

    Args:
        standing: Says where the task stands.
        api_key: What must be neither in the text nor in what it was caused by.

    Raises:
        DownloadFailed: Something went wrong.
    """
    try:
        yield
    except (DownloadProblem, ExchangeFailed, OSError) as problem:
        saved, missing = getattr(problem, "saved", ()), getattr(problem, "missing", ())
        what = "not all of what it made is saved" if len(saved) + len(missing) > 1 else "what it made is not saved"
        text = cut_text_without_key(str(problem), api_key)
        cause = None if mentions_key(problem, api_key) else problem
        raise DownloadFailed(f"succeeded, but {what}: {text}", standing(), saved=saved, missing=missing) from cause
