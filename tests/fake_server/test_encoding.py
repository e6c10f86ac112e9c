"""Bodies are spelt as the standard library spells them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from fake_server.wire import bodies

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_a_body_is_the_json_of_the_standard_library(body: dict[str, object]) -> None:
    """Whatever a body holds, its bytes are those of `json.dumps`."""
    assert bodies.encode(body) == json.dumps(body).encode("ascii")
