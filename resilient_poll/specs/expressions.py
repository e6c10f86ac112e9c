"""JMESPath expressions, compiled once; a plain dotted path needs no package."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from resilient_poll.errors import ConfigurationError

__all__ = ["Search", "compiled"]

Search = Callable[[Any], Any]
"""Finds something in a body; None where there is nothing. Raises ValueError where it cannot be applied."""
LONGEST_EXPRESSION = 2_000
"""What finds one thing in an answer is a line; the longest of botocore's has some 400 characters."""
_DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


def compiled(expression: object, where: object) -> Search:
    """Return what evaluates an expression.

    Args:
        expression: JMESPath; names with dots between them are read without the package.
        where: What error messages call the place that it stands at.

    Raises:
        ConfigurationError: It is no expression, or it needs the package and that is not installed.
    """
    if not isinstance(expression, str):
        raise ConfigurationError(f"{where}: a JMESPath expression is a text, not {expression!r:.80}")
    if len(expression) > LONGEST_EXPRESSION:
        raise ConfigurationError(f"{where}: an expression has at most {LONGEST_EXPRESSION} characters")
    if _DOTTED.fullmatch(expression):
        return _dotted(tuple(expression.split(".")))
    return _jmespath(expression, where)


def _dotted(names: tuple[str, ...]) -> Search:
    def search(body: Any) -> Any:
        for name in names:
            if not isinstance(body, dict):
                return None
            body = body.get(name)
        return body

    return search


def _jmespath(expression: str, where: object) -> Search:
    try:
        import jmespath  # noqa: PLC0415  # an extra: who polls by plain paths does without it
        from jmespath.exceptions import JMESPathError  # noqa: PLC0415  # as above
    except ImportError as error:
        raise ConfigurationError(
            "expressions beyond names with dots need the package jmespath: pip install 'resilient-poll[specs]'"
        ) from error
    try:
        parsed = jmespath.compile(expression)
    except (JMESPathError, RecursionError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ConfigurationError(f"{where}: {expression!r:.80} is no JMESPath expression: {said:.200}") from error

    def search(body: Any) -> Any:
        try:
            return parsed.search(body)
        except (JMESPathError, RecursionError, TypeError, AttributeError, ArithmeticError, LookupError) as error:
            # The package lets through what its functions stumble over: floor() of an Infinity, for one.
            raise ValueError(f"{expression!r} cannot be applied to the answer: {error}") from error

    return search
