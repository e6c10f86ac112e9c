"""A header that names a create: sent where a service honours one, the same for each sending of an attempt."""

from __future__ import annotations

from typing import Any

import pytest

from resilient_poll import ConfigurationError, DashScope, IdempotencyHeader, SubmitInDoubt, TaskFailed
from resilient_poll.dashscope.keeping.header import HeaderTreatment
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.memory import MemoryLedger
from tests.dashscope.ledger_clients import BUSY, FAILED, LOST, Service
from tests.dashscope.scripted import KEY, Asked, Broken, Reply, a_client
from tests.support.colours import COLOURS, INPUT, MODEL, got, run_in

in_each_colour = pytest.mark.parametrize("colour", COLOURS)
HONOURED = IdempotencyHeader.honoured("X-Request-Once")


class Noting:
    """A service that notes what creates are called.

    Attributes:
        names: The header's value of each create, or None.
    """

    def __init__(self, *creates: Reply | Broken, **more: Any) -> None:
        self.service = Service(*creates, **more)
        self.names: list[str | None] = []

    def __call__(self, asked: Asked) -> Reply | Broken:
        if asked.method == "POST":
            self.names.append(asked.headers.get("x-request-once"))
        else:
            assert "x-request-once" not in asked.headers, "a query is called nothing"
        return self.service(asked)


@in_each_colour
def test_each_attempt_has_a_name_of_its_own(colour: str) -> None:
    """Every sending of an attempt has the same value, another attempt, key, account or origin another one."""
    service, ledger = Noting(BUSY, BUSY, steps=(FAILED,)), MemoryLedger()

    async def main() -> None:
        for account in ("a", "b"):
            options = {"ledger": ledger, "account": account, "idempotency_header": HONOURED}
            async with a_client(colour, "httpx", service, VirtualClock(), **options) as client:
                task = await got(client.submit(MODEL, INPUT, idempotency_key="k"))
                with pytest.raises(TaskFailed):
                    await got(task.wait())
                await got(client.retry("k", MODEL, INPUT))
                await got(client.submit(MODEL, INPUT, idempotency_key="other"))
                await got(client.submit(MODEL, INPUT))

    run_in(colour, main)
    names = service.names
    assert names[0] == names[1] == names[2], "thrice the same attempt"
    assert len(set(names)) == len(names) - 2
    for name in names:
        assert name is not None
        assert len(name) == 64
        assert int(name, 16)


@in_each_colour
@pytest.mark.parametrize("header", [None, IdempotencyHeader.ignored(), IdempotencyHeader.rejected("X-Request-Once")])
def test_where_it_is_not_honoured_nothing_is_sent(colour: str, header: IdempotencyHeader | None) -> None:
    """Unless a service is said to honour it, no create carries the header."""
    service = Noting()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=MemoryLedger(), idempotency_header=header) as client:
            await got(client.submit(MODEL, INPUT, idempotency_key="k"))

    run_in(colour, main)
    assert service.names == [None]


@in_each_colour
def test_a_header_permits_no_replay(colour: str) -> None:
    """Also where the header is honoured, a create whose answer was lost is in doubt and not sent again by itself."""
    service, ledger = Noting(LOST), MemoryLedger()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=ledger, idempotency_header=HONOURED) as client:
            for _ in range(2):
                with pytest.raises(SubmitInDoubt):
                    await got(client.submit(MODEL, INPUT, idempotency_key="k"))
            assert len(service.names) == 1
            (entry,) = ledger.entries()
            ledger.license_resubmit(entry, now_wall_s=1.0)  # A human decided.
            await got(client.submit(MODEL, INPUT, idempotency_key="k"))

    run_in(colour, main)
    assert service.names[0] == service.names[1], "what is sent again after a doubt is the same attempt"


def test_a_key_holds_without_a_ledger_too() -> None:
    """Without a ledger a submit under a key carries its name, and one without a key is called nothing."""
    service = Noting()

    async def main() -> None:
        async with a_client("sync", "httpx", service, idempotency_header=HONOURED) as client:
            client.submit(MODEL, INPUT)
            client.submit(MODEL, INPUT, idempotency_key="k")

    run_in("sync", main)
    assert service.names[0] is None
    assert service.names[1] is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"idempotency_header": "honoured"}, "must be an IdempotencyHeader"),
        ({"idempotency_header": IdempotencyHeader.honoured("Authorization")}, "means something else"),
        ({"idempotency_header": HONOURED, "headers": {"x-request-once": "1"}}, "is among headers"),
        ({"idempotency_header": IdempotencyHeader.rejected(), "headers": {"idempotency-key": "1"}}, "is among headers"),
    ],
    ids=["a text", "taken", "twice", "rejected and sent"],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    """What is no such header, is another one, or is sent by the caller already is refused when the client is made."""
    with pytest.raises(ConfigurationError, match=said):
        DashScope(dialect="dashscope", api_key=KEY, **options)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "x\ny", "\u00e9", 7, None])
def test_a_name_is_a_name(name: Any) -> None:
    """What cannot be a header's name is refused, and so is a treatment that there is not."""
    with pytest.raises(ConfigurationError, match="name is none"):
        IdempotencyHeader.honoured(name)
    with pytest.raises(ConfigurationError, match="honoured, rejected, ignored"):
        IdempotencyHeader("obeyed")  # type: ignore[arg-type]  # on purpose
    assert IdempotencyHeader("honoured") == IdempotencyHeader(HeaderTreatment.HONOURED)  # type: ignore[arg-type]  # as above
