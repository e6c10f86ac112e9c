"""The files of the control room: what is served, to whom, and that nothing in them reaches beyond this server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fake_server import page
from fake_server.admin.room import POLICY
from fake_server.story import MARKS
from tests.fake_server.test_admin_guard import TOKEN, ask

if TYPE_CHECKING:
    from tests.fake_server.conftest import Running

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FOLDER = Path(page.__file__).parent


@pytest.mark.parametrize("path", ["/__admin", "/__admin/"])
def test_a_browser_gets_the_page_and_a_program_the_list(fake: Running, path: str) -> None:
    """Who accepts HTML gets the control room under a strict policy; everyone else the list of pages in JSON."""
    shown = fake.client.get(path, headers=BROWSER)
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert shown.headers["content-security-policy"] == POLICY
    assert shown.headers["vary"] == "accept"
    assert "<h1>" in shown.text
    assert "pages" in fake.client.get(path, headers={"Accept": "*/*"}).json()


@pytest.mark.parametrize("name", page.FILES)
def test_every_file_is_served_as_what_it_is(fake: Running, name: str) -> None:
    """Each file of the page has its type, may not be taken for another, and is not kept without asking."""
    answer = fake.client.get(f"/__admin/page/{name}")
    assert (answer.status_code, answer.text) == (200, (FOLDER / name).read_text(encoding="utf-8"))
    assert (
        answer.headers["content-type"].partition(";")[0]
        == {
            ".html": "text/html",
            ".css": "text/css",
            ".js": "text/javascript",
            ".svg": "image/svg+xml",
        }[Path(name).suffix]
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "name",
    ["", "nothing.js", "__init__.py", "../story.py", "%2e%2e/story.py", "..%2fstory.py", "style.css/", "//etc/passwd"],
)
def test_nothing_else_is_served(fake: Running, name: str) -> None:
    """A file that does not belong to the page is not there, wherever a path may point."""
    assert fake.client.get(f"/__admin/page/{name}").status_code == 404


def test_the_page_needs_no_token_but_tells_nothing(fake: Running) -> None:
    """Where a token is wanted the page and its files open without, and everything that they would show does not."""
    assert ask(BROWSER, "/").status_code == 200
    assert ask({}, "/page/room.js").status_code == 200
    assert ask({}, "/").status_code == 401
    assert ask({}, "/worlds/succeeds.any/story").status_code == 401
    assert ask({"X-Fake-Admin-Token": TOKEN}, "/worlds/succeeds.any/story").status_code == 404
    assert fake.client.get("/__admin/page/room.js", headers={"Host": "evil.example"}).status_code == 403
    assert fake.client.get("/__admin/", headers={**BROWSER, "Host": "evil.example"}).status_code == 403


def test_every_file_of_the_folder_is_known() -> None:
    """What lies in the folder is Python, or a file of the room or of the report, and these lie there."""
    found = {path.name for path in FOLDER.iterdir() if path.is_file() and path.suffix != ".py"}
    assert found == {*page.FILES, *page.REPORT_SCRIPTS}


@pytest.mark.parametrize("name", sorted({*page.FILES, *page.REPORT_SCRIPTS}))
def test_no_file_reaches_elsewhere_or_parses_what_it_shows(name: str) -> None:
    """No file names another host, holds a script or style in an attribute, or makes markup or code of a text."""
    text = page.read(name).replace('"http://www.w3.org/2000/svg"', "")
    assert not re.findall(r"https?://|//cdn|@import|url\(", text)
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|srcdoc", text)
    if name.endswith(".html"):
        assert not re.findall(r"<style|<script(?! type=\"module\" src=)|\son\w+=|\sstyle=", text)
        assert set(re.findall(r'"/__admin/page/([^"]+)"', text)) <= set(page.FILES)


def test_modules_use_only_those_before_them() -> None:
    """Each module imports what stands before it in its list, so that they can be joined in that order."""
    for names in (page.ROOM_SCRIPTS, page.REPORT_SCRIPTS):
        for place, name in enumerate(names):
            assert set(re.findall(r'from "\./([^"]+)"', page.read(name))) <= set(names[:place]), name


def test_the_page_knows_every_mark() -> None:
    """The words of the page's legend are those of the story, and each mark has a figure."""
    said = re.search(r"MARKS = \{(.*?)\}", page.read("words.js"), re.DOTALL)
    assert said is not None
    assert dict(re.findall(r'(\w+): "([^"]+)"', said[1])) == MARKS
    figures = re.search(r"SHAPES = \{(.*?)\n\}", page.read("lanes.js"), re.DOTALL)
    assert figures is not None
    assert re.findall(r"^  (\w+): \(x, y\)", figures[1], re.MULTILINE) == list(MARKS)


def test_a_story_is_a_page_of_the_admin_api(fake: Running) -> None:
    """A world's story tells its clock, its tasks, and only the lines behind the one that is known."""
    fake.create("sk-succeeds.story")
    fake.create("sk-succeeds.story")
    story = fake.admin("/worlds/succeeds.story/story?after=1")
    assert (story["clock"], len(story["tasks"])) == ("manual", 2)
    assert [line["ordinal"] for line in story["lines"]] == [2]
    assert "sk-" not in json.dumps(story)
