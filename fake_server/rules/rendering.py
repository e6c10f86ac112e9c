"""What a task looks like in an answer, and which assets it has."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

from fake_server.rules import downloads
from fake_server.rules.tasks import SPOKEN_S
from fake_server.wire import bodies, errors, results
from fake_server.wire.submissions import usage_form

if TYPE_CHECKING:
    from fake_server.rules.downloads import Asset
    from fake_server.rules.tasks import Task, TaskView
    from fake_server.wire.endpoints import ResultForm

# The URLs of 3D models live shorter than others (vendor's reference of the 3D models).
MODEL_URL_LIFETIME_S = 7_200.0
# The kinds of assets that hang on a task itself, and on each of its items.
_WHOLE: dict[ResultForm, tuple[str, ...]] = {"video": ("mp4", "png"), "model": ("glb", "png")}
_ITEMS: dict[ResultForm, str] = {"images": "png", "messages": "png", "transcription": "json"}


class Folder(NamedTuple):
    """Where the assets of a world are: the first part of their URLs."""

    url: str

    def of_task(self, task: Task, extension: str) -> str:
        """The URL of the only asset of its kind."""
        return f"{self.url}/{task.task_id}.{extension}"

    def of_items(self, task: Task) -> list[str | results.Failure]:
        """Per item its URL, or why it was not made."""
        extension = _ITEMS[task.endpoint.form]
        return [
            f"{self.url}/{task.task_id}/{number}.{extension}" if item is None else item
            for number, item in enumerate(task.items())
        ]


@functools.lru_cache(maxsize=64)  # a world is reached under one name, usually
def folder_of(origin: str, world: str) -> Folder:
    """Where the assets of a world are, for clients that reach it under an origin."""
    return Folder(f"{origin}/w/{world}/assets")


def task_body(task: Task, view: TaskView, request_id: str, folder: Folder) -> bodies.Body:
    """The answer to a status query.

    Args:
        task: The task.
        view: Its state.
        request_id: The id of this answer.
        folder: Where its assets are.
    """
    times, status = task.times(view), view.step.status
    if status == bodies.SUCCEEDED:
        return _succeeded(task, times, request_id, folder)
    if status == bodies.FAILED:
        code = view.step.code or "InternalError.Algo"
        message = view.step.message or errors.default_message(code)
        return bodies.failed(task.task_id, request_id, times, code, message)
    if status in (bodies.UNKNOWN, bodies.CANCELED):
        return bodies.bare(task.task_id, status, request_id)
    return bodies.waiting(task.task_id, status, request_id, times if task.lifecycle.tells_times else None)


def _succeeded(task: Task, times: bodies.TaskTimes, request_id: str, folder: Folder) -> bodies.Body:
    form, asked, task_id = task.endpoint.form, task.asked, task.task_id
    if form == "images":
        prompts = (asked.prompt, asked.prompt if asked.rewrites_prompt else None)
        return results.images(task_id, request_id, times, prompts, folder.of_items(task))
    if form == "messages":
        return results.messages(task_id, request_id, times, made_urls(task, folder))
    if form == "model":
        model_url, preview_url = folder.of_task(task, "glb"), folder.of_task(task, "png")
        return results.model_3d(task_id, request_id, times, model_url, preview_url)
    if form == "transcription":
        files = list(zip(asked.files, folder.of_items(task), strict=True))
        return results.transcriptions(task_id, request_id, times, files, task.units(made_only=True))
    video = bodies.Video(
        url=folder.of_task(task, "mp4"),
        prompt=asked.prompt,
        duration_s=asked.duration_s,
        resolution=asked.resolution,
        usage=task.lifecycle.usage or usage_form(asked.model),
        place=task.lifecycle.place,
    )
    return bodies.succeeded(task_id, request_id, times, video)


def made_urls(task: Task, folder: Folder) -> list[str]:
    """The URLs of the items that were made."""
    return [item for item in folder.of_items(task) if isinstance(item, str)]


def asset_of(task: Task, item: int | None, extension: str) -> Asset | None:
    """What a task that succeeded serves under a path, or None.

    Args:
        task: The task.
        item: The number in the path, or None.
        extension: The extension in the path.
    """
    form = task.endpoint.form
    if item is None:
        return downloads.sample(extension) if extension in _WHOLE.get(form, ()) else None
    items = task.items()
    if extension != _ITEMS.get(form) or item >= len(items) or items[item] is not None:
        return None
    if form != "transcription":
        return downloads.sample(extension)
    document = results.transcript(task.asked.files[item], SPOKEN_S)
    return downloads.make_asset(bodies.encode(document), bodies.JSON_TYPE)


def url_lifetime_s(task: Task, scripted_s: float) -> float:
    """How long after its end a task's assets are served."""
    if task.urls_expired_s is not None:
        return 0.0
    return min(scripted_s, MODEL_URL_LIFETIME_S) if task.endpoint.form == "model" else scripted_s
