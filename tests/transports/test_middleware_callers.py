"""What callers hand to the transports, at its worst: functions that send requests themselves, odd keys, odd times."""

from __future__ import annotations

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import pytest

from resilient_poll import BreakerPolicy, ConfigurationError, HeadroomPolicy, Rate
from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import LIBRARIES, got, run_in
from tests.transports.scripted import EACH_WAY, Says, Script, client_over, inner_of, transport

URL = "http://api.test/thing"
each_way = pytest.mark.parametrize(("colour", "library"), EACH_WAY)
each_library = pytest.mark.parametrize("library", LIBRARIES)


def pickled(error: Any) -> Any:
    return pickle.loads(pickle.dumps(error))  # noqa: S301  # it was made here


@each_library
def test_what_names_the_key_may_ask_too(library: str) -> None:
    """A function that names the key may send a request through the same transport, and no lock is held meanwhile."""
    came: list[int] = []
    clients: list[Any] = []

    def key(request: Any) -> str:
        if request.url.path == "/thing":
            came.append(clients[0].get("http://api.test/tenant").status_code)
        return "tenant"

    def ask() -> None:
        clock = VirtualClock()
        over = transport(
            "sync", library, "ResilientTransport", inner_of(library, Script([Says()], clock)), clock=clock,
            key=key, places=2, rate=Rate.per_second(100), headroom=HeadroomPolicy(), breaker=BreakerPolicy(),
        )  # fmt: skip
        clients.append(LIBRARIES[library].Client(transport=over))
        came.append(clients[0].get(URL).status_code)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(30)
    assert came == [200] * 5, "each of the four layers asks for the key once"


@each_way
def test_a_key_that_is_no_name_is_refused(colour: str, library: str) -> None:
    """A key that cannot be told apart from others is refused in words, and nothing is sent."""
    clock = VirtualClock()
    script = Script([Says()], clock)

    async def main() -> None:
        over = transport(
            colour, library, "ConcurrencyTransport", inner_of(library, script), 1, key=lambda _: ["tenant"], clock=clock
        )
        async with client_over(colour, library, over) as client:
            with pytest.raises(ConfigurationError, match="not by a list"):
                await got(client.get(URL))

    run_in(colour, main)
    assert not script.requests


@each_library
def test_one_may_wait_for_longer_than_a_thread_can(library: str) -> None:
    """A patience beyond what the operating system can wait for is no error where one has to wait."""
    clock = VirtualClock()
    over = transport(
        "sync", library, "ConcurrencyTransport", inner_of(library, Script([Says()], clock)), 1,
        max_wait_s=1e12, clock=clock,
    )  # fmt: skip
    with LIBRARIES[library].Client(transport=over) as client:
        first = client.send(client.build_request("GET", URL), stream=True)
        with ThreadPoolExecutor(1) as threads:
            second = threads.submit(lambda: client.get(URL).status_code)
            while not over._layers[0]._lines.of((b"http", b"api.test", None, "")).waiting and not second.done():
                pass
            first.close()
            assert second.result(30) == 200


@each_library
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickled])
def test_an_error_can_be_carried_to_another_process(library: str, how: Any) -> None:
    """A copy of an error, or what another process makes of it, is of the same class and says the same."""
    kinds = import_module(f"resilient_poll.transports.{library}")
    response = LIBRARIES[library].Response(429, content=b"later")
    error = kinds.ComeBackLater("later", come_back_in_s=9.0, response=response, surely_not_sent=True)
    for original in (
        error,
        kinds.TotalTimeout("over", surely_not_sent=False),
        kinds.NoSlot("full", come_back_in_s=1.0),
    ):
        made = how(original)
        assert (type(made), str(made)) == (type(original), str(original))
        assert (made.come_back_in_s, made.surely_not_sent) == (original.come_back_in_s, original.surely_not_sent)
    assert how(error).response.content == b"later"
