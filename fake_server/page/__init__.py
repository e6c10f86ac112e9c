"""The files of the control room and of the report: one HTML file, a style sheet, and plain JavaScript modules.

Nothing of them is built, and nothing is loaded from elsewhere. The room serves them as they are; the report of `check`
holds those that it needs.
"""

from __future__ import annotations

from importlib.resources import files

# What the room may be asked for, with its type; no other file of this folder is ever served.
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
SCRIPT_TYPE = "text/javascript; charset=utf-8"
# In an order in which each module uses only those before it.
SHARED_SCRIPTS = ("dom.js", "words.js", "curves.js", "lanes.js", "journal.js", "rules.js")
ROOM_SCRIPTS = (*SHARED_SCRIPTS, "asking.js", "hands.js", "room.js")
REPORT_SCRIPTS = (*SHARED_SCRIPTS, "report.js")
FILES = ("index.html", "style.css", "icon.svg", *ROOM_SCRIPTS)


def read(name: str) -> str:
    """The text of a file of this folder."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def type_of(name: str) -> str:
    """What a file is sent as."""
    return next((kind for ending, kind in TYPES.items() if name.endswith(ending)), SCRIPT_TYPE)
