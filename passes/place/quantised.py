"""Quantised operators: DequantizeLinear -> operators -> QuantizeLinear is one unit, which devices take and the placement assigns as one.

A device that computes in integers never sees the floats between: it runs the operators on the quantised tensors themselves. So its table is
asked about them in that dtype, and DequantizeLinear and QuantizeLinear around them cost no kernels. A device without
that runs all of them as they are. In either case the whole unit goes to one device.

Every member but the last has one reader, which is a member too: a unit is a tree with its root at the end, so it is convex.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...targets.dtypes import FLOATS, other_sign
from ...targets.model import Device, Target
from ...targets.operator_view import OperatorView, TensorView
from ...targets.operators import key_of, operator_names
from ...targets.precision import WeightFormat
from ...targets.quantised.integers_on import integer_dtypes
from ...targets.quantised.scales import Scales
from ...targets.quantised.stored import reads_stored
from ...targets.support import device_dtypes, takes_all
from ..graph.constant_cone import CARRIES, cone
from ..graph.graph import Graph
from ..graph.node import Node
from .candidates import NATIVE, Answer, Candidates, Implementation, Refusal
from .scales import scales_of

INTO, OUT = "QuantizeLinear", "DequantizeLinear"
FORMS = CARRIES | {INTO, OUT}
"""A unit of more than one node has one of these."""
ABSORBED = ("Relu", "Clip")
"""What the quantisation behind it can do as well."""
OPEN = ("MatMul", "Gemm")
"""Products that may leave integers by themselves."""
MOVES = CARRIES - {"DequantizeLinear", "Cast"} | {"Gather", "Slice", "Expand", "Tile", "Split", "DepthToSpace"}
"""What leaves every number as it is."""
MOST = 32
"""Members of a unit; a longer run of operators between two quantisations is not a unit."""
AnswerRow = tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class QuantisedUnit:
    """Nodes that one device takes together, in topological order."""

    members: tuple[Node, ...]
    """The last one is the root."""
    whole: bool
    """Whether everything computed inside is dequantised before and quantised after it."""


def quantised_units(graph: Graph, nodes: Sequence[Node]) -> list[QuantisedUnit]:
    """Disjoint units of the nodes (in topological order)."""
    if not any(node.operator in FORMS for node in graph.nodes):
        return []
    taken: set[int] = set()
    found: list[QuantisedUnit] = []
    for node in nodes:
        members = _whole(graph, node) if node.kind == INTO else None
        if members is not None and taken.isdisjoint(map(id, members)):
            found.append(QuantisedUnit(tuple(members), True))
            taken.update(map(id, members))
    for node in nodes:
        alone = node.kind in (INTO, OUT) or id(node) in taken or _stores(graph, node)
        members = [] if alone else [member for member in _around(graph, node) if id(member) not in taken]
        if len(members) > 1:
            found.append(QuantisedUnit(tuple(members), False))
            taken.update(map(id, members))
    return found


def _stores(graph: Graph, node: Node) -> bool:
    """Whether it only stores a constant in another form: then it belongs to its reader."""
    return node.kind in CARRIES and bool(cone(node.outputs[0], graph.producer, graph.constants.__contains__, graph.uses))


def _whole(graph: Graph, root: Node) -> list[Node] | None:
    """All between a QuantizeLinear and the DequantizeLinears behind it; None where floats come in any other way, or leave."""
    members, queue = [root], [root.inputs[0]]
    for name in queue:
        node = graph.producer(name)
        if node is None or node.kind == INTO or graph.uses(name) != 1 or len(node.writes) != 1 or len(members) >= MOST or node.captures:
            return None
        members.append(node)
        if node.kind != OUT:
            queue += [read for read in node.inputs if read and not graph.tensor(read).const and _is_float(graph, read)]
    computes = any(node.kind not in (INTO, OUT) for node in members)
    return members[::-1] if computes and _fed_by_dequantised(graph, members) else None


def _fed_by_dequantised(graph: Graph, members: Sequence[Node]) -> bool:
    """Whether every operator has an operand that varies and is quantised, and none makes floats out of something else."""
    inner = {name for node in members for name in node.writes}
    return all(node.kind == OUT or inner.intersection(node.inputs) for node in members)


def _is_float(graph: Graph, name: str) -> bool:
    return graph.tensor(name).dtype in FLOATS


def _around(graph: Graph, node: Node) -> list[Node]:
    """The operator with the DequantizeLinears and the forms of constants that only it reads, and the QuantizeLinear that alone reads it."""
    before: list[Node] = []
    for name in dict.fromkeys(node.inputs):
        source = graph.producer(name) if name and graph.uses(name) == 1 else None
        made = cone(name, graph.producer, graph.constants.__contains__, graph.uses) if source is not None else []
        before += reversed(made) if made else [source] if source is not None and source.kind == OUT else []
    readers = graph.users(node.writes[0]) if len(node.writes) == 1 and graph.uses(node.writes[0]) == 1 else []
    return [*before, node, *(reader for reader in readers if reader.kind == INTO and reader.inputs[0] in node.writes)]


def agree(
    graph: Graph, target: Target, candidates: Candidates, nodes: Sequence[Node], answers: Sequence[AnswerRow]
) -> tuple[AnswerRow, ...]:
    """The answers, those for quantised operators per unit: a device runs all of it or nothing. Where none would, they stay as they are."""
    number = {id(node): k for k, node in enumerate(nodes)}
    settled = list(answers)
    units = quantised_units(graph, nodes)
    devices = [either_sign(device) for device in target.devices] if units else []
    for unit in units:
        rows = [settled[number[id(node)]] for node in unit.members]
        columns = [_settle(graph, device, candidates, unit, column, rows) for column, device in enumerate(devices)]
        if any(all(isinstance(answer, Implementation) for answer in column) for column in columns):
            for node, row in zip(unit.members, zip(*columns, strict=True), strict=True):
                settled[number[id(node)]] = row
    return tuple(settled)


def _computed_in(graph: Graph, device: Device, unit: QuantisedUnit) -> str:
    """The dtype that the unit is quantised to, if it is one: what its last operator writes; of a product that a runtime which runs
    everything computes in integers and writes in floats (onnxruntime's MatMulIntegerToFloat and QGemm), what its first operand is."""
    root = unit.members[-1]
    if unit.whole:
        return graph.tensor(root.outputs[0]).dtype
    made = {node.outputs[0]: node for node in unit.members if node.kind == OUT}
    if root.kind in OPEN and takes_all(device) and all(name in made for name in root.inputs if name):
        return graph.tensor(made[root.inputs[0]].inputs[0]).dtype
    return ""


def ties(graph: Graph, nodes: Sequence[Node]) -> list[tuple[int, int]]:
    """The edges that hold quantised units together: from each member to its only reader."""
    number = {id(node): k for k, node in enumerate(nodes)}
    found: list[tuple[int, int]] = []
    for unit in quantised_units(graph, nodes):
        readers = {name: number[id(node)] for node in unit.members for name in node.inputs}
        found += [(number[id(node)], readers[name]) for node in unit.members for name in node.writes if name in readers]
    return found


def _settle(
    graph: Graph, device: Device, candidates: Candidates, unit: QuantisedUnit, column: int, rows: Sequence[Sequence[Answer]]
) -> Sequence[Answer]:
    """Answers of one device for all members: computed in integers, as they stand, or refused for one member's sake."""
    dtype = _computed_in(graph, device, unit)
    if (dtype in integer_dtypes(device) or _only_moves(graph, device, unit, dtype)) and (
        not takes_all(device) or _each_quantised(graph, unit)
    ):
        seen = [node if node.kind in (INTO, OUT) else view_of(graph, node, unit, dtype) for node in unit.members]
        inside = [
            candidates.ask_as(node, view, device, view_of(graph, node, unit, dtype, stored=True))
            for node, view in zip(unit.members, seen, strict=True)
            if isinstance(view, OperatorView)
        ]
        if all(isinstance(answer, Implementation) for answer in inside):
            free = Implementation(device.name, NATIVE, 0.0, 0, dtype, 0.0, str(device.origin))
            rest = iter(inside)
            return [next(rest) if isinstance(view, OperatorView) else free for view in seen]
    here = _with_stored(graph, candidates, device, unit, [row[column] for row in rows])
    refused = next(((n, a) for n, a in zip(unit.members, here, strict=True) if isinstance(a, Refusal)), None)
    if refused is None:
        return here
    node, refusal = refused
    why = Refusal(device.name, tuple(f"its quantised unit needs {node.kind}, and {reason}" for reason in refusal.reasons))
    return [answer if isinstance(answer, Refusal) else why for answer in here]


def _only_moves(graph: Graph, device: Device, unit: QuantisedUnit, dtype: str) -> bool:
    """Whether a runtime that runs everything lists in the integers `dtype` what only moves numbers from one grid to the same: for that it
    needs no multipliers, of which a peak speaks."""
    if not takes_all(device) or not unit.whole or not any(dtype in block.dtypes for block in device.supports):
        return False
    grids = [tuple(_small(graph, name) for name in node.inputs[1:]) for node in unit.members if node.kind in (INTO, OUT)]
    moving = all(node.kind in MOVES or node.kind in (INTO, OUT) for node in unit.members)
    return moving and None not in grids[0] and all(grid == grids[0] for grid in grids)


def _small(graph: Graph, name: str) -> bytes | None:
    value = graph.tensors.small(name)
    return None if value is None else value.tobytes()


def _with_stored(graph: Graph, candidates: Candidates, device: Device, unit: QuantisedUnit, here: Sequence[Answer]) -> list[Answer]:
    """A DequantizeLinear of a weight costs nothing where a line of the device is about that weight, beside floats; and its reader is asked
    how long it takes on the integers, unless the runtime widens them when it loads the model."""
    found = {id(node): answer for node, answer in zip(unit.members, here, strict=True)}
    for reader in unit.members:
        lines = _stored_weights(graph, device, unit, reader)
        run = found[id(reader)]
        if not lines or not isinstance(run, Implementation):
            continue
        kept = {name: graph.tensor(node.inputs[0]).dtype for name, (node, line) in lines.items() if not line.widened}
        for name, (node, line) in lines.items():
            if name in kept or isinstance(found[id(node)], Refusal):
                dtype = graph.tensor(node.inputs[0]).dtype
                found[id(node)] = Implementation(device.name, NATIVE, 0.0, 0, dtype, 0.0, str(line.origin))
        if kept and run.rule == NATIVE:
            view = graph.view(reader)
            seen = {k: replace(t, dtype=kept[t.name], const=True) if t.name in kept else t for k, t in view.inputs.items()}
            found[id(reader)] = candidates.ask_as(reader, view, device, replace(view, inputs=seen))
    return [found[id(node)] for node in unit.members]


def _stored_weights(graph: Graph, device: Device, unit: QuantisedUnit, reader: Node) -> dict[str, tuple[Node, WeightFormat]]:
    """By the tensor that `reader` reads: the DequantizeLinear of a constant that makes it, and the line about that constant."""
    makers = [node for node in unit.members if node.kind == OUT and node.outputs[0] in reader.inputs and node.inputs[0] in graph.constants]
    if not makers or not device.weights:
        return {}
    view = graph.view(reader)
    labels = {tensor.name: label for label, tensor in view.inputs.items()}
    found = {}
    for node in makers:
        name, dtype = node.outputs[0], graph.tensor(node.inputs[0]).dtype
        line = reads_stored(device, view, labels[name], dtype, scales_of(graph, node))
        if line is not None:
            found[name] = (node, line)
    return found


def _each_quantised(graph: Graph, unit: QuantisedUnit) -> bool:
    """Whether all that its operators compute on is dequantised for each: a runtime that runs everything in some way replaces single
    operators with integer kernels, and leaves longer runs, and operators with an operand in floats, as they stand."""
    stored = {name for node in unit.members if node.kind in CARRIES for name in node.writes}
    computing = [node for node in unit.members if node.kind not in (INTO, *ABSORBED, *CARRIES)]
    reads = (name for node in computing for name in (node.inputs[:1] if node.kind == "Resize" else node.inputs))
    return all(name in stored or not name or not _is_float(graph, name) for name in reads)


def either_sign(device: Device) -> Device:
    """The device, with whatever it says of all operators in int8 said of uint8 too, and the other way round, unless it speaks of both: a
    runtime that computes everything in bytes zero point and all takes either. A table that lists operators one by one means what it says.
    """
    named, every = set(device_dtypes(device)), set(operator_names())
    added = []
    for block in device.supports:
        others = tuple(other for dtype in block.dtypes if (other := other_sign(dtype)) and other not in named)
        if others and every <= {key_of(rule.domain, rule.operator) for rule in block.rules if rule.where is None}:
            added.append(replace(block, dtypes=others))
    return replace(device, supports=(*device.supports, *added)) if added else device


def view_of(graph: Graph, node: Node, unit: QuantisedUnit, dtype: str = "", *, stored: bool = False) -> OperatorView:
    """The operator as a device sees it that computes in the integers `dtype`, by default those that the unit writes: operands and result in
    the dtypes they are quantised to, a dequantised constant as the constant. int32 (a bias) counts as `dtype`, or with `stored` as what it
    takes in memory; what is not quantised inside as quantised by one scale."""
    dtype = dtype or graph.tensor(unit.members[-1].outputs[0]).dtype
    sources = {member.outputs[0]: graph.tensor(member.inputs[0]) for member in unit.members if member.kind == OUT}
    quantising = {member.outputs[0]: member for member in unit.members if member.kind == OUT}
    quantising |= {member.inputs[0]: member for member in unit.members if member.kind == INTO}

    def seen(tensor: TensorView) -> TensorView:
        source, by = sources.get(tensor.name), quantising.get(tensor.name)
        scales = scales_of(graph, by) if by is not None else Scales()
        if source is None:
            return replace(tensor, dtype=dtype, scales=scales) if tensor.dtype in FLOATS else tensor
        wide = source.dtype == "int32" and not stored
        return replace(tensor, dtype=dtype if wide else source.dtype, const=source.const, scales=scales)

    view = graph.view(node)
    inputs = {label: seen(tensor) for label, tensor in view.inputs.items()}
    return replace(view, inputs=inputs, outputs={label: seen(tensor) for label, tensor in view.outputs.items()}, quantised=True)
