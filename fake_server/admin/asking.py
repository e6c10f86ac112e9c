"""What every admin page stands on: a question, how its body is read, and what a mistake looks like."""

from __future__ import annotations

import json
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import JSONResponse

from fake_server.rules.fields import Fields, Mistake
from fake_server.scenario.yaml_nodes import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from starlette.requests import Request

    from fake_server.worlds import World, Worlds

ROOT = "/__admin"
# A body is a handful of fields, or a scenario of a page or two.
LARGEST_BODY_BYTES = 100_000


class AdminPage(JSONResponse):
    """A page of JSON in ASCII: what clients sent may hold half a surrogate, which no UTF-8 can carry."""

    def render(self, content: Any) -> bytes:
        """The page on the wire."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class AdminError(Exception):
    """A request that cannot be done.

    Args:
        status: The HTTP status.
        detail: Why, in a sentence; or several mistakes.
        pointer: Where in the body or the query, as a JSON pointer.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str | Sequence[Mistake],
        pointer: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.mistakes = [Mistake(pointer, detail)] if isinstance(detail, str) else list(detail)
        super().__init__(self.mistakes[0].detail)
        self.status = status
        self.headers = headers
        self.places: Sequence[Mapping[str, Any]] = ()

    def rows(self) -> list[dict[str, Any]]:
        """The mistakes as pages show them, with their places where these are known."""
        rows: list[dict[str, Any]] = [mistake._asdict() for mistake in self.mistakes]
        for row, place in zip(rows, self.places, strict=False):
            row.update(place)
        return rows

    def page(self) -> AdminPage:
        """The answer: a list of errors."""
        return AdminPage({"errors": self.rows()}, status_code=self.status, headers=self.headers)


class Ask(NamedTuple):
    """A question to a page.

    Args:
        worlds: Everything that is served.
        request: The request.
    """

    worlds: Worlds
    request: Request

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def world(self) -> World:
        """The world in the path.

        Raises:
            AdminError: If it does not exist.
        """
        name = self.path("world")
        world = self.worlds.named(name)
        if world is None:
            near = did_you_mean(name, self.worlds.names())
            raise AdminError(404, f"there is no world of this name; POST {ROOT}/worlds makes one{near}")
        return world

    async def raw(self) -> bytes:
        """The body, of a bounded size.

        Raises:
            AdminError: If it is too large.
        """
        raw = b""
        async for chunk in self.request.stream():
            raw += chunk
            if len(raw) > LARGEST_BODY_BYTES:
                raise AdminError(413, f"found more than {LARGEST_BODY_BYTES} bytes, expected a small body")
        return raw

    async def fields(self, known: Collection[str]) -> Fields:
        """The body as an object with some of these keys.

        Raises:
            AdminError: If it is none.
        """
        return Fields(await self.object(), known)

    async def object(self) -> dict[str, Any]:
        """The body as an object; an empty body is an empty one.

        Raises:
            AdminError: If it is none.
        """
        raw = await self.raw()
        try:
            body = json.loads(raw, object_pairs_hook=_once_each) if raw.strip() else {}
        except _TwiceError as twice:
            raise AdminError(400, f"found the key {twice} twice, expected it once") from None
        except (ValueError, RecursionError):
            raise AdminError(400, "found a body that is not JSON, expected an object") from None
        if not isinstance(body, dict):
            raise AdminError(400, "found no object, expected one")
        return body

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number in the query.

        Raises:
            AdminError: If it is none, or out of bounds.
        """
        text = self.request.query_params.get(name)
        if text is None:
            return default
        if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and int(text) <= most:
            return int(text)
        raise AdminError(400, f"found {text[:20]!r}, expected a whole number from 0 to {most}", f"?{name}")


def refuse_mistakes(fields: Fields) -> None:
    """Turn what was noted while reading into an error, if anything was.

    Raises:
        AdminError: With every mistake.
    """
    if fields.mistakes:
        raise AdminError(400, fields.mistakes)


def plain(row: Any) -> dict[str, Any]:
    """A dataclass as JSON can carry it; amounts are text, as a JSON number would be read as a binary float."""
    return {key: str(value) if isinstance(value, Decimal) else value for key, value in asdict(row).items()}


class _TwiceError(Exception):
    """A key stands twice in one object."""


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _TwiceError(repr(key[:60]))
            seen.add(key)
    return found
