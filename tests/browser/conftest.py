"""Chromium, and a fake with manual clocks; without either these tests are skipped with that reason."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.worlds import Client, client_of, running_fake

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from fake_server.running import RunningServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# A loaded machine may take long to draw; nothing here waits that long unless something is wrong.
PATIENCE_MS = 20_000
Show = Callable[..., "Page"]


# Of a module, and not of all tests: where Playwright runs, the thread counts as one whose event loop runs, and no other
# test could start one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a module."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser` (Playwright)")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")  # a browser is no Python package
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def fake() -> Iterator[RunningServer]:
    """A fake whose clocks only tests move."""
    with running_fake() as server:
        yield server


@pytest.fixture
def show(browser: Browser) -> Iterator[Show]:
    """Opens pages, and holds against them every error that they log and every request to anywhere else."""
    complaints: list[str] = []
    contexts = []

    def show(url: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        own = url.split("/__admin", maxsplit=1)[0]

        def heard(message: Any) -> None:
            # What a test brings about, the browser logs: a token that is refused, a network that is gone.
            is_meant = any(words in message.text for words in ("401", "ERR_INTERNET_DISCONNECTED"))
            if message.type in ("error", "warning") and not is_meant:
                complaints.append(f"console: {message.text}")

        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda sent: None if sent.url.startswith(own) else complaints.append(f"sent: {sent.url}"))
        page.goto(url)
        return page

    yield show
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture
def client(fake: RunningServer, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of a world of this test's own, of the scenario in its marker's place or `succeeds`."""
    scenario = getattr(request, "param", "succeeds")
    tail = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:40]
    with client_of(fake.url, f"{scenario}.{tail}") as client:
        client.http.post("/__admin/worlds", json={"world": client.world}).raise_for_status()
        yield client


@pytest.fixture
def room(show: Show, fake: RunningServer, client: Client) -> Page:
    """The control room, looking at the test's own world."""
    page = show(f"{fake.url}/__admin/#{client.world}")
    page.get_by_text("live", exact=True).wait_for()
    return page
