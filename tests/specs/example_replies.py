"""Answers that look like what a JMESPath expression is about, drawn by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import jmespath


@dataclass
class Shape:
    """What one place of an answer has to look like for an expression to find something there."""

    fields: dict[str, Shape] = field(default_factory=dict)
    item: Shape | None = None
    value: Shape | None = None

    def field_of(self, name: str) -> Shape:
        """Return the place of a field."""
        return self.fields.setdefault(name, Shape())

    def items(self) -> Shape:
        """Make it a list, and return the place of its items."""
        self.item = self.item or Shape()
        return self.item

    def values(self) -> Shape:
        """Make it a mapping with names of any kind, and return the place of its values."""
        self.value = self.value or Shape()
        return self.value

    def drawn(self, random: Random, leaves: Sequence[Any]) -> Any:
        """Return something of this shape; now and then something else is there, as services do."""
        if random.random() < 0.03:
            return None
        if self.item is not None:
            return [self.item.drawn(random, leaves) for _ in range(random.choice((0, 1, 1, 2)))]
        if self.value is not None:
            return {name: self.value.drawn(random, leaves) for name in ("one", "two")[: random.choice((0, 1, 2))]}
        if self.fields:
            return {name: shape.drawn(random, leaves) for name, shape in self.fields.items() if random.random() > 0.03}
        return random.choice(leaves)


def shape_of(expressions: Sequence[str]) -> tuple[Shape, list[Any]]:
    """Return what an answer looks like that all expressions are about, and the values that they compare with."""
    whole, literals = Shape(), []

    def walk(node: dict[str, Any], at: Shape) -> Shape:
        kind, children = node["type"], node["children"]
        if kind == "field":
            return at.field_of(node["value"])
        if kind == "literal":
            literals.append(node["value"])
            return Shape()
        if kind in {"projection", "filter_projection"}:
            of = walk(children[0], at)
            item = of if children[0]["type"] == "flatten" else of.items()
            for condition in children[2:]:
                walk(condition, item)
            return walk(children[1], item)
        if kind == "value_projection":
            return walk(children[1], walk(children[0], at).values())
        if kind == "flatten":
            return walk(children[0], at).items()
        if kind in {"subexpression", "index_expression"}:
            for child in children:
                at = walk(child, at)
            return at
        if kind == "identity":
            return at
        for child in children:
            walk(child, at)
        return Shape()

    for expression in expressions:
        walk(jmespath.compile(expression).parsed, whole)
    return whole, literals
