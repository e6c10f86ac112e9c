"""How an asset comes to disk: which hops are followed, and where it waits until it is whole. No network here."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import urljoin, urlsplit

from resilient_poll.dashscope.redaction import text_without_key
from resilient_poll.dashscope.results import Asset
from resilient_poll.errors import DownloadFailed, Standing
from resilient_poll.http.messages import ExchangeFailed
from resilient_poll.http.urls import is_http_url

__all__ = [
    "DownloadProblem",
    "PartialFile",
    "check_length",
    "check_time",
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


class DownloadProblem(Exception):
    """Why an asset did not come to disk, in one clause."""


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
    path: str | os.PathLike[str], task_id: str, assets: Sequence[Asset], default_extension: str
) -> tuple[Path, ...]:
    """Return the files to write, one for each asset.

    In a folder they get the task's name. ``{task_id}``, ``{index}`` (from 1) and
    ``{extension}`` in a path are filled in. Where several assets would get one name, their
    index is put before its extension.

    Args:
        path: A folder, a file or a template.
        task_id: The service's id.
        assets: What is to be saved.
        default_extension: For assets whose URL shows none.
    """
    name = task_id.replace(":", "_")
    template = Path(path)
    if os.path.isdir(template):  # noqa: PTH112  # Path.is_dir() raises on a name that no file can have
        template = template / ("{task_id}-{index}.{extension}" if len(assets) > 1 else "{task_id}.{extension}")
    elif len(assets) > 1 and "{index}" not in str(template):
        template = template.with_name(f"{template.stem}-{{index}}{template.suffix}")
    return tuple(
        Path(
            str(template)
            .replace("{task_id}", name)
            .replace("{index}", str(index))
            .replace("{extension}", asset.extension or default_extension)
        )
        for index, asset in enumerate(assets, start=1)
    )


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
        shown = text_without_key(said, api_key)
        summary = f"succeeded, but what it made is not saved: {shown}"
        raise DownloadFailed(summary, standing()) from (problem if shown == said else None)


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
        # The new name is durable once its folder is. Some file systems refuse that, and the file is there all the same.
        with suppress(OSError):
            folder = os.open(self._target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

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
