"""Price tables: what they look like, what is wrong with them, and estimates that are never too low."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import strategies as st

from fake_server.engine import Engine
from fake_server.moment import Moment
from resilient_poll import ConfigurationError, DashScope
from resilient_poll.dashscope.keeping import prices as prices_module
from resilient_poll.dashscope.keeping.prices import PriceTable, load_price_table
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS, IMAGE_SYNCHRONOUS, VIDEO, Endpoint
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.checks import charge_of
from resilient_poll.ledger.entry import Charge, Namespace
from resilient_poll.ledger.memory import MemoryLedger
from tests.scenarios.generated import read
from tests.support.in_process import ORIGIN, answer_from, engine_transport
from tests.support.properties import Property

YAML = """
currency: USD
models:
  wan2.6-t2v: {second: 0.10}
  "wan2.6-*": {image: 0.05}
  "*": {task: 1}
"""
VALUES: dict[str, Any] = {
    "currency": "USD",
    "models": {"wan2.6-t2v": {"second": "0.10"}, "wan2.6-*": {"image": "0.05"}, "*": {"task": 1}},
}


@pytest.mark.parametrize(("name", "text"), [("p.yaml", YAML), ("p.yml", YAML), ("p.json", json.dumps(VALUES))])
def test_a_file_is_the_table_that_it_says(tmp_path: Path, name: str, text: str) -> None:
    """YAML and JSON give the same table, exactly: a name stands before a pattern, a longer before a shorter one."""
    (tmp_path / name).write_text(text)
    table = load_price_table(tmp_path / name)
    assert table == PriceTable.of(VALUES)
    found = {model: table.price_of(model) for model in ("wan2.6-t2v", "wan2.6-t2i", "qwen-image")}
    assert {model: (price.unit, str(price.amount)) for model, price in found.items() if price} == {
        "wan2.6-t2v": ("second", "0.10"),
        "wan2.6-t2i": ("image", "0.05"),
        "qwen-image": ("task", "1"),
    }


def test_numbers_in_json_are_as_they_are_written(tmp_path: Path) -> None:
    """0.1 in a JSON file is a tenth, not the binary fraction that is next to it."""
    (tmp_path / "p.json").write_text('{"currency": "USD", "models": {"m": {"task": 0.1}}}')
    price = load_price_table(tmp_path / "p.json").price_of("m")
    assert price is not None
    assert str(price.amount) == "0.1"


def test_a_model_without_a_row_has_no_price() -> None:
    """A model that no row fits has no price, and patterns mind the case of letters."""
    table = PriceTable.of({"currency": "USD", "models": {"wan*": {"task": "1"}}})
    assert table.price_of("WAN2") is None
    assert table.expected("other", VIDEO, None) is table.charged("other", {}) is None


WRONG: list[tuple[object, str]] = [
    (None, "a price table is a mapping, not NoneType"),
    ([], "a price table is a mapping"),
    ({**VALUES, "model": 1}, "has currency and models, not 'model'"),
    ({**VALUES, 7: 1}, "not '7'"),
    ({"models": VALUES["models"]}, "currency must be a word such as USD, not None"),
    ({**VALUES, "currency": "$"}, "currency must be a word"),
    ({**VALUES, "currency": ""}, "currency must be a word"),
    ({**VALUES, "currency": "DOLLARSUS"}, "currency must be a word"),
    ({**VALUES, "models": {}}, "must be a mapping that holds at least one"),
    ({**VALUES, "models": ["m"]}, "must be a mapping that holds at least one"),
    ({**VALUES, "models": {7: {"task": "1"}}}, "a model's name is a text, not 7"),
    ({**VALUES, "models": {"": {"task": "1"}}}, "a model's name is a text"),
    ({**VALUES, "models": {"m": "1"}}, "must be one unit with its amount"),
    ({**VALUES, "models": {"m": {"task": "1", "second": "1"}}}, "must be one unit with its amount"),
    ({**VALUES, "models": {"m": {"minute": "1"}}}, "must be one of second, image, task, not 'minute'"),
    *(
        ({**VALUES, "models": {"m": {"task": amount}}}, "the amount for 'm' must be a number from 0 to 1000000000")
        for amount in (0.1, True, None, "-1", "NaN", "Infinity", "cheap", "1e10", "0.0000000001", "1" * 5000, [1])
    ),
]


@pytest.mark.parametrize(("values", "said"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_table_is_refused_in_one_sentence(values: object, said: str) -> None:
    """Each mistake in a table is one short sentence that names it."""
    with pytest.raises(ConfigurationError, match=said.replace("(", r"\(")) as caught:
        PriceTable.of(values)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


PLACES = [
    ("models:\n  m: {task: 1}\n", "line 1, column 1: the price table's currency"),
    ("currency: $\nmodels: {m: {task: 1}}\n", "line 1, column 11: the price table's currency"),
    ("currency: USD\n\nmodel: 1\n", "line 3, column 1: a price table has"),
    ("currency: USD\nmodels: []\n", "line 2, column 9: the price table's models"),
    ("currency: USD\nmodels:\n  m: 1\n", "line 3, column 6: the price of 'm'"),
    ("currency: USD\nmodels:\n  m:\n    minute: 1\n", "line 4, column 5: the unit of 'm'"),
    ("currency: USD\nmodels:\n  a: {task: 1}\n  m: {task: cheap}\n", "line 4, column 13: the amount for 'm'"),
    ("[1]", "line 1, column 1: a price table is a mapping"),
]


@pytest.mark.parametrize(("text", "said"), PLACES, ids=[said for _, said in PLACES])
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """Each mistake in a file is told with its line and column."""
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(f"p.yaml', {said}")):
        PriceTable.load(tmp_path / "p.yaml")


def test_a_mistake_in_json_is_told_with_its_place(tmp_path: Path) -> None:
    """A mistake in JSON has its place, too, and a table without mistakes is read from either."""
    (tmp_path / "p.json").write_text('{"currency": "USD",\n "models": {"m": {"task": true}}}')
    with pytest.raises(ConfigurationError, match=r"line 2, column 27: the amount for 'm'"):
        PriceTable.load(tmp_path / "p.json")
    (tmp_path / "p.json").write_text('{"currency": "USD",\n "models": {"m": {"task": 1}')
    with pytest.raises(ConfigurationError, match=r"it is no JSON \(.*line 2 column"):
        PriceTable.load(tmp_path / "p.json")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.yaml", b"currency: [", "it is no YAML in line"),
        ("p.yaml", b"- 1", "a mapping, not"),
        ("p.yaml", b"", "a mapping, not"),
        ("p.yaml", b"a: 1\na: 2\n", "it is no YAML in line 2, column 1"),
        ("p.yaml", b"!!python/object/apply:os.system [id]", "a price table is a mapping"),
        ("p.yaml", b"[" * 5000, "it is no YAML"),
        ("p.json", b"{", "it is no JSON"),
        ("p.json", b"[" * 100_000, "it is no JSON"),
        ("p.json", b"\xff", "it is no UTF-8 text"),
        ("p.json", b" " * 1_000_001, "larger than 1000000 bytes"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_wrong_file_is_refused_with_its_name(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """What cannot be read as a table is refused with the file's name, and nothing that it asks for is done."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_price_table(tmp_path / name)
    assert name in str(caught.value)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """A missing file and a folder are refused with the reason."""
    for path, said in ((tmp_path / "none.json", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigurationError, match=said):
            load_price_table(path)


@pytest.mark.parametrize(
    ("unit", "endpoint", "parameters", "units"),
    [
        ("second", "video", {"duration": 5}, "5"),
        ("second", "video", {"duration": "5"}, "5"),
        ("second", "video", {"duration": 5.5, "n": 2}, "11.0"),
        ("second", "video", {}, "15"),
        ("second", "video", None, "15"),
        ("second", "video", {"duration": -1}, "15"),
        ("second", "video", {"duration": True}, "15"),
        ("second", "video", {"duration": 10**9}, None),
        ("second", "transcription", {}, None),
        ("second", "transcription", {"duration": 5}, None),
        ("image", "text-to-image", {"n": 2}, "2"),
        ("image", "text-to-image", {}, "4"),
        ("image", "image-synchronous", {}, "4"),
        ("image", "video", {}, "1"),
        ("task", "model-3d", {"n": 3}, "1"),
    ],
)
def test_what_is_asked_for_is_estimated_upwards(
    unit: str, endpoint: str, parameters: dict[str, Any] | None, units: str | None
) -> None:
    """What a request leaves open is estimated upwards, and what nothing bounds has no estimate."""
    table = PriceTable.of({"currency": "USD", "models": {"m": {unit: "0.1"}}})
    charge = table.expected("m", ENDPOINTS[endpoint], parameters)
    assert (None if charge is None else str(charge.units)) == units
    if charge is not None:
        assert charge == Charge(Decimal("0.1") * charge.units, "USD", unit, charge.units)


@pytest.mark.parametrize(
    ("unit", "usage", "units"),
    [
        ("second", {"video_duration": 5, "video_count": 1}, 5),
        ("second", {"duration": 10, "input_video_duration": 5, "output_video_duration": 5, "video_count": 1}, 10),
        ("second", {"duration": 5, "video_count": 2}, 10),
        ("second", {"duration": "5"}, 5),
        ("second", {"duration": 0}, None),
        ("second", {"duration": 1e300}, None),
        ("second", {}, None),
        ("image", {"image_count": 3}, 3),
        ("image", {"image_count": 0}, 0),
        ("image", {"image_count": True}, None),
        ("image", {}, None),
        ("task", {}, 1),
    ],
)
def test_what_is_charged_is_what_the_answer_says(unit: str, usage: dict[str, Any], units: int | None) -> None:
    """What was made is charged as the answer's usage says, the dearest reading of it; silence is no charge."""
    table = PriceTable.of({"currency": "USD", "models": {"m": {unit: "0.1"}}})
    charge = table.charged("m", {"output": {}, "usage": usage})
    assert (None if charge is None else charge.units) == (None if units is None else Decimal(units))


def kept_exactly(amount: Decimal, duration: Any, digits: int) -> None:
    with localcontext() as context:
        context.prec = digits  # A program's own context must not round a bill.
        table = PriceTable.of({"currency": "USD", "models": {"m": {"second": amount}}})
        for charge in (
            table.expected("m", VIDEO, {"duration": duration}),
            table.charged("m", {"usage": {"duration": duration}}),
        ):
            if charge is None:
                continue
            text = json.dumps([str(charge.amount), charge.currency, charge.unit, str(charge.units)])
            assert charge_of(text) == charge, "a ledger can keep it"
            with localcontext() as wide:
                wide.prec = 80
                exact = amount * Decimal(str(duration))
                assert exact <= charge.amount <= exact + Decimal("1.1e-9") * (amount + 1)
                is_whole = isinstance(duration, int)
                assert not is_whole or charge.amount == exact


EXACT = Property(
    kept_exactly,
    amount=st.decimals(0, 10**9, places=9) | st.sampled_from([Decimal("0.07"), Decimal(0), Decimal("-0")]),
    duration=st.integers(1, 99_999) | st.floats(0.001, 90_000),
    digits=st.sampled_from([3, 28]),
)


def test_amounts_are_exact_and_can_be_kept() -> None:
    """Whole units are charged exactly, others to nine decimals and never less, and a ledger keeps every charge."""
    EXACT.holds()


def test_an_amount_that_is_cut_off_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: what a ledger cannot keep is cut off instead of rounded up."""
    monkeypatch.setattr(prices_module, "EXACT", Context(prec=60, rounding=ROUND_FLOOR))
    EXACT.catches_the_planted_fault()


FORMS = (
    "video",
    "keyframe-video",
    "text-to-image",
    "image-to-image",
    "image-messages",
    "image-synchronous",
    "model-3d",
)
SCENARIO = "version: 1\nsummary: Made at once.\ntasks: [SUCCEEDED]\nexpect: {outcome: SUCCEEDED}\n"
UNIT = {"video": "second", "images": "image", "3D model": "task"}


def never_too_low(
    name: str, model: str, number: int | None, duration: int | None, price: Decimal, waits_with: Decimal | None
) -> None:
    """Compare the estimate, the charge and the fake's own bill for one request; another client may wait for it."""
    endpoint, clock = ENDPOINTS[name], VirtualClock()
    parameters = {key: value for key, value in (("n", number), ("duration", duration)) if value is not None}
    start = clock.now()
    engine = Engine(read(SCENARIO), world="w1", seed=0, started=Moment(start.monotonic_s, start.wall_s))
    transport = engine_transport(httpx, lambda request, body: answer_from(engine, clock, request, body))
    table = PriceTable.of({"currency": "USD", "models": {model: {UNIT[endpoint.makes]: price}}})
    options: dict[str, Any] = {
        "dialect": "dashscope",
        "api_key": "sk-generated",
        "base_url": f"{ORIGIN}/api/v1",
        "http_client": httpx.Client(transport=transport),
        "clock": clock,
        "ledger": MemoryLedger(),
    }
    others = None if waits_with is None else replace(table, prices=(replace(table.prices[0], amount=waits_with),))
    with DashScope(**options, prices=table) as client, DashScope(**options, prices=others) as other:
        asked = table.expected(model, endpoint, parameters)
        made = client.generate if endpoint.is_synchronous else client.submit
        made(model, input_of(endpoint), parameters, endpoint=endpoint, idempotency_key="k")
        books = client._core.books
        assert books is not None
        if not endpoint.is_synchronous:
            other.resume("k").wait()
        (entry,) = books.ledger.entries()
    now = clock.now()
    (row,) = engine.bill(Moment(now.monotonic_s, now.wall_s)).tasks
    assert asked is not None
    assert entry.charge is not None
    assert entry.charge.amount == row.quantity * price, "the charge is what the fake bills"
    assert asked.amount >= entry.charge.amount, "the estimate is never too low"


def input_of(endpoint: Endpoint) -> dict[str, Any]:
    """Return an input that the fake takes."""
    if endpoint.name in {"image-messages", IMAGE_SYNCHRONOUS.name}:
        return {"messages": [{"role": "user", "content": [{"text": "a cat"}]}]}
    return {"prompt": "a cat"}


NEVER_TOO_LOW = Property(
    never_too_low,
    examples=150,
    name=st.sampled_from(FORMS),
    model=st.sampled_from(["wan2.2-t2v-plus", "wan2.6-t2v", "wan2.7-t2v", "happyhorse-1", "qwen-image", "other"]),
    number=st.none() | st.integers(1, 12),
    duration=st.none() | st.integers(1, 30),
    price=st.decimals("0.001", 100, places=4),
    waits_with=st.none() | st.decimals("0.001", 100, places=4),
)


def test_an_estimate_is_never_below_the_bill() -> None:
    """The estimate is never below the charge, and the charge is the bill at the submit's price, whoever waits."""
    NEVER_TOO_LOW.holds()


def test_an_estimate_that_is_too_low_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: where the number of images is left open, one is assumed."""
    monkeypatch.setattr(prices_module, "DEFAULT_IMAGES", Decimal(1))
    NEVER_TOO_LOW.catches_the_planted_fault()


def test_a_charge_is_filed_in_the_ledger() -> None:
    """A charge made of any price can be begun with, and stands in the entry as it was."""
    charge = PriceTable.of({"currency": "USD", "models": {"*": {"second": "0.123456789"}}}).expected("m", VIDEO, {})
    space = Namespace("https://api.test", "dashscope", "x")
    assert MemoryLedger().begin(space, "k", "digest", charge=charge, now_wall_s=1.0).charge == charge
