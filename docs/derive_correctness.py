"""The tables of docs/correctness.md: the promises, the tests that check them, and with how many values they do.

What a test checks is its own docstring; the numbers are those of docs/examples_run.json, which
``python -m tests.properties.prove --write`` counted.
"""

from __future__ import annotations

import ast
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.planted.diffs import planted_bugs

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "docs" / "examples_run.json"
PROPERTIES = "tests/properties/"


class Promise(NamedTuple):
    """One of the thirteen: what must hold, which tests check it, and what they do not."""

    title: str
    holds: str
    tests: Sequence[str]
    not_checked: str


PROMISES = (
    Promise(
        "At most one accepted submit",
        "At most one submit is accepted for each attempt of an idempotency key, whatever is lost, repeated, delayed, "
        "paused or killed. What surely did not arrive, or was refused, may be sent again; everything else is in doubt, "
        "and never sent again by itself.",
        (
            f"{PROPERTIES}test_01_at_most_one_submit.py::test_at_most_one_submit_is_accepted",
            f"{PROPERTIES}test_01_at_most_one_submit.py::test_a_sending_is_licensed_once",
            "tests/ledger/test_properties.py::test_nothing_is_lost_or_paid_twice",
            "tests/ledger/test_properties.py::test_nothing_is_lost_or_paid_twice_in_a_file",
            "tests/dashscope/test_retry.py::test_nothing_is_paid_twice_without_consent",
            "tests/dashscope/test_reconcile_decisions.py::test_no_adoption_is_wrong",
            f"{PROPERTIES}test_batch.py::test_nobody_is_lost",
        ),
        "a service that makes two tasks of one request; what a caller's own client repeats by itself (a test shows "
        "that "
        "its body can be read once only).",
    ),
    Promise(
        "No paid task is forgotten",
        "The intent is durable before the request leaves, the id before the caller sees it. A kill at any instruction "
        "leaves the task, or the knowledge that money may be owed.",
        (
            f"{PROPERTIES}test_02_nothing_forgotten.py::test_an_interruption_at_any_line_forgets_nothing",
            f"{PROPERTIES}test_02_nothing_forgotten_in_a_batch.py::test_an_interruption_at_any_line_forgets_nothing",
            "tests/dashscope/test_ledger_interrupts.py::test_ctrl_c_at_any_line_leaves_the_truth",
            "tests/dashscope/test_worker_world.py::test_every_end_reaches_a_handler",
            f"{PROPERTIES}test_machine_leases.py::test_no_task_has_two_workers_and_none_is_passed_over",
        ),
        "a disk that lies about what it has written; a ledger's file that is restored from an older copy.",
    ),
    Promise(
        "The deadline is hard",
        "The caller hears by the timeout and 0.25 s, after one last poll just before it; what is raised then carries "
        "the id, the last status, the bill and a resume token.",
        (
            f"{PROPERTIES}test_03_deadline.py::test_a_wait_ends_by_its_deadline",
            f"{PROPERTIES}test_03_deadline.py::test_a_last_poll_comes_just_before_the_deadline",
            f"{PROPERTIES}test_machine_poller.py::test_whatever_is_heard_it_believes_and_does_what_it_may",
            "tests/testing/test_strategies.py::test_our_client_comes_to_an_end_in_every_one",
        ),
        "a machine so busy that a thread does not run for seconds; a handler of the caller's that blocks the event "
        "loop.",
    ),
    Promise(
        "No hammering",
        "Never a poll or create before the service's Retry-After, never faster than the floor (2 Hz), never a "
        "scheduled "
        "poll after an end; floors and limits are the account's.",
        (
            f"{PROPERTIES}test_04_no_hammering.py::test_polls_keep_their_distance",
            f"{PROPERTIES}test_04_no_hammering.py::test_no_poll_follows_an_end",
            f"{PROPERTIES}test_04_no_hammering.py::test_floors_are_shared_by_the_account",
            f"{PROPERTIES}test_batch.py::test_never_a_create_before_the_retry_after",
            f"{PROPERTIES}test_batch.py::test_the_declared_paces_are_kept",
            f"{PROPERTIES}test_machine_poller.py::test_whatever_is_heard_it_believes_and_does_what_it_may",
            "tests/dashscope/test_rate_headers.py::test_whatever_is_said_of_the_quota_is_obeyed_within_bounds",
            "tests/transports/test_rule_limits.py::test_a_line_is_fair_and_bounded",
            "tests/transports/test_rule_breaker.py::test_the_breaker_is_what_the_naive_model_is",
        ),
        "several processes without a shared ledger: each keeps its own floor.",
    ),
    Promise(
        "A failed poll is not a failed task",
        "Network errors, 408, 429, 5xx, HTML, cut bodies and wrong types are absorbed within the error budget; a 4xx "
        "that "
        "says never ends the wait, and leaves the task's phase and bill as they were.",
        (
            f"{PROPERTIES}test_05_a_failed_poll.py::test_failures_are_absorbed",
            f"{PROPERTIES}test_05_a_failed_poll.py::test_a_refusal_ends_the_wait_and_not_the_task",
            "tests/dashscope/test_results.py::test_whatever_comes_is_read_without_a_fault",
            f"{PROPERTIES}test_machine_poller.py::test_whatever_is_heard_it_believes_and_does_what_it_may",
        ),
        "a gateway that answers with a well-formed status which the service never gave.",
    ),
    Promise(
        "Ends absorb",
        "After an end the bill may only rise, and only EXPIRED can be reopened; a status that goes backwards or that "
        "nobody "
        "listed is reported, and not believed for ever.",
        (
            f"{PROPERTIES}test_06_ends_absorb.py::test_ends_absorb",
            f"{PROPERTIES}test_06_ends_absorb.py::test_expired_is_reopened_by_an_answer",
            f"{PROPERTIES}test_06_ends_absorb.py::test_backwards_and_unlisted_are_reported",
            f"{PROPERTIES}test_06_ends_absorb.py::test_an_unlisted_status_is_not_believed_for_ever",
            f"{PROPERTIES}test_machine_poller.py::test_whatever_is_heard_it_believes_and_does_what_it_may",
        ),
        "an end that the service takes back for good, as when a paid success is declared void a day later.",
    ),
    Promise(
        "Billing is never understated",
        "NONE is said only where nothing is owed, BILLED only where it is, and what is said is as exact as what was "
        "observed allows: it is compared with the fake's true bill.",
        (
            "tests/scenarios/test_07_billing.py::test_belief_and_truth_are_compatible",
            "tests/scenarios/test_07_billing.py::test_no_shipped_strategy_draws_an_understated_bill",
            "tests/scenarios/test_under_chaos.py::test_nothing_is_paid_twice_forgotten_or_hammered",
            "tests/dashscope/test_prices.py::test_an_estimate_is_never_below_the_bill",
            "tests/dashscope/test_generate.py::test_a_result_is_paid_once_and_what_is_said_of_it_is_true",
        ),
        "what a real service puts on its invoice: the rules by which the fake bills are those of the vendor's pages.",
    ),
    Promise(
        "One trace; a snapshot goes on",
        "Blocking code, asyncio and trio, on httpx and httpx2, do and say the same at the same instants; a snapshot of "
        "an accepted task resumes to the same end.",
        (
            "tests/scenarios/test_08_same_trace.py::test_all_drivers_give_the_same_trace",
            "tests/scenarios/test_08_same_trace.py::test_a_snapshot_resumes_to_the_same_end",
            "tests/machine/test_snapshot.py::test_a_snapshot_survives_json",
            f"{PROPERTIES}test_machine_poller.py::test_whatever_is_heard_it_believes_and_does_what_it_may",
            "tests/transports/test_middleware_same_trace.py::test_every_way_does_the_same",
        ),
        "uvloop and other event loops; a snapshot that another release wrote.",
    ),
    Promise(
        "Keys stay home",
        "No secret is in logs, reprs, errors, snapshots, the ledger or telemetry; `Authorization` follows no "
        "redirect to, "
        "and goes with no download from, another host.",
        (
            f"{PROPERTIES}test_09_keys_stay_home.py::test_no_key_is_ever_said",
            "tests/security/test_redaction.py::test_a_key_is_taken_out_however_it_was_quoted",
        ),
        "memory dumps; what a debugger, a proxy of the caller's or a hook in the caller's client sees.",
    ),
    Promise(
        "The fake says only what the contract says",
        "Every key, type, word and code of the fake stands in a body of scenarios/contract, unless the scenario asks "
        "for something wrong.",
        (
            f"{PROPERTIES}test_10_only_the_contract.py::test_the_engine_says_only_what_the_contract_holds",
            f"{PROPERTIES}test_machine_quotas.py::test_who_runs_waits_and_is_sent_away",
        ),
        "whether the bodies are true: most are the vendor's documentation, none was recorded by us, and each says "
        "which.",
    ),
    Promise(
        "Same requests, same answers",
        "Same scenario, same seed, same requests: the same answers, byte for byte, ids and dates included.",
        (
            f"{PROPERTIES}test_11_same_answers.py::test_the_same_requests_get_the_same_answers",
            "tests/fake_server/test_fault_properties.py::test_the_same_seed_and_requests_give_the_same_bytes",
            "tests/fake_server/test_fault_properties.py::test_a_rule_more_changes_no_other_rule",
            "tests/fake_server/test_clock.py::TestClockLife::runTest",
        ),
        "the order in which requests arrive that are sent at once; another release.",
    ),
    Promise(
        "The bill is exact",
        "It is what the true states of all tasks cost, to the last digit, whatever any client saw or asked.",
        (
            f"{PROPERTIES}test_12_exact_bill.py::test_timed_lives_do_not_notice_who_asks",
            f"{PROPERTIES}test_12_exact_bill.py::test_the_bill_is_the_true_state_times_the_price",
            f"{PROPERTIES}test_machine_bill.py::test_the_bill_is_exact_whatever_the_client_heard",
        ),
        "prices: they are invented, and a scenario can set them.",
    ),
    Promise(
        "Worlds apart, and nothing breaks",
        "Worlds do not leak into each other; nothing a client sends makes the fake crash, grow without bound, or "
        "leave its "
        "folder.",
        (
            f"{PROPERTIES}test_13_worlds_apart.py::test_worlds_do_not_leak",
            f"{PROPERTIES}test_13_worlds_apart.py::test_nothing_a_client_sends_is_answered_by_an_unscripted_500",
            "tests/fake_server/test_bad_input.py::test_no_request_meets_a_500_that_nobody_asked_for",
            "tests/fake_server/test_hostile_admin.py::test_the_service_always_answers",
            "tests/fake_server/test_hostile_admin.py::test_an_admin_page_always_answers",
        ),
        "a flood that fills the machine's network or file descriptors; bounded growth is measured by `make storm`.",
    ),
)


def promises() -> str:
    """Tell of each promise what checks it, with how many values, and what is not checked."""
    parts = []
    for number, promise in enumerate(PROMISES, 1):
        planted = sum(number in bug.properties for bug in planted_bugs())
        rows = [_row(test) for test in promise.tests]
        parts += [
            f"### {number}. {promise.title}\n\n{promise.holds}\n",
            "| checked by | values in `make test` | by `make prove` |\n|---|---:|---:|\n" + "\n".join(rows) + "\n",
            f"Bugs planted against it: {planted}. *Not checked:* {promise.not_checked}\n",
        ]
    return "\n".join(parts).strip()


def _row(test: str) -> str:
    file, *names = test.split("::")
    # A state machine that pytest runs as a case is known by its own name, and not by the case's.
    name = names[0].removeprefix("Test") if names[-1] == "runTest" else names[-1]
    return f"| {sentence_of(test)} [`{name}`](../{file}) | {tried('ci', test)} | {tried('night', test)} |"


def sentence_of(test: str) -> str:
    """Return what a test says of itself.

    Raises:
        KeyError: There is no such test.
    """
    file, *names = test.split("::")
    body: Sequence[ast.stmt] = ast.parse((ROOT / file).read_text()).body
    if names[0].startswith("Test"):
        # A state machine that pytest runs by the name of its case.
        names = [names[0].removeprefix("Test")]
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == names[0]:
            return " ".join((ast.get_docstring(node) or "").split()).replace("|", "\\|")
    raise KeyError(test)


@functools.cache
def _record() -> Mapping[str, Mapping[str, int]]:
    record: dict[str, dict[str, int]] = json.loads(RECORD.read_text())
    return record


def tried(profile: str, test: str) -> str:
    """Return with how many values a test was tried, all of its cases together."""
    counts = [count for name, count in _record().get(profile, {}).items() if name.partition("[")[0] == test]
    return f"{sum(counts):,}" if counts else "not yet"


def totals() -> str:
    """Sum up what was tried."""
    said = []
    for profile, command in (("ci", "`make test`"), ("night", "`make prove`")):
        counts = _record().get(profile, {})
        if counts:
            said.append(f"{command} tries {sum(counts.values()):,} values in {len(counts)} tests and cases")
    return "; ".join(said) + "."


BLOCKS: Mapping[str, Callable[[], str]] = {"promises": promises, "examples-run": totals}
