"""The control room without a mouse, without sight, in the dark, on a phone, and with a token."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from fake_server import page as page_files
from fake_server.server import Address, bind, make_server
from tests.browser.test_control_room import expect, lane, said
from tests.browser.worlds import client_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from fake_server.running import RunningServer
    from tests.browser.conftest import Show
    from tests.browser.worlds import Client

TOKEN = "a-token-for-this-test"
# What a page must not do, found by looking at every element: a control without a name, an id twice, a label for
# nothing, a picture without words, a positive tabindex, a list whose parts are none.
FAULTS_OF_A_PAGE = """() => {
  const found = [];
  const tell = (what, element) => found.push(`${what}: ${element.outerHTML.slice(0, 120)}`);
  const seen = new Set();
  for (const element of document.querySelectorAll("[id]")) {
    if (seen.has(element.id)) tell("an id twice", element);
    seen.add(element.id);
  }
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
    const ids = `${element.getAttribute("aria-labelledby") ?? ""} ${element.getAttribute("aria-describedby") ?? ""}`;
    for (const id of ids.trim().split(/\\s+/)) if (!document.getElementById(id)) tell("refers to nothing", element);
  }
  for (const element of document.querySelectorAll("button, input, select, [role=button]")) {
    const name = element.getAttribute("aria-label") || element.labels?.[0]?.textContent || element.textContent;
    if (!name.trim()) tell("no name", element);
  }
  for (const element of document.querySelectorAll("svg:not([aria-hidden])")) {
    if (!element.getAttribute("aria-label")) tell("a picture without words", element);
  }
  for (const element of document.querySelectorAll("[tabindex]")) if (element.tabIndex > 0) tell("tabindex", element);
  for (const element of document.querySelectorAll("label[for]")) {
    if (!element.control) tell("a label of nothing", element);
  }
  const levels = [...document.querySelectorAll("h1, h2, h3")].map((heading) => Number(heading.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) found.push("not one h1");
  if (levels.some((level, index) => index && level > levels[index - 1] + 1)) found.push("a level of headings left out");
  return found;
}"""


def test_everything_can_be_done_from_the_keyboard(room: Page, client: Client) -> None:
    """From the skip link on, Tab, Enter and the arrows lead to a task, along its marks, and to the line of one."""
    client.create()
    client.poll(1)
    expect(lane(room, 1).locator(".mark")).to_have_count(2)
    room.locator("body").press("Tab")
    expect(room.get_by_role("link", name="Skip to the lanes")).to_be_focused()
    room.keyboard.press("Enter")
    name = room.get_by_role("button", name="Task 1 ")
    for _ in range(3):
        room.keyboard.press("Tab")
    expect(name).to_be_focused()
    room.keyboard.press("Enter")
    expect(name).to_have_attribute("aria-pressed", "true")
    expect(name).to_be_focused()
    room.keyboard.press("Tab")
    marks = lane(room, 1).locator(".mark")
    expect(marks.nth(0)).to_be_focused()
    expect(room.locator(".tip")).to_contain_text("create, answered 200")
    room.keyboard.press("ArrowRight")
    expect(marks.nth(1)).to_be_focused()
    client.advance(1)  # What is drawn anew meanwhile keeps the focus where it is.
    expect(room.locator("#clock")).to_have_text("1 s")
    expect(marks.nth(1)).to_be_focused()
    room.keyboard.press("Enter")
    expect(room.get_by_role("button", name="Line 2, everything about it")).to_be_focused()


def test_whatever_has_the_focus_shows_it(room: Page, client: Client) -> None:
    """Each stop of the Tab key is visible, and has an outline or a changed ground."""
    client.create()
    expect(lane(room, 1)).to_be_visible()
    room.locator("body").press("Tab")
    for number in range(60):
        outline = room.evaluate(
            """() => {
              const element = document.activeElement;
              const style = getComputedStyle(element.querySelector(":scope > .target") ?? element);
              return [element.outerHTML.slice(0, 80), style.outlineStyle, style.stroke, style.strokeWidth];
            }"""
        )
        if outline[0].startswith("<body"):  # The browser's own controls come next.
            assert number > 20
            break
        assert outline[1] != "none" or (outline[2] != "none" and outline[3] == "2px"), outline
        room.keyboard.press("Tab")


def test_what_happens_is_announced_and_can_be_read(room: Page, client: Client) -> None:
    """A live region tells of transitions, landmarks and names are there, and a table says what the picture shows."""
    client.create()
    news = room.get_by_role("status", name="What became of tasks")
    expect(news).to_have_text("Task 1 is PENDING.")
    client.admin("/clock/advance", seconds=3)
    expect(news).to_have_text("Task 1 is RUNNING.")
    assert [region.get_attribute("aria-live") for region in (news, said(room))] == ["polite", "polite"]
    for role in ("banner", "main", "complementary"):
        expect(room.get_by_role(role)).to_be_visible()
    label = re.compile(r"^Task 1, PENDING from 0 s, RUNNING from 2 s; 1 request$")
    expect(room.get_by_role("group", name=label)).to_be_visible()
    room.get_by_role("button", name="As a table").click()
    cells = room.get_by_role("region", name="Tasks as a table").get_by_role("row").nth(1).get_by_role("cell")
    expect(cells.nth(2)).to_have_text("RUNNING")
    assert room.evaluate(FAULTS_OF_A_PAGE) == []
    room.get_by_role("button", name="As a table").click()
    assert room.evaluate(FAULTS_OF_A_PAGE) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_as_the_system_says(show: Show, fake: RunningServer, scheme: Any) -> None:
    """The ground is light or dark as the reader's system asks for it."""
    page = show(f"{fake.url}/__admin/", color_scheme=scheme)
    red = page.evaluate("() => Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert (red > 200) is (scheme == "light")


def test_a_phone_shows_everything_without_scrolling_sideways(show: Show, fake: RunningServer, client: Client) -> None:
    """At 360 pixels nothing is wider than the screen, and nothing moves when news come."""
    client.create("a word that is very long " + "x" * 200)
    client.poll(1)
    page = show(f"{fake.url}/__admin/#{client.world}", viewport={"width": 360, "height": 800}, has_touch=True)
    expect(lane(page, 1)).to_be_visible()
    lane(page, 1).get_by_role("button", name="Task 1 ").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    before = page.get_by_role("heading", name="Journal").bounding_box()
    client.poll(1)
    expect(lane(page, 1).locator(".mark")).to_have_count(3)
    assert page.get_by_role("heading", name="Journal").bounding_box() == before


def channels(colour: str) -> list[float]:
    """The three channels of a colour, linear, from 0 to 1."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG 2.2 computes it."""
    bright, dark = sorted(
        (sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), channels(colour), strict=True)) + 0.05)
        for colour in (one, other)
    )[::-1]
    return bright / dark


def test_colours_can_be_told_from_their_ground() -> None:
    """Ink on its ground has a contrast of 4.5 at least, edges and marks of 3, in light and in dark."""
    light, dark = re.findall(r":root \{(.*?)\}", page_files.read("style.css"), re.DOTALL)
    for text in (light, dark):
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", text))
        inks = [(ink, ground) for ink in ("ink", "quiet", "danger") for ground in ("ground", "card", "sunk")]
        inks += [("accent-ink", "accent"), ("ink", "accent-soft"), ("card", "ink"), ("throttle", "card")]
        edges = [(name, "card") for name in ("edge", "tick", "throttle", "fault", "bill", "focus", "accent")]
        for name in ("pending", "running", "succeeded", "failed", "canceled", "unknown", "other"):
            inks.append((f"{name}-ink", name))
            edges.append((f"{name}-edge", "card"))
        weak = {pair: ratio for pair in inks if (ratio := contrast(colours[pair[0]], colours[pair[1]])) < 4.5}
        weak |= {pair: ratio for pair in edges if (ratio := contrast(colours[pair[0]], colours[pair[1]])) < 3}
        assert not weak


def test_a_token_is_asked_for_and_kept_in_the_tab_only(show: Show, fake: RunningServer) -> None:
    """Where the server wants a token the page opens, asks for it, refuses a wrong one, and works with the right one."""
    listener = bind("127.0.0.1", 0)
    address = Address("127.0.0.1", int(listener.getsockname()[1]))
    is_up = threading.Event()
    server = make_server(fake.worlds, address, is_up.set, admin_token=TOKEN)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert is_up.wait(30)
    try:
        with client_of(address.url, "succeeds.token") as client:
            client.create()
        page = show(f"{address.url}/__admin/#succeeds.token")
        page.get_by_role("textbox", name="Admin token").fill("wrong")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("textbox", name="Admin token")).to_be_focused()
        page.get_by_role("textbox", name="Admin token").fill(TOKEN)
        page.get_by_role("textbox", name="Admin token").press("Enter")
        expect(lane(page, 1)).to_contain_text("PENDING")
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        kept = page.evaluate("[localStorage.length, document.cookie, location.href]")
        assert kept[:2] == [0, ""]
        assert TOKEN not in kept[2]
        page.close()
    finally:
        server.should_exit = True
        thread.join(10)
