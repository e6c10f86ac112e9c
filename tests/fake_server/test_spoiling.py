"""The plans by which answers are spoilt on the wire, judged by a parser that knows nothing of them."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import get_args

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.wire import spoiling
from fake_server.wire.messages import Drop, Reply, WireFault, WireFaultKind
from fake_server.wire.spoiling import CONTINUE, End, Pause, Send, Step, plan
from tests.fake_server.driving import UNTIMED

KINDS = get_args(WireFaultKind)
# What a client must not read as an answer, and what it may.
BROKEN = ("short_body", "missing_last_chunk", "bad_chunk", "garbage_status_line", "two_lengths", "huge_header")
WHOLE = ("drip", "stall", "continue_storm", "bad_gzip", "invalid_utf8", "extra_bytes")
UNSPOILT = ("drip", "stall", "continue_storm", "extra_bytes")

bodies = st.binary(max_size=60) | st.builds(lambda value: json.dumps(value).encode(), st.text(max_size=20))
headers = st.lists(st.tuples(st.sampled_from(["content-type", "date", "x-request-id"]), st.just("some")), max_size=3)


@st.composite
def replies(draw: st.DrawFn, fault: st.SearchStrategy[WireFault | None]) -> Reply:
    """Any reply of the engine's, packed or not."""
    body, lines = draw(bodies), draw(headers)
    if draw(st.booleans()):
        body, lines = gzip.compress(body, mtime=0), [*lines, ("content-encoding", "gzip")]
    lines.append(("content-length", str(len(body))))
    return Reply(draw(st.sampled_from([200, 404, 429, 503, 599])), tuple(lines), body, wire=draw(fault))


def faults(*kinds: str) -> st.SearchStrategy[WireFault | None]:
    """Faults of some kinds, with everything that can be said about them."""
    return st.builds(
        WireFault,
        st.sampled_from(kinds or KINDS),  # type: ignore[arg-type]  # the kinds are these words
        after_bytes=st.none() | st.integers(0, 400),
        every_s=st.sampled_from([0.0, 0.02]),
        for_s=st.sampled_from([0.0, 30.0]),
        count=st.integers(0, 2500),
    )


def sent(steps: list[Step]) -> bytes:
    """Everything that goes out."""
    return b"".join(step.data for step in steps if isinstance(step, Send))


def read(data: bytes) -> tuple[h11.Response, bytes]:
    """What h11, which httpx reads with, makes of these bytes and the connection's end."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("host", "fake")]))
    parser.send(h11.EndOfMessage())
    pieces = iter([data[start : start + 16_384] for start in range(0, len(data), 16_384)])  # as sockets give them
    response, body = None, b""
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            parser.receive_data(next(pieces, b""))
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert response is not None
            return response, body


@UNTIMED
@given(reply=replies(faults() | st.none()), keeps_alive=st.booleans())
def test_a_plan_is_total_and_ends_once(reply: Reply, keeps_alive: bool) -> None:
    """Every reply and fault has a plan, of pieces that are not empty, whose one end is its last step; a connection
    that was not to be kept is never kept."""
    steps = list(plan(reply, keeps_alive=keeps_alive))
    assert [isinstance(step, End) for step in steps] == [False] * (len(steps) - 1) + [True]
    assert all(step.data for step in steps if isinstance(step, Send))
    assert keeps_alive or steps[-1] != End("keep")


@UNTIMED
@given(reply=replies(st.none()))
def test_an_answer_without_a_fault_is_itself(reply: Reply) -> None:
    """What has no fault arrives as it is, and keeps its connection."""
    *_, end = steps = list(plan(reply))
    response, body = read(sent(steps))
    assert (response.status_code, body, end) == (reply.status, reply.body, End("keep"))


@UNTIMED
@given(reply=replies(faults(*BROKEN)))
def test_what_breaks_the_framing_is_refused_and_closed(reply: Reply) -> None:
    """A reader of HTTP refuses an answer of broken framing, and its connection is closed."""
    steps = list(plan(reply))
    assert steps[-1] == End("close")
    with pytest.raises(h11.RemoteProtocolError):
        read(sent(steps))


@UNTIMED
@given(reply=replies(faults(*WHOLE)))
def test_what_leaves_the_framing_whole_can_be_read(reply: Reply) -> None:
    """An answer whose framing is whole is read as one; only extra bytes behind it end the connection."""
    assert reply.wire is not None
    steps = list(plan(reply))
    response, body = read(sent(steps))
    assert response.status_code == reply.status
    assert steps[-1] == End("close" if reply.wire.kind == "extra_bytes" else "keep")
    if reply.wire.kind in UNSPOILT:
        assert body == reply.body


@UNTIMED
@given(reply=replies(faults("reset", "close", "stall")))
def test_a_cut_lets_a_prefix_through(reply: Reply) -> None:
    """A reset, a close and a stall first let exactly as many bytes through as was said: by default the head and half
    of the body; a stall then goes on."""
    fault = reply.wire
    assert fault is not None
    whole = sent(list(plan(reply._replace(wire=None))))
    steps = list(plan(reply))
    first = steps[0].data if isinstance(steps[0], Send) else b""
    wanted = len(whole) - len(reply.body) + len(reply.body) // 2 if fault.after_bytes is None else fault.after_bytes
    assert first == whole[:wanted]
    if fault.kind == "stall":
        assert Pause(fault.for_s) in steps
        assert sent(steps) == whole
    else:
        assert steps[-1] == End("reset" if fault.kind == "reset" else "close")
        assert sent(steps) == first


@UNTIMED
@given(reply=replies(faults("drip")))
def test_a_drip_is_a_byte_at_a_time(reply: Reply) -> None:
    """A drip sends single bytes, with the pause that was asked for between any two."""
    assert reply.wire is not None
    steps = list(plan(reply))[:-1]
    assert all(isinstance(step, Send) and len(step.data) == 1 for step in steps[::2])
    assert set(steps[1::2]) == {Pause(reply.wire.every_s)}


@UNTIMED
@given(reply=replies(faults("continue_storm")))
def test_a_storm_is_as_long_as_was_said(reply: Reply) -> None:
    """Before the answer stand exactly as many interim ones as was asked for, and no piece of them is long."""
    assert reply.wire is not None
    steps = list(plan(reply))
    assert sent(steps).startswith(CONTINUE * reply.wire.count + b"HTTP/1.1 %d " % reply.status)
    assert all(len(step.data) <= 65_536 for step in steps if isinstance(step, Send))


@UNTIMED
@given(reply=replies(faults("bad_gzip", "invalid_utf8")))
def test_spoilt_content_is_spoilt(reply: Reply) -> None:
    """Bad gzip cannot be unpacked, and invalid UTF-8 cannot be read as text nor as JSON, packed or not before."""
    assert reply.wire is not None
    response, body = read(sent(list(plan(reply))))
    names = dict(response.headers)
    if reply.wire.kind == "bad_gzip":
        assert names[b"content-encoding"] == b"gzip"
        with pytest.raises(zlib.error):
            gzip.decompress(body)
    else:
        assert b"content-encoding" not in names
        with pytest.raises(UnicodeDecodeError):
            body.decode()


def test_a_stall_without_end_says_no_more() -> None:
    """A stall of no stated length never sends the rest, whoever waits."""
    reply = Reply(200, (("content-length", "4"),), b"half", wire=WireFault("stall"))
    *_, pause, end = steps = list(plan(reply))
    assert (pause, end) == (Pause(None), End("close"))
    assert sent(steps).endswith(b"\r\n\r\nha")


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_drop_is_an_end_alone(how: str) -> None:
    """A dropped answer sends nothing, and ends as was said."""
    assert list(plan(Drop("before_commit", how))) == [End(how)]  # type: ignore[arg-type]  # these words


def test_a_long_plan_is_made_as_it_is_read() -> None:
    """The first steps of an endless-looking storm or drip are there at once: nothing is made in store."""
    storm = plan(Reply(200, (), b"", wire=WireFault("continue_storm", count=10**12)))
    assert next(storm) == Send(CONTINUE * spoiling.CONTINUES_AT_ONCE)
    drip = plan(Reply(200, (), b"x" * 10**6, wire=WireFault("drip")))
    assert next(drip) == Send(b"H")


def test_every_kind_has_its_plan() -> None:
    """No kind of fault lacks a plan, and none has two."""
    assert sorted([*spoiling._PLANS, *spoiling._SPOILT]) == sorted(KINDS)
    assert set(KINDS) == {*BROKEN, *WHOLE, "reset", "close"}
