"""The file form of a declaration: JSON or YAML, with the same meaning as in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from resilient_poll.errors import ConfigurationError
from resilient_poll.machine.lifecycle import Billing, Lifecycle, Phase
from resilient_poll.specs.acceptors import Acceptor
from resilient_poll.specs.calls import CancelCall, QueryCall, SubmitCall, SubmitUrl, UrlSource
from resilient_poll.specs.operation import OperationSpec, acceptor_lifecycle
from resilient_poll.specs.places import Hint, InBody, InHeader, InHttpStatus, Place
from resilient_poll.specs.positions import (
    LARGEST_FILE_BYTES,
    Found,
    MappingNode,
    Node,
    Notes,
    Problem,
    ScalarNode,
    SequenceNode,
    compose,
    plain,
)

if TYPE_CHECKING:
    import os

__all__ = ["BILLED_STATES", "FORM_VERSION", "KEYS", "STATES", "read_file", "read_text"]

FORM_VERSION = 1
STATES = ("queued", "running", "succeeded", "failed", "canceled", "unrecognized", "expired")
_BILLS = tuple(str(bill) for bill in Billing)
BILLED_STATES = (*STATES, "unlisted")
KEYS = (
    *("version", "name", "submit", "query", "cancel", "status", "states", "fold_case", "acceptors", "billing"),
    *("billing_by_status", "result", "result_url", "error", "progress", "retry_after", "allow_hosts"),
    *("interval_s", "timeout_s"),
)
_PLACE = "a path in the body, {header: a name}, {body: a path} or {http_status: true}"
_URL = "a URL with {id} in it, {header: a name}, {body: a path} or {submitted: true}"


def read_file(path: str | os.PathLike[str]) -> OperationSpec:
    """Read a file; see :meth:`.OperationSpec.from_file`.

    Raises:
        ConfigurationError: It cannot be read, or declares no operation.
    """
    notes = Notes(str(path))
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # pathlib would be a second way to the file system
            raw = file.read(LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or "no usable path"
        notes.problems.append(Problem(1, 1, f"found no readable file ({reason}), expected one"))
        raise notes.error() from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = raw.count(b"\n", 0, error.start) + 1, error.start - raw.rfind(b"\n", 0, error.start)
        notes.problems.append(Problem(line, column, f"found the byte 0x{raw[error.start]:02x}, expected UTF-8 text"))
        raise notes.error() from None
    return _read(text, notes)


def read_text(text: str, name: str) -> OperationSpec:
    """Read a text; see :meth:`.OperationSpec.from_text`.

    Raises:
        ConfigurationError: It declares no operation.
    """
    given: object = text  # Types are hints at run time.
    if not isinstance(given, str):
        raise ConfigurationError(f"a declaration is read from a text, not from {type(given).__name__}")
    return _read(text, Notes(name))


def _read(text: str, notes: Notes) -> OperationSpec:
    root = compose(text, notes)
    spec = _Reader(notes).spec(root)
    if spec is None or notes.problems:
        raise notes.error()
    return spec


class _Reader:
    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def spec(self, root: Node) -> OperationSpec | None:
        notes = self._notes
        found = notes.mapping(root, "a mapping that starts with version: 1", KEYS)
        if found is None:
            return None
        self._version(root, found)
        values = {
            name: value
            for name, read in self._readers().items()
            if name in found and (value := read(found[name][1])) is not None
        }
        if "error" in found:
            values |= self._error(found["error"][1])
        if "name" not in found:
            notes.at(root, "found no name, expected one")
        lifecycle = self._lifecycle(root, found, values)
        if notes.problems or lifecycle is None:
            return None
        return notes.made(root, OperationSpec, lifecycle=lifecycle, **values)

    def _readers(self) -> dict[str, Callable[[Node], Any]]:
        notes = self._notes
        return {
            "name": lambda node: notes.text(node, "a name"),
            "submit": self._submit,
            "query": self._query,
            "cancel": self._cancel,
            "status": self._place,
            "acceptors": self._acceptors,
            "billing_by_status": self._bills_by_status,
            "result": self._place,
            "result_url": self._urls,
            "progress": self._place,
            "retry_after": self._hints,
            "allow_hosts": lambda node: self._texts(node, "a list of hosts"),
            "interval_s": lambda node: notes.number(node, "a number of seconds"),
            "timeout_s": lambda node: notes.number(node, "a number of seconds"),
        }

    def _version(self, root: Node, found: Found) -> None:
        if "version" not in found:
            self._notes.at(root, f"found no version, expected version: {FORM_VERSION}")
        elif plain(found["version"][1]) != FORM_VERSION or isinstance(plain(found["version"][1]), bool):
            self._notes.wrong(found["version"][1], f"the version {FORM_VERSION}")

    def _lifecycle(self, root: Node, found: Found, values: dict[str, Any]) -> Lifecycle | None:
        notes, name = self._notes, str(values.get("name", "declared"))
        bills = self._bills(found["billing"][1]) if "billing" in found else {}
        folds = notes.flag(found["fold_case"][1]) if "fold_case" in found else True
        if "acceptors" in found:
            for key in ("states", "fold_case"):
                if key in found:
                    notes.at(found[key][0], f"found the key {key} beside acceptors, expected one of the two")
            return notes.made(root, acceptor_lifecycle, name, bills)
        if "states" not in found:
            notes.at(root, "found no states, expected the words of the status, by what they mean")
            return None
        key_node, node = found["states"]
        rows = notes.mapping(node, "a mapping of states to lists of words", STATES) or {}
        words = {state: self._texts(value, "a list of words") for state, (_, value) in rows.items()}
        words.setdefault("succeeded", ())
        return notes.made(key_node, Lifecycle.of, name, billing=bills, fold_case=folds is not False, **words)

    def _bills(self, node: Node) -> dict[Phase, Billing]:
        rows = self._notes.mapping(node, "a mapping of states to what is owed", BILLED_STATES) or {}
        words = {
            state: self._notes.choice(value, [str(bill) for bill in Billing]) for state, (_, value) in rows.items()
        }
        return {Phase(state.upper()): Billing(word) for state, word in words.items() if word is not None}

    def _bills_by_status(self, node: Node) -> dict[str, Billing]:
        rows = self._notes.mapping(node, "a mapping of statuses to what is owed", None) or {}
        words = {
            status: self._notes.choice(value, [str(bill) for bill in Billing]) for status, (_, value) in rows.items()
        }
        return {status: Billing(word) for status, word in words.items() if word is not None}

    def _place(self, node: Node) -> Place | None:
        notes = self._notes
        if isinstance(node, ScalarNode):
            path = notes.text(node, _PLACE)
            return None if path is None else notes.made(node, InBody, path)
        found = notes.mapping(node, _PLACE, ("header", "body", "http_status"))
        return None if found is None else self._one_place(node, found, _PLACE)

    def _one_place(self, node: Node, found: Found, expected: str) -> Any:
        notes = self._notes
        if len(found) != 1:
            notes.wrong(node, expected)
            return None
        ((kind, (_, value)),) = found.items()
        if kind in {"http_status", "submitted"}:
            if notes.flag(value) is False:
                notes.wrong(value, "true")
            return InHttpStatus() if kind == "http_status" else SubmitUrl()
        text = notes.text(value, expected)
        make: type[InHeader | InBody] = InHeader if kind == "header" else InBody
        return None if text is None else notes.made(value, make, text)

    def _urls(self, node: Node) -> tuple[UrlSource, ...] | None:
        rows = list(node.value) if isinstance(node, SequenceNode) else [node]
        if not rows:
            self._notes.wrong(node, _URL)
        urls = [self._url(row) for row in rows]
        return tuple(url for url in urls if url is not None) or None

    def _url(self, node: Node) -> UrlSource | None:
        if not isinstance(node, MappingNode):
            return self._notes.text(node, _URL)
        found = self._notes.mapping(node, _URL, ("header", "body", "submitted"))
        url: UrlSource | None = None if found is None else self._one_place(node, found, _URL)
        return url

    def _hints(self, node: Node) -> tuple[Hint, ...]:
        rows = list(node.value) if isinstance(node, SequenceNode) else [node]
        return tuple(hint for hint in map(self._hint, rows) if hint is not None)

    def _hint(self, node: Node) -> Hint | None:
        notes, unit = self._notes, "s"
        if isinstance(node, ScalarNode):
            place = self._place(node)
            return None if place is None else Hint(place)
        found = notes.mapping(node, _PLACE, ("header", "body", "unit"))
        if found is None:
            return None
        if "unit" in found:
            unit = notes.choice(found.pop("unit")[1], ("s", "ms")) or "s"
        place = self._one_place(node, found, _PLACE)
        return None if place is None else Hint(place, unit)

    def _call(self, node: Node, keys: dict[str, Callable[[Node], Any]], make: Callable[..., Any]) -> Any:
        notes = self._notes
        found = notes.mapping(node, f"a mapping with {', '.join(keys)}", tuple(keys))
        if found is None:
            return None
        values = {name: value for name, (_, row) in found.items() if (value := keys[name](row)) is not None}
        if make is not SubmitCall and "url" not in values:
            if "url" not in found:
                notes.at(node, f"found no url, expected {_URL}")
            return None
        return notes.made(node, make, **values)

    def _submit(self, node: Node) -> Any:
        notes = self._notes
        keys: dict[str, Callable[[Node], Any]] = {
            "method": lambda row: notes.text(row, "a method"),
            "url": lambda row: notes.text(row, "a URL"),
            "headers": self._headers,
            "id": self._place,
            "at_once": self._statuses,
        }
        return self._call(node, keys, SubmitCall)

    def _query(self, node: Node) -> Any:
        return self._call(node, {"url": self._urls, "headers": self._headers}, QueryCall)

    def _cancel(self, node: Node) -> Any:
        method = lambda row: self._notes.text(row, "a method")  # noqa: E731  # as short as the rows beside it
        return self._call(node, {"method": method, "url": self._urls, "headers": self._headers}, CancelCall)

    def _headers(self, node: Node) -> dict[str, str]:
        rows = self._notes.mapping(node, "a mapping of names and values", None) or {}
        texts = {name: self._notes.text(value, "a header's value") for name, (_, value) in rows.items()}
        return {name: text for name, text in texts.items() if text is not None}

    def _statuses(self, node: Node) -> tuple[int, ...]:
        rows = self._notes.items(node, "a list of HTTP statuses")
        numbers = [self._notes.whole(row, "an HTTP status") for row in rows]
        return tuple(number for number in numbers if number is not None)

    def _texts(self, node: Node, expected: str) -> tuple[str, ...]:
        texts = [self._notes.text(row, "a word") for row in self._notes.items(node, expected)]
        return tuple(text for text in texts if text is not None)

    def _error(self, node: Node) -> dict[str, Place]:
        rows = self._notes.mapping(node, "a mapping with code and message", ("code", "message")) or {}
        places = {f"error_{name}": self._place(value) for name, (_, value) in rows.items()}
        return {name: place for name, place in places.items() if place is not None}

    def _acceptors(self, node: Node) -> tuple[Acceptor, ...]:
        acceptors = []
        for row in self._notes.items(node, "a list of acceptors"):
            keys = ("state", "matcher", "argument", "expected")
            found = self._notes.mapping(row, f"a mapping with {', '.join(keys)}", keys)
            if found is not None:
                values = {name: plain(value) for name, (_, value) in found.items()}
                if (acceptor := self._notes.made(row, Acceptor.of, values)) is not None:
                    acceptors.append(acceptor)
        return tuple(acceptors)
