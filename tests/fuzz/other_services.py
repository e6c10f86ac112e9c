"""What other services answer to an operation that is declared: to its submit, its queries, and for its result.

An input begins with the name of a declaration; the rest are answers, as in :mod:`.answers`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import httpx

from resilient_poll import Operation, ResilientPollError
from tests.fuzz.answers import NEXT, WAIT_S, Service, answers_of
from tests.fuzz.target import KEY, Target, told
from tests.specs.services import BY_NAME

__all__ = ["TARGETS"]

HOME = "http://api.test"


def _operation(raw: bytes) -> str:
    """Submit, wait for the result, and go on with what the token says."""
    name, _, rest = raw.partition(b"\n")
    service = BY_NAME.get(name.decode("latin-1")) or next(iter(BY_NAME.values()))
    answers = Service(answers_of(rest))
    options = {"clock": answers.clock}
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=HOME, headers=headers, transport=httpx.MockTransport(answers)) as http_client:
        came = []
        try:
            started = Operation.start(service.spec, http_client, {"prompt": "a"}, url=service.submits_to, **options)
            came.append("started")
            token = started.token
            outcome = started.wait(timeout=WAIT_S)
            came.append(f"ended {outcome.billing}")
            Operation.resume(service.spec, http_client, token, **options).refresh()
        except ResilientPollError as error:
            came.append(told(error))
        try:
            came.append(str(Operation.known(service.spec, http_client, "7", **options).cancel().phase))
        except ResilientPollError as error:
            came.append(told(error))
    assert answers.clock.now().monotonic_s < 6 * WAIT_S, "it waits and waits"
    posts = [status for method, status in answers.asked if method == "POST"]
    assert len(posts) <= 3 or 429 in posts, "it submits again and again"
    return " / ".join(came)


def _as_input(raw: bytes) -> bytes:
    """Return an answer as it goes over the wire in the form of an input."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    return b"\n".join([first.split()[1], *lines]) + b"\n\n" + body


@functools.cache
def _seeds() -> Sequence[bytes]:
    found = []
    for name, service in BY_NAME.items():
        accepts = _as_input(service.accepts(HOME))
        fetched = [_as_input(raw) for raw in service.fetches.values()]
        for word in ("succeeded", "failed", "unlisted"):
            said = [service.says[one](HOME) for one in ("running", word) if one in service.says]
            found.append(NEXT.join([name.encode() + b"\n" + accepts, *map(_as_input, said), *fetched]))
    return found


_WORDS = (
    *(b"\nlocation: ", b"\noperation-location: ", b"\nazure-asyncoperation: ", b"\nretry-after-ms: ", b"javascript:x"),
    *(b"http://other.test/x", b"//other.test/x", b"/x?y=%00", b"http://api.test:99999/", b"http://[::1]/", b"?", b"#"),
    *(b'"status": ', b'"id": ', b'"urls": ', b'"done": true', b'"response": ', b'"error": ', b'"name": ', NEXT),
)
TARGETS = (Target("operation", "answers to a declared operation", _seeds, _operation, _WORDS),)
