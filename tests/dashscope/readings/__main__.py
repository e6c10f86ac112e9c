"""Write the readings anew."""

from __future__ import annotations

from tests.dashscope.readings.readings import HERE, READINGS

if __name__ == "__main__":
    for name, read in READINGS.items():
        (HERE / f"{name}.txt").write_text("".join(f"{line}\n" for line in read()))
