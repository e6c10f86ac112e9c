"""Both colours of the client are one: the same names, arguments and defaults."""

from __future__ import annotations

import inspect
import re

import pytest

from resilient_poll import AsyncDashScope, AsyncTask, AsyncWorker, DashScope, Task, Worker

PAIRS = [(DashScope, AsyncDashScope), (Task, AsyncTask), (Worker, AsyncWorker)]
ONLY_AWAITING = {"run_blocking"}
"""How an awaiting client does what blocks; a blocking one has no such choice."""
SAME = {
    "AsyncDashScope": "DashScope",
    "AsyncTask": "Task",
    "AsyncWorker": "Worker",
    "AsyncClock": "Clock",
    "AsyncIterator": "Iterator",
    "AsyncFinishing[Finished[Task]]": "Generator[Finished[Task], None, None]",
}
"""What the two call by different names."""


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def plain(annotation: object) -> str:
    text = str(annotation)
    for name, other in SAME.items():
        text = text.replace(name, other)
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize(("blocking", "awaiting"), PAIRS)
def test_both_colours_have_the_same_names(blocking: type, awaiting: type) -> None:
    """What one has the other has."""
    assert public(blocking) == public(awaiting)


@pytest.mark.parametrize(
    ("blocking", "awaiting", "name"),
    [
        (blocking, awaiting, name)
        for blocking, awaiting in PAIRS
        for name in ["__init__", *sorted(public(blocking))]
        if callable(getattr(blocking, name))
    ],
)
def test_both_colours_take_the_same_arguments(blocking: type, awaiting: type, name: str) -> None:
    """Each method has the same arguments, in the same order, with the same kinds, defaults and types, and result."""
    first, second = (inspect.signature(getattr(kind, name)) for kind in (blocking, awaiting))
    others = [parameter for parameter in second.parameters.values() if parameter.name not in ONLY_AWAITING]
    assert [(one.name, one.kind, one.default, plain(one.annotation)) for one in first.parameters.values()] == [
        (one.name, one.kind, one.default, plain(one.annotation)) for one in others
    ]
    assert plain(first.return_annotation) == plain(second.return_annotation)
