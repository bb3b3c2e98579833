"""Compute what depends on no input, one operator at a time, as long as the model does not grow by it.

onnxsim folds shape arithmetic; it is never shown a large weight. What meets large weights, stands in bodies, or is left out by onnxsim
(QuantizeLinear) is computed here, where the size of a result is known before it is made, and growth is accepted or refused per operator.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ....passes.mapped.spill import placed
from ... import quantities
from ..structure import all_graphs, bodies, describe_node
from .compute import compute, result_bytes, tensor_bytes
from .constant_nodes import NO_TENSOR, RANDOM

if TYPE_CHECKING:
    import onnx

DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
ROOM = 3 << 20
"""Bytes by which folding may make any model larger."""
EXPLOSIVE = 4
"""Results so many times larger than their operands share ROOM; others (a Cast, a shared weight transposed) may double the model."""
REVEALING = 1 << 10
"""Elements of a result that may be a shape or a condition: knowing it can make more of the model constant."""
NAMED = 3
"""How many operators that stay are named in a note."""


@dataclass(slots=True)
class Folding:
    """What was done."""

    folded: int = 0
    revealing: bool = False
    """Whether a shape or a condition was among the results."""
    refused: list[tuple[str, float]] = field(default_factory=list)
    """Operators that stay since the model would grow: description, bytes."""

    def notes(self) -> tuple[str, ...]:
        """For the user."""
        if not self.refused:
            return ()
        named = [f"{what} ({_size(size)})" for what, size in self.refused[:NAMED]]
        more = f" and {len(self.refused) - NAMED} more" if len(self.refused) > NAMED else ""
        return (f"computed on every run, since the model would grow by it: {', '.join(named)}{more}",)


def fold_cones(model: onnx.ModelProto) -> Folding:
    """Folds in place, bodies included; `model` has its weights. A dequantised weight stays quantised."""
    folder = _Folder(model)
    folder.fold(model.graph, {})
    return folder.done


class _Folder:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.done = Folding()
        self.readers = Counter(_reads(model))
        total = sum(tensor_bytes(tensor) for graph in all_graphs(model.graph) for tensor in graph.initializer)
        self.small_room, self.room = float(ROOM), float(max(ROOM, total))

    def fold(self, graph: onnx.GraphProto, outer: Mapping[str, onnx.TensorProto]) -> None:
        """outer: constants that the graph can read from outside."""
        inputs = {value.name for value in graph.input}
        results = set() if graph is self.model.graph else {value.name for value in graph.output}
        constants = {name: tensor for name, tensor in outer.items() if name not in inputs}
        constants.update((tensor.name, tensor) for tensor in graph.initializer)
        made: dict[str, onnx.TensorProto] = {}
        kept = []
        for node in graph.node:
            found = None if not results.isdisjoint(node.output) else self._fold(node, constants)
            if found is None:
                for name in node.output:
                    constants.pop(name, None)
                constants.update(_constant(node))
                for body in bodies(node):
                    self.fold(body, constants)
                kept.append(node)
            else:
                found = [placed(tensor) for tensor in found] if graph is self.model.graph else found
                made.update((tensor.name, tensor) for tensor in found)
                constants.update((tensor.name, tensor) for tensor in found)
        if len(kept) < len(graph.node):
            self._replace(graph, kept, made)

    def _fold(self, node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> list[onnx.TensorProto] | None:
        """The node's results; None where it stays."""
        reads = [name for name in dict.fromkeys(node.input) if name]
        if not reads or _stays(node) or not all(name in constants for name in reads):
            return None
        operands = {name: constants[name] for name in reads}
        wanted = [name for name in node.output if name and self.readers[name]]
        if not wanted or not self._fits(node, operands):
            return None
        found = compute(self.model, node, operands, wanted)
        if found is None:
            return None
        self.done.folded += 1
        self.done.revealing |= any(tensor.data_type in _whole() and math.prod(tensor.dims) <= REVEALING for tensor in found)
        for name in node.input:
            self.readers[name] -= 1
        return found

    def _fits(self, node: onnx.NodeProto, operands: Mapping[str, onnx.TensorProto]) -> bool:
        """Takes what the model grows by from the room that is left; False where that is too little."""
        size = result_bytes(self.model, node, operands)
        uses = Counter(node.input)
        growth = size - sum(tensor_bytes(tensor) for name, tensor in operands.items() if self.readers[name] == uses[name])
        explosive = size > EXPLOSIVE * sum(map(tensor_bytes, operands.values()))
        if growth > (min(self.small_room, self.room) if explosive else self.room):
            self.done.refused.append((describe_node(node), size))
            return False
        self.room -= max(growth, 0)
        if explosive:
            self.small_room -= max(growth, 0)
        return True

    def _replace(self, graph: onnx.GraphProto, nodes: list[onnx.NodeProto], made: Mapping[str, onnx.TensorProto]) -> None:
        """Only results and constants that something reads."""
        results = {value.name for value in graph.output}
        nodes = [node for node in nodes if node.op_type != "Constant" or not results.isdisjoint(node.output) or self._read(node.output)]
        typed = [value for value in graph.value_info if value.name not in made]
        for target, values in ((graph.node, nodes), (graph.value_info, typed)):
            del target[:]
            target.extend(values)
        for k in reversed(range(len(graph.initializer))):  # one by one: putting the others back would copy all weights
            if graph.initializer[k].name not in results and not self._read([graph.initializer[k].name]):
                del graph.initializer[k]
        graph.initializer.extend(tensor for tensor in made.values() if tensor.name in results or self._read([tensor.name]))

    def _read(self, names: Iterable[str]) -> bool:
        return any(self.readers[name] > 0 for name in names)


def _stays(node: onnx.NodeProto) -> bool:
    if node.domain not in DOMAINS or node.op_type in RANDOM or node.op_type in NO_TENSOR or node.op_type == "DequantizeLinear":
        return True
    return any(True for _ in bodies(node))


def _constant(node: onnx.NodeProto) -> dict[str, onnx.TensorProto]:
    from .lift_constants import tensor_of

    tensor = tensor_of(node) if node.op_type == "Constant" and node.domain in ("", "ai.onnx") else None
    return {} if tensor is None else {tensor.name: tensor}


def _reads(model: onnx.ModelProto) -> Iterator[str]:
    """Every reading of a name, in all graphs; one that is given out counts."""
    for graph in all_graphs(model.graph):
        yield from (value.name for value in graph.output)
        yield from (name for node in graph.node for name in node.input if name)


def _whole() -> frozenset[int]:
    from onnx import TensorProto

    return frozenset({TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL})


def _size(size: float) -> str:
    return quantities.size(size) if math.isfinite(size) else "of unknown size"
