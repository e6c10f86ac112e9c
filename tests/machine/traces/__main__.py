"""Write the walks anew."""

from __future__ import annotations

from tests.machine.traces.walks import HERE, WALKS, walk

if __name__ == "__main__":
    for name in WALKS:
        (HERE / f"{name}.txt").write_text("".join(f"{line}\n" for line in walk(name)))
