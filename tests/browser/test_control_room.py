"""The control room in a real browser: what happens in a world shows, and every control does what it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.worlds import client_of, running_fake

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from fake_server.running import RunningServer
    from tests.browser.conftest import Show
    from tests.browser.worlds import Client

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def expect(what: Locator | Page) -> Any:
    """Playwright's patient assertions."""
    from playwright.sync_api import expect as patient  # noqa: PLC0415 - the tests are collected without it

    patient.set_options(timeout=20_000)
    return patient(what)


def lane(room: Page, number: int) -> Locator:
    """The lane of a task."""
    return room.get_by_role("listitem").filter(has=room.get_by_role("button", name=f"Task {number} "))


def said(room: Page) -> Locator:
    """Where the room says what it did."""
    return room.locator("#said")


def test_tasks_are_seen_from_their_create_to_their_end(room: Page, client: Client) -> None:
    """A lane appears with its task, its bars follow the clock, requests are marks, and the bill grows at the end."""
    expect(room.get_by_text("Nothing has been asked of this world yet.")).to_be_visible()
    client.create("a cat")
    expect(lane(room, 1)).to_contain_text("PENDING")
    expect(room.get_by_text("Nothing has been asked")).to_be_hidden()
    room.get_by_role("button", name="+10 s").click()
    expect(lane(room, 1)).to_contain_text("RUNNING")
    for _ in range(9):
        client.poll(1)
    room.get_by_role("button", name="+1 min").click()
    expect(said(room)).to_have_text("The clock went on by 60 s; nothing changed.")
    expect(lane(room, 1)).to_contain_text("SUCCEEDED · 0.75")
    expect(lane(room, 1).get_by_role("button", name=re.compile("create, answered 200"))).to_have_count(1)
    expect(lane(room, 1).get_by_role("button", name=re.compile("status query"))).to_have_count(9)
    client.download(1)
    expect(lane(room, 1).get_by_role("button", name=re.compile("download"))).to_have_count(1)
    expect(room.get_by_role("img", name="The bill: 0.75 for 1 task")).to_be_visible()
    expect(room.locator("#clock")).to_have_text("70 s")


@pytest.mark.parametrize("client", ["concurrency-cap"], indirect=True)
def test_tasks_in_flight_are_seen_against_the_cap(room: Page, client: Client) -> None:
    """With the cap reached, the picture says so, and the task that waits for a slot says that it waits."""
    for _ in range(4):
        client.create()
    expect(room.get_by_role("img", name="dashscope: 3 in flight of 3, 1 waiting; at most 3 so far")).to_be_visible()
    expect(lane(room, 4)).to_contain_text("PENDING, waits for a slot")


def test_a_fault_is_armed_fires_and_is_disarmed(room: Page, client: Client) -> None:
    """A preset strikes the next queries, shows in the lane and in its own count, and can be taken away."""
    client.create()
    room.get_by_role("combobox", name="Arm").select_option("The next three status queries: 503")
    room.get_by_role("button", name="Arm", exact=True).click()
    expect(said(room)).to_have_text("Armed a1: status 503 (armed).")
    assert client.poll(1) is None
    expect(room.get_by_role("list", name="Faults of this world")).to_contain_text("fired 1")
    mark = lane(room, 1).get_by_role("button", name=re.compile("fault"))
    expect(mark).to_have_count(1)
    mark.hover()
    expect(room.locator(".tip")).to_contain_text("answered 503, status 503 (armed)")
    room.get_by_role("button", name="Disarm a1").click()
    expect(said(room)).to_have_text("Disarmed a1.")
    assert client.poll(1) is not None


def test_every_preset_can_be_armed(room: Page) -> None:
    """Each fault of the short list is one that the fake knows."""
    options = room.get_by_role("combobox", name="Arm").locator("option").all_inner_texts()
    assert len(options) > 8
    for number, words in enumerate(options, 1):
        room.get_by_role("combobox", name="Arm").select_option(words)
        room.get_by_role("button", name="Arm", exact=True).click()
        expect(room.get_by_role("button", name=f"Disarm a{number}", exact=True)).to_be_visible()


def test_the_journal_is_filtered_and_a_line_tells_all(room: Page, client: Client) -> None:
    """Text and kind narrow the lines down, their number is told, and a line opens with what is known of it."""
    client.create()
    client.poll(1)
    client.ask("/api/v1/task/slip")
    body = room.get_by_role("region", name="Lines of the journal")
    expect(body.get_by_role("row")).to_have_count(4)
    room.get_by_label("Filter the journal by kind").select_option("what went wrong")
    expect(body.get_by_role("row")).to_have_count(2)
    expect(room.get_by_text("1 of 3 lines")).to_be_visible()
    room.get_by_label("Filter the journal by kind").select_option("every request")
    room.get_by_label("Filter the journal by text").fill("query 200")
    expect(body.get_by_role("row")).to_have_count(2)
    body.get_by_role("button", name="Line 2, everything about it").click()
    expect(body).to_contain_text("were sent; never kept")
    assert f"sk-{client.world}" not in room.content()


def test_what_fits_nothing_is_explained(room: Page, client: Client) -> None:
    """A stray request is shown with the nearest route and what differs, and leads to its line."""
    client.ask("/api/v1/task/slip")
    card = room.get_by_role("region", name="Why nothing matched")
    expect(card).to_contain_text("GET /api/v1/tasks/{task_id}")
    expect(card).to_contain_text("found task, expected tasks")
    card.get_by_role("button", name="line 1").click()
    expect(room.get_by_role("button", name="Line 1, everything about it")).to_be_focused()


def test_a_task_is_moved_cancelled_and_expired(room: Page, client: Client) -> None:
    """Whoever chooses a task can bring it to a status, cancel it, and let its service forget it."""
    client.create()
    client.create()
    room.get_by_role("button", name="Task 1 ").click()
    room.get_by_label("Move it to").select_option("FAILED")
    room.get_by_role("button", name="Move", exact=True).click()
    expect(lane(room, 1)).to_contain_text("FAILED")
    expect(room.get_by_role("button", name="Move", exact=True)).to_be_disabled()
    room.get_by_role("button", name="Task 2 ").click()
    room.get_by_role("button", name="Cancel it").click()
    expect(lane(room, 2)).to_contain_text("CANCELED")
    room.get_by_role("button", name="Forget it").click()
    expect(said(room)).to_have_text("Task 2 is forgotten.")
    assert (client.poll(2) or {})["task_status"] == "UNKNOWN"
    client.create()
    room.get_by_role("button", name="Task 3 ").click()
    room.get_by_label("Move it to").select_option("SUCCEEDED")
    room.get_by_role("button", name="Move", exact=True).click()
    expect(lane(room, 3)).to_contain_text("SUCCEEDED")
    room.get_by_role("button", name="Expire its URLs").click()
    expect(said(room)).to_have_text("Task 3 has no address that works.")
    assert client.http.get((client.poll(3) or {})["video_url"]).status_code == 403


def test_a_reset_begins_anew(room: Page, client: Client) -> None:
    """After a reset nothing is left of tasks, journal and faults, and what comes afterwards shows."""
    client.create()
    client.poll(1)
    expect(lane(room, 1)).to_be_visible()
    room.get_by_role("button", name="Reset this world").click()
    expect(room.get_by_text("Nothing has been asked of this world yet.")).to_be_visible()
    expect(room.get_by_text("0 lines")).to_be_visible()
    client.create()
    expect(lane(room, 1)).to_contain_text("PENDING")
    expect(room.get_by_text("1 line", exact=True)).to_be_visible()


def test_a_world_is_made_and_picked(room: Page, client: Client) -> None:
    """A new world of any scenario is looked at at once, and the picker leads back to the first."""
    client.create()
    expect(lane(room, 1)).to_be_visible()
    room.get_by_label("New, of scenario").select_option("bad-gateway")
    room.get_by_label("Its name ends in").fill("picked")
    room.get_by_role("button", name="Make").click()
    expect(room.get_by_label("World", exact=True)).to_have_value("bad-gateway.picked")
    expect(room.locator("#base-url")).to_have_text(re.compile("/w/bad-gateway.picked/api/v1$"))
    room.get_by_label("World", exact=True).select_option(client.world)
    expect(lane(room, 1)).to_be_visible()


def test_speed_and_any_number_of_seconds_can_be_set(room: Page, client: Client) -> None:
    """The speed holds for new tasks, and the clock goes on by any number of seconds that is typed; nonsense is told."""
    room.get_by_label("Speed of new tasks").fill("10")
    room.get_by_role("button", name="Set", exact=True).click()
    expect(said(room)).to_have_text("Scripted times of new tasks are divided by 10.")
    client.create()
    room.get_by_label("Seconds to advance").fill("0.25")
    room.get_by_label("Seconds to advance").press("Enter")
    expect(room.locator("#clock")).to_have_text("0.25 s")
    room.get_by_label("Seconds to advance").fill("-1")
    room.get_by_role("button", name="Advance", exact=True).click()
    expect(said(room)).to_have_text("Say by how many seconds to advance.")


def test_what_clients_send_is_text(room: Page, client: Client) -> None:
    """A prompt, a model and a path that look like markup are shown as they are, and nothing of them is run."""
    client.create(HOSTILE, model="<b onmouseover=alert(3)>m")
    client.ask("/api/v1/%3Cimg%20src=x%20onerror=alert(4)%3E")
    room.get_by_role("button", name="Task 1 ").click()
    expect(room.locator("#task-facts")).to_contain_text(HOSTILE)
    room.get_by_role("button", name="As a table").click()
    expect(room.get_by_role("cell", name="<b onmouseover=alert(3)>m")).to_be_visible()
    assert room.locator("main img, main script, main b[onmouseover]").count() == 0


def test_the_rules_are_judged_before_ones_eyes(room: Page, client: Client) -> None:
    """A client that polls too fast fails the rule at once, and the line that proves it is a click away."""
    client.create()
    client.poll(1)
    client.poll(1)
    row = room.get_by_role("row").filter(has=room.get_by_role("rowheader", name="poll_rate"))
    expect(row).to_contain_text("fail")
    row.get_by_role("button", name="line 3").click()
    expect(room.get_by_role("button", name="Line 3, everything about it")).to_be_focused()


def test_the_room_finds_back_after_the_stream_broke(room: Page, client: Client) -> None:
    """A room that was offline catches up with what it missed once it can ask again."""
    client.create()
    expect(lane(room, 1)).to_be_visible()
    room.context.set_offline(True)
    client.create()
    room.context.set_offline(False)
    client.create()
    expect(lane(room, 3)).to_be_visible()
    expect(lane(room, 2)).to_be_visible()


def test_requests_of_no_world_can_be_looked_at(show: Show, fake: RunningServer) -> None:
    """What came without a key is in the lobby, which the picker offers."""
    with client_of(fake.url, "nobody") as client:
        client.http.get("/nowhere")
    page = show(f"{fake.url}/__admin/")
    page.get_by_label("World", exact=True).select_option("requests that belong to no world")
    expect(page.get_by_role("region", name="Why nothing matched")).to_contain_text("/nowhere")


def test_the_first_world_is_looked_at_once_there_is_one(show: Show) -> None:
    """A room that is opened before anybody asked for anything comes to the first world by itself."""
    with running_fake() as fake:
        page = show(f"{fake.url}/__admin/")
        expect(page.locator("#base-url")).to_have_text(f"{fake.url}/api/v1")
        with client_of(fake.url, "succeeds.first") as client:
            client.create()
        expect(lane(page, 1)).to_be_visible()
        expect(page.get_by_label("World", exact=True)).to_have_value("succeeds.first")
        page.close()
