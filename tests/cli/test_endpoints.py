"""Images, several results, partial failures, and results that come at once."""

from __future__ import annotations

import json
import re
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command_line import MAKE, SOON, Account, here
from tests.support.fake_process import FakeProcess
from tests.support.raw_server import Connection, RawRequest, RawServer, json_answer

Capture = pytest.CaptureFixture[str]
IMAGES = ("--endpoint", "text-to-image", "--model", "wan2.2-t2i-flash", "--prompt", "cats", "--parameters", '{"n": 3}')
MESSAGES = '{"messages": [{"role": "user", "content": [{"text": "cats"}]}]}'
AT_ONCE = ("run", "--endpoint", "image-synchronous", "--model", "wan2.6-image", "--input", MESSAGES)
PNG = b"\x89PNG"


def test_several_results_are_all_saved(account: Account, capfd: Capture) -> None:
    """All results of a task get files with their numbers, by a template too, and JSON lists URLs and files."""
    account.open("at-once", "DASHSCOPE")
    ended = here(capfd, "run", *IMAGES, "-o", "cat-{index}.{extension}", *SOON)
    assert ended.code == 0, ended
    assert ended.stdout.startswith("✓ 3 made\n  cat-1.png (")
    assert [Path(f"cat-{number}.png").read_bytes()[:4] for number in (1, 2, 3)] == [PNG] * 3
    said = here(capfd, "run", *IMAGES, *SOON, "--json").object
    assert (said["video_url"], said["file"], said["failures"], said["result"]) == (None, None, [], None)
    assert len(said["urls"]) == len(said["files"]) == 3
    assert said["files"] == [f"{said['task_id']}-{number}.png" for number in (1, 2, 3)]


def test_a_partial_failure_is_seen_by_everyone(account: Account, capfd: Capture) -> None:
    """A success with a part that failed ends with 8 in run, wait, status and download, and says what is where."""
    account.open("two-of-three", "DASHSCOPE")
    ended = here(capfd, "run", *IMAGES, "-o", "cat.png", *SOON)
    assert ended.code == 8, ended
    assert (
        "! 2 of 3 made; 1 failed and is not billed: DataInspectionFailed: Not this one.\n  cat-1.png (" in ended.stdout
    )
    assert sorted(path.name for path in Path().iterdir()) == ["cat-1.png", "cat-2.png"]
    task_id = re.findall(r"  task (\S+)\n", ended.stdout)[0]
    for words in (
        ("wait", task_id, *SOON),
        ("status", task_id),
        ("download", task_id, "-o", "again.png", "--overwrite"),
    ):
        assert here(capfd, *words).code == 8
        said = here(capfd, *words, "--json").object
        assert (said["outcome"], said["phase"], said["billing"]) == ("partly", "SUCCEEDED", "BILLED")
        assert (said["safe_to_submit_again"], len(said["urls"])) == ("no", 2)
        assert said["failures"] == [
            {"place": "output.results[1]", "code": "DataInspectionFailed", "message": "Not this one."}
        ]
        assert (said["error"]["type"], said["error"]["code"]) == ("PartlyFailed", "DataInspectionFailed")


def test_a_success_that_made_nothing_is_a_failure(account: Account, capfd: Capture) -> None:
    """A task that succeeded and made nothing ends with 3, says that nothing is billed, and saves no file."""
    account.open("none-of-two", "DASHSCOPE")
    ended = here(capfd, "run", *IMAGES, *SOON)
    assert ended.code == 3, ended
    assert "✗ 0 of 2 made; 2 failed and are not billed: InternalError" in ended.stdout
    assert " · not billed" in ended.stdout
    assert list(Path().iterdir()) == []
    said = here(capfd, "run", *IMAGES, *SOON, "--json").object
    assert (said["outcome"], said["billing"], said["safe_to_submit_again"]) == ("failed", "NONE", "yes")
    assert said["error"]["type"] == "AllFailed"


@pytest.mark.parametrize("family", ["AISA", "DASHSCOPE"])
def test_a_result_that_comes_at_once_is_saved(account: Account, capfd: Capture, fake: FakeProcess, family: str) -> None:
    """An endpoint without tasks is asked once, its results are saved, and JSON says that there is no task."""
    key = account.open("at-once", family)
    ended = here(capfd, *AT_ONCE, "-o", "cat.png")
    assert ended.code == 0, ended
    assert re.fullmatch(r"✓ cat.png \([\d,]+ bytes\)\n  request \S+, no task · billed\n", ended.stdout)
    assert Path("cat.png").read_bytes()[:4] == PNG
    said = here(capfd, *AT_ONCE, "-o", "cat.png", "--overwrite", "--new", "--json").object
    assert (said["task_id"], said["phase"], said["billing"]) == (None, "SUCCEEDED", "BILLED")
    assert (said["outcome"], said["safe_to_submit_again"], said["file"]) == ("succeeded", "no", "cat.png")
    assert said["request_id"]
    bill = fake.page(f"worlds/{key.removeprefix('sk-')}/bill")
    assert len(bill["tasks"]) == 2


def test_an_endpoint_may_be_given_by_its_path(account: Account, capfd: Capture) -> None:
    """A path does what its name does, also where it is one that answers at once."""
    account.open("at-once", "DASHSCOPE")
    path = "/services/aigc/multimodal-generation/generation"
    assert here(capfd, *AT_ONCE, "--endpoint", path, "-o", "one.png").code == 0
    path = "/services/aigc/text2image/image-synthesis"
    assert here(capfd, "run", *IMAGES, "--endpoint", path, "-o", "many.png", *SOON).code == 0
    assert sorted(file.name for file in Path().iterdir()) == ["many-1.png", "many-2.png", "many-3.png", "one.png"]


def test_a_lost_result_may_be_billed_and_cannot_be_found(account: Account, capfd: Capture) -> None:
    """A synchronous answer that is lost ends with 5, and says that it may be billed and that no task leads to it."""
    account.open("create-answer-lost")
    said = here(capfd, *AT_ONCE, "--json")
    assert said.code == 5
    assert (said.object["billing"], said.object["safe_to_submit_again"]) == ("UNDETERMINED", "unknown")
    assert "it may be billed, and there is no task" in said.object["error"]["text"]


def test_submit_needs_an_endpoint_with_tasks(account: Account, capfd: Capture) -> None:
    """Submit at an endpoint without tasks is refused before anything is sent, and points to run."""
    account.open("at-once")
    ended = here(capfd, "submit", *AT_ONCE[1:])
    assert ended.code == 2
    assert "makes no task: use run; nothing was sent" in ended.stderr


def answering_with(result: dict[str, Any], asset: bytes | None = PNG) -> RawServer:
    """A service that answers every create with a result, and serves one asset."""

    def answer(request: RawRequest) -> bytes:
        if request.method == "POST":
            return json_answer(200, {"request_id": "req-1", "output": result, "usage": {"image_count": 1}})
        if asset is None:
            return b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {len(asset)}\r\n\r\n"
        return head.encode() + asset

    return RawServer.answering(answer)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_result_instead_of_a_task_is_no_loss(account: Account, capfd: Capture, as_json: bool) -> None:
    """A service that answers a submit with the result itself has its result saved by run and told by submit."""
    account.open("at-once")
    more = ("--json",) if as_json else ()
    with answering_with({}) as server:
        result = {"results": [{"url": f"{server.url}/a.png"}]}
    with answering_with(result) as other:
        result["results"][0]["url"] = f"{other.url}/a.png"
        ran = here(capfd, "run", *MAKE, "--base-url", other.url, "-o", "cat.png", *more)
        told = here(capfd, "submit", *MAKE, "--base-url", other.url, *more)
    assert (ran.code, told.code) == (0, 0), (ran, told)
    assert Path("cat.png").read_bytes() == PNG
    if as_json:
        assert (told.object["urls"], told.object["task_id"]) == ([f"{other.url}/a.png"], None)
    else:
        assert f"\n{other.url}/a.png\n" in told.stdout


def test_a_result_without_a_url_is_saved_as_it_came(account: Account, capfd: Capture) -> None:
    """An answer that shows no URL is all there is: it is saved as JSON, and told in the JSON object."""
    account.open("at-once")
    with answering_with({"text": "three cats"}) as server:
        ended = here(capfd, *AT_ONCE, "--base-url", server.url, "-o", ".", "--json")
    assert ended.code == 0, ended
    assert ended.object["result"]["output"] == {"text": "three cats"}
    assert json.loads(Path("req-1.json").read_text())["output"] == {"text": "three cats"}


@pytest.mark.parametrize("as_json", [False, True])
def test_a_paid_result_that_is_not_on_disk_is_shown(account: Account, capfd: Capture, as_json: bool) -> None:
    """Where a result without a task cannot be saved, its URL is what is left: it is printed, and the exit code is 1."""
    account.open("at-once")
    result: dict[str, Any] = {}
    with answering_with(result, asset=None) as server:
        result["results"] = [{"url": f"{server.url}/a.png"}]
        ended = here(capfd, *AT_ONCE, "--base-url", server.url, *(["--json"] if as_json else []))
    assert ended.code == 1, ended
    if as_json:
        assert (ended.object["outcome"], ended.object["urls"]) == ("download_failed", [f"{server.url}/a.png"])
        assert (ended.object["billing"], ended.object["safe_to_submit_again"]) == ("BILLED", "no")
    else:
        assert ended.stdout == f"{server.url}/a.png\n"
        assert "request req-1: the result came and is paid, and it is not on disk" in ended.stderr
        assert "HTTP 403" in ended.stderr


@pytest.mark.parametrize(("signals", "code"), [(1, 1), (2, 5)])
def test_a_signal_while_a_result_is_awaited(account: Account, capfd: Capture, signals: int, code: int) -> None:
    """A signal waits for a result and then shows it; a second one leaves it, and says that it cannot be found."""
    account.open("at-once")
    main_thread = threading.main_thread().ident
    assert main_thread is not None

    def script(connection: Connection) -> None:
        connection.read_request()
        for number in (signal.SIGINT, signal.SIGTERM)[:signals]:
            signal.pthread_kill(main_thread, number)
        if signals > 1:
            connection.hang()
        connection.send(json_answer(200, {"request_id": "r", "output": {"results": [{"url": "http://127.0.0.1:1/a"}]}}))

    with RawServer(script) as server:
        said = here(capfd, *AT_ONCE, "--base-url", server.url, "--json")
    assert said.code == code, said
    assert "180 s at most" in said.stderr
    if code == 1:
        assert said.object["urls"] == ["http://127.0.0.1:1/a"]
    else:
        assert "there is no task by which its result could be found" in said.object["error"]["text"]


def test_a_task_instead_of_a_result_is_waited_for(account: Account, capfd: Capture) -> None:
    """A service that makes a task where a result was asked for has its task waited for and saved."""
    account.open("at-once")

    def answer(request: RawRequest) -> bytes:
        if request.path == "/a.png":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + PNG
        done = {"task_status": "SUCCEEDED", "results": [{"url": f"{server.url}/a.png"}]}
        output = {"task_id": "t1", **({"task_status": "PENDING"} if request.method == "POST" else done)}
        return json_answer(200, {"request_id": "r", "output": output})

    with RawServer.answering(answer) as server:
        ended = here(capfd, *AT_ONCE, "--base-url", server.url, "-o", "cat.png", *SOON)
    assert ended.code == 0, ended
    assert Path("cat.png").read_bytes() == PNG
    assert "  task t1\n" in ended.stdout
