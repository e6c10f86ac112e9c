"""Pictures of the control room for the documentation: python -m tests.browser.screenshot [FOLDER]."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM
from tests.browser.worlds import Client, client_of, running_fake

DOCS = Path(__file__).parents[2] / "docs"
WORLD = "concurrency-cap.demo"
SIZE = {"width": 1280, "height": 810}


def play(client: Client) -> None:
    """A client that is struck by this and that, and pays twice after a lost answer."""
    client.http.post("/__admin/worlds", json={"world": WORLD}).raise_for_status()
    client.admin("/faults", fault="status", status=503, on=["query"], every_nth=6)
    client.admin("/faults", fault="status", status=429, retry_after="2s", on=["create"], nth=[2])
    client.admin("/faults", fault="lost_create", how="close", nth=[4])
    client.create("a cat on a bicycle")
    client.advance(1)
    client.create("a dog in the rain")
    client.advance(2)
    client.create("a dog in the rain")
    client.advance(1)
    client.create("a harbour at dawn")
    client.advance(1)
    client.create("a harbour at dawn")
    ended: set[int] = set()
    for step in range(8):
        for number in range(1, len(client.tasks) + 1):
            if number not in ended and (client.poll(number) or {}).get("task_status") in ("SUCCEEDED", "FAILED"):
                ended.add(number)
        client.advance(1.5)
        if step == 3:
            path = f"/tasks/{client.tasks[1]}/move"
            client.admin(path, status="FAILED", code="DataInspectionFailed", message="The prompt was refused.")
    client.ask("/api/v1/task/slip")
    client.create("a paper boat")
    client.advance(1.5)
    client.poll(len(client.tasks))
    client.download(1)
    client.advance(1.5)


def main(folder: Path) -> None:
    """Take the pictures."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with running_fake() as server, client_of(server.url, WORLD) as client, sync_playwright() as playwright:
        play(client)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        for scheme, name in (("light", "control-room.png"), ("dark", "control-room-dark.png")):
            page = browser.new_page(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(f"{server.url}/__admin/#{WORLD}")
            page.get_by_text("live", exact=True).wait_for()
            page.get_by_text("29 lines", exact=True).wait_for()
            page.get_by_role("button", name="Task 3 ").click()
            page.locator("#said").evaluate("element => { element.textContent = ''; document.activeElement.blur(); }")
            page.screenshot(path=folder / name, animations="disabled")
            page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
