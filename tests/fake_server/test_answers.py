"""What every answer carries besides its body: the headers of the vendor's proxies, content types, packing."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from tests.fake_server.driving import ASYNC, BASES, BODY, KEY, TASKS, VIDEO, Hand, content, header, lifecycle_scenario

if TYPE_CHECKING:
    from pathlib import Path

    from fake_server.engine import Reply

TAKES_GZIP = ("Accept-Encoding", "gzip, deflate, br")


def full_hand(folder: Path, extra: str = "") -> Hand:
    """A world whose list is long."""
    hand = Hand.on(lifecycle_scenario(folder, "RUNNING", extra=extra))
    for _ in range(20):
        hand.created()
    return hand


def listed(hand: Hand, *headers: tuple[str, str], method: str = "GET") -> Reply:
    """A long page of the list; the next one is a second later."""
    hand.now_s += 1.0
    return hand.ask(method, "/api/v1/tasks/", "page_size=20", headers=(KEY, *headers))


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("", False),
    ],
)
def test_long_answers_are_packed_for_who_accepts_it(tmp_path: Path, accepted: str, packed: bool) -> None:
    """A long body is gzip for a request that accepts it, and says so; its length is that of what is sent."""
    hand = full_hand(tmp_path)
    plain, reply = listed(hand), listed(hand, ("accept-encoding", accepted))
    assert header(plain, "content-encoding") is None
    assert header(reply, "content-encoding") == ("gzip" if packed else None)
    assert header(reply, "vary") == ("accept-encoding" if packed else None)
    assert header(reply, "content-length") == str(len(reply.body))
    body = json.loads(gzip.decompress(reply.body) if packed else reply.body)
    assert body["data"] == content(plain)["data"]
    assert (len(reply.body) < len(plain.body)) == packed


def test_short_answers_are_packed_only_on_request(tmp_path: Path) -> None:
    """A short body goes out as it is, unless the scenario packs everything."""
    for extra, packed in (("", False), ("service: {gzip: always}", True)):
        hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING", extra=extra))
        reply = hand.ask("GET", "/api/v1/tasks/nobody", headers=(KEY, TAKES_GZIP))
        assert (header(reply, "content-encoding") == "gzip") == packed


def test_the_same_answer_is_packed_into_the_same_bytes(tmp_path: Path) -> None:
    """Packing adds no time of its own to an answer."""
    first, second = (listed(full_hand(tmp_path), TAKES_GZIP) for _ in range(2))
    assert first.body == second.body
    assert first.body[4:8] == bytes(4), "where gzip keeps a time (RFC 1952, 2.3)"


def test_the_vendors_proxies_leave_their_headers(tmp_path: Path) -> None:
    """Every `dashscope` answer, errors too, carries them: its id is the body's, its times are the world's."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    hand.now_s = 2.5
    for reply in (
        hand.ask("POST", BASES["dashscope"] + VIDEO, headers=(KEY, ASYNC), body=BODY),
        hand.ask("GET", "/api/v1/tasks/nobody"),
        hand.ask("GET", "/api/v1/nowhere"),
    ):
        assert header(reply, "server") == "istio-envoy"
        assert header(reply, "x-request-id") == content(reply)["request_id"]
        assert header(reply, "req-arrive-time") == header(reply, "resp-start-time") == "1750000002500"
        assert header(reply, "x-envoy-upstream-service-time") == header(reply, "req-cost-time")
    gateway = hand.ask("GET", f"{TASKS['aisa']}/nobody")
    assert header(gateway, "server") is None


def test_json_has_the_type_that_its_route_gives_it(tmp_path: Path) -> None:
    """The vendor's task routes name a charset, in errors too; its creates and the gateway do not."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    task_type, plain = "application/json;charset=UTF-8", "application/json"
    assert (
        header(hand.ask("POST", BASES["dashscope"] + VIDEO, headers=(KEY, ASYNC), body=BODY), "content-type") == plain
    )
    assert header(hand.ask("GET", "/api/v1/tasks/nobody"), "content-type") == task_type
    assert header(hand.ask("GET", "/api/v1/tasks", "page_no=0"), "content-type") == task_type
    assert header(hand.cancel("nobody"), "content-type") == task_type
    assert header(hand.ask("GET", f"{TASKS['aisa']}/nobody"), "content-type") == plain
