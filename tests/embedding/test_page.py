"""docs/embedding.md says what the recipes and the SDKs do."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "embedding.md").read_text()
RECIPES = sorted((ROOT / "examples" / "embedding").glob("*.py"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_on_the_page(recipe: Path) -> None:
    """The page shows each recipe as it runs in the tests."""
    shown = recipe.read_text().split("# --- example ---\n")[1].split("# --- end ---")[0].strip()
    assert f"```python\n{shown}\n```" in PAGE
