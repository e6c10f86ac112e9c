"""The file of jobs: what each line asks for, and everything that is wrong with it, before anything is sent."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from resilient_poll.cli.saving import TASK_PLACEHOLDERS, is_folder, unknown_placeholder
from resilient_poll.cli.session import is_synchronous
from resilient_poll.dashscope.many_core import Job
from resilient_poll.dashscope.wire.dialects import Dialect
from resilient_poll.dashscope.wire.endpoints import endpoint_for
from resilient_poll.errors import ConfigurationError, SafeToSubmitAgain

__all__ = ["JOB_PLACEHOLDERS", "Defaults", "JobFile", "Line", "open_source", "read_jobs"]

LONGEST_LINE_BYTES = 16 * 1024 * 1024
"""A request may hold an image of 10 MB, which is 13.4 MB as text; what is longer is no line of JSON."""
LONGEST_ID = 200
MOST_MISTAKES_TOLD = 50
JOB_PLACEHOLDERS = ("{id}", "{line}", *TASK_PLACEHOLDERS)
_WORDS = ("model", "input", "parameters", "endpoint", "id", "output")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds for lines that do not say it themselves.

    Attributes:
        model: The model's name.
        parameters: How to make it; a line's own parameters are laid over these.
        endpoint: What to make.
        output: Where the results go.
    """

    model: str | None
    parameters: Mapping[str, Any]
    endpoint: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One job of the file, without what it asks for: that stays in the file until it is sent.

    Attributes:
        number: Its number, from 1.
        id: What the file calls it.
        key: What it is called in the state: its id, or else its digest and its number among equal ones.
        digest: A hash of what it asks for.
        target: Where its results go: a file, a folder or a template.
        folder: The folder that was named, if one was: it may have to be made.
        offset: Where it begins in the file.
        size: How many bytes it has.
    """

    number: int
    id: str | None
    key: str
    digest: str
    target: str
    offset: int
    size: int
    folder: str | None = None

    @property
    def label(self) -> str:
        """What people see."""
        return self.id if self.id is not None else f"line {self.number}"


@dataclass(slots=True)
class JobFile:
    """A file of jobs that makes sense.

    Attributes:
        name: Its name, for messages.
        lines: Its jobs.
    """

    name: str
    lines: tuple[Line, ...]
    _source: BinaryIO
    _defaults: Defaults
    _dialect: Dialect

    def job(self, line: Line) -> Job:
        """Return what a line asks for. Its endpoint bears the line's key, by which its create is recognised.

        Raises:
            ConfigurationError: The file has changed since it was read.
        """
        self._source.seek(line.offset)
        try:
            wanted = _wanted(self._source.read(line.size), self._defaults)
        except (OSError, _Mistake):
            wanted = None
        if wanted is None or wanted.digest(self._dialect) != line.digest:
            raise ConfigurationError(
                f"line {line.number} of {self.name} was changed while the batch ran; nothing was sent for it",
                safe_to_submit_again=SafeToSubmitAgain.YES,
            )
        return wanted.job(line.key, self._dialect)


class _Mistake(Exception):
    """What is wrong with a line, in one clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    model: str
    input: dict[str, Any]
    parameters: dict[str, Any]
    endpoint: str
    id: str | None
    output: str

    def job(self, key: str, dialect: Dialect) -> Job:
        endpoint = replace(endpoint_for(self.endpoint, dialect), name=key)
        return Job(self.model, self.input, self.parameters or None, endpoint=endpoint, label=key)

    def digest(self, dialect: Dialect) -> str:
        asked = [endpoint_for(self.endpoint, dialect).path, self.model, self.input, self.parameters]
        return blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=16).hexdigest()


def open_source(name: str) -> BinaryIO:
    """Return a file of jobs that can be read twice; what comes through a pipe is copied first.

    Args:
        name: Its path, or ``-`` for standard input.

    Raises:
        ConfigurationError: It cannot be read; nothing was sent.
    """
    try:
        if name == "-":
            return _copied(sys.stdin.buffer)
        source = Path(name).open("rb")  # noqa: SIM115  # whoever calls closes it
        if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            return source
        with source:
            return _copied(source)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"the jobs cannot be read from {name!r}: {why}; nothing was sent") from None


def _copied(source: BinaryIO) -> BinaryIO:
    copy = tempfile.TemporaryFile()  # noqa: SIM115  # as above; it has no name, and is gone with the process
    try:
        while piece := source.readline(LONGEST_LINE_BYTES + 1):
            copy.write(piece)
            if len(piece) > LONGEST_LINE_BYTES:
                break  # The reader of lines says so.
    except BaseException:
        copy.close()
        raise
    return copy


def read_jobs(
    name: str, source: BinaryIO, defaults: Defaults, dialect: Dialect, check: Callable[[Job], object]
) -> JobFile:
    """Read a file of jobs to its end.

    Args:
        name: What the file is called.
        source: The file.
        defaults: What lines leave out.
        dialect: Who shall answer.
        check: Raises :class:`ConfigurationError` for a job that cannot be sent.

    Raises:
        ConfigurationError: Lines make no sense; all of them are named, and nothing was sent.
    """
    reader = _Reader(defaults, dialect, check)
    try:
        for number, offset, raw in _raw_lines(source):
            reader.read(number, offset, raw)
    except OSError as error:
        raise ConfigurationError(f"the jobs cannot be read from {name!r}: {error.strerror}; nothing was sent") from None
    if reader.mistakes:
        raise _all_mistakes(name, reader.mistakes, len(reader.lines))
    if not reader.lines:
        raise ConfigurationError(f"there is no job in {name!r}; nothing was sent")
    return JobFile(name, tuple(reader.lines), source, defaults, dialect)


def _raw_lines(source: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    source.seek(0)
    number = offset = 0
    while raw := source.readline(LONGEST_LINE_BYTES + 1):
        number += 1
        yield number, offset, raw
        if len(raw) > LONGEST_LINE_BYTES:
            return  # Whatever follows is a part of that line.
        offset += len(raw)


@dataclass(slots=True)
class _Reader:
    defaults: Defaults
    dialect: Dialect
    check: Callable[[Job], object]
    lines: list[Line] = field(default_factory=list)
    mistakes: list[tuple[int, str]] = field(default_factory=list)
    _of_id: dict[str, int] = field(default_factory=dict)
    _of_target: dict[str, int] = field(default_factory=dict)
    _equal: dict[str, int] = field(default_factory=dict)

    def read(self, number: int, offset: int, raw: bytes) -> None:
        if not raw.strip(b" \t\r\n"):
            return
        try:
            self.lines.append(self._line(number, offset, raw))
        except _Mistake as mistake:
            self.mistakes.append((number, str(mistake)))
        except ConfigurationError as error:
            self.mistakes.append((number, str(error).removesuffix("; nothing was sent")))

    def _line(self, number: int, offset: int, raw: bytes) -> Line:
        wanted = _wanted(raw, self.defaults)
        if is_synchronous(wanted.endpoint):
            raise _Mistake(f"the endpoint {wanted.endpoint!r} answers with the result itself: use run for it")
        self.check(wanted.job("job", self.dialect))
        digest = wanted.digest(self.dialect)
        key = digest
        if wanted.id is not None:
            key = f"id:{wanted.id}"
            if (other := self._of_id.setdefault(wanted.id, number)) != number:
                raise _Mistake(f"the id {wanted.id!r} is that of line {other} too")
        else:
            self._equal[digest] = self._equal.get(digest, 0) + 1
            key = f"{digest}#{self._equal[digest]}"
        target, folder = self._target(wanted, number)
        return Line(
            number=number,
            id=wanted.id,
            key=key,
            digest=digest,
            target=target,
            offset=offset,
            size=len(raw),
            folder=folder,
        )

    def _target(self, wanted: _Wanted, number: int) -> tuple[str, str | None]:
        """Return where the results go, and the folder if one was named."""
        if unknown := unknown_placeholder(wanted.output, JOB_PLACEHOLDERS):
            known = ", ".join(JOB_PLACEHOLDERS)
            raise _Mistake(f"nothing is known to put in for {unknown} in {wanted.output!r}; there are {known}")
        name = str(number) if wanted.id is None else _UNSAFE.sub("_", wanted.id)
        target = wanted.output.replace("{id}", name).replace("{line}", str(number))
        folder = target if is_folder(target) else None
        if folder is not None:
            name = name.lstrip(".")
            if wanted.id is None or not name or any(word in folder for word in TASK_PLACEHOLDERS):
                return folder, folder
            target = os.path.join(folder, f"{name}.{{extension}}")  # noqa: PTH118  # it may end in a separator
        elif "{task_id}" in target:
            return target, None
        if (other := self._of_target.setdefault(os.path.normpath(target), number)) != number:
            raise _Mistake(
                f"its results would replace those of line {other} in {target!r}: name a folder, or put "
                "{id}, {line} or {task_id} into the name"
            )
        return target, folder


def _wanted(raw: bytes, defaults: Defaults) -> _Wanted:
    said = _object(raw)
    if unknown := [word for word in said if word not in _WORDS]:
        hint = ' (a prompt goes into "input": {"prompt": ...})' if "prompt" in unknown else ""
        raise _Mistake(f"{_shown(unknown[0])} is no word of a job{hint}; there are {', '.join(_WORDS)}")
    model = _typed(said, "model", str, "a text") or defaults.model
    if model is None:
        raise _Mistake('there is no "model", neither here nor as --model')
    what = _typed(said, "input", dict, "an object")
    if not what:
        raise _Mistake('there is nothing to make: "input" is missing')
    own = _typed(said, "parameters", dict, "an object") or {}
    output = _typed(said, "output", str, "a text")
    if output is not None and (not output or "\0" in output):
        raise _Mistake(f'"output" is no name of a file: {_shown(output)}')
    return _Wanted(
        model=model,
        input=what,
        parameters={**defaults.parameters, **own},
        endpoint=_typed(said, "endpoint", str, "a text") or defaults.endpoint,
        id=_id_of(said.get("id")),
        output=output or defaults.output,
    )


def _object(raw: bytes) -> dict[str, Any]:
    if len(raw) > LONGEST_LINE_BYTES:
        raise _Mistake(
            f"it is longer than {LONGEST_LINE_BYTES // 1024 // 1024} MiB, and it and what follows is not read"
        )
    try:
        found = json.loads(
            raw.decode("utf-8-sig"), object_pairs_hook=_without_repetition, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise _Mistake(f"it is not UTF-8: byte {error.start + 1} of the line") from None
    except json.JSONDecodeError as error:
        raise _Mistake(f"it is no JSON: {error.msg} at column {error.colno}") from None
    except ValueError as error:  # A number of more digits than Python reads.
        raise _Mistake(f"it is no JSON that can be read: {error}") from None
    except RecursionError:
        raise _Mistake("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise _Mistake(f"it must be a JSON object, not {_kind(found)}")
    return found


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Mistake(f"{_shown(next(name for name in names if names.count(name) > 1))} is there twice")
    return found


def _refuse_constant(word: str) -> None:
    raise _Mistake(f"{word} is no JSON number")


def _typed(said: Mapping[str, Any], word: str, kind: type, name: str) -> Any:
    value = said.get(word)
    if value is not None and not isinstance(value, kind):
        raise _Mistake(f'"{word}" must be {name}, not {_kind(value)}')
    return value


def _id_of(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or not value.isprintable():
        raise _Mistake(f'"id" must be a printable text of at most {LONGEST_ID} characters, not {_shown(value)}')
    return value


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _all_mistakes(name: str, mistakes: list[tuple[int, str]], good: int) -> ConfigurationError:
    count = len(mistakes)
    told = [f"  line {number}: {text}" for number, text in mistakes[:MOST_MISTAKES_TOLD]]
    if count > MOST_MISTAKES_TOLD:
        told.append(f"  and {count - MOST_MISTAKES_TOLD} more")
    verb = "makes" if count == 1 else "make"
    head = f"{count} of {count + good} jobs in {name!r} {verb} no sense; nothing was sent"
    return ConfigurationError("\n".join([head, *told]), safe_to_submit_again=SafeToSubmitAgain.YES)
