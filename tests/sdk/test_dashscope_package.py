"""The vendor's own Python package, unmodified, against the fake over a socket: the fake is believed by a stranger.

Both its faces: the classes of version 1 (`VideoSynthesis`, `AioVideoSynthesis`, `ImageSynthesis`) and the client of
version 2. Where a fault of its own stops it, the test says which.
"""

from __future__ import annotations

import httpx
import pytest

from tests.sdk.conftest import Package, Served


def test_call_brings_a_video(served: Served, package: Package) -> None:
    """`VideoSynthesis.call` creates, waits and returns a URL that serves a video; one task, billed once."""
    told = package(
        "sk-succeeds.sdk",
        """
answer = VideoSynthesis.call(model="wan2.5-t2v-preview", prompt="a cat", duration=5)
tell(status=answer.status_code, word=answer.output.task_status, url=answer.output.video_url, id=answer.output.task_id)
""",
    )
    assert (told["status"], told["word"]) == (200, "SUCCEEDED")
    assert told["url"] == f"{served.url}/w/succeeds.sdk/assets/{told['id']}.mp4"
    asset = httpx.get(told["url"], trust_env=False)
    assert asset.headers["content-type"] == "video/mp4"
    assert asset.content[4:8] == b"ftyp"
    bill = served.admin("/worlds/succeeds.sdk/bill")
    assert (bill["billed_tasks"], bill["total"]) == (1, "0.75")
    journal = served.admin("/worlds/succeeds.sdk/journal")
    assert journal["counters"]["create_requests"] == 1
    assert "unmatched" not in journal["counters"]


def test_the_other_verbs_are_understood(served: Served, package: Package) -> None:
    """`async_call`, `fetch`, `list` and `cancel` of the package are all answered as it expects."""
    told = package(
        "sk-canceled-while-pending.sdk",
        """
made = VideoSynthesis.async_call(model="wan2.5-t2v-preview", prompt="a cat")
fetched = VideoSynthesis.fetch(made)
listed = VideoSynthesis.list()
canceled = VideoSynthesis.cancel(made)
again = VideoSynthesis.cancel(made)
tell(id=made.output.task_id, fetched=fetched.output.task_status, listed=listed.status_code,
     canceled=canceled.status_code, again=[again.status_code, again.code],
     after=VideoSynthesis.fetch(made).output.task_status, waited=VideoSynthesis.wait(made).output.task_status)
""",
    )
    assert told["fetched"] == "PENDING"
    assert (told["listed"], told["canceled"]) == (200, 200)
    assert told["again"] == [400, "UnsupportedOperation"]
    assert (told["after"], told["waited"]) == ("CANCELED", "CANCELED")
    counters = served.admin("/worlds/canceled-while-pending.sdk/journal")["counters"]
    assert (counters["list_requests"], counters["cancel_requests"]) == (1, 2)
    assert "unmatched" not in counters


def test_the_judge_sees_what_the_package_does_wrong(served: Served, package: Package) -> None:
    """The package ends its wait on a passing 429 of a poll: the scenario's verdict is a FAIL of the outcome."""
    told = package(
        "sk-throttled-poll.sdk",
        """
answer = VideoSynthesis.call(model="wan2.5-t2v-preview", prompt="a cat")
tell(status=answer.status_code, code=answer.code)
""",
    )
    assert told == {"status": 429, "code": "Throttling.RateQuota"}
    verdicts = served.verdicts("throttled-poll.sdk", "THROTTLED")
    assert verdicts["outcome"] == "FAIL"
    assert verdicts["faults_consumed"] == "NOT_EXERCISED"


def test_images_are_made_four_at_a_time(served: Served, package: Package) -> None:
    """`ImageSynthesis.call` brings four images, each served as a PNG and each on the bill."""
    told = package(
        "sk-succeeds.images",
        """
answer = ImageSynthesis.call(model="wanx2.1-t2i-turbo", prompt="a cat", n=4)
tell(status=answer.status_code, word=answer.output.task_status, urls=[item.url for item in answer.output.results],
     count=answer.usage.image_count)
""",
    )
    assert (told["status"], told["word"], told["count"]) == (200, "SUCCEEDED", 4)
    assert len(set(told["urls"])) == 4
    for url in told["urls"]:
        asset = httpx.get(url, trust_env=False)
        assert asset.headers["content-type"] == "image/png"
        assert asset.content.startswith(b"\x89PNG")
    bill = served.admin("/worlds/succeeds.images/bill")
    assert bill["billed_tasks"] == 1


def test_the_other_verbs_of_images_are_understood(served: Served, package: Package) -> None:
    """`ImageSynthesis`' `async_call`, `fetch`, `wait` and `list` are all answered as it expects."""
    told = package(
        "sk-succeeds.images2",
        """
made = ImageSynthesis.async_call(model="wanx2.1-t2i-turbo", prompt="a cat", n=2)
listed = ImageSynthesis.list()
tell(first=made.output.task_status, fetched=ImageSynthesis.fetch(made).status_code,
     listed=[listed.status_code, listed.output["total"]], waited=len(ImageSynthesis.wait(made).output.results))
""",
    )
    assert told == {"first": "PENDING", "fetched": 200, "listed": [200, 1], "waited": 2}
    assert "unmatched" not in served.admin("/worlds/succeeds.images2/journal")["counters"]


def test_the_asynchronous_face_is_understood(served: Served, package: Package) -> None:
    """`AioVideoSynthesis`' `call`, `async_call`, `fetch`, `list`, `wait` and `cancel` are answered as it expects."""
    told = package(
        "sk-succeeds.aio",
        """
async def main():
    whole = await AioVideoSynthesis.call(model="wan2.5-t2v-preview", prompt="a cat")
    made = await AioVideoSynthesis.async_call(model="wan2.5-t2v-preview", prompt="a cat")
    fetched, listed = await AioVideoSynthesis.fetch(made), await AioVideoSynthesis.list()
    waited, late = await AioVideoSynthesis.wait(made), await AioVideoSynthesis.cancel(made)
    await close_shared_aio_session()
    tell(call=[whole.status_code, whole.output.task_status], fetched=fetched.status_code,
         listed=[listed.status_code, listed.output["total"]], waited=waited.output.task_status,
         late=[late.status_code, late.code], url=waited.output.video_url)

asyncio.run(main())
""",
    )
    assert told["url"].startswith(f"{served.url}/w/succeeds.aio/assets/")
    del told["url"]
    assert told == {
        "call": [200, "SUCCEEDED"],
        "fetched": 200,
        "listed": [200, 2],
        "waited": "SUCCEEDED",
        "late": [400, "UnsupportedOperation"],
    }
    assert served.admin("/worlds/succeeds.aio/bill")["billed_tasks"] == 2
    assert "unmatched" not in served.admin("/worlds/succeeds.aio/journal")["counters"]


def test_the_asynchronous_face_cancels_what_waits(served: Served, package: Package) -> None:
    """`AioVideoSynthesis.cancel` cancels a pending task, and nothing is billed."""
    told = package(
        "sk-canceled-while-pending.aio",
        """
async def main():
    made = await AioVideoSynthesis.async_call(model="wan2.5-t2v-preview", prompt="a cat")
    canceled = await AioVideoSynthesis.cancel(made)
    waited = await AioVideoSynthesis.wait(made)
    await close_shared_aio_session()
    tell(canceled=canceled.status_code, waited=waited.output.task_status)

asyncio.run(main())
""",
    )
    assert told == {"canceled": 200, "waited": "CANCELED"}
    assert served.admin("/worlds/canceled-while-pending.aio/bill")["billed_tasks"] == 0


def test_the_second_face_is_understood(served: Served, package: Package) -> None:
    """`Client().videos.jobs`' `create`, `fetch`, `wait` and a late `cancel` are answered as it expects."""
    told = package(
        "sk-succeeds.v2",
        """
jobs = second_face().videos.jobs
made = jobs.create(model="wan2.5-t2v-preview", prompt="a cat")
fetched, waited = jobs.fetch(made.job_id), jobs.wait(made.job_id)
try:
    jobs.cancel(made.job_id)
except dashscope.v2.errors.BadRequestError as error:
    late = error.code
tell(first=made.output["task_status"], fetched=fetched.output["task_id"] == made.job_id, late=late,
     waited=waited.succeeded, url=waited.video_url)
""",
    )
    assert (told["first"], told["fetched"], told["late"], told["waited"]) == (
        "PENDING",
        True,
        "UnsupportedOperation",
        True,
    )
    assert httpx.get(told["url"], trust_env=False).headers["content-type"] == "video/mp4"
    assert served.admin("/worlds/succeeds.v2/bill")["billed_tasks"] == 1
    assert "unmatched" not in served.admin("/worlds/succeeds.v2/journal")["counters"]


def test_the_second_face_cancels_what_waits(served: Served, package: Package) -> None:
    """`Client().videos.jobs.cancel` cancels a pending task, and its `wait` then raises."""
    told = package(
        "sk-canceled-while-pending.v2",
        """
jobs = second_face().videos.jobs
made = jobs.create(model="wan2.5-t2v-preview", prompt="a cat")
jobs.cancel(made.job_id)
try:
    jobs.wait(made.job_id)
except dashscope.v2.errors.DashScopeError as error:
    tell(said=str(error))
""",
    )
    assert "canceled" in told["said"]
    assert served.admin("/worlds/canceled-while-pending.v2/bill")["billed_tasks"] == 0


def test_the_second_face_sees_an_empty_list(package: Package) -> None:
    """`jobs.list` is answered in the documented form, and shows nothing: it reads `tasks` where the form has `data`."""
    told = package(
        "sk-succeeds.v2list",
        """
jobs = second_face().videos.jobs
jobs.create(model="wan2.5-t2v-preview", prompt="a cat")
page = jobs.list()
tell(total=page.total, rows=len(page.tasks))
""",
    )
    assert told == {"total": 1, "rows": 0}


def test_the_second_face_pays_again_for_a_lost_answer(served: Served, package: Package) -> None:
    """`jobs.create` sends a create again whose answer is lost: two tasks, both billed, and the judge says so."""
    told = package(
        "sk-create-answer-lost.v2",
        """
made = second_face().videos.jobs.create(model="wan2.5-t2v-preview", prompt="a cat")
tell(id=made.job_id)
""",
    )
    assert told["id"]
    assert served.admin("/worlds/create-answer-lost.v2/bill")["billed_tasks"] == 2
    verdicts = served.verdicts("create-answer-lost.v2", "SUCCEEDED")
    assert (verdicts["tasks_created"], verdicts["create_requests"]) == ("FAIL", "FAIL")


def test_the_first_face_pays_again_for_a_lost_answer(served: Served, package: Package) -> None:
    """`VideoSynthesis.async_call` sends a create again whose connection broke: two tasks, both billed."""
    package(
        "sk-create-answer-lost.v1",
        """
made = VideoSynthesis.async_call(model="wan2.5-t2v-preview", prompt="a cat")
tell(status=made.status_code)
""",
    )
    assert served.admin("/worlds/create-answer-lost.v1/bill")["billed_tasks"] == 2


@pytest.mark.parametrize("face", ["first", "second"])
def test_both_faces_give_up_on_an_id_that_is_only_late(served: Served, package: Package, face: str) -> None:
    """An UNKNOWN that passes is final to the package: it reports no video of a task that is made and billed."""
    wait = {
        "first": 'VideoSynthesis.call(model="wan2.5-t2v-preview", prompt="a cat").output.task_status',
        "second": (
            '(lambda jobs: jobs.wait(jobs.create(model="wan2.5-t2v-preview", prompt="a cat").job_id).status)'
            "(second_face().videos.jobs)"
        ),
    }[face]
    told = package(f"sk-unknown-then-found.{face}", f"tell(word={wait})")
    assert told["word"] == "UNKNOWN"
    assert served.verdicts(f"unknown-then-found.{face}", "EXPIRED")["outcome"] == "FAIL"
