"""How an asset comes to disk: which hops are followed, and where it waits until it is whole. No network here."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import urljoin, urlsplit

from resilient_poll.dashscope.checking import shown
from resilient_poll.dashscope.wire.redaction import text_without_key
from resilient_poll.dashscope.wire.results import Asset
from resilient_poll.errors import ConfigurationError, DownloadFailed, Standing
from resilient_poll.http.messages import ExchangeFailed
from resilient_poll.http.urls import is_http_url

__all__ = [
    "DownloadProblem",
    "PartialFile",
    "Saving",
    "check_length",
    "check_time",
    "make_folder",
    "names_a_folder",
    "next_hop",
    "target_paths",
    "telling_of_failure",
]

LONGEST_REDIRECT_CHAIN = 5
LARGEST_ASSET_BYTES = 4 * 1024**3
"""A minute of 4K video is below 1 GiB; more than four is a server gone mad, and a full disk."""
CHUNK_TIMEOUT_S = 30.0
"""How long a download waits for its next bytes."""
DOWNLOAD_S = 3600.0
"""How long a download may take in all: 4 GiB at 10 Mbit/s; slower than that, it is a drip."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({403, 404, 410})
_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]")
_BY_FIELD = {"video_url": "mp4", "video": "mp4", "image": "png", "transcription_url": "json"}
"""What stands in an answer's field, where neither its URL nor its endpoint tells."""
_SEPARATORS = tuple(separator for separator in (os.sep, os.altsep) if separator)
_MOST_NAMED = 5
"""Of a hundred files that are missing, the first few say what went wrong."""


class DownloadProblem(Exception):
    """Why an asset did not come to disk, in one clause."""


class PartlySaved(DownloadProblem):
    """Which of several assets did not come to disk, and why."""


def next_hop(url: str, status: int, headers: dict[str, str], hops: int) -> str | None:
    """Return where to go on, or None if the answer is the asset.

    Args:
        url: Where the answer came from.
        status: Its HTTP status.
        headers: Its headers, names in lower case.
        hops: How many redirects there were already.

    Raises:
        DownloadProblem: It is neither the asset nor a redirect that is followed.
    """
    if status == 200:
        if headers.get("content-type", "").strip().lower().startswith("text/html"):
            # A proxy's login page, say: whole, and no video.
            raise DownloadProblem("the asset's host answered with a web page")
        return None
    if status not in _REDIRECTS:
        hint = "; its URL lives for a limited time and may have expired" if status in _GONE else ""
        raise DownloadProblem(f"the asset's host answered HTTP {status}{hint}")
    location = headers.get("location", "")
    try:
        target = urljoin(url, location)
    except ValueError:
        raise DownloadProblem("the asset's host redirects to what is no URL") from None
    if not location or not is_http_url(target):
        raise DownloadProblem("the asset's host redirects to what is no URL")
    if urlsplit(target).scheme == "http" and urlsplit(url).scheme == "https":
        raise DownloadProblem("the asset's host redirects from https to http")
    if hops >= LONGEST_REDIRECT_CHAIN:
        raise DownloadProblem(f"the asset's host redirects more than {LONGEST_REDIRECT_CHAIN} times")
    return target


def check_time(now_s: float, deadline_s: float) -> None:
    """Check that a download is still in its time; each piece is waited for at most ``CHUNK_TIMEOUT_S``.

    Raises:
        DownloadProblem: It is not.
    """
    if now_s > deadline_s:
        raise DownloadProblem("its time was up before the asset was whole")


def check_length(headers: dict[str, str], received: int) -> None:
    """Check that an asset is whole.

    Raises:
        DownloadProblem: It is empty, or shorter or longer than announced.
    """
    announced = headers.get("content-length")
    if (
        announced is not None
        and announced.isascii()
        and announced.isdigit()
        and "content-encoding" not in headers
        and int(announced) != received
    ):
        raise DownloadProblem(f"the asset broke off: {received} of {announced} bytes came")
    if received == 0:
        raise DownloadProblem("the asset is empty")


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


def make_folder(folder: Path) -> None:
    """Make a folder and those that it lies in, durably: a file in it is not lost with its name.

    Args:
        folder: The folder; it may be there already.

    Raises:
        OSError: The system says no.
        ValueError: No folder can have that name.
    """
    if os.path.isdir(folder):  # noqa: PTH112  # Path.is_dir() raises on a name that no file can have
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _extension_by_field(asset: Asset) -> str:
    return _BY_FIELD.get(asset.place.rpartition(".")[2], "bin")


class Saving:
    """Which of several assets came to disk: one that does not come keeps none of the others from coming.

    Args:
        assets: What was made.
        targets: The files, one for each.
    """

    def __init__(self, assets: Sequence[Asset], targets: Sequence[Path]) -> None:
        self.wanted = tuple(zip(assets, targets, strict=True))
        self._missing: list[tuple[Path, Exception]] = []

    @contextmanager
    def one(self, target: Path) -> Generator[None, None, None]:
        """Note what becomes of one asset, whatever it is."""
        try:
            yield
        except (DownloadProblem, ExchangeFailed, OSError) as problem:
            self._missing.append((target, problem))

    def finish(self) -> tuple[Path, ...]:
        """Return the files, in the order of the results.

        Raises:
            DownloadProblem: At least one is missing; the others are on disk.
        """
        targets = tuple(target for _, target in self.wanted)
        if not self._missing:
            return targets
        if len(targets) == 1:
            raise self._missing[0][1]
        gone = {target for target, _ in self._missing}
        saved = [target.name for target in targets if target not in gone]
        missing = _some([f"{target.name} ({problem})" for target, problem in self._missing])
        raise PartlySaved(
            f"{len(gone)} of {len(targets)} are missing: {missing}; on disk: {_some(saved) or 'none'}"
        ) from self._missing[0][1]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


@contextmanager
def telling_of_failure(standing: Callable[[], Standing], api_key: str) -> Generator[None, None, None]:
    """Turn whatever goes wrong inside into the error that says what it means for the money.

    Args:
        standing: Says where the task stands.
        api_key: What must not be in the text.

    Raises:
        DownloadFailed: Something went wrong.
    """
    try:
        yield
    except (DownloadProblem, ExchangeFailed, OSError) as problem:
        said = str(problem)
        text = text_without_key(said, api_key)
        what = "not all of what it made is saved" if isinstance(problem, PartlySaved) else "what it made is not saved"
        raise DownloadFailed(f"succeeded, but {what}: {text}", standing()) from (problem if text == said else None)


class PartialFile:
    """A file beside its final name, which it takes only when it is whole.

    Args:
        target: The final name. A file of that name is replaced, at the end and at once; behind a symbolic link, the
            file that it leads to. What is neither a file nor a free name is refused.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        # Without the target's name, which may be as long as names can be.
        self._partial_name = f".{secrets.token_hex(8)}.part"
        self._partial: Path | None = None
        self._file: BinaryIO | None = None
        self.size = 0

    def __enter__(self) -> Self:
        try:
            self._target = _replaceable(self._target)
        except ValueError as error:
            raise DownloadProblem(f"no file can have that name: {error}") from None
        # Not tempfile: it makes files that only their owner reads, and this one keeps its mode.
        partial = self._target.parent / self._partial_name
        self._file = partial.open("xb")
        self._partial = partial
        return self

    def write(self, chunk: bytes) -> None:
        """Add a piece.

        Raises:
            DownloadProblem: The asset is too large.
            OSError: The disk says no.
        """
        if self._file is None:
            raise ValueError("the file is not open")
        self.size += len(chunk)
        if self.size > LARGEST_ASSET_BYTES:
            raise DownloadProblem(f"the asset is larger than {LARGEST_ASSET_BYTES} bytes")
        self._file.write(chunk)

    def keep(self) -> None:
        """Give the file its final name, durably."""
        if self._file is None or self._partial is None:
            raise ValueError("the file is not open")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._target)
        _sync_folder(self._target.parent)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._file is not None:
                # What is still buffered goes to the disk here, and a full disk says no once more.
                self._file.close()
        finally:
            if self._partial is not None:
                self._partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a new name durable. Some file systems refuse that, and the file is there all the same."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _replaceable(target: Path) -> Path:
    """Return what a file of that name would be, through symbolic links.

    Raises:
        DownloadProblem: Something is there that is no file: a device or a pipe would be replaced by one.
        OSError: The system refuses the name.
        ValueError: It holds a zero byte.
    """
    behind = Path(os.path.realpath(target)) if target.is_symlink() else target
    try:
        mode = behind.stat().st_mode
    except FileNotFoundError:
        return behind
    if not stat.S_ISREG(mode):
        raise DownloadProblem(f"{str(target)!r} is there and is no file that could be replaced")
    return behind
