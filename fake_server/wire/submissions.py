"""Reading the body of a create: what is wrong with it is said, never raised."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_server.wire.bodies import UsageForm

# Names of models are a few dozen characters; longer ones would only fatten lists and bills.
LONGEST_MODEL = 200
# Prompts are repeated in answers and kept as long as the task; the documented limits are far below.
LONGEST_PROMPT = 10_000
# The usual length of a generated video; ten minutes is beyond every model.
DEFAULT_SECONDS = 5
MOST_SECONDS = 600
DEFAULT_RESOLUTION = 720
_RESOLUTIONS = {"480P": 480, "720P": 720, "1080P": 1080}

# Which models use which form of `usage` is assumed: the references show the forms, one model each.
_USAGE_FORMS: tuple[tuple[str, UsageForm], ...] = (
    ("wan2.2", "counted"),
    ("wanx2.1", "counted"),
    ("wan2.7", "measured"),
    ("happyhorse", "measured"),
)


@dataclass(frozen=True, slots=True)
class Submission:
    """What a create asks for: the model, the prompt, seconds of video and lines of resolution."""

    model: str
    prompt: str
    duration_s: int
    resolution: int


def usage_form(model: str) -> UsageForm:
    """The form of `usage` of a model."""
    return next((form for prefix, form in _USAGE_FORMS if model.startswith(prefix)), "detailed")


def read_submission(body: bytes) -> Submission | str:
    """The body of a create, or a sentence that says what is wrong with it."""
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "the body is not JSON"
    if not isinstance(data, dict):
        return "the body is not a JSON object"
    model, given = data.get("model"), data.get("input")
    if not isinstance(model, str) or not 0 < len(model) <= LONGEST_MODEL:
        return "Field required: model"
    if not isinstance(given, dict):
        return "Field required: input"
    parameters = data.get("parameters", {})
    if not isinstance(parameters, dict):
        return "parameters is not a JSON object"
    prompt = given.get("prompt")
    return Submission(
        model=model,
        prompt=prompt[:LONGEST_PROMPT] if isinstance(prompt, str) else "",
        duration_s=_read_seconds(parameters.get("duration")),
        resolution=_RESOLUTIONS.get(str(parameters.get("resolution")), DEFAULT_RESOLUTION),
    )


def _read_seconds(value: object) -> int:
    """Seconds of video; what is no sensible number is the default, as no source says how it is refused."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SECONDS:
        return value
    return DEFAULT_SECONDS
