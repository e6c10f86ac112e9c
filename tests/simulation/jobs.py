"""What an application does with one wanted result, and the driver beneath it. All of it in generators.

A generator yields a float (sleep until then, by the process's own clock), an `Exchange` (send this, and be sent what
came of it), or None (never go on: the process is dead). It reads like the blocking driver, and a process that is
killed is one whose generators are never asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from resilient_poll.dashscope.doubts.opening import searching_of
from resilient_poll.dashscope.doubts.steps import Asked, Call, Question
from resilient_poll.dashscope.doubts.verdicts import RECONCILE_S, Verdict
from resilient_poll.dashscope.keeping.filing import Filing, begun, is_late, late_licence
from resilient_poll.dashscope.wire import translate
from resilient_poll.dashscope.wire.dialects import LIFECYCLE
from resilient_poll.errors import ListingFailed, ResilientPollError
from resilient_poll.http.messages import Answer
from resilient_poll.machine.commands import Done, DoneReason, SleepUntil, Submit
from resilient_poll.machine.lifecycle import Billing, Phase
from resilient_poll.machine.observations import Observation, SubmitStarted
from resilient_poll.machine.pace import InTurn
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord

if TYPE_CHECKING:
    from resilient_poll.dashscope.client_core import ClientCore
    from resilient_poll.ledger.entry import Entry
    from tests.simulation.plan import Intent
    from tests.simulation.process import Life

__all__ = ["Exchange", "Job", "Steps", "ask", "job", "reconcile"]

COME_AGAIN_S = 5.0
"""How long an application waits before it wants the same thing again."""


class Exchange(NamedTuple):
    """One request to send.

    Args:
        kind: `create`, `query`, `list`, or `look` for a question about a task that nobody waits for.
        intent: Whose; -1 for nobody's.
        task_id: Which task it asks for.
        body: The body of a create.
        timeout_s: How long to wait for the answer.
        attempt: Which attempt of the key a create is for.
        query: The query string, of a list.
    """

    kind: str
    intent: int
    task_id: str
    body: bytes
    timeout_s: float
    attempt: int = 0
    query: str = ""


Steps = Generator[Any, Any, Any]
Job = Generator[Any, Any, None]


def ask(life: Life, machine: Any, perform: Callable[[Any], Steps]) -> Generator[Any, Any, Done]:
    """Carry out a machine's commands until there are none, as the blocking driver does."""
    while True:
        now = life.now()
        command = machine.next_command(now)
        if type(command) is SleepUntil:
            yield command.at_s
            continue
        if type(command) is Done:
            return command
        if type(command) is Submit:
            machine.receive(SubmitStarted(), now)
        came = yield from perform(command)
        if came is not None:
            machine.receive(came, life.now())


def job(life: Life, intent: Intent) -> Job:
    """Want one thing until it is had, or nothing more can be done for it."""
    after: Entry | None = None
    while True:
        filing = life.desk.new_filing(intent, after)
        began_s, halted_s, policy = life.now().monotonic_s, life.halted_s, life.submit_policy
        submission, done = yield from _submit(life, intent, filing)
        most_s = policy.timeout_s + policy.attempt_timeout_s
        life.judge.waited(life.name, began_s, most_s, life.now().monotonic_s, life.halted_s - halted_s)
        if submission.accepted is None:
            if done.reason in {DoneReason.REFUSED, DoneReason.IN_DOUBT}:
                life.judge.said(intent.key, filing.entry.attempt, None, str(_owed(done)))
                return
            later_s = max(life.now().monotonic_s + COME_AGAIN_S, done.come_back_at_s or 0.0)
            yield later_s
            continue
        now = life.now()
        record = life.desk.record_of(filing, now) if filing.is_found else _accepted(submission, now)
        file = life.desk.open_file(filing, record)
        poller = Poller(
            record,
            LIFECYCLE,
            life.policy_for(intent),
            now,
            floor=life.query_floor,
            task_floor=life.floor_of(record.task_id),
        )
        yield from _wait(life, intent, poller, file)
        record, attempt = poller.record, filing.entry.attempt
        if life.dies_at(intent.number, "heard of its end"):
            yield None
        life.desk.hand_over(file, record, life.now())
        life.judge.said(intent.key, attempt, record.task_id, str(record.billing))
        is_free = record.phase is Phase.FAILED and record.billing is Billing.NONE
        if not is_free or attempt >= len(intent.lives):
            return
        after = filing.entry


def reconcile(life: Life, core: ClientCore) -> Generator[Any, Any, list[str]]:
    """Look for the tasks of doubts, by the client's own steps, and return the keys for which one was found."""
    procedure = searching_of(core, life.now, RECONCILE_S).steps(None)
    came: Any = None
    broke: Exception | None = None
    while True:
        try:
            step = procedure.send(came) if broke is None else procedure.throw(broke)
        except StopIteration as end:
            for found in end.value:
                life.judge.settled(found.entry.key, found.entry.attempt, str(found.verdict))
            return [found.entry.key for found in end.value if found.verdict is Verdict.ADOPTED]
        except ListingFailed:
            return []
        came, broke = None, None
        if isinstance(step, Call):
            try:
                came = step.work()
            except ResilientPollError as error:
                broke = error
            continue
        lookup = core.new_lookup(step.timeout_s, life.now())
        done = yield from ask(life, core.query_in_turn(lookup), partial(_question, life, core, step))
        came = Asked(lookup, done)


def _question(life: Life, core: ClientCore, step: Question, command: Any) -> Steps:
    request = step.request
    query = request.url.partition("?")[2]
    kind = "list" if request.task_id is None else "look"
    what = yield Exchange(kind, -1, request.task_id or "", b"", command.timeout_s, query=query)
    return step.understand(what, life.now()) if isinstance(what, Answer) else core.failure_of_query(what)


def _owed(done: Done) -> Billing:
    return Billing.NONE if done.reason is DoneReason.REFUSED else Billing.UNDETERMINED


def _accepted(submission: Submission, now: Any) -> TaskRecord:
    accepted = submission.accepted
    assert accepted is not None
    return begun(accepted, now, submission.seed)


def _submit(life: Life, intent: Intent, filing: Filing) -> Generator[Any, Any, tuple[Submission, Done]]:
    floors = {"floor": life.create_floor, "query_floor": life.query_floor}
    submission = Submission(life.submit_policy, life.now(), seed=f"{life.name} {intent.key}", **floors)
    machine = submission if life.create_gate.is_open else InTurn(submission, life.create_gate)
    done = yield from ask(life, machine, lambda command: _send(life, intent, filing, submission, command))
    return submission, done


def _send(life: Life, intent: Intent, filing: Filing, submission: Submission, command: Submit) -> Steps:
    """Send by a licence of the ledger, and record what came before anybody sees it: the steps of the client's own."""
    if life.dies_at(intent.number, "before the licence"):
        yield None
    asked = life.now()
    instead = life.desk.license(filing, asked)
    if instead is not None:
        return instead
    if life.dies_at(intent.number, "licensed"):
        yield None
    if life.disk_s:
        yield life.now().monotonic_s + life.disk_s
    came: Observation | None = None
    while is_late(asked, life.now()):
        asked = life.now()
        if asked.monotonic_s > submission.last_start_s or not life.desk.is_held(filing):
            came = late_licence(submission, asked)
            break
    if came is None:
        attempt = filing.entry.attempt if filing.entry is not None else 0
        what = yield Exchange("create", intent.number, "", intent.body, command.timeout_s, attempt)
        if isinstance(what, Answer):
            came = translate.translate_create(what, life.dialect, life.now().wall_s)
        else:
            came = translate.create_failed(what)
        if life.dies_at(intent.number, "answered"):
            yield None
        if life.disk_s:
            yield life.now().monotonic_s + life.disk_s
    life.desk.write_down(filing, came, life.now(), submission.seed)
    if life.dies_at(intent.number, "written"):
        yield None
    return came


def _wait(life: Life, intent: Intent, poller: Poller, file: Any) -> Steps:
    """Wait until an end: each wait has its own deadline, and another follows."""
    machine = poller if life.query_gate.is_open else InTurn(poller, life.query_gate)
    task_id, interval_s = poller.task_id, life.policy.minimum_interval_s

    def look(command: Any) -> Steps:
        life.floor_of(task_id).raise_to(life.now().monotonic_s + interval_s)
        what = yield Exchange("query", intent.number, task_id, b"", command.timeout_s)
        now = life.now()
        if isinstance(what, Answer):
            seen = translate.translate_query(what, life.dialect, task_id, now.wall_s)
        else:
            seen = translate.query_failed(what)
        life.desk.keep(file, poller, seen, now)
        if machine is not poller:
            machine._place.go()  # Its turn was used; the desk told the machine itself.

    while True:
        began = life.now()
        halted_s = life.halted_s
        done = yield from ask(life, machine, look)
        timeout_s = life.policy_for(intent).timeout_s
        life.judge.waited(life.name, began.monotonic_s, timeout_s, life.now().monotonic_s, life.halted_s - halted_s)
        if done.reason is DoneReason.ENDED:
            return
        pause_s = COME_AGAIN_S if done.reason is DoneReason.POLL_REFUSED else 0.0
        yield max(life.now().monotonic_s + pause_s, done.come_back_at_s or 0.0)
        poller.begin_wait(life.policy_for(intent), life.now())
