"""Which tensors share a scale: those between which operators only move values. One scale for all of them, so nothing is rounded twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ...targets.dtypes import BITS
from ...targets.precision import Form
from ..graph.graph import Graph
from .operators import FIXED, moves, operands_of
from .scales import Range, Steps, steps_of

Key = tuple[str, str]
"""A tensor, and the dtype that it is held in."""


MASKED, FAR_BELOW = -1e4, 64.0
"""Numbers below the first that Softmax reads are masked: its result is 0 as well where they lie so far below 0."""

NOT_REAL, MASK = -1e9, 128.0
"""What lies below the first is added to what Softmax reads, so that its result is 0: the negative of the second does the same."""


@dataclass(slots=True)
class Sharing:
    """Sets of tensors of one scale."""

    _parent: dict[Key, Key] = field(default_factory=dict)

    def root(self, key: Key) -> Key:
        above = self._parent.setdefault(key, key)
        while above != key:
            self._parent[key] = self._parent[above]
            key, above = above, self._parent[above]
        return key

    def join(self, first: Key, second: Key) -> None:
        self._parent[self.root(second)] = self.root(first)

    def keys(self) -> Iterable[Key]:
        return tuple(self._parent)


def steps_of_tensors(graph: Graph, forms: Mapping[str, Form], ranges: Mapping[str, Range]) -> dict[Key, Steps]:
    """The steps of every tensor that an operator in integers reads or writes, constants beside activations included. `forms`: of the
    operators in integers, by the first tensor that each writes."""
    sharing, symmetric = Sharing(), set()
    for node in graph.nodes:
        form = forms.get(node.writes[0]) if node.writes else None
        if form is None:
            continue
        operands = operands_of(graph, node)
        written = [name for name in node.writes if graph.tensor(name).dtype == "fp32"]
        for name in (*(node.inputs[k] for k in (*operands.moved, *operands.others)), *written):
            root = sharing.root((name, form.activations))
            if form.symmetric:
                symmetric.add(root)
        if moves(graph, node):
            for name in (*(node.inputs[k] for k in operands.moved[1:]), *written):
                sharing.join((node.inputs[0], form.activations), (name, form.activations))
    members: dict[Key, list[Key]] = {}
    for key in sharing.keys():
        members.setdefault(sharing.root(key), []).append(key)
    found: dict[Key, Steps] = {}
    for keys in members.values():
        steps = _of_all(graph, keys, ranges, not symmetric.isdisjoint(keys))
        found.update(dict.fromkeys(keys, steps))
    return found


def range_of(graph: Graph, tensor: str, ranges: Mapping[str, Range]) -> Range | None:
    """What calibration found; of a constant its values; of a function into a known interval that interval, its end aside."""
    value = graph.value(tensor)
    if value is not None:
        return _without_masks(Range(float(value.min()), float(value.max()))) if value.size else Range(0.0, 0.0)
    found = ranges.get(tensor)
    users = graph.users(tensor)
    if found is not None and found.low < MASKED and users and not graph.is_output(tensor) and all(user.kind == "Softmax" for user in users):
        return Range(max(found.low, -max(FAR_BELOW, 4 * abs(found.high))), found.high)
    return None if found is None else _without_masks(found)


def _without_masks(found: Range) -> Range:
    """A mask's -3.4e38 or -inf would leave one step for everything else, of a size that integer hardware has no ratio for."""
    return Range(-MASK, found.high) if found.low < NOT_REAL and found.high > NOT_REAL else found


def _of_all(graph: Graph, keys: Iterable[Key], ranges: Mapping[str, Range], symmetric: bool) -> Steps:
    joined: Range | None = None
    dtype = ""
    for name, dtype in keys:
        producer = graph.producer(name)
        fixed = FIXED.get(producer.operator) if producer is not None and not producer.domain else None
        own = Range(fixed[0], fixed[1] - (fixed[1] - fixed[0]) / 2 ** BITS[dtype]) if fixed else range_of(graph, name, ranges)
        if own is not None:
            joined = own if joined is None else joined.joined(own)
    return steps_of(joined or Range(0.0, 0.0), dtype, symmetric)
