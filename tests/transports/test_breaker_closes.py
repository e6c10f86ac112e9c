"""The way back: a breaker whose server is well again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_poll.transports.rules.breaker import Admitted, Breaker, BreakerPolicy, BreakerState, CallResult, Rejected

CALLS = 10


@settings(deadline=None)
@given(probes=st.integers(1, 5), open_s=st.integers(1, 60), late_s=st.integers(0, 5))
def test_a_server_that_is_well_again_gets_all_calls(probes: int, open_s: int, late_s: int) -> None:
    """Once it was open for its time, as many calls as are probes pass; when all were well, every call passes."""
    breaker = Breaker(BreakerPolicy(probes=probes, open_s=float(open_s), least_calls=CALLS))
    for _ in range(CALLS):
        admitted, _ = breaker.admit(0.0)
        assert isinstance(admitted, Admitted)
        breaker.note(admitted, CallResult.FAILED, 0.0)
    assert breaker.state is BreakerState.OPEN
    assert isinstance(breaker.admit(open_s - 0.5)[0], Rejected)
    now_s = float(open_s + late_s)
    out = [breaker.admit(now_s)[0] for _ in range(probes + 1)]
    assert [type(one) for one in out] == [Admitted] * probes + [Rejected]
    for admitted in out[:probes]:
        assert breaker.state is BreakerState.HALF_OPEN
        assert isinstance(admitted, Admitted)
        breaker.note(admitted, CallResult.WELL, now_s)
    assert breaker.state is BreakerState.CLOSED
    assert all(isinstance(breaker.admit(now_s)[0], Admitted) for _ in range(CALLS))
