"""Where work is asked for: the create endpoints of both dialects, and what comes out of each.

The vendor's paths are those of its API references, one a kind of model. The gateway's pages describe videos,
and images that are made while the caller waits; at which path it makes them is assumed to be the vendor's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fake_server.wire.bodies import Dialect

EndpointName = Literal[
    "video",
    "keyframe-video",
    "text-to-image",
    "image-to-image",
    "image-messages",
    "image-synchronous",
    "model-3d",
    "transcription",
]
ResultForm = Literal["video", "images", "messages", "model", "transcription"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place to ask for work.

    Args:
        name: What scenarios call it.
        path: Its path below the dialect's base.
        form: The form of its results.
        synchronous: Whether the answer to the create is the result itself, without a task.
    """

    name: EndpointName
    path: str
    form: ResultForm
    synchronous: bool = False


VIDEO = Endpoint("video", "/services/aigc/video-generation/video-synthesis", "video")
# First-and-last-frame and older image-to-video models.
KEYFRAME_VIDEO = Endpoint("keyframe-video", "/services/aigc/image2video/video-synthesis", "video")
# Images up to wan2.5; later models take messages.
TEXT_TO_IMAGE = Endpoint("text-to-image", "/services/aigc/text2image/image-synthesis", "images")
IMAGE_TO_IMAGE = Endpoint("image-to-image", "/services/aigc/image2image/image-synthesis", "images")
IMAGE_MESSAGES = Endpoint("image-messages", "/services/aigc/image-generation/generation", "messages")
IMAGE_SYNCHRONOUS = Endpoint(
    "image-synchronous", "/services/aigc/multimodal-generation/generation", "messages", synchronous=True
)
MODEL_3D = Endpoint("model-3d", "/services/aigc/video-generation/3d-generation", "model")
TRANSCRIPTION = Endpoint("transcription", "/services/audio/asr/transcription", "transcription")

ENDPOINTS = (
    VIDEO,
    KEYFRAME_VIDEO,
    TEXT_TO_IMAGE,
    IMAGE_TO_IMAGE,
    IMAGE_MESSAGES,
    IMAGE_SYNCHRONOUS,
    MODEL_3D,
    TRANSCRIPTION,
)
BY_NAME: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in ENDPOINTS}
OFFERED: dict[Dialect, tuple[Endpoint, ...]] = {"aisa": (VIDEO, IMAGE_SYNCHRONOUS), "dashscope": ENDPOINTS}
