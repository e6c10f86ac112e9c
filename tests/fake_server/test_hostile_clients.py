"""What a hostile or clumsy client, or one that mixes things up, gets from one world."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from fake_server.engine import Drop, Reply
from tests.fake_server.driving import Hand, content, header, lifecycle_scenario

if TYPE_CHECKING:
    from pathlib import Path

LIFE = "PENDING 2s -> RUNNING 3s -> SUCCEEDED"


def test_the_bill_is_exact_however_many_digits_it_has(tmp_path: Path) -> None:
    """The longest price times the longest share is billed to the last digit, whatever the process rounds to."""
    extra = 'prices: {long: "999999.999999999", tiny: "0.000000001"}'
    life = '{lifecycle: "RUNNING 1s -> CANCELED", billed_share: "0.999999999"}'
    scenario = lifecycle_scenario(tmp_path, life, "RUNNING 1s -> SUCCEEDED", extra=extra)
    hand = Hand.on(scenario)
    for model, seconds in (("long", 599), ("tiny", 1), ("long", 600)):
        hand.created(f'{{"model": "{model}", "input": {{}}, "parameters": {{"duration": {seconds}}}}}'.encode())
    hand.now_s = 9.0
    with decimal.localcontext(prec=6):
        bill = hand.engine.bill(hand.now)
    with decimal.localcontext(prec=100):
        price = Decimal("999999.999999999")
        first = price * 599 * Decimal("0.999999999")
        assert [row.amount for row in bill.tasks] == [first, Decimal("0.000000001"), price * 600]
        assert bill.total == first + Decimal("0.000000001") + price * 600


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_is_refused(tmp_path: Path, number: str) -> None:
    """Numbers that only Python reads as JSON are no JSON (RFC 8259, 6), and make nothing."""
    hand = Hand.on(lifecycle_scenario(tmp_path, LIFE))
    reply = hand.create(f'{{"model": "m", "input": {{}}, "parameters": {{"seed": {number}}}}}'.encode())
    assert not isinstance(reply, Drop)
    assert (reply.status, content(reply)["message"]) == (400, "the body is not JSON")


def test_a_task_is_known_in_its_own_dialect_only(tmp_path: Path) -> None:
    """The gateway and the vendor are two services: neither knows, lists or cancels a task of the other, and neither's
    tasks take the other's room; one bill has them all."""
    extra = "quotas: {concurrent_tasks: 1}"
    vendor = Hand.on(lifecycle_scenario(tmp_path, LIFE, extra=extra))
    gateway = Hand(vendor.engine, "aisa")
    theirs, ours = gateway.created(), vendor.created()
    for hand in (vendor, gateway):
        hand.now_s = 1.0
    assert (vendor.status(theirs), gateway.status(ours)) == ("UNKNOWN", "UNKNOWN")
    assert (vendor.status(ours), gateway.status(theirs)) == ("PENDING", "PENDING")
    assert [row["task_id"] for row in vendor.listed()["data"]] == [ours]
    assert vendor.cancel(theirs).status == 400
    for hand in (vendor, gateway):
        hand.now_s = 5.0
    assert (vendor.status(ours), gateway.status(theirs)) == ("SUCCEEDED", "SUCCEEDED")
    assert vendor.engine.bill(vendor.now).billed_tasks == 2


def test_who_waits_in_one_dialect_takes_no_place_in_the_other(tmp_path: Path) -> None:
    """A create that waits as long as the gateway says is accepted, although tasks queue at the vendor."""
    vendor = Hand.on(lifecycle_scenario(tmp_path, LIFE, extra="quotas: {concurrent_tasks: 1}"))
    gateway = Hand(vendor.engine, "aisa")
    gateway.created()
    vendor.created()
    vendor.created()
    refused = gateway.create()
    assert isinstance(refused, Reply)
    gateway.now_s = float(header(refused, "retry-after") or "nan")
    assert gateway.created()


def test_head_knows_no_ranges(tmp_path: Path) -> None:
    """A range on a HEAD is passed over; the unit of one on a GET may be spelt in capitals (RFC 9110, 14.1, 14.2)."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING 1s -> SUCCEEDED"))
    task_id = hand.created()
    hand.now_s = 1.0
    path = hand.output(task_id)["video_url"].removeprefix("http://fake.test")
    head = hand.ask("HEAD", path, headers=(("range", "bytes=0-0"),))
    whole = hand.ask("GET", path)
    assert (head.status, header(head, "content-length")) == (200, str(len(whole.body)))
    assert hand.ask("GET", path, headers=(("range", "Bytes=0-0"),)).status == 206
