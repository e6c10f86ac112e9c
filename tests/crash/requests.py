"""What is asked for under which key, so that a line of the fake's bill tells whose task it is."""

from __future__ import annotations

from typing import Any

__all__ = ["key_of", "key_of_task", "number_of", "request_of"]

_MODELS = 4
"""Few enough for doubts to have neighbours: of a model that only one key asks for, any task would be the right one."""


def key_of(number: int) -> str:
    """Return the idempotency key of a request."""
    return f"order-{number}"


def number_of(key: str) -> int:
    """Return which request a key stands for."""
    return int(key.rpartition("-")[2])


def request_of(number: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return model, input and parameters of a request; no two have both model and duration in common."""
    model = f"wan2.5-t2v-{number % _MODELS}"
    return model, {"prompt": f"a cat, number {number}"}, {"duration": 1 + number // _MODELS}


def key_of_task(row: dict[str, Any]) -> str:
    """Return whose task a line of the fake's bill is."""
    model = int(row["model"].rpartition("-")[2])
    return key_of((int(row["quantity"]) - 1) * _MODELS + model)
