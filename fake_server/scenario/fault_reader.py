"""Reads faults: the list under `faults:` in a file, and a single one that comes as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from ruamel.yaml.error import StringMark
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fake_server.faults.model import ROUTE_KINDS, Fault, Selection
from fake_server.scenario.fault_forms import COUNTED, FAULT_FORMS, FaultForm, keys_of_form
from fake_server.scenario.yaml_nodes import Notes, did_you_mean, quote

if TYPE_CHECKING:
    from collections.abc import Mapping


# Entries of one list; more than this make no readable script.
MOST_FAULTS = 200
# A fault from outside nests two deep.
DEEPEST_JSON = 20
_EXPECTED = "a fault such as {fault: lost_create, nth: 1}"

Fields = dict[str, tuple[Node, Node]]


class PointedProblem(NamedTuple):
    """One complaint about a fault that came as JSON: a pointer to the place (RFC 6901), and the sentence."""

    pointer: str
    text: str


class FaultErrors(Exception):
    """A JSON value is no fault.

    Args:
        problems: At least one complaint.
    """

    def __init__(self, *problems: PointedProblem) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{problem.pointer or '/'}: {problem.text}" for problem in problems))


def read_faults(node: Node, notes: Notes, origin: str = "", *, must_fire: bool = True) -> tuple[Fault, ...]:
    """The list under `faults:`; what cannot be read is noted and left out.

    Args:
        node: The list.
        notes: Receives the complaints.
        origin: Where the faults come from, if not from a scenario.
        must_fire: Whether those without chance that say nothing of it must fire.
    """
    items = notes.as_list(node, "a list of faults") or []
    if len(items) > MOST_FAULTS:
        notes.at(node, f"found {len(items)} faults, expected at most {MOST_FAULTS}")
    found = [(item, _read_one(item, notes, origin, must_fire=must_fire)) for item in items]
    labels: dict[str, int] = {}
    for item, fault in found:
        if fault is not None and fault.label:
            if fault.label in labels:
                notes.at(
                    item, f"found the name {fault.label} again, expected it once (first on line {labels[fault.label]})"
                )
            labels.setdefault(fault.label, fault.line)
    return tuple(fault for _, fault in found if fault is not None)


def read_fault(value: object, origin: str = "armed") -> Fault:
    """One fault that came as JSON.

    Args:
        value: What `json.loads` made of it: a mapping with the keys of an entry under `faults:`.
        origin: What reports call the place that it comes from.

    Raises:
        FaultErrors: With every complaint, each with a pointer to its place.
    """
    notes = _PointingNotes()
    node = notes.node_of(value, "", 0)
    fault = _read_one(node, notes, origin) if not notes.pointed else None
    if fault is None or notes.pointed:
        raise FaultErrors(*notes.pointed)
    return Fault(fault.name, fault.effect, fault.selection, fault.when, fault.must_fire, fault.label, 0, origin)


def _read_one(node: Node, notes: Notes, origin: str, *, must_fire: bool = True) -> Fault | None:
    before = _count(notes)
    fields = notes.as_mapping(node, _EXPECTED, None)
    if fields is None:
        return None
    form = _read_form(node, fields, notes)
    if form is None:
        return None
    keys = keys_of_form(form)
    for key, (key_node, _) in fields.items():
        if key != "fault" and key not in keys:
            hint = did_you_mean(key, keys)
            notes.at(key_node, f"found the key {quote(key)}, expected one of {', '.join(keys)} beside fault{hint}")
    values = {key: keys[key].read(value, notes) for key, (_, value) in fields.items() if key in keys}
    _check_keys(node, fields, form, values, notes)
    if _count(notes) > before:
        return None
    probability = values.get("probability")
    return Fault(
        name=fields["fault"][1].value,
        effect=form.make(values),
        selection=_selection(values, form),
        when=values.get("when", form.whens[0]),
        must_fire=values.get("must_fire", must_fire and (probability is None or probability >= 1)),
        label=values.get("name"),
        line=node.start_mark.line + 1,
        origin=origin,
    )


def _read_form(node: Node, fields: Fields, notes: Notes) -> FaultForm | None:
    if "fault" not in fields:
        found = quote(", ".join(fields)) or "nothing"
        notes.at(node, f"found {found}, expected a key fault with one of {', '.join(FAULT_FORMS)}")
        return None
    word = notes.as_choice(fields["fault"][1], FAULT_FORMS)
    return FAULT_FORMS[word] if word else None


def _check_keys(node: Node, fields: Fields, form: FaultForm, values: Mapping[str, Any], notes: Notes) -> None:
    """Complain of keys that are missing, or do not go together."""
    for key in form.required:
        if key not in fields:
            notes.at(node, f"found no {key}, expected it beside fault: {fields['fault'][1].value}")
    present = [key for key in form.one_of if key in fields]
    if form.one_of and len(present) != 1:
        notes.at(
            node, f"found {' and '.join(present) or 'none of them'}, expected exactly one of {', '.join(form.one_of)}"
        )
    counted = [key for key in COUNTED if key in fields]
    if len(counted) > 1:
        notes.at(fields[counted[1]][0], f"found {' and '.join(counted)}, expected at most one of {', '.join(COUNTED)}")
    kind = values.get("kind")
    if kind is not None:
        some = {key for keys in form.keys_of.values() for key in keys}
        for key in sorted(some & fields.keys() - set(form.keys_of.get(kind, ()))):
            kinds = ", ".join(each for each, keys in form.keys_of.items() if key in keys)
            notes.at(fields[key][0], f"found {key} beside kind: {kind}, expected it beside {kinds} only")
    if "text" in fields and "body" in fields:
        notes.at(fields["text"][0], "found body and text, expected one of them")
    uniform = values.get("uniform")
    if uniform and None not in uniform.values() and uniform.get("from", 0.0) > uniform.get("to", math.inf):
        notes.at(fields["uniform"][1], "found a delay that ends before it begins, expected from below to")


def _selection(values: Mapping[str, Any], form: FaultForm) -> Selection:
    on = values.get("on", ("any",))
    from_s, until_s = values.get("window", (0.0, math.inf))
    probability = values.get("probability")
    return Selection(
        on=form.on if "any" in on else tuple(kind for kind in ROUTE_KINDS if kind in on),
        nth=tuple(sorted(values.get("nth", ()))),
        first=values.get("first"),
        every_nth=values.get("every_nth"),
        probability=1.0 if probability is None else probability,
        from_s=from_s,
        until_s=until_s,
        task=values.get("task"),
        times=values.get("times"),
    )


def _count(notes: Notes) -> int:
    return len(notes.pointed) if isinstance(notes, _PointingNotes) else len(notes.problems)


class _PointingNotes(Notes):
    """Notes that know places by pointers, for what comes as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.pointed: list[PointedProblem] = []
        self._pointers: dict[int, str] = {}
        self._nodes: list[Node] = []  # An id is one node's for as long as the node lives.
        self._mark = StringMark("", 0, 0, 0, "", 0)

    def at(self, node: Node, text: str, offset: int = 0) -> None:  # noqa: ARG002 - a pointer has no offset
        """Note a complaint at a node."""
        self.pointed.append(PointedProblem(self._pointers.get(id(node), ""), text))

    def node_of(self, value: object, pointer: str, depth: int) -> Node:
        """A JSON value as the node that YAML would make of it."""
        node: Node
        if depth > DEEPEST_JSON:
            node = self._scalar("", None)
            self.pointed.append(PointedProblem(pointer, f"found nesting deeper than {DEEPEST_JSON}, {_EXPECTED}"))
        elif isinstance(value, dict):
            pairs = []
            for key, inner in value.items():
                place = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
                key_node = self._scalar(str(key), '"')
                self._pointers[id(key_node)] = place
                pairs.append((key_node, self.node_of(inner, place, depth + 1)))
            node = MappingNode("tag:yaml.org,2002:map", pairs, self._mark, self._mark)
        elif isinstance(value, list):
            items = [self.node_of(inner, f"{pointer}/{number}", depth + 1) for number, inner in enumerate(value)]
            node = SequenceNode("tag:yaml.org,2002:seq", items, self._mark, self._mark)
        elif isinstance(value, str):
            node = self._scalar(value, '"')
        elif isinstance(value, bool) or value is None:
            node = self._scalar({True: "true", False: "false", None: ""}[value], None)
        else:
            shown = f"{value:.9f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
            node = self._scalar(shown, None)
        self._pointers[id(node)] = pointer
        self._nodes.append(node)
        return node

    def _scalar(self, text: str, style: str | None) -> ScalarNode:
        node = ScalarNode("tag:yaml.org,2002:str", text, self._mark, self._mark, style=style)
        self._nodes.append(node)
        return node
