"""Who may ask for admin pages: this machine, or whoever has the token; never another page in a browser."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.admin import PAGES
from fake_server.app import make_app
from fake_server.scenario import shipped_scenarios
from fake_server.worlds import Worlds
from tests.fake_server.driving import UNTIMED

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "correct-horse-battery-staple"
WORLDS = Worlds(shipped_scenarios(), "succeeds", manual=True)
GUARDED = make_app(WORLDS, admin_token=TOKEN)


def ask(
    headers: Mapping[str, str], path: str = "/health", caller: str = "10.0.0.7", method: str = "GET"
) -> httpx.Response:
    """A request for an admin page of a server that has a token, from another machine."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(GUARDED, client=(caller, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://fake.example") as client:
            return await client.request(method, f"/__admin{path}", headers=headers)

    return asyncio.run(send())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": f"bearer  {TOKEN}"}, 200),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"X-Fake-Admin-Token": TOKEN}, 200),
        ({"X-Fake-Admin-Token": ""}, 401),
        ({"X-Fake-Admin-Token": "wrong", "Authorization": f"Bearer {TOKEN}"}, 401),
        ({"X-Fake-Admin-Token": TOKEN, "Authorization": "Bearer sk-succeeds"}, 200),
        ({"X-Fake-Admin-Token": TOKEN, "Origin": "http://evil.example"}, 403),
        ({"X-Fake-Admin-Token": TOKEN, "Origin": "http://fake.example"}, 200),
        ({"Cookie": f"token={TOKEN}"}, 401),
    ],
)
@pytest.mark.parametrize("caller", ["10.0.0.7", "127.0.0.1"])
def test_with_a_token_everyone_needs_it(caller: str, headers: dict[str, str], status: int) -> None:
    """A server with a token lets in whoever sends it, from wherever, and nobody else, not even this machine; a page of
    another origin is not let in with it."""
    answer = ask(headers, caller=caller)
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert TOKEN not in answer.text


def test_a_token_is_not_taken_from_the_query() -> None:
    """A token in a URL would end in logs and histories: it is no way in."""
    assert ask({}, f"/health?token={TOKEN}").status_code == 401


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_wants_the_token(page: object) -> None:
    """No page, no verb and no path below the root is answered without the token, and nothing is told before it."""
    path, verb = page.path.replace("{world}", "succeeds"), page.verb  # type: ignore[attr-defined]  # a Page
    assert ask({}, path, method=verb).status_code == 401
    assert ask({}, path + "/nothing/here", method="PATCH").status_code == 401
    assert ask({}, "", method="GET").status_code == 401


@UNTIMED
@given(st.text(st.characters(codec="latin-1", categories=["L", "N", "P"]), min_size=1, max_size=60))
def test_no_other_text_is_the_token(text: str) -> None:
    """Whatever is sent instead of the token, whatever characters it has, is a 401."""
    if text != TOKEN:
        assert ask({"X-Fake-Admin-Token": text.encode("latin-1")}).status_code == 401  # type: ignore[dict-item]  # bytes
