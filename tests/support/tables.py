"""Tables of many small cases, each table in one test: as many tests would cost ten times what the cases do."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["each_case"]

MOST_SHOWN = 20
"""Failures that are shown in full; the others are counted."""


def each_case(names: str, cases: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let one test go through all cases of a table, and fail with every case that failed.

    Other than ``pytest.mark.parametrize`` it gives all cases the same fixtures, so these must be none that a case
    changes. It may be stacked, and may stand below ``parametrize``.

    Args:
        names: The arguments' names, separated by commas.
        cases: A value for each name, or the values themselves if there is one name.
    """
    split = [name.strip() for name in names.split(",")]
    values = [(case,) if len(split) == 1 else tuple(case) for case in cases]
    assert values, "an empty table proves nothing"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def of_all(**fixtures: Any) -> None:
            failures: list[Exception] = []
            for case in values:
                named = dict(zip(split, case, strict=True))
                try:
                    test(**named, **fixtures)
                except Exception as error:  # noqa: BLE001  # whatever it was, it is raised with all others
                    error.add_note(f"with {named}")
                    failures.append(error)
            if failures:
                raise ExceptionGroup(f"{len(failures)} of {len(values)} cases failed", failures[:MOST_SHOWN])

        signature = inspect.signature(test)
        left = [parameter for name, parameter in signature.parameters.items() if name not in split]
        assert len(left) == len(signature.parameters) - len(split), f"{test.__name__} does not take {names}"
        of_all.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]  # what pytest reads
        del of_all.__wrapped__  # type: ignore[attr-defined]  # it would be read before the signature
        return of_all

    return decorate
