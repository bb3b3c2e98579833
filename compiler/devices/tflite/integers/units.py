"""Operators between DequantizeLinear and QuantizeLinear become operators of integers: `in_integers`, on the nodes of an ONNX graph.

    y = QuantizeLinear(Relu(Conv(DequantizeLinear(x), DequantizeLinear(w))))   ->   t = Conv(x, w)   y = Relu(t)

where x, w, t and y are integer tensors with scales. The activation keeps the grid of y: rounding and clamping change places, since a bound
is clamped to where it is rounded itself. Nothing else is moved, so that every operator rounds where the QDQ model rounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..records import Refused, Scales
from .grids import INTO, OUT, SIGNED, floats_of, grid_of, is_grid, stored
from .left_in_floats import why_in_floats

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

COMPUTING = frozenset({
    "Add", "AveragePool", "Clip", "Conv", "ConvTranspose", "Div", "Gelu", "Gemm", "GlobalAveragePool", "HardSwish", "LayerNormalization",
    "LeakyRelu", "MatMul", "Max", "Min", "Mul", "ReduceMean", "Relu", "Sigmoid", "Softmax", "Sub", "Sum", "Tanh",
})  # fmt: skip
MOVING = frozenset({
    "Concat", "DepthToSpace", "Flatten", "Gather", "Identity", "MaxPool", "Pad", "Reshape", "Resize", "Slice", "SpaceToDepth", "Split",
    "Squeeze", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Results are numbers of the first operand, or lie between them."""
NORMALISING = frozenset({"LayerNormalization"})
"""Of the first ones, those of many integer operators: a CPU is faster and more exact in floats."""
ON_ANY_INTEGERS = frozenset({"Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"})
"""What may stand between integers as it is, without DequantizeLinear."""
PLAIN = {
    "Conv": (2,), "ConvTranspose": (2,), "Gemm": (2,), "Clip": (1, 2), "Pad": (2,), "Resize": (1, 2), "LayerNormalization": (1, 2),
}  # fmt: skip
"""Operands that may be constants in floats: a bias, limits, numbers that are no operands of the arithmetic."""
ACTIVATIONS = frozenset({"Clip", "Relu"})
BROADCAST = frozenset({"Add", "Mul", "Sub", "Sum"})
DIVISION, SUM = "Div", "Sum"
"""By one constant number alone, as a product with its inverse; of two alone, since of more every partial sum would be rounded."""
RESPELLED = {DIVISION: "Mul", SUM: "Add"}
FLOAT = "float32"


@dataclass(slots=True)
class IntegerGraph:
    """The nodes, with the tensors whose integers stand for numbers."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    units: dict[int, str] = field(default_factory=dict)
    """Numbers of the nodes that compute in integers, with the name by which a unit is left in floats: its first result."""
    scales: dict[str, Scales] = field(default_factory=dict)
    """By the tensor's name."""
    dtypes: dict[str, str] = field(default_factory=dict)
    """Of the same tensors, as they are stored."""
    constants: dict[str, Array] = field(default_factory=dict)
    """Those that are new: stored weights, and in floats what was dequantised."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why a QuantizeLinear or DequantizeLinear is not converted, by its first output."""
    floats: Mapping[str, str] = field(default_factory=dict)
    """Why what is quantised between two grids is computed in floats, by the quantised result."""


def in_integers(
    graph: onnx.GraphProto,
    shapes: Mapping[str, tuple[int, ...]],
    dtypes: Mapping[str, str],
    constants: Mapping[str, Array],
    floats: Collection[str] = (),
    without: frozenset[str] = frozenset(),
) -> IntegerGraph:
    """`floats`: units, by their first result, that stay between DEQUANTIZE and QUANTIZE; `without`: operators whose units all do."""
    return _Reader(graph, shapes, dtypes, constants, frozenset(floats), without).read()


class _Reader:
    def __init__(
        self,
        graph: onnx.GraphProto,
        shapes: Mapping[str, tuple[int, ...]],
        dtypes: Mapping[str, str],
        constants: Mapping[str, Array],
        floats: frozenset[str],
        without: frozenset[str],
    ) -> None:
        self.graph, self.shapes, self.dtypes, self.constants, self.floats = graph, shapes, dtypes, constants, floats
        self.taken, self.without = (COMPUTING | MOVING) - without, without
        self.made = IntegerGraph()
        self.producers = {name: node for node in graph.node for name in node.output if name}
        self.outputs = {value.name for value in graph.output}
        self.uses = Counter(name for node in graph.node for name in node.input if name) + Counter(self.outputs)
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def read(self) -> IntegerGraph:
        made = self.made
        if not any(is_grid(node) for node in self.graph.node):
            made.nodes = list(self.graph.node)
            return made
        self._grids()
        self._spread()
        inside: dict[int, list[tuple[onnx.NodeProto, str]]] = {}
        gone: set[int] = set()
        for node in self.graph.node:
            if (unit := self._unit(node)) is not None:
                nodes, members = unit
                inside[id(node)] = nodes
                gone.update(id(member) for member in members)
        left = [node for node in self.graph.node if id(node) not in gone]
        made.floats = why_in_floats(left, self.producers, self.constants, self.taken, self.without, made.refused)
        wanted = Counter(name for node in left for name in node.input) + Counter(self.outputs)
        for node in self.graph.node:
            for rewritten, name in inside.get(id(node), ()):
                made.units[len(made.nodes)] = name
                made.nodes.append(rewritten)
            dead = is_grid(node) and node.op_type == OUT and not wanted[node.output[0]]
            folded = is_grid(node) and node.output[0] in made.constants
            if id(node) not in gone and not dead and not folded:
                made.nodes.append(node)
        return made

    def _grids(self) -> None:
        """A grid for each quantised tensor, from whoever writes or reads it; stored and dequantised constants."""
        for node in self.graph.node:
            if not is_grid(node):
                continue
            name = node.output[0] if node.op_type == INTO else node.input[0]
            try:
                dtype = str(self.constants[name].dtype.name) if name in self.constants else self.dtypes.get(name, "")
                rank = len(self.constants[name].shape if name in self.constants else self.shapes.get(name, ()))
                scales = grid_of(node, self.constants, dtype, rank)
                if name in self.constants:
                    self.made.constants[node.output[0]] = floats_of(stored(self.constants[name]), scales)
                    continue
                self._place(name, scales, dtype)
            except Refused as refused:
                self.made.refused[node.output[0]] = str(refused)

    def _place(self, name: str, scales: Scales, dtype: str) -> None:
        if len(scales.scale) > 1:
            raise Refused("a scale for each channel of what is computed is not converted")
        if dtype == "int32":
            raise Refused("int32 with a scale is not converted outside a bias")
        if self.made.scales.get(name, scales) != scales:
            raise Refused(f"{name} is read with other scales than it is written with")
        self.made.scales[name], self.made.dtypes[name] = scales, SIGNED[dtype]

    def _spread(self) -> None:
        """The grid along what only moves integers, both ways."""
        moves = [node for node in self.graph.node if node.op_type in ON_ANY_INTEGERS and node.input[0] not in self.constants]
        for nodes, forward in ((moves, True), (moves[::-1], False)):
            for node in nodes:
                before, after = node.input[:1], node.output
                source, targets = (before[0], after) if forward else (after[0], before)
                scales = self.made.scales.get(source)
                for name in targets:
                    if scales is not None and name not in self.made.scales and name not in self.constants:
                        self.made.scales[name], self.made.dtypes[name] = scales, self.made.dtypes[source]

    def _unit(self, node: onnx.NodeProto) -> tuple[list[tuple[onnx.NodeProto, str]], list[onnx.NodeProto]] | None:
        """The nodes that replace a unit, and those that go; None where the node is in no unit."""
        import onnx

        if node.domain not in ("", "ai.onnx") or node.op_type not in self.taken or is_grid(node):
            return None
        if node.op_type == SUM and len(node.input) != 2:
            return None
        read = [name for name in node.output if self.uses[name]]
        found = [self._quantised(name, len(node.output) == 1) for name in read]
        chains = [chain for chain in found if chain is not None]
        if not chains or len(chains) != len(found) or chains[0][-1].output[0] in self.floats:
            return None
        if node.op_type in ACTIVATIONS and self._is_behind(node):
            return None
        operands = self._operands(node)
        if operands is None:
            return None
        results = [chain[-1].output[0] for chain in chains]
        first, activation = onnx.NodeProto(), next((chain[0] for chain in chains if len(chain) > 1), None)
        first.CopyFrom(node)
        first.op_type = RESPELLED.get(node.op_type, node.op_type)
        quantised = dict(zip(read, results, strict=True))
        first.input[:] = operands
        first.output[:] = [quantised.get(name, name) if activation is None else name for name in node.output]
        for name in set(node.output) - set(read):
            self.made.scales[name], self.made.dtypes[name] = self.made.scales[results[0]], self.made.dtypes[results[0]]
        nodes = [(first, results[0])]
        if activation is not None:
            inner = node.output[0]
            self.made.scales[inner], self.made.dtypes[inner] = self.made.scales[results[0]], self.made.dtypes[results[0]]
            second = onnx.NodeProto()
            second.CopyFrom(activation)
            second.input[:], second.output[:] = [inner, *activation.input[1:]], results
            nodes.append((second, results[0]))
        return nodes, [node, *(member for chain in chains for member in chain)]

    def _is_behind(self, node: onnx.NodeProto) -> bool:
        """Whether an activation goes into the unit of the operator before it."""
        before = self.producers.get(node.input[0])
        return before is not None and not is_grid(before)

    def _quantised(self, name: str, alone: bool) -> list[onnx.NodeProto] | None:
        """What follows a result: its QuantizeLinear, or where it is the only result an activation with constant limits and that."""
        chain: list[onnx.NodeProto] = []
        while name and self.uses[name] == 1 and name not in self.outputs and len(chain) < 2:
            (reader,) = self.readers[name]
            if reader.input[0] != name:
                return None
            if is_grid(reader) and reader.op_type == INTO:
                return [*chain, reader] if reader.output[0] in self.made.scales and reader.output[0] not in self.made.refused else None
            limits = all(other in self.constants for other in reader.input[1:] if other)
            if chain or not alone or reader.domain not in ("", "ai.onnx") or reader.op_type not in ACTIVATIONS or not limits:
                return None
            chain.append(reader)
            name = reader.output[0]
        return None

    def _operands(self, node: onnx.NodeProto) -> list[str] | None:
        """The integer tensors in place of the dequantised ones; None where an operand in floats is computed."""
        found, varies = [], False
        for index, name in enumerate(node.input):
            source = self.producers.get(name) if name else None
            if node.op_type == DIVISION and index == 1:
                if not (kept := self._single(node, index, inverse=True)):
                    return None
                found.append(kept)
            elif source is not None and is_grid(source) and source.op_type == OUT:
                if source.output[0] in self.made.refused:
                    return None
                varies = varies or source.input[0] not in self.constants
                found.append(self._stored_operand(source) if source.input[0] in self.constants else source.input[0])
            elif not name or index in PLAIN.get(node.op_type, ()) or not self._is_float(name):
                found.append(name)
            elif name in self.constants and node.op_type in BROADCAST and (kept := self._single(node, index)):
                found.append(kept)
            else:
                return None
        return found if varies else None

    def _is_float(self, name: str) -> bool:
        return (str(self.constants[name].dtype.name) if name in self.constants else self.dtypes.get(name, FLOAT)) == FLOAT

    def _stored_operand(self, source: onnx.NodeProto) -> str:
        """A name for a stored constant with the scales of this DequantizeLinear: another one may read it with others."""
        name, values = f"{source.output[0]}.stored", self.constants[source.input[0]]
        self.made.constants[name], self.made.dtypes[name] = stored(values), SIGNED[values.dtype.name]
        self.made.scales[name] = grid_of(source, self.constants, values.dtype.name, values.ndim)
        return name

    def _single(self, node: onnx.NodeProto, index: int, inverse: bool = False) -> str:
        """A constant in floats of one element, or its inverse, which is a grid's step and so exact; "" where there is none."""
        import numpy

        given = node.input[index]
        values = self.constants.get(given, self.made.constants.get(given))
        if values is None or values.size != 1 or not numpy.isfinite(values).all() or not values.all():
            return ""
        name = f"{node.output[0]}.{index}.stored"
        dtype = next((self.made.dtypes[read] for read in self._varying(node)), "")
        if not dtype:
            return ""
        self.made.constants[name] = numpy.full(values.shape, 1 if values.item() > 0 else -1, dtype)
        step = abs(float(values.item()))
        self.made.dtypes[name], self.made.scales[name] = dtype, Scales((1 / step if inverse else step,), (0,))
        return name

    def _varying(self, node: onnx.NodeProto) -> Iterator[str]:
        for name in node.input:
            source = self.producers.get(name)
            if source is not None and is_grid(source) and source.input[0] in self.made.scales:
                yield source.input[0]
