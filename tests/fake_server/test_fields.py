"""Reading a JSON object field by field: what is taken, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from fake_server.rules.fields import Fields, Mistake

LONGEST_S = 315_360_000  # ten years of 365 days
DURATION = f'expected seconds as a number, or a time such as "1.5s", "500ms", "5m", from 0 to {LONGEST_S} seconds'


def read(reader: str, value: Any, *arguments: Any) -> tuple[Any, list[str]]:
    """What a reader makes of a value, and what it complains of."""
    fields = Fields({"key": value}, ["key"])
    found = getattr(fields, reader)("key", *arguments)
    assert {mistake.pointer for mistake in fields.mistakes} <= {"/key"}
    return found, [mistake.detail for mistake in fields.mistakes]


TAKEN: list[tuple[str, tuple[Any, ...], Any, Any]] = [
    # Reader, its arguments, what is there, what is read.
    ("text", ("a word",), "x", "x"),
    ("text", ("a word",), "x" * 1_000, "x" * 1_000),
    ("text", ("a word", 3), "abc", "abc"),
    ("choice", (["one", "two"],), "two", "two"),
    ("integer", (1, 5), 1, 1),
    ("integer", (1, 5), 5, 5),
    ("integer", (1, 5), 3.0, 3),
    ("number", ("a number",), 2, 2.0),
    ("number", ("a number",), -0.5, -0.5),
    ("flag", (), True, True),
    ("flag", (), False, False),
    ("duration_s", (), 0, 0.0),
    ("duration_s", (), 1.5, 1.5),
    ("duration_s", (), "500ms", 0.5),
    ("duration_s", (), "5m", 300.0),
    ("duration_s", (), LONGEST_S, float(LONGEST_S)),
    ("words", ("a word",), "x", ("x",)),
    ("words", ("a word",), ["x", "y"], ("x", "y")),
    ("words", ("a word",), ["x"] * 100, ("x",) * 100),
    ("words", ("a word", 2), ["x", "y"], ("x", "y")),
]


@pytest.mark.parametrize(("reader", "arguments", "value", "expected"), TAKEN)
def test_what_is_right_is_read(reader: str, arguments: tuple[Any, ...], value: Any, expected: Any) -> None:
    """A value of the right kind, up to its bounds, is read and is of its own type; a key that is missing is none, and
    neither is complained of."""
    found, said = read(reader, value, *arguments)
    assert (found, type(found), said) == (expected, type(expected), [])
    fields = Fields({}, ["key"])
    assert getattr(fields, reader)("key", *arguments) is None
    assert fields.mistakes == []


WORDS = "expected a word, or a list of at most {} of them"
WRONG: list[tuple[str, tuple[Any, ...], Any, str]] = [
    # Reader, its arguments, what is there, what is said of it.
    ("text", ("a word",), "", "found an empty text, expected a word"),
    ("text", ("a word",), "x" * 1_001, f"found '{'x' * 58}…, expected a word"),
    ("text", ("a word", 3), "abcd", "found 'abcd', expected a word"),
    ("text", ("a word",), 7, "found 7, expected a word"),
    ("text", ("a word",), None, "found null, expected a word"),
    ("choice", (["one", "two"],), "twoo", "found 'twoo', expected one of one, two; did you mean two?"),
    ("choice", (["one", "two"],), "zzz", "found 'zzz', expected one of one, two"),
    ("choice", (["one", "two"],), 2, "found 2, expected one of one, two"),
    ("choice", (["one", "two"],), ["one"], "found a list of 1, expected one of one, two"),
    ("integer", (1, 5), 0, "found 0, expected a whole number from 1 to 5"),
    ("integer", (1, 5), 6, "found 6, expected a whole number from 1 to 5"),
    ("integer", (1, 5), 3.5, "found 3.5, expected a whole number from 1 to 5"),
    ("integer", (0, 5), True, "found true, expected a whole number from 0 to 5"),
    ("integer", (1, 5), "3", "found '3', expected a whole number from 1 to 5"),
    ("integer", (1, 5), 2**64, "found a number beyond reason, expected a whole number from 1 to 5"),
    ("integer", (1, 5), 2**64 - 1, "found 18446744073709551615, expected a whole number from 1 to 5"),
    ("number", ("a number",), "2", "found '2', expected a number"),
    ("number", ("a number",), True, "found true, expected a number"),
    ("number", ("a number",), float("inf"), "found inf, expected a number"),
    ("number", ("a number",), float("nan"), "found nan, expected a number"),
    ("number", ("a number",), 10**400, "found a number beyond reason, expected a number"),
    ("flag", (), "true", "found 'true', expected true or false"),
    ("flag", (), 1, "found 1, expected true or false"),
    ("flag", (), {"a": 1}, "found an object, expected true or false"),
    ("duration_s", (), -0.1, f"found -0.1, {DURATION}"),
    ("duration_s", (), LONGEST_S + 1, f"found {LONGEST_S + 1}, {DURATION}"),
    ("duration_s", (), "soon", f"found 'soon', {DURATION}"),
    ("duration_s", (), False, f"found false, {DURATION}"),
    ("duration_s", (), [1, 2], f"found a list of 2, {DURATION}"),
    ("words", ("a word",), [], f"found a list of 0, {WORDS.format(100)}"),
    ("words", ("a word",), ["x"] * 101, f"found a list of 101, {WORDS.format(100)}"),
    ("words", ("a word", 2), ["x"] * 3, f"found a list of 3, {WORDS.format(2)}"),
    ("words", ("a word",), ["x", 1], f"found a list of 2, {WORDS.format(100)}"),
    ("words", ("a word",), ["x", ""], f"found a list of 2, {WORDS.format(100)}"),
    ("words", ("a word",), "", f"found an empty text, {WORDS.format(100)}"),
    ("words", ("a word",), {"x": 1}, f"found an object, {WORDS.format(100)}"),
]


@pytest.mark.parametrize(("reader", "arguments", "value", "sentence"), WRONG)
def test_what_is_wrong_is_told_as_it_was_found(
    reader: str, arguments: tuple[Any, ...], value: Any, sentence: str
) -> None:
    """A value of another kind, or beyond its bounds, is not read, and one sentence says what was found and what was
    expected; null is wrong as well."""
    assert read(reader, value, *arguments) == (None, [sentence])


def test_a_key_that_is_not_known_is_told_at_once() -> None:
    """Unknown keys are complained of with what is known and what is near, where they stand; those known are not."""
    fields = Fields({"colour": 1, "zzz": 2, "size": 3}, ["color", "size"], "/a")
    assert fields.mistakes == [
        Mistake("/a/colour", "found the key colour, expected one of color, size; did you mean color?"),
        Mistake("/a/zzz", "found the key zzz, expected one of color, size"),
    ]
    assert Fields({"x": 1}, []).mistakes == [Mistake("/x", "found the key x, expected none")]
    assert Fields({}, ["x"]).mistakes == []


def test_a_pointer_is_spelt_as_json_pointers_are() -> None:
    """`~` and `/` in a key are `~0` and `~1` in its pointer (RFC 6901)."""
    fields = Fields({}, [], "/list/0")
    fields.wrong("a/b~c", "No.")
    fields.wrong("~1", "No.")
    assert [mistake.pointer for mistake in fields.mistakes] == ["/list/0/a~1b~0c", "/list/0/~01"]


def test_complaints_of_nested_objects_come_together() -> None:
    """Objects that share a list of mistakes add to one, and others do not."""
    together: list[Mistake] = []
    outer = Fields({}, [], "", together)
    Fields({"x": 1}, [], "/inner", together)
    outer.wrong("y", "No.")
    assert together == [Mistake("/inner/x", "found the key x, expected none"), Mistake("/y", "No.")]
    assert Fields({}, []).mistakes is not Fields({}, []).mistakes


def test_what_must_be_there_is_missed() -> None:
    """A required key is complained of where it is missing, and only there; a null is there."""
    fields = Fields({"a": None}, ["a", "b"])
    assert (fields.has("a"), fields.has("b")) == (True, False)
    fields.require("a", "a word")
    assert fields.mistakes == []
    fields.require("b", "a word")
    assert fields.mistakes == [Mistake("/b", "found no b, expected a word")]
