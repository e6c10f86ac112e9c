"""The blocks of docs/admin.md, made of the table that serves the pages and of the keys of matchers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from fake_server.admin import PAGES, ROOT
from fake_server.admin.pages import Page
from fake_server.rules.matching import KEYS


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _example(page: Page) -> str:
    if page.body is None:
        return ""
    if isinstance(page.body.example, str):
        return "a scenario"
    return f"`{_cell(json.dumps(page.body.example))}`"


def pages_table() -> str:
    """List every admin page with an example of its body."""
    head = ["| page | what it is for | such as |", "|---|---|---|"]
    rows = [
        f"| `{page.verb} {page.path}{page.example_query}` | {_cell(page.what)} | {_example(page)} |" for page in PAGES
    ]
    return "\n".join([f"Below `{ROOT}`:", "", *head, *rows])


def matchers_table() -> str:
    """List the conditions of matchers."""
    rows = [f"| `{key}` | {_cell(what)} |" for key, what in KEYS.items()]
    return "\n".join(["| condition | what it wants |", "|---|---|", *rows])


BLOCKS: Mapping[str, Callable[[], str]] = {"admin-matchers": matchers_table, "admin-pages": pages_table}
