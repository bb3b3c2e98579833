"""Operators at the border of a segment that only cut or join tensors: left out, where the tensors can lie so that there is nothing to do.

Split and Slice along the outermost axis (all before it are 1) give ranges of their operand, Concat along it is the range that its operands
fill, Reshape and its like are the same bytes. At a border the operand or the results have places in the arena anyway. A range must begin
where every device that binds it may be given an address (at least a cache line, so that kernels compute the same bits there).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...passes.graph.graph import Graph
from ...passes.graph.node import Node
from ...passes.place.memory.working_set import internal_peak
from ...passes.place.segment import Segment
from ...targets.model import Target
from ...targets.operator_view import TensorView
from ..devices.in_place import VIEWS
from .arena import ArenaPlan, can_be_ranges, plan_arena
from .schedule import in_arena
from .segments import Compiled, View

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

MOST_TRIED = 16
"""Operators that are tried one by one where all of them together make the arena larger."""
Found = tuple[View, Node]


def plan_with_views(compiled: Compiled, target: Target | None, room: int | None = None, effort: float = 1.0) -> tuple[Compiled, ArenaPlan]:
    """The model without the operators that places can stand for, and its arena, which is no larger than with them. Inner peaks of segments
    change with them; without a target they stay, and are bounds. Seconds are left as they are."""
    best, arena = compiled, plan_arena(compiled, room=room, effort=effort)
    found = [one for one in _candidates(compiled) if can_be_ranges(_without(compiled, [one], target))]
    for trial in [found, *([one] for one in found[:MOST_TRIED])] if found else []:
        views = [*best.views, *(view for view, _ in trial)]
        without = _without(compiled, [one for one in found if one[0] in views], target)
        smaller = plan_arena(without, room=room, effort=effort)
        if smaller.arena.total <= arena.arena.total:
            best, arena = without, smaller
        if len(best.views) == len(found):
            break
    return best, arena


def carry_out(compiled: Compiled, values: Mapping[str, Array]) -> dict[str, Array]:
    """What the operators left out make of these tensors, as far as it is not among them: for whoever runs segments one by one."""
    found: dict[str, Array] = {}
    for view in compiled.views:
        if all(name in values for name in view.operands) and view.results[0] not in values:
            found |= _made(view, compiled.tensors, values)
    return found


def _made(view: View, tensors: Mapping[str, TensorView], values: Mapping[str, Array]) -> dict[str, Array]:
    import numpy

    shapes = {name: tuple(dim or 0 for dim in tensors[name].shape or ()) for name in view.results}
    if view.joins:
        return {view.whole: numpy.concatenate([values[name].reshape(-1) for name in view.parts]).reshape(shapes[view.whole])}
    flat = values[view.whole].reshape(-1)
    starts = [start // flat.itemsize for start in view.starts]
    return {
        name: flat[start : start + math.prod(shapes[name])].reshape(shapes[name]) for name, start in zip(view.parts, starts, strict=True)
    }


def _candidates(compiled: Compiled) -> list[Found]:
    """In order of execution; no tensor is in two of them, and every segment keeps an operator and an output."""
    found: list[Found] = []
    taken: set[str] = set()
    for segment in compiled.segments:
        border, left, outputs = _Border(compiled, segment), len(segment.part.nodes), set(segment.outputs)
        for node in segment.part.nodes:
            view = border.view(node)
            kept = outputs if view is None else outputs - {*view.results} | (set() if view.before else {*view.operands})
            if view is not None and left > 1 and kept and taken.isdisjoint((*view.parts, view.whole)):
                outputs = kept
                taken |= {*view.parts, view.whole}
                found.append((view, node))
                left -= 1
    return found


class _Border:
    """What of a segment's operators its neighbours could see as ranges."""

    def __init__(self, compiled: Compiled, segment: Segment) -> None:
        self.compiled, self.segment, self.graph = compiled, segment, segment.graph
        self.kept = {name for pair in compiled.kept.states for name in pair}
        """Caches, which lie apart from everything else."""
        self.made = {name for node in segment.part.nodes for name in node.writes}
        self.readers = Counter(name for node in segment.part.nodes for name in set(node.reads))

    def view(self, node: Node) -> View | None:
        """None where the operator is not one, or lies too deep."""
        ranges = _ranges(self.graph, node)
        if ranges is None or not all(map(self._addressable, ranges)):
            return None
        operand, results = node.inputs[0], list(ranges)
        if node.operator == "Concat":
            before = all(name in self.segment.inputs for name in ranges)
            whole = node.outputs[0]
            inside = all(name in self.made and name not in self.segment.outputs for name in ranges)
            if not self._addressable(whole) or not (before or (inside and self._leaves([whole]))):
                return None
            operand, results = whole, list(ranges)
        elif not self._borders(node, operand, results):
            return None
        else:
            before = operand in self.segment.inputs
        name = f"{node.operator} {node.name}".strip()
        return View(
            operator=name, segment=self.segment.index, whole=operand, parts=tuple(results), starts=tuple(ranges.values()),
            joins=node.operator == "Concat", before=before,
        )  # fmt: skip

    def _borders(self, node: Node, operand: str, results: Sequence[str]) -> bool:
        if not self._addressable(operand):
            return False
        known = operand in self.segment.inputs or operand in self.segment.outputs
        if node.operator in VIEWS and not (known and all(name in self.segment.outputs for name in results)):
            return False  # between operators of a segment it costs nothing
        used = all(name in self.segment.outputs or self.readers[name] for name in results)
        return used and (operand in self.segment.inputs or (operand in self.made and self._leaves(results)))

    def _leaves(self, names: Sequence[str]) -> bool:
        """Nobody in the segment reads them, others do."""
        return all(name in self.segment.outputs and not self.readers[name] for name in names)

    def _addressable(self, name: str) -> bool:
        tensor = self.graph.tensor(name)
        return not tensor.const and name not in self.kept and in_arena(tensor) and bool(tensor.bytes)


def _ranges(graph: Graph, node: Node) -> dict[str, int] | None:
    """The parts of the operator's whole and where each begins, in bytes; None for any other operator."""
    if node.domain or not node.inputs or any(True for _ in node.bodies()):
        return None
    if node.operator in VIEWS:
        return {node.outputs[0]: 0} if node.outputs else None
    if node.operator == "Slice":
        start = _slice_start(graph, node)
        return None if start is None else {node.outputs[0]: start}
    if node.operator not in ("Split", "Concat"):
        return None
    parts = node.outputs if node.operator == "Split" else node.inputs
    axis = graph.attribute(node, "axis")
    if not isinstance(axis, int) or len({*parts}) < len(parts) or "" in parts:
        return None
    starts, at = {}, 0
    for name in parts:
        tensor = graph.tensor(name)
        if tensor.bytes is None or not _outermost(tensor.shape, axis):
            return None
        starts[name] = at
        at += tensor.bytes
    return starts


def _outermost(shape: Sequence[int | None] | None, axis: int) -> bool:
    return shape is not None and all(dim == 1 for dim in shape[: axis % max(len(shape), 1)])


def _slice_start(graph: Graph, node: Node) -> int | None:
    """Bytes before a contiguous slice; None for one that is not, or not known."""
    tensor, result = graph.tensor(node.inputs[0]), graph.tensor(node.outputs[0])
    values = [graph.value(name) if name else None for name in node.inputs[1:]]
    if len(values) < 2 or any(value is None or value.size != 1 for value in values) or tensor.shape is None or result.shape is None:
        return None
    starts, _, axes, steps = [*(int(value.reshape(-1)[0]) for value in values if value is not None), *(0, 1)[len(values) - 2 :]][:4]
    axis = axes % len(tensor.shape)
    extent, row = tensor.shape[axis], math.prod(dim or 0 for dim in tensor.shape[axis + 1 :])
    if steps != 1 or extent is None or tensor.bytes is None or not _outermost(tensor.shape, axis):
        return None
    first = min(max(starts + extent if starts < 0 else starts, 0), extent)
    return first * row * (tensor.bytes // max(math.prod(dim or 0 for dim in tensor.shape), 1))


def _without(compiled: Compiled, found: Sequence[Found], target: Target | None) -> Compiled:
    """The model without these operators."""
    segments = list(compiled.segments)
    tensors = dict(compiled.tensors)
    for view, _ in found:
        tensors |= {name: segments[view.segment].graph.tensor(name) for name in (view.whole, *view.parts) if name not in tensors}
    for index in {view.segment for view, _ in found}:
        mine = [(view, node) for view, node in found if view.segment == index]
        segments[index] = _smaller(segments[index], mine, target)
    return replace(compiled, segments=tuple(segments), tensors=tensors, views=tuple(view for view, _ in found))


def _smaller(segment: Segment, found: Sequence[Found], target: Target | None) -> Segment:
    gone = {id(node) for _, node in found}
    nodes = tuple(node for node in segment.part.nodes if id(node) not in gone)
    read, written = {name for node in nodes for name in node.reads}, {name for node in nodes for name in node.writes}
    known = (*segment.inputs, *(name for view, _ in found if view.before for name in view.results))
    left = (*segment.outputs, *(name for view, _ in found if not view.before for name in view.operands))
    part = replace(segment.part, nodes=nodes)
    inputs = tuple(name for name in dict.fromkeys(known) if name in read and name not in written)
    outputs = tuple(name for name in dict.fromkeys(left) if name in written)
    peak = segment.internal_peak
    if target is not None:
        device = target.device(part.device)
        peak = internal_peak(segment.graph, part, nodes, {*inputs, *outputs}, device)
    groups = tuple(filter(None, (tuple(node for node in group if id(node) not in gone) for group in segment.groups)))
    return replace(segment, part=part, inputs=inputs, outputs=outputs, groups=groups, internal_peak=peak)
