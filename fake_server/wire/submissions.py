"""Reading the body of a create: what is wrong with it is said, never raised."""

from __future__ import annotations

import functools
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fake_server.wire.endpoints import VIDEO, Endpoint

if TYPE_CHECKING:
    from fake_server.wire.bodies import UsageForm
    from fake_server.wire.endpoints import ResultForm

# Names of models are a few dozen characters; longer ones would only fatten lists and bills.
LONGEST_MODEL = 200
# Prompts are repeated in answers and kept as long as the task; the documented limits are far below.
LONGEST_PROMPT = 10_000
# The usual length of a generated video; ten minutes is beyond every model.
DEFAULT_SECONDS = 5
MOST_SECONDS = 600
DEFAULT_RESOLUTION = 720
_RESOLUTIONS = {"480P": 480, "720P": 720, "1080P": 1080}
# How many images `parameters.n` gives where it is left out: four up to wan2.5 (reference of the text-to-image
# models), one in the messages format (assumed). More than twelve is beyond every model.
DEFAULT_IMAGES: dict[ResultForm, int] = {"images": 4, "messages": 1}
MOST_IMAGES = 12
# Files in one transcription (reference of the recorded speech models), and characters of a URL, which is kept.
MOST_FILES = 100
LONGEST_URL = 2_000
# Tests send the same small body again and again; parsing it is a tenth of the work of a create.
SMALL_BODY_BYTES = 2_000

# Which models use which form of `usage` is assumed: the references show the forms, one model each.
_USAGE_FORMS: tuple[tuple[str, UsageForm], ...] = (
    ("wan2.2", "counted"),
    ("wanx2.1", "counted"),
    ("wan2.7", "measured"),
    ("happyhorse", "measured"),
)


@dataclass(frozen=True, slots=True)
class Submission:
    """What a create asks for.

    Args:
        model: The model.
        prompt: The prompt; empty where there is none.
        duration_s: Seconds of video.
        resolution: Lines of video.
        images: How many images.
        rewrites_prompt: Whether the model may rewrite the prompt, and then tells what it made of it.
        files: URLs of files to transcribe.
    """

    model: str
    prompt: str = ""
    duration_s: int = DEFAULT_SECONDS
    resolution: int = DEFAULT_RESOLUTION
    images: int = 1
    rewrites_prompt: bool = True
    files: tuple[str, ...] = ()

    @property
    def characters(self) -> int:
        """How much text it keeps."""
        return len(self.prompt) + sum(map(len, self.files))


@functools.lru_cache(maxsize=256)
def usage_form(model: str) -> UsageForm:
    """The form of `usage` of a model."""
    return next((form for prefix, form in _USAGE_FORMS if model.startswith(prefix)), "detailed")


def read_submission(body: bytes, endpoint: Endpoint = VIDEO) -> Submission | str:
    """The body of a create, or a sentence that says what is wrong with it.

    Args:
        body: The body as it came.
        endpoint: Where it was sent; it decides what must be in it.
    """
    return _remembered(body, endpoint) if len(body) <= SMALL_BODY_BYTES else _read(body, endpoint)


def _read(body: bytes, endpoint: Endpoint) -> Submission | str:
    try:
        data: Any = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return "the body is not JSON"
    if not isinstance(data, dict):
        return "the body is not a JSON object"
    model, given = data.get("model"), data.get("input")
    if not isinstance(model, str) or not 0 < len(model) <= LONGEST_MODEL:
        return "Field required: model"
    model = sys.intern(model)  # a hundred thousand tasks share a handful of names
    if not isinstance(given, dict):
        return "Field required: input"
    parameters = data.get("parameters", {})
    if not isinstance(parameters, dict):
        return "parameters is not a JSON object"
    if endpoint.form == "transcription":
        return _read_transcription(model, given)
    prompt = _read_prompt(given, endpoint.form)
    if isinstance(prompt, _Wrong):
        return prompt.sentence
    images = parameters.get("n", DEFAULT_IMAGES.get(endpoint.form, 1))
    if endpoint.form in DEFAULT_IMAGES and not _is_within(images, MOST_IMAGES):
        return f"parameters.n is not a whole number from 1 to {MOST_IMAGES}"
    return Submission(
        model=model,
        prompt=prompt[:LONGEST_PROMPT],
        duration_s=_read_seconds(parameters.get("duration")),
        resolution=_RESOLUTIONS.get(str(parameters.get("resolution")), DEFAULT_RESOLUTION),
        images=images if endpoint.form in DEFAULT_IMAGES else 1,
        rewrites_prompt=parameters.get("prompt_extend") is not False,
    )


_remembered = functools.lru_cache(maxsize=512)(_read)


def _refuse_constant(name: str) -> Any:
    """NaN and Infinity are no JSON (RFC 8259, 6), although Python's reader takes them."""
    raise ValueError(name)


@dataclass(frozen=True, slots=True)
class _Wrong:
    """What is wrong, in a sentence; a plain string would pass for a prompt."""

    sentence: str


def _read_prompt(given: dict[str, Any], form: ResultForm) -> str | _Wrong:
    if form == "messages":
        return _read_messages(given.get("messages"))
    prompt = given.get("prompt")
    if prompt is None:
        # Videos and 3D models can be made of pictures alone.
        return _Wrong("Field required: input.prompt") if form == "images" else ""
    if not isinstance(prompt, str):
        return _Wrong("input.prompt is not a text")
    # The sentence of a live failure.
    return prompt if prompt.strip() else _Wrong("prompt must contain words")


def _read_messages(messages: object) -> str | _Wrong:
    """The text of the user's message."""
    if not isinstance(messages, list) or not messages:
        return _Wrong("Field required: input.messages")
    content = messages[-1].get("content") if isinstance(messages[-1], dict) else None
    if not isinstance(content, list):
        return _Wrong("Field required: input.messages[].content")
    texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
    text = "\n".join(texts)
    return text if text.strip() else _Wrong("prompt must contain words")


def _read_transcription(model: str, given: dict[str, Any]) -> Submission | str:
    urls = given.get("file_urls")
    if not isinstance(urls, list) or not 1 <= len(urls) <= MOST_FILES:
        return f"input.file_urls is not a list of 1 to {MOST_FILES} URLs"
    if not all(isinstance(url, str) and 0 < len(url) <= LONGEST_URL for url in urls):
        return "input.file_urls holds something that is no URL"
    return Submission(model, files=tuple(urls))


def _is_within(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _read_seconds(value: object) -> int:
    """Seconds of video; what is no sensible number is the default, as no source says how it is refused."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SECONDS:
        return value
    return DEFAULT_SECONDS
