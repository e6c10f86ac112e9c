"""What a task costs: a table of prices, and how many units a request asks for or an answer charges. Pure.

Amounts are decimal, as they are on a bill. What is asked for is estimated upwards where the
request leaves it open, since guards must not let through what may cost more; what was made is
read from the answer.

Source for the units: Alibaba Cloud Model Studio, *API reference* of each model, ``usage``: seconds
of video, images that were made. Read in 2026.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from resilient_poll.dashscope.wire.endpoints import Endpoint
from resilient_poll.dashscope.wire.results import assets_of, usage_of
from resilient_poll.errors import ConfigurationError
from resilient_poll.ledger.amounts import EXACT
from resilient_poll.ledger.entry import Charge

__all__ = ["Price", "PriceTable", "load_price_table", "prices_of"]

UNITS = ("second", "image", "task")
DEFAULT_SECONDS = Decimal(15)
"""Seconds of a video whose request names none: models make 5 to 15, and an estimate is made upwards."""
DEFAULT_IMAGES = Decimal(4)
"""Images of a request that names no number: older models make four, newer ones one."""
LARGEST_FILE_BYTES = 1_000_000
DEEPEST = 20
"""A price table is two brackets deep."""
_BRACKETS = re.compile(r"[\[\]{}]")
_MOST_UNITS = Decimal(100_000)
_MOST_AMOUNT = Decimal(1_000_000_000)
_DECIMALS = 9
"""As many as a ledger keeps; what is smaller is rounded up."""
_SMALLEST = Decimal(f"1E-{_DECIMALS}")
_SECONDS_USED = ("video_duration", "output_video_duration", "duration")
"""Where several stand, the largest counts: ``duration`` is the sum where an input video is charged as well."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a unit of a model costs.

    Attributes:
        model: The model's name, or a pattern with ``*``.
        unit: ``"second"`` of video, ``"image"`` or ``"task"``.
        amount: Of one unit.
    """

    model: str
    unit: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices of models, in one currency.

    Attributes:
        currency: In what, as ``USD``.
        prices: The rows; a name stands before a pattern, a longer pattern before a shorter.
    """

    currency: str
    prices: tuple[Price, ...]

    @classmethod
    def of(cls, values: object) -> PriceTable:
        """Read a table: ``{"currency": "USD", "models": {"wan2.6-*": {"second": "0.10"}}}``.

        Amounts are texts or whole numbers: a binary fraction is no price.

        Args:
            values: The table, as JSON or YAML hold it.

        Raises:
            ConfigurationError: It is none; the text says what is wrong.
        """
        if not isinstance(values, Mapping):
            raise _Wrong(f"a price table is a mapping, not {type(values).__name__}")
        unknown = sorted(str(name) for name in values if name not in {"currency", "models"})
        if unknown:
            said = f"a price table has currency and models, not {', '.join(unknown)!r:.80}"
            raise _Wrong(said, unknown[0], is_key=True)
        currency, models = values.get("currency"), values.get("models")
        if not isinstance(currency, str) or not currency.isalpha() or not 0 < len(currency) <= 8:  # USD, CNY
            said = f"the price table's currency must be a word such as USD, not {_quoted(currency)}"
            raise _Wrong(said, "currency")
        if not isinstance(models, Mapping) or not models:
            raise _Wrong("the price table's models must be a mapping that holds at least one", "models")
        rows = [_read_price(model, row) for model, row in models.items()]
        return cls(currency, tuple(sorted(rows, key=lambda row: ("*" in row.model, -len(row.model), row.model))))

    @classmethod
    def load(cls, path: str | Path) -> PriceTable:
        """Read a table from a file; see :func:`load_price_table`."""
        return load_price_table(path)

    def price_of(self, model: str) -> Price | None:
        """Return what a unit of a model costs, or None if no row fits it."""
        return next((row for row in self.prices if row.model == model or fnmatchcase(model, row.model)), None)

    def expected(self, model: str, endpoint: Endpoint, parameters: Mapping[str, Any] | None) -> Charge | None:
        """Return what a request will cost at most if it succeeds.

        None if the model has no price, or if the request does not say how much it is of: the length of a
        recording that is transcribed, say.

        Args:
            model: The model's name.
            endpoint: Where it is asked for.
            parameters: How.
        """
        price = self.price_of(model)
        asked = parameters or {}
        if price is None:
            return None
        if price.unit == "task":
            return self._charge(price, Decimal(1))
        number = _number(asked.get("n"))
        if price.unit == "image":
            return self._charge(price, number or (Decimal(1) if endpoint.makes == "video" else DEFAULT_IMAGES))
        if endpoint.makes != "video" and (endpoint.dialects or asked.get("duration") is None):
            return None
        seconds = _number(asked.get("duration")) or DEFAULT_SECONDS
        return self._charge(price, EXACT.multiply(seconds, number or Decimal(1)))

    def charged(self, model: str, result: object) -> Charge | None:
        """Return what an answer says that a success costs; None if there is no price, or it does not say.

        Args:
            model: The model's name.
            result: The whole answer.
        """
        price = self.price_of(model)
        if price is None:
            return None
        usage = usage_of(result)
        if price.unit == "task":
            return self._charge(price, Decimal(1))
        if price.unit == "image":
            count = usage.get("image_count")
            is_count = isinstance(count, int) and not isinstance(count, bool) and count >= 0
            made = Decimal(count) if is_count else Decimal(len(assets_of(result)))  # type: ignore[arg-type]  # checked
            return self._charge(price, made) if is_count or made else None
        said = [found for name in _SECONDS_USED if (found := _number(usage.get(name)))]
        videos = _number(usage.get("video_count")) or Decimal(1)
        return self._charge(price, EXACT.multiply(max(said), videos)) if said else None

    def _charge(self, price: Price, units: Decimal) -> Charge | None:
        """Return the charge for some units, to nine decimals; None if there are more than can be."""
        if units > _MOST_UNITS:
            return None
        counted = units.quantize(_SMALLEST, context=EXACT) if _is_fine(units) else units
        amount = EXACT.multiply(price.amount, counted)
        rounded = amount.quantize(_SMALLEST, context=EXACT) if _is_fine(amount) else amount
        return Charge(rounded, self.currency, price.unit, counted)


def prices_of(model: str, charge: Charge) -> PriceTable | None:
    """Return the prices that a charge was made by; None where they do not show.

    Args:
        model: Of what.
        charge: What was expected of it when it was submitted.
    """
    if charge.unit not in UNITS or charge.units <= 0:
        return None
    # A table's prices have nine decimals at most, so this is the very price, though the amount was rounded upwards.
    amount = EXACT.divide(charge.amount, charge.units).quantize(_SMALLEST, ROUND_HALF_EVEN, context=EXACT)
    as_written = amount.quantize(charge.amount, context=EXACT)  # 0.10, not 0.100000000
    return PriceTable(charge.currency, (Price(model, charge.unit, as_written if as_written == amount else amount),))


class _Wrong(ConfigurationError):
    """A mistake in a table.

    Args:
        summary: What is wrong.
        place: The names that lead to it.
        is_key: Whether the last name itself is wrong, rather than what stands under it.
    """

    def __init__(self, summary: str, *place: object, is_key: bool = False) -> None:
        self.place = place
        self.is_key = is_key
        super().__init__(summary)


def load_price_table(path: str | Path) -> PriceTable:
    """Read a price table from a file: YAML, or JSON, which is YAML as well.

    Args:
        path: The file.

    Raises:
        ConfigurationError: It cannot be read, or is none: the text says where, with line and column. Or it is
            YAML, and the extra for the command line is not installed.
    """
    file = Path(path)
    try:
        with file.open("rb") as source:
            raw = source.read(LARGEST_FILE_BYTES + 1)
        text = raw.decode()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigurationError(f"the price table {str(file)!r} cannot be read: {why}") from None
    if len(raw) > LARGEST_FILE_BYTES:
        raise ConfigurationError(f"the price table {str(file)!r} is larger than {LARGEST_FILE_BYTES} bytes")
    try:
        return PriceTable.of(_parsed(text, file))
    except _Wrong as error:
        where = _position(text, error)
        raise ConfigurationError(f"the price table {str(file)!r}{where}: {error}") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"the price table {str(file)!r}: {error}") from None


def _parsed(text: str, file: Path) -> object:
    if file.suffix == ".json":
        try:
            return json.loads(text, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"it is no JSON ({error})") from None
        except InvalidOperation:
            raise ConfigurationError("it is no JSON (a number in it has an exponent that none can have)") from None
    try:
        from ruamel.yaml import YAML  # noqa: PLC0415  # an extra: a plain install reads JSON
        from ruamel.yaml.error import YAMLError  # noqa: PLC0415  # as above
    except ImportError:
        raise ConfigurationError(
            "YAML needs the extra: pip install 'resilient-poll[cli]'; or write it as .json"
        ) from None
    if _is_deep(text):
        raise ConfigurationError(
            f"it is no YAML that a price table is made of: its brackets are nested deeper than {DEEPEST}"
        )
    # Base: every scalar stays a text, so 0.10 is 0.10 and nothing is made of tags.
    try:
        return YAML(typ="base", pure=True).load(text)
    except (YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
        # The last four are faults of the parser on text that is none of its own.
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}, column {where.column + 1}" if where is not None else ""
        problem: str = getattr(error, "problem", None) or ""
        # What it quotes may be half a character, which no terminal takes.
        shown = "".join(one if one.isprintable() else "\ufffd" for one in problem.partition("\n")[0][:80])
        said = f" ({shown})" if shown else ""
        raise ConfigurationError(f"it is no YAML{line}{said}") from None


def _is_deep(text: str) -> bool:
    """Return whether brackets are nested as in no price table: a thousand of them take the parser seconds."""
    depth = 0
    for bracket in _BRACKETS.findall(text):
        depth = max(0, depth + (1 if bracket in "[{" else -1))
        if depth > DEEPEST:
            return True
    return False


def _position(text: str, error: _Wrong) -> str:
    """Return where in a file a mistake stands, as a clause; empty where nobody can say."""
    try:
        from ruamel.yaml import YAML, MappingNode  # noqa: PLC0415  # an extra, which JSON does without

        at = node = YAML(typ="base", pure=True).compose(text)
    except Exception:  # noqa: BLE001  # JSON that is no YAML, or no reader of YAML: the mistake is told all the same
        return ""
    for name in error.place:
        pairs = node.value if isinstance(node, MappingNode) else []
        found = [(key, value) for key, value in pairs if key.value == str(name)]
        if not found:
            break
        at, node = found[-1]
    mark = None if at is None else (at if error.is_key or at is node else node).start_mark
    return "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"


def _read_price(model: object, row: object) -> Price:
    if not isinstance(model, str) or not model:
        raise _Wrong(f"a model's name is a text, not {_quoted(model)}", "models", model, is_key=True)
    if not isinstance(row, Mapping) or len(row) != 1:
        said = f"the price of {model!r:.80} must be one unit with its amount: {{second: 0.10}}"
        raise _Wrong(said, "models", model)
    unit, amount = next(iter(row.items()))
    if unit not in UNITS:
        said = f"the unit of {model!r:.80} must be one of {', '.join(UNITS)}, not {_quoted(unit)}"
        raise _Wrong(said, "models", model, unit, is_key=True)
    return Price(model, unit, _amount(model, unit, amount))


def _amount(model: str, unit: str, amount: object) -> Decimal:
    # A float is refused: 0.1 is not a tenth there.
    is_exact = isinstance(amount, str | Decimal | int) and not isinstance(amount, bool)
    try:
        value = Decimal(amount) if is_exact else None  # type: ignore[arg-type]  # checked in the line above
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or not 0 <= value <= _MOST_AMOUNT or _is_fine(value):
        raise _Wrong(
            f"the amount for {model!r:.80} must be a number from 0 to {_MOST_AMOUNT} with nine decimals at most, "
            f"written as text, not {_quoted(amount)}",
            "models",
            model,
            unit,
        )
    return value.copy_abs()  # Minus zero is a price, too.


def _quoted(value: object) -> str:
    """Return how a message quotes a value; of one that aliases make endless, the beginning."""
    try:
        return reprlib.repr(value)[:60]
    except ValueError:  # An integer of 5,000 digits.
        return f"a value of type {type(value).__name__}"


def _is_fine(value: Decimal) -> bool:
    """Return whether a number has more decimals than a ledger keeps."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent < -_DECIMALS


def _number(value: object) -> Decimal | None:
    """Return a positive number of units from a request or an answer, or None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value)[:40])
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 else None
