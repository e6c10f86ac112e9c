"""A small world with several submitters, lost answers and an unreliable list, in which the truth is known."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from hypothesis import strategies as st

from resilient_poll.dashscope.doubts.decide import Decision, Evidence, decide, to_look_at
from resilient_poll.dashscope.doubts.marks import marks_of
from resilient_poll.dashscope.wire.dialects import LIFECYCLE
from resilient_poll.dashscope.wire.listing import ListedTask
from resilient_poll.ledger.entry import Entry, Namespace
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["ATTEMPT_S", "HERE", "NOW_S", "Sent", "World", "task_row", "worlds"]

HERE = Namespace("https://api.test/v1", "dashscope", "main")
NOW_S = 1_750_000_000.0
ATTEMPT_S = 60.0
Fate = Literal["known", "lost", "never arrived", "out", "given up", "overruled", "stranger"]
TEMPLATE = "A product film in the style of the nineties of "
PROMPTS = ("a cat", "a dog", TEMPLATE + "a kettle", TEMPLATE + "a lamp")


@dataclass(frozen=True)
class Sent:
    """One submit of the world.

    Attributes:
        fate: Whose it is, and what the ledger knows of it.
        sent_ago_s: When it was sent.
        took_s: How long after that its task was created.
        prompt, duration, image: What was asked for; images are shown nowhere.
        model: Of which model.
        ended: Where its task stands.
        is_listed: Whether the list shows it yet.
    """

    fate: Fate
    sent_ago_s: float
    took_s: float = 1.0
    prompt: str = PROMPTS[0]
    duration: int | None = 5
    image: str | None = None
    model: str = "video-1"
    ended: str = "SUCCEEDED"
    is_listed: bool = True

    @property
    def request(self) -> dict[str, Any]:
        """What was sent."""
        given = {"prompt": self.prompt} | ({} if self.image is None else {"img_url": self.image})
        parameters = {} if self.duration is None else {"duration": self.duration}
        return {"model": self.model, "input": given, "parameters": parameters}

    @property
    def has_task(self) -> bool:
        """Whether there is a task at the service."""
        return self.fate != "never arrived"

    def shows(self, other: Sent) -> bool:
        """Tell whether its answer shows all that another asked for; who asked for no duration takes any."""
        return (self.model, self.prompt) == (other.model, other.prompt) and other.duration in {None, self.duration or 5}


@dataclass(frozen=True)
class World:
    """What happened, and what can be seen of it.

    Attributes:
        submits: Everything that was sent.
        zone_s: By how much the list's times are off.
        is_sole: Whether the ledger is declared the only submitter.
        is_steady: Whether two readings of the list agreed.
    """

    submits: tuple[Sent, ...]
    zone_s: float = 0.0
    is_sole: bool = False
    is_steady: bool = True

    @property
    def evidence(self) -> Evidence:
        """What is known, with the answers of what succeeded."""
        evidence = Evidence(
            entries=tuple(self.entry(number) for number, sent in enumerate(self.submits) if sent.fate != "stranger"),
            listed=self._listed if self.is_steady else None,
            attempt_s=ATTEMPT_S,
            now_wall_s=NOW_S,
            is_sole_submitter=self.is_sole,
        )
        asked = to_look_at(self.doubts, evidence)
        answers = {task_id: self.answer(int(task_id.removeprefix("task-"))) for task_id in asked}
        return replace(evidence, answers=answers)

    @property
    def doubts(self) -> tuple[int, ...]:
        """The numbers of what is in doubt."""
        return tuple(number for number, sent in enumerate(self.submits) if sent.fate in {"lost", "never arrived"})

    def decide(self) -> Mapping[int, Decision]:
        """Return what is decided about all doubts."""
        return decide(self.doubts, self.evidence)

    @property
    def _listed(self) -> tuple[ListedTask, ...]:
        return tuple(
            task_row(f"task-{number}", NOW_S - sent.sent_ago_s + sent.took_s + self.zone_s, sent.model, sent.ended)
            for number, sent in enumerate(self.submits)
            if sent.has_task and sent.is_listed
        )

    def entry(self, number: int) -> Entry:
        """Return the ledger's entry of a submit."""
        sent = self.submits[number]
        body, at_s = json.dumps(sent.request, sort_keys=True).encode(), NOW_S - sent.sent_ago_s
        phase, billing = {
            "known": (Phase.RUNNING, Billing.ON_SUCCESS),
            "lost": (Phase.IN_DOUBT, Billing.UNDETERMINED),
            "never arrived": (Phase.IN_DOUBT, Billing.UNDETERMINED),
            "out": (Phase.SUBMITTING, Billing.UNDETERMINED),
            "given up": (Phase.ABANDONED, Billing.UNDETERMINED),
            "overruled": (Phase.RUNNING, Billing.ON_SUCCESS),
        }[sent.fate]
        is_overruled = sent.fate == "overruled"
        return Entry(
            entry_id=number,
            namespace=HERE,
            key=f"key {number}",
            attempt=1,
            digest=hashlib.sha256(body).hexdigest(),
            about={"model": sent.model, "endpoint": "video", **marks_of(HERE, f"key {number}", body)},
            phase=phase,
            billing=billing,
            # What came of the overruled sending is the task of this world; the later one made another.
            sends=2 if is_overruled else 1,
            doubtful_sends=(1,) if is_overruled else (),
            created_wall_s=at_s,
            licensed_wall_s=at_s + (500.0 if is_overruled else 0.0),
            updated_wall_s=at_s,
            task_id={"known": f"task-{number}", "overruled": f"second-{number}"}.get(sent.fate),
        )

    def answer(self, number: int) -> dict[str, Any]:
        """Return the service's answer about a task that succeeded."""
        sent = self.submits[number]
        output = {"task_id": f"task-{number}", "task_status": "SUCCEEDED", "orig_prompt": sent.prompt}
        return {"output": {**output, "video_url": "https://assets.test/x"}, "usage": {"duration": sent.duration or 5}}

    def is_wrong(self, number: int, task_id: str) -> bool:
        """Tell whether a task belongs to somebody else than to a submit of that very request."""
        doubt, maker = self.submits[number], self.submits[int(task_id.removeprefix("task-"))]
        if maker.fate == "stranger":
            # Whom nobody knows and whose answer shows the same cannot be told from us, unless ours are there too.
            is_alike = maker.shows(doubt) and doubt.image is None
            return not is_alike or not self._lacks_one_like(doubt)
        return maker.fate in {"known", "out"} or maker.request != doubt.request

    def _lacks_one_like(self, doubt: Sent) -> bool:
        """Tell whether the list lacks a task of a request, which therefore another one's may be taken for."""
        return any(
            sent.request == doubt.request and sent.fate not in {"stranger", "known"} and not self._is_there(sent)
            for sent in self.submits
        )

    def _is_there(self, sent: Sent) -> bool:
        """Tell whether a task is there and can, or will, show its request: one that failed never does."""
        return sent.has_task and sent.is_listed and sent.ended != "FAILED"

    def tasks_of(self, request: Mapping[str, Any]) -> int:
        """Return how many tasks the sendings in doubt of a request made."""
        made = Counter(json.dumps(sent.request, sort_keys=True) for sent in self.submits if sent.fate == "lost")
        return made[json.dumps(request, sort_keys=True)]


def task_row(task_id: str, created_wall_s: float, model: str, status: str) -> ListedTask:
    """Return a row of the list."""
    return ListedTask(
        task_id=task_id,
        status=status,
        phase=LIFECYCLE.phase_of(status),
        model=model,
        request_id=None,
        submitted_at=datetime.fromtimestamp(created_wall_s, UTC),
        started_at=None,
        ended_at=None,
        row={},
    )


AGO_S = st.sampled_from([3_000.0, 3_010.0, 3_300.0, 3_900.0, 9_000.0, 9_030.0, 60_000.0, 86_000.0, 1_000.0, 30.0])
SUBMITS = st.builds(
    Sent,
    fate=st.sampled_from(["known", "lost", "never arrived", "out", "given up", "overruled", "stranger"]),
    sent_ago_s=AGO_S,
    took_s=st.sampled_from([-100.0, 0.5, 40.0, 200.0, 700.0]),
    prompt=st.sampled_from(PROMPTS),
    duration=st.sampled_from([5, 5, 10, None]),
    image=st.sampled_from([None, None, None, "https://images.test/1", "https://images.test/2"]),
    model=st.sampled_from(["video-1", "video-1", "video-2"]),
    ended=st.sampled_from(["SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "RUNNING", "FAILED"]),
    is_listed=st.sampled_from([True, True, True, False]),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a world; where the ledger is declared the only submitter, there are no strangers."""
    is_sole = draw(st.booleans())
    submits = draw(st.lists(SUBMITS, min_size=1, max_size=6))
    if is_sole:
        submits = [replace(sent, fate="given up") if sent.fate == "stranger" else sent for sent in submits]
    zone_s = draw(st.sampled_from([0.0, 8 * 3600.0, -8 * 3600.0]))
    return World(tuple(submits), zone_s, is_sole, draw(st.sampled_from([True, True, True, False])))
