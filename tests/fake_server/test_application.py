"""Which half of the application answers a path: the admin pages or the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fake_server.conftest import Running


@pytest.mark.parametrize("path", ["/__admin", "/__admin/", "/__admin/health", "/__admin/nothing/here"])
def test_the_admin_root_and_what_is_below_it_are_pages(fake: Running, path: str) -> None:
    """The admin root and everything below it are answered by the pages, which speak of themselves."""
    answer = fake.client.get(path)
    assert "request_id" not in answer.json()
    assert answer.status_code == (404 if "nothing" in path else 200)


@pytest.mark.parametrize("path", ["/", "/__administrator", "/__admi", "/x/__admin/health", "/%5F%5Fadminx"])
def test_everything_else_is_the_service(fake: Running, path: str) -> None:
    """A path that only looks like an admin page is answered by the service, in its own shape of an error."""
    answer = fake.client.get(path)
    assert answer.status_code == 404
    assert answer.json()["request_id"]
    assert "nothing answers GET here" in answer.json()["message"]
