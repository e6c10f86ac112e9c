"""Write the stories anew."""

from __future__ import annotations

from tests.fake_server.stories.stories import HERE, STORIES, told

if __name__ == "__main__":
    (HERE / "told").mkdir(exist_ok=True)
    for name in STORIES:
        (HERE / "told" / f"{name}.txt").write_text("".join(f"{line}\n" for line in told(name)))
