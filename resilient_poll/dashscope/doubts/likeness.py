"""Whether a task at the service is what a request of ours made: what its answer shows, beside our marks. Pure.

An answer shows the prompt only once the task succeeded, and never the images and voices that went
with it. So it takes four words: the same, not the same, not the same in what else was asked, and
what nobody can tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from resilient_poll.dashscope.doubts.marks import ASKED, PROMPT, PROMPT_START, UNSEEN, prompt_marks
from resilient_poll.dashscope.wire.results import usage_of
from resilient_poll.ledger.entry import Entry

__all__ = ["Comparison", "Likeness", "compared"]


class Likeness(StrEnum):
    """How alike what was asked and what was made are."""

    SAME = "same"
    """The prompt is the same, and whatever else was asked and tells requests apart is shown and the same."""
    UNSURE = "unsure"
    """Nothing contradicts, and not everything can be compared."""
    CONTRADICTED = "contradicted"
    """The prompt, or its beginning, is the same, and something else is not. Services cut prompts and round numbers,
    so this is no proof of another request."""
    OTHER = "other"
    """The prompt is another one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison brought.

    Attributes:
        likeness: The word for it.
        why: What could not be compared, or is not the same; empty where it is the same.
    """

    likeness: Likeness
    why: str = ""


def compared(entry: Entry, answer: object) -> Comparison:
    """Compare a request of the ledger with the answer about a task.

    Args:
        entry: The request's entry.
        answer: The service's whole answer about a task that succeeded; None if it is not known.
    """
    if answer is None:
        return Comparison(Likeness.UNSURE, "its answer is not known")
    about, prompts = entry.about, _prompts_of(answer)
    if PROMPT not in about or PROMPT_START not in about:
        return Comparison(Likeness.UNSURE, "the ledger holds no mark of this request's prompt")
    if not prompts:
        return Comparison(Likeness.UNSURE, "its answer shows no prompt")
    marks = [prompt_marks(entry.namespace, entry.key, prompt) for prompt in prompts]
    if any(start != about[PROMPT_START] for _, start in marks):
        return Comparison(Likeness.OTHER, "its prompt is another one")
    if any(whole != about[PROMPT] for whole, _ in marks):
        return Comparison(Likeness.CONTRADICTED, "its prompt begins in the same way and goes on in another")
    hidden = list(_names(about.get(UNSEEN)))
    for name, value in _values(about.get(ASKED)).items():
        is_same = _SHOWN[name](value, answer) if name in _SHOWN else None
        if is_same is False:
            return Comparison(Likeness.CONTRADICTED, f"its prompt is the same and its {name} is not")
        if is_same is None:
            hidden.append(f"parameters.{name}")
    if hidden:
        return Comparison(Likeness.UNSURE, f"its prompt is the same and its answer does not show {', '.join(hidden)}")
    return Comparison(Likeness.SAME)


def _prompts_of(answer: object) -> list[str]:
    """Return every place's word for what was asked for."""
    output = _inside(answer, "output")
    results = _inside(output, "results")
    items = results if isinstance(results, list) else [results]
    found = [_inside(place, "orig_prompt") for place in (output, *items[:100])]
    return [prompt for prompt in found if isinstance(prompt, str) and prompt.strip()]


def _same_number(asked: object, shown: object) -> bool | None:
    left, right = _number(asked), _number(shown)
    return None if left is None or right is None else abs(left - right) < 0.5  # seconds are rounded


def _same_duration(asked: object, answer: object) -> bool | None:
    usage = usage_of(answer)
    # Where a video was given, `duration` counts its seconds too.
    names = ("output_video_duration", "video_duration", "duration")
    return next((same for name in names if (same := _same_number(asked, usage.get(name))) is not None), None)


def _same_size(asked: object, answer: object) -> bool | None:
    usage = usage_of(answer)
    left, right = _sides(asked), _sides(usage.get("size"))
    if left is not None and right is not None:
        # Models round a side to what they can make: 832 to 853.
        return all(abs(one - other) <= _ROUNDED * one for one, other in zip(left, right, strict=True))
    lines = _number(usage.get("SR"))
    if left is None or lines is None:
        return None
    # A resolution is a class of sizes of about one area: 720 stands for 1280*720 and 960*960 alike.
    area = lines * lines * 16 / 9
    return abs(left[0] * left[1] - area) <= _SAME_CLASS * area


_ROUNDED = 0.05
_SAME_CLASS = 0.2


def _same_resolution(asked: object, answer: object) -> bool | None:
    return _same_number(asked, usage_of(answer).get("SR"))


def _same_count(asked: object, answer: object) -> bool | None:
    total = _inside(_inside(_inside(answer, "output"), "task_metrics"), "TOTAL")
    if (is_same := _same_number(asked, total)) is not None:
        return is_same
    wanted, made = _number(asked), _number(usage_of(answer).get("image_count"))
    if wanted is None or made is None or made < wanted:
        return None  # Some may have failed.
    return made == wanted


def _same_in_usage(name: str) -> Any:
    def same(asked: object, answer: object) -> bool | None:
        shown = usage_of(answer).get(name, _inside(_inside(answer, "output"), name))
        if isinstance(shown, bool) or isinstance(asked, bool) or isinstance(shown, str):
            return asked == shown if type(asked) is type(shown) else None
        return _same_number(asked, shown)

    return same


_SHOWN = {
    "duration": _same_duration,
    "size": _same_size,
    "resolution": _same_resolution,
    "n": _same_count,
    "ratio": _same_in_usage("ratio"),
    "fps": _same_in_usage("fps"),
    "audio": _same_in_usage("audio"),
    "seed": _same_in_usage("seed"),
}
"""By parameter, what says whether an answer shows the same; None where it does not show it.

Source: the forms of ``usage`` in the vendor's API references of video and image models, read in 2026.
"""
_SIDES = re.compile(r"(\d{2,5})\s*[*xX]\s*(\d{2,5})")
_NUMBER = re.compile(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s*[pPsS]?\s*")


def _sides(value: object) -> tuple[int, int] | None:
    match = _SIDES.fullmatch(value.strip()) if isinstance(value, str) else None
    return (int(match[1]), int(match[2])) if match else None


def _number(value: object) -> float | None:
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        return float(match[1]) if match else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _values(text: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {"?": text}  # Damaged, so that nothing is the same as it.
    return value if isinstance(value, Mapping) else {"?": value}


def _names(text: str | None) -> list[str]:
    try:
        value = json.loads(text or "[]")
    except ValueError:
        return ["?"]
    return [str(name) for name in value] if isinstance(value, list) else ["?"]


def _inside(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None
