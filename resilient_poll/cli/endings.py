"""What the commands about one task do at their end: they save, and say how to get what they did not save."""

from __future__ import annotations

from dataclasses import replace

from resilient_poll.cli.plan import Plan
from resilient_poll.cli.report import Report, report_of_direct, report_of_standing
from resilient_poll.cli.saving import check_free, check_writable
from resilient_poll.cli.session import Session
from resilient_poll.dashscope.client import DashScope
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.task import Task
from resilient_poll.errors import Standing
from resilient_poll.machine.lifecycle import Phase

__all__ = ["picked_up", "saved", "told"]


def picked_up(session: Session, client: DashScope, plan: Plan) -> Task:
    """Take up the task that was typed, once it is clear that what it made has a place."""
    if plan.target is not None:
        check_writable(plan.target)
    task = session.pick_up(client)
    if plan.target is not None and not plan.overwrite:
        check_free(plan.target, task.id)
    return task


def told(plan: Plan, standing: Standing) -> Report:
    """Report where a task stands, and how to get what it made."""
    report = report_of_standing(standing)
    if standing.phase is not Phase.SUCCEEDED or not (report.made.assets or report.made.raw):
        return report
    target = replace(plan, target=plan.target or ".")
    return report_of_standing(standing, next_command=target.command("download", standing.task_id))


def saved(session: Session, client: DashScope, made: Task | DirectOutcome, output: str) -> Report:
    """Save what was made, and report it."""
    files = session.save(client, made, output)
    if isinstance(made, DirectOutcome):
        return report_of_direct(made, files=files)
    return report_of_standing(made.standing, files=files)
