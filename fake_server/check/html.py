"""The report of a check as one page that needs nothing else: style, scripts and data stand in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING

from fake_server import page
from fake_server.check.reports import as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_server.check.examine import Report

# The end of what a command printed tells why it failed; a page of 60 runs must open at once.
LONGEST_OUTPUT = 4_000
_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>fake-dashscope check</title>
<style>{style}</style>
</head>
<body>
<header class="top"><h1>fake-dashscope check</h1></header>
<p class="said"></p>
<main class="report" id="report" aria-label="Runs"></main>
<noscript>This page draws with JavaScript; --json has the same for programs.</noscript>
<script type="application/json" id="data">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def as_html(reports: Sequence[Report]) -> str:
    """The report as a page.

    Args:
        reports: What came of the runs.

    Returns:
        HTML that runs no script but its own, and asks nobody for anything.
    """
    told = as_json(reports)
    for row, report in zip(told["runs"], reports, strict=True):
        # The story holds the lines.
        row["journal"] = []
        row["story"] = report.story
        row["output"], row["errors"] = row["output"][-LONGEST_OUTPUT:], row["errors"][-LONGEST_OUTPUT:]
    style, script = page.read("style.css"), joined(page.REPORT_SCRIPTS)
    # Nothing that a client sent can end the element that holds it.
    data = json.dumps(told, separators=(",", ":")).replace("<", "\\u003c")
    policy = f"default-src 'none'; script-src '{_mark(script)}'; style-src '{_mark(style)}'"
    return _PAGE.format(style=style, script=script, data=data, policy=policy)


def joined(names: Sequence[str]) -> str:
    """Modules as one: each stands behind those that it uses, and no two have a name in common."""
    return "".join(_EXPORT.sub("", _IMPORT.sub("", page.read(name))) for name in names)


def _mark(text: str) -> str:
    """What a page's policy knows an element by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
