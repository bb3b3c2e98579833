"""A segment, or a whole model, as a .tflite file: `write_tflite`; and what of it LiteRT cannot run: `refusals`.

Needs the extra `litert`: its schema writes the file. Nothing is run here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .activations import ACTIVATIONS
from .elementwise import ELEMENTWISE
from .file import TYPES, write_file
from .fuse import fuse
from .indices import INDICES
from .integers.borders import BORDERS
from .integers.grids import is_grid, port_scales
from .integers.ports import from_port, to_port
from .integers.units import NORMALISING, ON_ANY_INTEGERS, in_integers
from .layout import GraphFacts, decide_layout
from .movement import MOVEMENT
from .node import Converter, TfliteNode
from .normalise import NORMALISE
from .order import channels_last, plain, stored
from .products import PRODUCTS, products_of_columns
from .program import Program
from .records import Refused, Tensor
from .recurrent import RECURRENT
from .reductions import REDUCTIONS
from .resize import RESIZE
from .spatial import SPATIAL
from .transposed import TRANSPOSED
from .values import Values

if TYPE_CHECKING:
    import onnx

CONVERTERS: Mapping[str, Converter] = {
    **ACTIVATIONS,
    **BORDERS,
    **ELEMENTWISE,
    **INDICES,
    **MOVEMENT,
    **NORMALISE,
    **PRODUCTS,
    **RECURRENT,
    **REDUCTIONS,
    **RESIZE,
    **SPATIAL,
    **TRANSPOSED,
}
MOST_RANK = 8
"""LiteRT's tensors of more dims cannot be bound."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A node that is not converted, and why; `node` and `operator` are "" where it is about an input or output of the graph."""

    node: str
    operator: str
    reason: str

    def __str__(self) -> str:
        return f"{self.operator} (node {self.node}): {self.reason}" if self.operator else self.reason


def write_tflite(
    model: onnx.ModelProto, *, channels_last: Collection[str] = (), metadata: Mapping[str, str] | None = None, integers_alone: bool = False
) -> bytes:
    """The file of a model whose weights are inline and whose shapes are all known.

    Inputs and outputs have the model's names, order, dtypes and shapes; those that `channels_last` names are NHWC instead of NCHW.
    `metadata` goes into the file as it is. `integers_alone`: for an NPU that has no floats, so that what a CPU computes faster in floats
    (`NORMALISING`) is in integers too where it is quantised. The same model gives the same bytes. Raises Refused naming operator, node and
    reason.
    """
    built = _built(model, channels_last, integers_alone)
    if built.refused:
        raise Refused(str(built.refused[0]))
    return write_file(built.program, built.inputs, built.outputs, metadata or {})


def refusals(model: onnx.ModelProto) -> tuple[Refusal, ...]:
    """Every node that `write_tflite` would refuse, by the same code; empty where it writes the file."""
    return tuple(_built(model, ()).refused)


def units_in_floats(model: onnx.ModelProto) -> Mapping[str, str]:
    """What the file has in floats between DequantizeLinear and QuantizeLinear, by the quantised result, and why."""
    built = _built(model, ())
    return {**built.read.floats, **built.floats}


def _built(model: onnx.ModelProto, ports_last: Collection[str], integers_alone: bool = False) -> _Builder:
    """Units that cannot be computed in integers are left in floats, and all is converted again: the layout depends on them."""
    floats: dict[str, str] = {}
    while True:
        built = _Builder(model, ports_last, floats, frozenset() if integers_alone else NORMALISING)
        built.convert()
        if not built.in_floats:
            return built
        floats |= built.in_floats


class _Builder:
    """Converts node by node; what follows a refused node sees its outputs as if they came from outside."""

    def __init__(self, model: onnx.ModelProto, ports_last: Collection[str], floats: Mapping[str, str], without: frozenset[str]) -> None:
        """floats: units that stay in floats, and why; without: operators whose units all do."""
        from onnx import numpy_helper

        graph = model.graph
        self.graph, self.ports_last = graph, frozenset(ports_last)
        self.opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.given = [value for value in graph.input if value.name not in constants]
        shapes, dtypes = _types(graph)
        self.program = Program()
        self.read = in_integers(graph, shapes, dtypes, constants, floats, without)
        self.port_dtypes = dtypes
        kinds, constants = {**dtypes, **self.read.dtypes}, {**constants, **self.read.constants}
        producers = {name: node for node in self.read.nodes for name in node.output}
        self.values = Values(self.program, shapes, kinds, constants, self.read.scales, producers=producers)
        self.refused: list[Refusal] = []
        self.floats = floats
        self.in_floats: dict[str, str] = {}
        """Units that were tried in integers, and why they are not."""
        self.inputs: list[tuple[str, Tensor]] = []
        self.outputs: list[tuple[str, Tensor]] = []

    def convert(self) -> None:
        values, graph = self.values, self.graph
        facts = GraphFacts(
            nodes=self.read.nodes,
            inputs=[value.name for value in self.given],
            outputs=[value.name for value in graph.output],
            shapes=values.shapes,
            constants=values.constants,
            columns=products_of_columns(self.read.nodes, [value.name for value in graph.output], values),
            ports_last=self.ports_last,
        )
        layout = decide_layout(facts)
        values.channel_axes = layout.channel_axes
        values.taken.update(value.name for value in (*self.given, *graph.output))
        for value in self.given:
            self._input(value)
        for number, proto in enumerate(self.read.nodes):
            node = TfliteNode(proto, self.program, values, number in layout.last, self.opset)
            unit = self.read.units.get(number)
            try:
                self._node(node, unit is not None)
            except Refused as refused:
                if unit is None:
                    self.refused.append(Refusal(proto.name or node.hint, proto.op_type, str(refused)))
                else:
                    self.in_floats.setdefault(unit, f"{proto.op_type} ({proto.name or node.hint}): {refused}")
                self._stand_in(proto)
        for value in graph.output:
            self._output(value)
        kept = [tensor for _, tensor in self.outputs]
        self.program.sweep(kept)
        fuse(self.program, kept)

    def _node(self, node: TfliteNode, in_integers: bool) -> None:
        """in_integers: whether its tensors are integers that stand for other numbers."""
        proto = node.proto
        known = proto.domain in ("", "ai.onnx") or is_grid(proto)
        converter = CONVERTERS.get(proto.op_type) if known else None
        if converter is None:
            raise Refused("it is not converted to LiteRT's operators")
        if why := self.read.refused.get(proto.output[0]):
            raise Refused(why)
        plain_reader = not in_integers and not is_grid(proto) and proto.op_type not in ON_ANY_INTEGERS
        if plain_reader and (named := next((name for name in proto.input if name in self.values.scales), "")):
            raise Refused(f"{named} is quantised, and it reads the integers as they are")
        for name in (*proto.input, *proto.output):
            if name and 0 in self.values.shape(name) and name not in self.values.constants:
                raise Refused(f"{name} has no elements")
        before = len(self.program.operators)
        try:
            converter(node)
        except Exception:
            del self.program.operators[before:]
            raise

    def _stand_in(self, proto: onnx.NodeProto) -> None:
        for name in proto.output:
            if name in self.values.shapes and name in self.values.dtypes:
                shape = self.values.shapes[name]
                self.values.made[name] = {plain(len(shape)): Tensor(name, shape, self.values.dtypes[name])}

    def _order(self, name: str) -> tuple[int, ...]:
        rank = len(self.values.shape(name))
        return channels_last(rank) if name in self.ports_last else plain(rank)

    def _input(self, value: onnx.ValueInfoProto) -> None:
        name = value.name
        try:
            shape, dtype = self.values.shape(name), self.values.dtype(name)
            if dtype not in TYPES or 0 in shape or len(shape) > MOST_RANK:
                raise Refused(f"input {name}: {dtype}{list(shape)} is no tensor of LiteRT")
        except Refused as refused:
            self.refused.append(Refusal("", "", str(refused)))
            return
        order, scales = self._order(name), self.values.scales.get(name)
        kind = self.port_dtypes[name]
        tensor = Tensor(name, stored(shape, order), kind, None, scales if scales is None else port_scales(scales, kind))
        self.inputs.append((name, tensor))
        if scales is not None and kind != dtype:
            tensor = from_port(self.program, tensor, dtype, scales, self.values.fresh)
        self.values.write(name, order, tensor)

    def _output(self, value: onnx.ValueInfoProto) -> None:
        """Under its own name; through a RESHAPE where the tensor has another one already, as an input or constant that is passed on."""
        name, values = value.name, self.values
        try:
            tensor = values.read(name, self._order(name))
            kind = self.port_dtypes.get(name, tensor.dtype)
            if tensor.scales is not None and kind != tensor.dtype:
                tensor = to_port(self.program, tensor, name, kind, self.values.fresh)
            if tensor.dtype not in TYPES or 0 in tensor.shape or tensor.rank > MOST_RANK:
                raise Refused(f"output {name}: {tensor.dtype}{list(tensor.shape)} is no tensor of LiteRT")
            kept = [other for _, other in (*self.inputs, *self.outputs)]
            if tensor.data is not None or any(tensor is other for other in kept):
                tensor = self._copy(tensor, name)
        except Refused as refused:
            if not self.refused:
                self.refused.append(Refusal("", "", str(refused)))
            return
        tensor.name = name
        self.outputs.append((name, tensor))

    def _copy(self, tensor: Tensor, name: str) -> Tensor:
        import numpy

        shape = self.program.constant(numpy.array(tensor.shape, numpy.int32), self.values.fresh(f"{name}.shape"))
        return self.program.emit("RESHAPE", [tensor, shape], tensor.shape, name, scales=tensor.scales, newShape=list(tensor.shape))


def _types(graph: onnx.GraphProto) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Shapes that are known, and dtypes, of inputs, outputs and what lies between."""
    from onnx import helper

    shapes, dtypes = {}, {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind: Any = value.type.tensor_type
        if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
            shapes[value.name] = tuple(dim.dim_value for dim in kind.shape.dim)
        if kind.elem_type:
            dtypes[value.name] = helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    return shapes, dtypes
