"""The bodies of finished work that is no video: images in two forms, 3D models, transcriptions.

Images up to wan2.5 stand in `output.results`, later ones in `output.choices` (vendor's references of the image
models). Partial failure is still SUCCEEDED: an item then carries a code and a message instead of its URL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_server.wire.bodies import SUCCEEDED, Body, TaskTimes

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED_SUBTASK = "FAILED"
# What the vendor's examples of messages show for `size`; the sample picture itself is smaller.
IMAGE_SIZE = "1280*1280"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one item of several was not made."""

    code: str
    message: str


def task_metrics(items: Sequence[str | Failure]) -> Body:
    """How many items there are and how they went."""
    failed = sum(isinstance(item, Failure) for item in items)
    return {"TOTAL": len(items), "SUCCEEDED": len(items) - failed, "FAILED": failed}


def images(
    task_id: str,
    request_id: str,
    times: TaskTimes,
    prompts: tuple[str, str | None],
    items: Sequence[str | Failure],
) -> Body:
    """Finished images of a model up to wan2.5.

    Args:
        task_id: The task.
        request_id: The id of this answer.
        times: The task's times.
        prompts: The caller's prompt, and the one that the model made of it, or None where it made none.
        items: Per image its URL, or why there is none.
    """
    told: Body = {"orig_prompt": prompts[0]}
    if prompts[1] is not None:
        told["actual_prompt"] = prompts[1]
    rows = [
        {"code": item.code, "message": item.message} if isinstance(item, Failure) else {**told, "url": item}
        for item in items
    ]
    metrics = task_metrics(items)
    output = {"task_id": task_id, "task_status": SUCCEEDED, **times.fields(), "results": rows, "task_metrics": metrics}
    return {"request_id": request_id, "output": output, "usage": {"image_count": metrics["SUCCEEDED"]}}


def messages(task_id: str, request_id: str, times: TaskTimes, urls: Sequence[str]) -> Body:
    """Finished images of a model from wan2.6 on; those that failed are left out (assumed: no example was found)."""
    output: Body = {"task_id": task_id, "task_status": SUCCEEDED, **times.fields(), **_choices(urls)}
    return {"request_id": request_id, "output": output, "usage": _messages_usage(urls)}


def messages_at_once(request_id: str, urls: Sequence[str]) -> Body:
    """The answer of the synchronous image endpoint: the result, and no task."""
    return {"output": _choices(urls), "usage": _messages_usage(urls), "request_id": request_id}


def _choices(urls: Sequence[str]) -> Body:
    choices = [
        {"finish_reason": "stop", "message": {"role": "assistant", "content": [{"image": url, "type": "image"}]}}
        for url in urls
    ]
    return {"finished": True, "choices": choices}


def _messages_usage(urls: Sequence[str]) -> Body:
    # Images cost no tokens, and the fields are there all the same.
    tokens = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    return {"image_count": len(urls), "size": IMAGE_SIZE, **tokens}


def model_3d(task_id: str, request_id: str, times: TaskTimes, model_url: str, preview_url: str) -> Body:
    """A finished 3D model: a GLB with materials and a preview. That there is no `usage` is assumed."""
    output: Body = {"task_id": task_id, "task_status": SUCCEEDED, **times.fields()}
    output["results"] = {"pbr_model_url": model_url, "rendered_image_url": preview_url}
    return {"request_id": request_id, "output": output}


def transcriptions(
    task_id: str,
    request_id: str,
    times: TaskTimes,
    files: Sequence[tuple[str, str | Failure]],
    seconds: int,
) -> Body:
    """Finished transcriptions.

    Args:
        task_id: The task.
        request_id: The id of this answer.
        times: The task's times.
        files: Per file its own URL, and that of its transcription or why there is none.
        seconds: Seconds of speech in the files that were transcribed; what is billed.
    """
    rows: list[Body] = []
    for file_url, item in files:
        if isinstance(item, Failure):
            reason = {"code": item.code, "message": item.message}
            rows.append({"file_url": file_url, **reason, "subtask_status": FAILED_SUBTASK})
        else:
            rows.append({"file_url": file_url, "transcription_url": item, "subtask_status": SUCCEEDED})
    output: Body = {"task_id": task_id, "task_status": SUCCEEDED, **times.fields(), "results": rows}
    output["task_metrics"] = task_metrics([item for _, item in files])
    return {"request_id": request_id, "output": output, "usage": {"duration": seconds}}


def transcript(file_url: str, seconds: int) -> Body:
    """The document behind a `transcription_url`: the same few words for every file."""
    text = "Hello world, this is a fake."
    end_ms = seconds * 1000
    sentence = {"begin_time": 0, "end_time": end_ms, "text": text, "sentence_id": 1, "words": []}
    properties = {
        "audio_format": "pcm_s16le",
        "channels": [0],
        "original_sampling_rate": 16000,
        "original_duration_in_milliseconds": end_ms,
    }
    channel = {"channel_id": 0, "content_duration_in_milliseconds": end_ms, "text": text, "sentences": [sentence]}
    return {"file_url": file_url, "properties": properties, "transcripts": [channel]}
