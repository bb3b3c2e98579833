"""Operators that have their quantisation in their name (QLinearConv, QGemm …), and operators that move integers: as the operator that they
are, between DequantizeLinear and QuantizeLinear.

So such an operator is defined, up to the rounding of its sums in floats; so devices list it, and runtimes make one kernel of it. From
here on an operator has one spelling, whoever quantised the model.

QLinearConv(x, sx, zx, w, sw, zw, sy, zy, b)  ->  QuantizeLinear(Conv(DQ(x, sx, zx), DQ(w, sw, zw), DQ(b, sx·sw)), sy, zy)
MaxPool(q), q in steps of s from z            ->  QuantizeLinear(MaxPool(DQ(q, s, z)), s, z): exact
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from ..structure import all_graphs
from ..versions import DEFAULT_DOMAINS, opset_of
from .quantised_spellings import DROPPED, MICROSOFT, MOVES, Spelling, said, spelling_of

if TYPE_CHECKING:
    import onnx

INTO, OUT = "QuantizeLinear", "DequantizeLinear"
FIRST = 13
"""The opset from which on scales may differ along an axis."""
UINT8, INT8, INT64 = 2, 3, 7
"""Numbers of TensorProto.DataType; the first is what QuantizeLinear writes where no zero point says otherwise."""
INTEGER = 2
"""AttributeProto.INT."""
Grid = tuple[str, str]
"""The tensors of a scale and a zero point; the latter may be "", which stands for 0."""


def write_in_pairs(model: onnx.ModelProto) -> str:
    """Changes the nodes of the model in place; a note, "" where nothing changed. Nodes whose scales have no known shape stay."""
    if opset_of(model) < FIRST:
        return ""
    taken = {name for graph in all_graphs(model.graph) for name in _names(graph)}
    changed: Counter[str] = Counter()
    outside: dict[str, _Kind] = {}
    for graph in all_graphs(model.graph):
        writer = _Writer(graph, taken, dict(outside))
        changed.update(writer.write())
        outside = outside or writer.known
    if not changed:
        return ""
    if not any(node.domain == MICROSOFT for graph in all_graphs(model.graph) for node in graph.node):
        kept = [entry for entry in model.opset_import if entry.domain != MICROSOFT]
        del model.opset_import[:]
        model.opset_import.extend(kept)
    named = ", ".join(f"{number} {operator}" for operator, number in sorted(changed.items()))
    return f"written between DequantizeLinear and QuantizeLinear: {named}"


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (value.name for value in (*graph.input, *graph.initializer))
    yield from (name for node in graph.node for name in node.output)


@dataclass(frozen=True, slots=True)
class _Kind:
    """dtype: a number of TensorProto.DataType. Extents of 0 are not known."""

    dtype: int
    shape: tuple[int, ...]


@dataclass(slots=True)
class _Writer:
    """Of one graph: its nodes in order, written anew."""

    graph: onnx.GraphProto
    taken: set[str]
    known: dict[str, _Kind]
    """Of tensors whose shape is stated, outside of the graph too."""
    grids: dict[str, Grid] = field(default_factory=dict)
    """Of each tensor of integers that a QuantizeLinear wrote, or that was moved from one."""
    written: list[onnx.NodeProto] = field(default_factory=list)

    def write(self) -> Counter[str]:
        """How many operators were written otherwise, by name."""
        self._look()
        changed: Counter[str] = Counter()
        for node in self.graph.node:
            spelling = spelling_of(node)
            if spelling is not None and self._may_expand(node, spelling):
                self._expand(node, spelling)
            elif node.op_type in MOVES and node.domain in DEFAULT_DOMAINS and self._may_move(node):
                self._move(node)
            else:
                self._keep(node)
                continue
            changed[node.op_type] += 1
        if changed:
            nodes = [type(node).FromString(node.SerializeToString()) for node in self.written]
            del self.graph.node[:]
            self.graph.node.extend(nodes)
        return changed

    def _look(self) -> None:
        for value in (*self.graph.value_info, *self.graph.output, *self.graph.input):
            kind = value.type.tensor_type
            if kind.HasField("shape"):
                self.known[value.name] = _Kind(kind.elem_type, tuple(dim.dim_value for dim in kind.shape.dim))
        for tensor in self.graph.initializer:
            self.known[tensor.name] = _Kind(tensor.data_type, tuple(tensor.dims))

    def _keep(self, node: onnx.NodeProto) -> None:
        if node.op_type == INTO and node.domain in DEFAULT_DOMAINS and not said(node, "output_dtype", 0):
            grid = _grid(node.input, 1)
            if self._one(grid):
                self.grids[node.output[0]] = grid
        self.written.append(node)

    def _may_expand(self, node: onnx.NodeProto, spelling: Spelling) -> bool:
        """Whether there is one scale, or one for each channel of the weight."""
        grids = [_grid(node.input, place + 1) for place in spelling.operands]
        result = _grid(node.input, spelling.result)
        fits = [self._one(grid) or (k == 1 and self._along(grid, spelling)) for k, grid in enumerate(grids)]
        in_floats = spelling.optional and not result[0]
        return bool(grids) and all(fits) and (in_floats or (self._one(result) and self._dtype(node, spelling) != 0))

    def _one(self, grid: Grid) -> bool:
        kinds = [self.known.get(name) for name in grid if name]
        return bool(grid[0]) and all(kind is not None and prod(kind.shape) == 1 for kind in kinds)

    def _along(self, grid: Grid, spelling: Spelling) -> bool:
        kinds = {self.known.get(name) for name in grid if name}
        shapes = {kind.shape for kind in kinds if kind is not None}
        return spelling.channels is not None and None not in kinds and len(shapes) == 1 and all(len(shape) == 1 for shape in shapes)

    def _dtype(self, node: onnx.NodeProto, spelling: Spelling) -> int:
        """Of the result: its zero point's or, where that is left out, the first operand's; 0 where that is not known."""
        found = self.known.get(_grid(node.input, spelling.result)[1] or node.input[spelling.operands[0]])
        return 0 if found is None else found.dtype

    def _expand(self, node: onnx.NodeProto, spelling: Spelling) -> None:
        inputs = [node.input[place] for place in spelling.plain]
        for k, place in enumerate(spelling.operands):
            grid = _grid(node.input, place + 1)
            inputs.append(self._real(node.input[place], grid, None if k != 1 or self._one(grid) else spelling.channels))
        inputs += self._bias(node, spelling)
        attributes = [attribute for attribute in node.attribute if attribute.name not in DROPPED]
        if node.op_type == "QLinearReduceMean" and (axes := said(node, "axes", None)):
            attributes = [attribute for attribute in attributes if attribute.name != "axes"]
            inputs.append(self._constant(axes, INT64, f"{node.output[0]}_axes"))
        grid, result = _grid(node.input, spelling.result), node.output[0]
        made = self._op(spelling.operator, inputs, self._fresh(f"{result}_real") if grid[0] else result, node, attributes)
        if grid[0]:
            self._quantise(made, result, grid, self._dtype(node, spelling))

    def _bias(self, node: onnx.NodeProto, spelling: Spelling) -> list[str]:
        """In steps of the product of the scales of the first two operands; none where there is none."""
        if spelling.bias is None or len(node.input) <= spelling.bias or not node.input[spelling.bias]:
            return []
        scales = [node.input[place + 1] for place in spelling.operands]
        steps = self._op("Mul", scales, self._fresh(f"{node.output[0]}_bias_scale"))
        return [self._real(node.input[spelling.bias], (steps, ""), 0)]

    def _may_move(self, node: onnx.NodeProto) -> bool:
        data = node.input if node.op_type == "Concat" else node.input[:1]
        found = {self.grids.get(name) for name in data}
        return len(found) == 1 and None not in found and (node.op_type != "Resize" or said(node, "mode", b"nearest") == b"nearest")

    def _move(self, node: onnx.NodeProto) -> None:
        grid = self.grids[node.input[0]]
        many = len(node.input) if node.op_type == "Concat" else 1
        rest = list(node.input[many:])
        if node.op_type == "Pad" and said(node, "mode", b"constant") == b"constant":
            rest[1:2] = [self._real(rest[1] if rest[1:] and rest[1] else self._nothing(node, grid), grid, None)]
        inputs = [*(self._real(name, grid, None) for name in node.input[:many]), *rest]
        moved = {name: self._fresh(f"{name}_real") for name in node.output[: None if node.op_type == "Split" else 1] if name}
        copy = type(node).FromString(node.SerializeToString())
        del copy.input[:], copy.output[:]
        copy.input.extend(inputs)
        copy.output.extend(moved.get(name, name) for name in node.output)
        self.written.append(copy)
        for name, real in moved.items():
            self._quantise(real, name, grid, UINT8)

    def _nothing(self, node: onnx.NodeProto, grid: Grid) -> str:
        """The integer 0, which Pad adds where no number is given."""
        return self._constant(0, self.known[grid[1]].dtype if grid[1] else UINT8, f"{node.output[0]}_padding")

    def _real(self, integers: str, grid: Grid, axis: int | None) -> str:
        """What the integers stand for. axis: the one along which scales lie."""
        found = self._op(OUT, [name for name in (integers, *grid) if name], self._fresh(f"{integers}_real"))
        if axis is not None:
            self.written[-1].attribute.add(name="axis", i=axis, type=INTEGER)
        return found

    def _quantise(self, real: str, result: str, grid: Grid, dtype: int) -> None:
        """Without a zero point it is 0, in the dtype."""
        if not grid[1] and dtype != UINT8:
            grid = grid[0], self._constant(0, dtype, f"{result}_zero_point")
        self._op(INTO, [name for name in (real, *grid) if name], result)
        self.grids[result] = grid

    def _op(
        self,
        operator: str,
        inputs: Sequence[str],
        result: str,
        old: onnx.NodeProto | None = None,
        attributes: Sequence[onnx.AttributeProto] = (),
    ) -> str:
        """A node of the standard; `old`: whose name, metadata and remarks it takes over."""
        from onnx import helper

        node = helper.make_node(operator, inputs, [result], name=old.name if old is not None else f"{result}_{operator}")
        node.attribute.extend(attributes)
        if old is not None:
            node.doc_string = old.doc_string
            node.metadata_props.extend(old.metadata_props)
        self.written.append(node)
        return result

    def _constant(self, values: int | Sequence[int], dtype: int, name: str) -> str:
        """Of the graph: a scalar for a number, else of one axis."""
        from onnx import helper

        listed = [values] if isinstance(values, int) else [*values]
        tensor = helper.make_tensor(self._fresh(name), dtype, [] if isinstance(values, int) else [len(listed)], listed)
        self.graph.initializer.append(tensor)
        self.known[tensor.name] = _Kind(dtype, tuple(tensor.dims))
        found: str = tensor.name
        return found

    def _fresh(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name


def _grid(inputs: Sequence[str], place: int) -> Grid:
    """The scale and zero point there; ("", "") where there are none."""
    scale, zero = (inputs[k] if k < len(inputs) else "" for k in (place, place + 1))
    return scale, zero
