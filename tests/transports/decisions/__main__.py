"""Write the decisions anew."""

from __future__ import annotations

from tests.transports.decisions.decisions import DECISIONS, HERE

if __name__ == "__main__":
    for name, decide in DECISIONS.items():
        (HERE / f"{name}.txt").write_text("".join(f"{line}\n" for line in decide()))
