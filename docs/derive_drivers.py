"""What the drivers of examples/clients lose, for the README and docs/driver.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.drivers import KEPT, LOSSES


def _score() -> str:
    """Show the table; ``python -m benchmarks.drivers --write`` runs them all."""
    return KEPT.read_text(encoding="utf-8").partition("\n\n")[0].strip()


def _details() -> str:
    table = KEPT.read_text(encoding="utf-8").partition("\n\n")[2].strip()
    return "\n".join([*(f"- **{name}**: {what}" for name, what in LOSSES.items()), "", table])


BLOCKS: Mapping[str, Callable[[], str]] = {"drivers-score": _score, "drivers-details": _details}
