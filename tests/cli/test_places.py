"""Where results go: a folder is made, nothing that is there is replaced unasked, and all is found out before paying."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resilient_poll.cli.saving import IfThere
from tests.cli.batches import BATCH, job, killed, lines_of, made, write
from tests.cli.command_line import MAKE, SOON, Account, here
from tests.support.fake_process import FakeProcess

Capture = pytest.CaptureFixture[str]
OLD = b"another task's paid video"
IMAGES = ("--endpoint", "text-to-image", "--model", "wanx", "--prompt", "a cat")


def test_a_folder_is_made_by_every_command(account: Account, capfd: Capture) -> None:
    """A path that ends with a separator is a folder for run, wait and download, made where it is not there."""
    account.open("at-once")
    task_id = account.submitted(capfd)
    for words in (("run", *MAKE, *SOON), ("wait", task_id, *SOON), ("download", task_id)):
        said = here(capfd, *words, "-o", f"{words[0]}/clips/", "--json").object
        assert said["file"] == f"{words[0]}/clips/{said['task_id']}.mp4"
        assert Path(said["file"]).read_bytes()[4:8] == b"ftyp"
    said = here(capfd, "run", *MAKE, *SOON, "-o", "of-{task_id}/", "--json").object
    assert said["file"] == f"of-{said['task_id']}/{said['task_id']}.mp4"


def test_a_batch_makes_its_folder(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """A batch makes its folder, names files by the job's id or else the task's, and a second run pays nothing."""
    key = account.open("at-once")
    write([job(0, id="a/b"), job(1), job(2, id=".."), job(3, id="deep", output="by/{id}/")])
    ended = here(capfd, *BATCH, "--concurrent", "3", "-o", "clips/")
    assert ended.code == 0, ended
    told = lines_of(ended)
    assert told[1]["file"] == "clips/a_b.mp4"
    assert [told[number]["file"] for number in (2, 3)] == [f"clips/{told[number]['task_id']}.mp4" for number in (2, 3)]
    assert told[4]["file"] == "by/deep/deep.mp4"
    assert all(Path(one["file"]).is_file() for one in told.values())
    assert all(one["resumed"] for one in lines_of(here(capfd, *BATCH, "-o", "clips/")).values())
    assert made(fake, key) == dict.fromkeys(range(4), 1)


@pytest.mark.parametrize(("words", "file"), [("clips/", "clips"), ("a/b/", "a")])
def test_a_folder_that_cannot_be_made_costs_nothing(
    account: Account, capfd: Capture, fake: FakeProcess, words: str, file: str
) -> None:
    """Where a folder cannot be made, run and batch are refused before anything is sent."""
    key = account.open("at-once")
    fake.open_world(key)
    Path(file).write_bytes(OLD)
    write([job(0)])
    for command in (("run", *MAKE), BATCH):
        ended = here(capfd, *command, "-o", words)
        assert (ended.code, ended.stdout) == (2, ""), ended
        assert f"nothing can be saved to '{words}': " in ended.stderr
    assert Path(file).read_bytes() == OLD
    assert made(fake, key) == {}


@pytest.mark.parametrize("output", ["cat.mp4", "cat.{extension}", "ca{index}.mp4"])
def test_run_replaces_nothing(account: Account, capfd: Capture, fake: FakeProcess, output: str) -> None:
    """A run whose file is there already is refused before it pays, names the file, and --overwrite replaces it."""
    key = account.open("at-once")
    fake.open_world(key)
    file = Path("ca1.mp4" if "index" in output else "cat.mp4")
    file.write_bytes(OLD)
    ended = here(capfd, "run", *MAKE, *SOON, "-o", output)
    assert (ended.code, ended.stdout) == (2, ""), ended
    assert f"'{file}' is there already and is replaced only with --overwrite; nothing was sent\n" in ended.stderr
    assert file.read_bytes() == OLD
    assert made(fake, key) == {}
    assert here(capfd, "run", *MAKE, *SOON, "-o", output, "--overwrite").code == 0
    assert file.read_bytes()[4:8] == b"ftyp"


def test_the_result_of_a_task_replaces_nothing(account: Account, capfd: Capture) -> None:
    """A download or wait whose file is there already ends with 2 and says that the task is not affected."""
    account.open("at-once")
    task_id = account.submitted(capfd)
    Path("cat.mp4").write_bytes(OLD)
    Path(f"{task_id}.mp4").write_bytes(OLD)
    for words in (("wait", task_id, *SOON), ("download", task_id)):
        for output in ("cat.mp4", ".", "cat.{extension}"):
            ended = here(capfd, *words, "-o", output)
            assert (ended.code, ended.stdout) == (2, ""), ended
            assert f"is replaced only with --overwrite; task {task_id} is not affected\n" in ended.stderr
            said = here(capfd, *words, "-o", output, "--json").object
            assert (said["outcome"], said["task_id"], said["safe_to_submit_again"]) == ("usage", task_id, "no")
    assert Path("cat.mp4").read_bytes() == Path(f"{task_id}.mp4").read_bytes() == OLD
    assert here(capfd, "wait", task_id, *SOON, "-o", "cat.mp4", "--overwrite").code == 0
    assert here(capfd, "download", task_id, "--overwrite").code == 0
    assert Path("cat.mp4").read_bytes() == Path(f"{task_id}.mp4").read_bytes() != OLD


def test_what_is_found_there_only_at_the_end(account: Account, capfd: Capture) -> None:
    """A name that only the result shows is spared too: what was just paid goes beside it, the rest is refused."""
    account.open("two-of-three", "DASHSCOPE")
    Path("cat-2.png").write_bytes(OLD)
    said = here(capfd, "run", *IMAGES, *SOON, "-o", "cat.png", "--json").object
    task_id = said["task_id"]
    assert said["files"] == [f"cat-{task_id}-{number}.png" for number in (1, 2)]
    ended = here(capfd, "download", task_id, "-o", "cat.png")
    assert (ended.code, ended.stdout) == (2, ""), ended
    assert f"'cat-2.png' is there already and is replaced only with --overwrite; task {task_id} is not" in ended.stderr
    assert Path("cat-2.png").read_bytes() == OLD
    assert not Path("cat-1.png").exists()


def test_a_batch_replaces_nothing_that_is_not_its_own(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """A batch is refused before it pays where a file is there already, also one that a folder and an id make."""
    key = account.open("at-once")
    fake.open_world(key)
    write([job(0), job(1, id="cat")])
    Path("cat.mp4").write_bytes(OLD)
    for more in ((), ("-o", "{id}.mp4")):
        ended = here(capfd, *BATCH, *more)
        assert (ended.code, ended.stdout) == (2, ""), ended
        assert "line 2 of 'jobs.jsonl': the file 'cat.mp4' is there already" in ended.stderr
    assert made(fake, key) == {}
    assert Path("cat.mp4").read_bytes() == OLD
    assert here(capfd, *BATCH, "--overwrite").code == 0
    assert Path("cat.mp4").read_bytes() != OLD


def test_a_batch_takes_its_own_files_for_its_own(account: Account, capfd: Capture, fake: FakeProcess) -> None:
    """A file that was saved just before a crash is no obstacle to the next run; one at another place is spared."""
    key = account.open("at-once")
    write([job(0, id="cat")])
    assert killed("before:ended:1", *BATCH) != 0
    assert Path("cat.mp4").is_file()
    Path("mine.mp4").write_bytes(OLD)
    (one,) = lines_of(here(capfd, *BATCH, "-o", "mine.mp4")).values()
    assert one["file"] == f"mine-{one['task_id']}.mp4"
    assert Path("mine.mp4").read_bytes() == OLD
    write([job(1, id="dog")], "more.jsonl")
    words = ("batch", "more.jsonl", *BATCH[2:])
    assert killed("before:ended:1", *words) != 0
    assert Path("dog.mp4").is_file()
    (other,) = lines_of(here(capfd, *words)).values()
    assert other["file"] == "dog.mp4"
    assert made(fake, key) == {0: 1, 1: 1}


def test_unknown_placeholders_are_refused(account: Account, capfd: Capture) -> None:
    """A placeholder that nothing is put in for is a usage error that lists the known; a folder may be called so."""
    account.open("at-once")
    for words in (("run", *MAKE), ("wait", "t1"), ("download", "t1")):
        ended = here(capfd, *words, "-o", "{id}.mp4")
        assert ended.code == 2
        assert "{id} in '{id}.mp4'; there are {task_id}, {index}, {extension}" in " ".join(ended.stderr.split())
    write([job(0, output="{name}.mp4")])
    every = "there are {id}, {line}, {task_id}, {index}, {extension}"
    assert f"line 1: nothing is known to put in for {{name}} in '{{name}}.mp4'; {every}" in here(capfd, *BATCH).stderr
    assert every in " ".join(here(capfd, *BATCH, "-o", "{ids}.mp4").stderr.split())
    Path("{odd}").mkdir()
    assert here(capfd, "run", *MAKE, *SOON, "-o", "{odd}").code == 0
    assert len(list(Path("{odd}").iterdir())) == 1


def test_a_state_says_where_results_were_to_go(account: Account, capfd: Capture) -> None:
    """The state holds the place of each job that was sent, by which its file is known for its own."""
    account.open("at-once")
    write([job(0, id="cat", output="x.mp4")])
    assert here(capfd, *BATCH).code == 0
    said = [json.loads(line) for line in Path("jobs.jsonl.state.jsonl").read_text().splitlines()]
    assert [one["target"] for one in said if one.get("step") == "submitting"] == ["x.mp4"]
    assert set(IfThere) == {IfThere.REPLACE, IfThere.REFUSE, IfThere.BESIDE}
