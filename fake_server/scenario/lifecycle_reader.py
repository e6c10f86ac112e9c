"""Reads lifecycles: `PENDING 2s -> RUNNING 3 polls -> FAILED DataInspectionFailed`, and the long form."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import cast, get_args

from ruamel.yaml.nodes import Node, ScalarNode

from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.scenario.yaml_nodes import DURATION_EXPECTED, Notes, describe, parse_duration, quote
from fake_server.wire import bodies
from fake_server.wire.errors import default_message
from fake_server.wire.results import Failure

# A life of more steps than this is generated, not written.
MOST_STEPS = 200
MOST_POLLS = 100_000

_WORD = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,99}")
_POLLS = re.compile(r"([0-9]{1,9}) polls?")
# As near as RUNING is to RUNNING. A word this near to a listed one is a slip, unless the script says that
# it means it (`unlisted: true`).
_SLIP = 0.8

# Items of one task: more than any endpoint makes.
MOST_RESULTS = 100
OK = "ok"

_KEYS = ("lifecycle", "steps", "usage", "url_in", "times", "billed_share", "results")
_RESULT_KEYS = ("code", "message")
_STEP_KEYS = ("status", "for", "code", "message", "unlisted")
LIFECYCLE_EXPECTED = "a lifecycle such as PENDING 2s -> RUNNING 3 polls -> SUCCEEDED"
_LENGTH_EXPECTED = f"{DURATION_EXPECTED}, or a number of polls such as 3 polls"


def read_tasks(node: Node, notes: Notes) -> tuple[Lifecycle, ...]:
    """The list under `tasks:`; what cannot be read is noted and left out."""
    items = notes.as_list(node, "a list of lifecycles")
    if items is None:
        return ()
    if not items:
        notes.at(node, "found an empty list, expected at least one lifecycle")
    lifecycles = [_read_lifecycle(item, notes) for item in items]
    return tuple(lifecycle for lifecycle in lifecycles if lifecycle is not None)


def _read_lifecycle(node: Node, notes: Notes) -> Lifecycle | None:
    before = len(notes.problems)
    fields: dict[str, tuple[Node, Node]] = {}
    if not isinstance(node, ScalarNode):
        fields = notes.as_mapping(node, f"{LIFECYCLE_EXPECTED}, or a mapping", _KEYS) or {}
        if not fields and len(notes.problems) > before:
            return None
        if ("lifecycle" in fields) == ("steps" in fields):
            notes.at(node, "found both or neither of lifecycle and steps, expected one of them")
            return None
    if "steps" in fields:
        placed = _long_form(fields["steps"][1], notes)
    else:
        placed = _short_form(fields["lifecycle"][1] if fields else node, notes)
    options = _read_options(fields, notes)
    # Whole lives are checked only where every step could be read: a slip should be told once.
    if len(notes.problems) == before:
        _check_whole(placed, notes)
        if "results" in fields and placed[-1].step.status != bodies.SUCCEEDED:
            text = f"found results of a life that ends as {placed[-1].step.status}, expected them of SUCCEEDED only"
            notes.at(fields["results"][0], text)
    if len(notes.problems) > before:
        return None
    return Lifecycle(tuple(item.step for item in placed), *options)


def _read_options(
    fields: dict[str, tuple[Node, Node]], notes: Notes
) -> tuple[bodies.UsageForm | None, bodies.UrlPlace, bool, Decimal, tuple[Failure | None, ...] | None]:
    usage = place = results = None
    times: bool | None = True
    share: Decimal | None = Decimal(0)
    if "usage" in fields:
        usage = notes.as_choice(fields["usage"][1], get_args(bodies.UsageForm))
    if "url_in" in fields:
        place = notes.as_choice(fields["url_in"][1], get_args(bodies.UrlPlace))
    if "times" in fields:
        times = notes.as_flag(fields["times"][1])
    if "billed_share" in fields:
        share = read_decimal(fields["billed_share"][1], notes, Decimal(1))
    if "results" in fields:
        results = _read_results(fields["results"][1], notes)
    return (
        cast("bodies.UsageForm | None", usage),
        cast("bodies.UrlPlace", place or "video_url"),
        bool(times),
        share or Decimal(0),
        results,
    )


def _read_results(node: Node, notes: Notes) -> tuple[Failure | None, ...]:
    """What became of each item of a task: None where it was made."""
    expected = "a list such as [ok, {code: DataInspectionFailed}, ok]"
    items = notes.as_list(node, expected)
    if items is not None and not 1 <= len(items) <= MOST_RESULTS:
        notes.at(node, f"found {len(items)} results, expected 1 to {MOST_RESULTS}")
    return tuple(_read_result(item, notes) for item in items or ())


def _read_result(node: Node, notes: Notes) -> Failure | None:
    if isinstance(node, ScalarNode) and node.value == OK:
        return None
    fields = notes.as_mapping(node, f"{OK}, or why it failed such as {{code: DataInspectionFailed}}", _RESULT_KEYS)
    if fields is None:
        return None
    if "code" not in fields:
        notes.at(node, "found a failed result without code, expected one")
        return None
    code = notes.as_text(fields["code"][1], "a failure code") or ""
    message = notes.as_text(fields["message"][1], "a sentence") if "message" in fields else None
    return Failure(code, message or default_message(code))


def read_decimal(node: Node, notes: Notes, largest: Decimal) -> Decimal | None:
    """A decimal number from 0 to `largest`, exactly as written (never through a binary float)."""
    text = node.value if isinstance(node, ScalarNode) else ""
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        number = Decimal(text)
        if number <= largest:
            return number
    notes.wrong(node, f"a decimal number from 0 to {largest}")
    return None


@dataclass(frozen=True, slots=True)
class _Placed:
    """A step and where it was read."""

    step: Step
    node: Node
    offset: int


def _short_form(node: Node, notes: Notes) -> list[_Placed]:
    if not isinstance(node, ScalarNode) or not str(node.value).strip():
        notes.wrong(node, LIFECYCLE_EXPECTED)
        return []
    placed: list[_Placed] = []
    offset = 0
    # Where a value is folded over lines, the place in the line is not recoverable: point at its start.
    is_one_line = node.start_mark.line == node.end_mark.line
    for part in str(node.value).split("->"):
        lead = len(part) - len(part.lstrip())
        place = offset + lead if is_one_line else 0
        step = _short_step(node, part.strip(), place, notes)
        if step is not None:
            placed.append(_Placed(step, node, place))
        offset += len(part) + len("->")
    return placed


def _short_step(node: Node, text: str, offset: int, notes: Notes) -> Step | None:
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    if not _check_word(node, word, offset, notes):
        return None
    if not rest:
        return Step(word)
    polls = _POLLS.fullmatch(rest)
    if polls and 1 <= int(polls[1]) <= MOST_POLLS:
        return Step(word, lasts_polls=int(polls[1]))
    seconds = parse_duration(rest)
    if seconds is not None:
        return Step(word, lasts_s=seconds)
    if word == bodies.FAILED and _CODE.fullmatch(rest):
        return Step(word, code=rest)
    expected = "a code such as DataInspectionFailed" if word == bodies.FAILED else _LENGTH_EXPECTED
    notes.at(node, f"found {quote(rest)}, expected {expected}", offset + text.index(rest, len(word)))
    return None


def _check_word(node: Node, word: str, offset: int, notes: Notes, *, verbatim: bool = False) -> bool:
    if not _WORD.fullmatch(word):
        upper = word.upper()
        hint = f"; did you mean {upper}?" if upper in bodies.LISTED else ""
        notes.at(node, f"found {quote(word) or 'nothing'}, expected a status in capitals{hint}", offset)
        return False
    if word in bodies.LISTED or verbatim:
        return True
    near = difflib.get_close_matches(word, bodies.LISTED, n=1, cutoff=_SLIP)
    if near:
        text = f"found {word}, expected a listed status; did you mean {near[0]}?"
        notes.at(node, f"{text} (a word that is meant: {{status: {word}, unlisted: true}})", offset)
        return False
    return True


def _long_form(node: Node, notes: Notes) -> list[_Placed]:
    items = notes.as_list(node, "a list of steps")
    if items is not None and not items:
        notes.at(node, "found an empty list, expected at least one step")
    steps = [(_long_step(item, notes), item) for item in items or []]
    return [_Placed(step, item, 0) for step, item in steps if step is not None]


def _long_step(node: Node, notes: Notes) -> Step | None:
    fields = notes.as_mapping(node, "a step such as {status: RUNNING, for: 20s}", _STEP_KEYS)
    if fields is None:
        return None
    before = len(notes.problems)
    if "status" not in fields:
        notes.at(node, "found a step without status, expected one")
        return None
    verbatim = bool("unlisted" in fields and notes.as_flag(fields["unlisted"][1]))
    status_node = fields["status"][1]
    status = notes.as_text(status_node, "a status such as RUNNING") or ""
    if status:
        _check_word(status_node, status, 0, notes, verbatim=verbatim)
    lasts_s, lasts_polls = _long_length(fields["for"][1], notes) if "for" in fields else (None, None)
    code = notes.as_text(fields["code"][1], "a failure code") if "code" in fields else None
    message = notes.as_text(fields["message"][1], "a sentence") if "message" in fields else None
    if status != bodies.FAILED and ("code" in fields or "message" in fields):
        notes.at(node, f"found a code or message on {quote(status)}, expected them on FAILED only")
    if len(notes.problems) > before:
        return None
    return Step(status, lasts_s, lasts_polls, code, message)


def _long_length(node: Node, notes: Notes) -> tuple[float | None, int | None]:
    text = str(node.value) if isinstance(node, ScalarNode) else ""
    polls = _POLLS.fullmatch(text)
    if polls and 1 <= int(polls[1]) <= MOST_POLLS:
        return None, int(polls[1])
    seconds = parse_duration(text)
    if seconds is None:
        notes.at(node, f"found {describe(node)}, expected {_LENGTH_EXPECTED}")
    return seconds, None


def _check_whole(placed: list[_Placed], notes: Notes) -> None:
    """Check what no single step shows: lengths where they belong, ends at the end."""
    if len(placed) > MOST_STEPS:
        notes.at(placed[0].node, f"found {len(placed)} steps, expected at most {MOST_STEPS}")
    for item, follower in pairwise(placed):
        status = item.step.status
        if status in bodies.ENDS:
            text = f"found {follower.step.status} after {status}, expected {status} last: it is an end"
            notes.at(follower.node, text, follower.offset)
        elif item.step.lasts_s is None and item.step.lasts_polls is None:
            expected = f"expected {_LENGTH_EXPECTED}, as only the last step stays for ever"
            text = f"found {status} without a length, {expected}"
            notes.at(item.node, text, item.offset)
    last = placed[-1]
    if last.step.lasts_s is not None or last.step.lasts_polls is not None:
        text = (
            f"found {last.step.status} with a length as last step, "
            "expected an end such as SUCCEEDED after it, or no length (it then stays for ever)"
        )
        notes.at(last.node, text, last.offset)
