"""All waiters that botocore ships, with ``botocore.waiter.Waiter`` as the oracle of what an answer means."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import botocore
import pytest
from botocore.exceptions import WaiterError
from botocore.waiter import SingleWaiterConfig, Waiter
from jmespath.exceptions import JMESPathError

from resilient_poll.machine.observations import Observation, Refused, StatusSeen, Throttled, Unreachable, Unreadable
from resilient_poll.specs.acceptors import Reply
from resilient_poll.specs.operation import OperationSpec
from tests.specs.example_replies import shape_of

AT_LEAST = 40
"""Answers that each waiter is compared by."""
TRIES = 400
"""Answers that are drawn to hit one acceptor before it is called out of reach."""
OUT_OF_REACH = {
    # Its expression finds true or false, and pathAll wants a list: later versions of the file have "path" there.
    ("ec2/2015-10-01/KeyPairExists", 0),
    # Both say what a line above them says.
    ("rds/2014-09-01/DBInstanceAvailable", 6),
    ("rds/2014-09-01/DBInstanceAvailable", 7),
}
"""What no answer can hit, because of the waiter itself."""
UNKNOWN_CODE = "SomethingThatNoAcceptorNames"


def all_waiters() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every waiter with its service, version and name."""
    for path in sorted(Path(botocore.__file__).parent.glob("data/*/*/waiters-2.json*")):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for name, waiter in sorted(json.loads(text)["waiters"].items()):
            yield f"{path.parts[-3]}/{path.parts[-2]}/{name}", waiter


WAITERS = dict(all_waiters())


def oracle(config: SingleWaiterConfig, response: dict[str, Any]) -> str:
    """Return what botocore makes of one answer: a state, ``no match: error`` or ``broke``."""
    config.max_attempts = 1
    try:
        Waiter("waiter", config, lambda: response).wait()
    except WaiterError as error:
        text = str(error)
        if "terminal failure" in text:
            return "failure"
        return "retry" if "Max attempts exceeded" in text else "no match: error"
    except JMESPathError:
        return "broke"
    return "success"


def ours(spec: OperationSpec, response: dict[str, Any]) -> str:
    """Return what we make of the same answer, in the same words."""
    seen: Observation = spec.observe(reply_of(response))
    match seen:
        case StatusSeen(status=status):
            return status
        case Unreadable():
            return "broke"
        case Refused() | Unreachable():
            return "no match: error"
        case _:
            raise AssertionError(seen)


def reply_of(response: dict[str, Any]) -> Reply:
    """Return an answer as botocore parses it in our form."""
    body = {name: value for name, value in response.items() if name not in {"Error", "ResponseMetadata"}}
    code = response.get("Error", {}).get("Code")
    return Reply(body, response["ResponseMetadata"]["HTTPStatusCode"], code)


def responses(waiter: dict[str, Any], random: Random) -> Iterator[dict[str, Any]]:
    """Yield answers: each error that is named, one that is not, each HTTP status, and bodies of the right shape."""
    acceptors = waiter["acceptors"]
    codes = [row["expected"] for row in acceptors if row["matcher"] == "error" and isinstance(row["expected"], str)]
    statuses = [row["expected"] for row in acceptors if row["matcher"] == "status"]
    for code in [*codes, UNKNOWN_CODE]:
        yield {"Error": {"Code": code, "Message": "x"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    for status in [*statuses, 200]:
        yield {"ResponseMetadata": {"HTTPStatusCode": status}}
    shape, literals = shape_of([row["argument"] for row in acceptors if "argument" in row])
    expected = [row["expected"] for row in acceptors if "argument" in row]
    leaves = [*expected, *expected, *literals, "another word", ""]
    for _ in range(TRIES):
        body = shape.drawn(random, leaves)
        yield {**(body if isinstance(body, dict) else {}), "ResponseMetadata": {"HTTPStatusCode": 200}}


def deciding(config: SingleWaiterConfig, response: dict[str, Any]) -> int | None:
    """Return which acceptor decides, by botocore's own matchers."""
    for number, acceptor in enumerate(config.acceptors):
        try:
            if acceptor.matcher_func(response):
                return number
        except JMESPathError:
            return None
    return None


def test_every_waiter_is_there() -> None:
    """The waiters that are compared are the 649 that the oracle ships, with their 1,745 acceptors."""
    assert len(WAITERS) == 649
    assert sum(len(waiter["acceptors"]) for waiter in WAITERS.values()) == 1745


@pytest.mark.parametrize("part", range(8))
def test_all_answers_mean_what_the_oracle_says(part: int) -> None:
    """Each acceptor of each waiter, and what none matches, means the same to us as to botocore."""
    out_of_reach, differ, compared = set(), [], 0
    for name, waiter in list(WAITERS.items())[part::8]:
        spec, config = OperationSpec.from_botocore(waiter, name=name), SingleWaiterConfig(waiter)
        wanted: set[int | None] = {*range(len(waiter["acceptors"])), None}
        for number, response in enumerate(responses(waiter, Random(name))):  # noqa: S311  # it draws examples
            if number >= AT_LEAST and not wanted:
                break
            wanted.discard(deciding(config, response))
            compared += 1
            if oracle(config, response) != ours(spec, response):
                differ.append((name, response))
        out_of_reach |= {(name, number) for number in wanted if number is not None}
    assert differ == []
    assert out_of_reach <= OUT_OF_REACH
    assert compared >= AT_LEAST * (len(WAITERS) // 8)


def test_an_expression_that_cannot_be_applied_is_a_failed_question() -> None:
    """Where botocore ends a wait with a JMESPath error, ours goes on: the answer is unreadable, and no end."""
    waiter = WAITERS["rds/2014-10-31/DBInstanceDeleted"]
    response = {"DBInstances": None, "ResponseMetadata": {"HTTPStatusCode": 200}}
    assert oracle(SingleWaiterConfig(waiter), response) == "broke"
    assert isinstance(OperationSpec.from_botocore(waiter).observe(reply_of(response)), Unreadable)


def test_an_error_that_no_acceptor_names_is_no_end() -> None:
    """Where botocore fails a wait because the service was down for a moment, or too busy, ours goes on."""
    waiter = WAITERS["rds/2014-10-31/DBInstanceDeleted"]
    spec = OperationSpec.from_botocore(waiter)
    for status, kind in ((503, Unreachable), (429, Throttled), (400, Refused)):
        response = {"Error": {"Code": UNKNOWN_CODE, "Message": "x"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        assert oracle(SingleWaiterConfig(waiter), response) == "no match: error"
        assert type(spec.observe(reply_of(response))) is kind
