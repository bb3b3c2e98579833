"""A float graph written in a mixture of forms: QuantizeLinear and DequantizeLinear around operators in integers, Casts around fp16,
DequantizeLinear behind weights that are stored in integers.

Every tensor is quantised once in each dtype that somebody reads it in, behind its producer, and each reader has a DequantizeLinear of
its own: so an operator in integers and what is around it is one unit (`passes/place/quantised.py`). Names of tensors that floats read,
and of the graph's outputs, stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from ...targets.dtypes import ELEMENT
from ...targets.precision import Form
from ..graph.graph import Graph
from ..graph.node import Node
from .absorb import absorbed_activations
from .block_rounding import TO_NEAREST, BlockRounding
from .block_sums import BlockSums
from .constants import Constants
from .eligible import kept_forms
from .gathered_rows import gathered_rows
from .operators import FLOAT_OPERANDS, operands_of
from .scales import Range, Steps
from .sharing import Key, steps_of_tensors
from .stored_weights import constants_beside, weights_alone
from .weights import Weight

HALF = "fp16"
BIAS = "int32"
"""Its zero point is left out: it is 0, and would take as many bytes as the bias."""


def quantise(graph: Graph, forms: Mapping[str, Form], ranges: Mapping[str, Range], rounding: BlockRounding = TO_NEAREST) -> Graph:
    """Writes the graph, in place, in the given forms; what has no entry stays in fp32, and so does what cannot stand in its form or has
    no range.

    forms: of operators, by the first tensor that each writes. ranges: of the tensors that operators in integers read and write.
    rounding: of weights in blocks."""
    kept = kept_forms(graph, forms, ranges)
    integers = {name: form for name, form in kept.items() if form.quantised}
    steps = steps_of_tensors(graph, integers, ranges)
    writer = _Writer(graph, kept, steps, absorbed_activations(graph, integers, steps), rounding)
    for node in graph.nodes:
        if node.live and node.writes and node.writes[0] in kept:
            writer.write(node, kept[node.writes[0]])
    graph.sweep()
    return graph


class _Writer:
    """Nodes are written in topological order."""

    def __init__(
        self, graph: Graph, forms: Mapping[str, Form], steps: Mapping[Key, Steps], absorbed: Mapping[str, Node], rounding: BlockRounding
    ) -> None:
        self.graph, self.forms, self.steps, self.absorbed, self.rounding = graph, forms, steps, absorbed, rounding
        self.constants = Constants(graph)
        self._sums = BlockSums(graph, self.constants)
        self._stored: dict[Key, str] = {}
        """The tensor that holds a tensor in a dtype other than fp32."""
        self._made_in: dict[str, str] = {}
        """The dtype that a tensor is written in, where that is not fp32."""
        self._in_floats = {name for node in graph.nodes for name in node.writes if self._read_in_floats(name)}
        """Tensors that somebody reads in fp32 under their names."""
        self._new: list[Node] = []

    def write(self, node: Node, form: Form) -> None:
        """Puts the node, in its form and with what it needs around it, in its place."""
        self._new, twin, kept = [], node.copy(), dict[str, str]()
        if form.name == "w8" and node.operator == "Gather":
            weight = weights_alone(self.graph, node, form, self.rounding)[0]
            self._new, kept[node.outputs[0]] = gathered_rows(self.graph, self.constants, node, weight)
            self.graph.tensors.release(node.inputs[0])
            self.graph.replace(node, self._new, kept)
            return
        if form.quantised:
            self._read_integers(node, twin, form)
        elif form.name == HALF:
            floats = FLOAT_OPERANDS["Resize"] if node.operator == "Resize" else ()
            twin.inputs = [name if k in floats else self._half(name) for k, name in enumerate(node.inputs)]
        else:
            for k, weight in weights_alone(self.graph, node, form, self.rounding).items():
                self.graph.tensors.release(node.inputs[k])  # or all weights are in memory twice
                # without its zero point where that is 0: onnxruntime makes MatMulNBits only of the first of operators that share one
                twin.inputs[k] = self._dequantised_weight(node.inputs[k], weight, 2 if weight.zero is None else 3)
                if weight.offset is not None:
                    added = self._sums.added(node, twin, weight)
                    self._new += [twin, *added]
                    self.graph.replace(node, self._new, {node.outputs[0]: added[-1].outputs[0]})
                    return
        self._new.append(twin)
        if form.quantised or form.name == HALF:
            for k, name in enumerate(node.outputs):
                if name and self.graph.tensor(name).dtype == "fp32" and not (form.float_results and self._floats_alone(name)):
                    self._write_result(twin, k, form.activations if form.quantised else HALF, kept)
        self.graph.replace(node, self._new, kept)

    # ---- what is read --------------------------------------------------------------------------------------------

    def _read_integers(self, node: Node, twin: Node, form: Form) -> None:
        operands = operands_of(self.graph, node)
        for k in (*operands.moved, *operands.others):
            name = node.inputs[k]
            twin.inputs[k] = self._dequantised(self._in(name, form.activations), name, self.steps[name, form.activations])
        if operands.weights:
            scale = self.steps[node.inputs[0], form.activations].scale if operands.bias is not None else 1.0
            for k, weight in constants_beside(self.graph, node, form, scale, self.rounding).items():
                twin.inputs[k] = self._dequantised_weight(node.inputs[k], weight, 2 if weight.dtype == BIAS else 3)

    def _half(self, name: str) -> str:
        if not name or self.graph.tensor(name).dtype != "fp32":
            return name
        return self.constants.half(name) if name in self.graph.constants else self._in(name, HALF)

    def _in(self, name: str, dtype: str) -> str:
        """The tensor in a dtype; made where nobody needed it before."""
        if (name, dtype) not in self._stored:
            if name in self.graph.constants:
                self._stored[name, dtype] = self.constants.activation(name, self.steps[name, dtype])
            else:
                self._stored[name, dtype] = self._converted(name, self._float_of(name), dtype)
        return self._stored[name, dtype]

    def _float_of(self, name: str) -> str:
        """The tensor in fp32: as it is, or made from the dtype that it is written in."""
        dtype = self._made_in.get(name)
        if dtype is None or name in self._in_floats:
            return name
        return self._back(name, dtype)

    def _back(self, name: str, dtype: str) -> str:
        stored = self._stored[name, dtype]
        if dtype != HALF:
            return self._dequantised(stored, name, self.steps[name, dtype])
        return self._put(self.graph.node("Cast", [stored], to=ELEMENT["fp32"], hint=f"{name}_fp32"), name, "fp32")

    def _dequantised(self, stored: str, name: str, steps: Steps) -> str:
        """By a DequantizeLinear of its own."""
        node = self.graph.node("DequantizeLinear", [stored, *self.constants.grid(steps)], hint=f"{name}_dq")
        return self._put(node, name, "fp32")

    def _dequantised_weight(self, name: str, weight: Weight, operands: int = 3) -> str:
        attributes: dict[str, Any] = {} if weight.axis is None else {"axis": weight.axis}
        attributes |= {"block_size": weight.block} if weight.block else {}
        node = self.graph.node("DequantizeLinear", self.constants.weight(name, weight)[:operands], hint=f"{name}_dq", **attributes)
        return self._put(node, name, "fp32")

    def _converted(self, name: str, source: str, dtype: str) -> str:
        if dtype == HALF:
            return self._put(self.graph.node("Cast", [source], to=ELEMENT[HALF], hint=f"{name}_fp16"), name, HALF)
        grid = self.constants.grid(self.steps[name, dtype])
        return self._put(self.graph.node("QuantizeLinear", [source, *grid], hint=f"{name}_q"), name, dtype)

    # ---- what is written -----------------------------------------------------------------------------------------

    def _write_result(self, twin: Node, index: int, dtype: str, kept: dict[str, str]) -> None:
        """The result under a new name, what stores it, and in `kept` the tensor that takes over its name for who reads floats."""
        name = twin.outputs[index]
        if (activation := self.absorbed.get(name)) is not None:
            self.graph.remove(activation)
            name = activation.outputs[0]
        made = twin.outputs[index] = self.graph.fresh(f"{name}_{HALF if dtype == HALF else 'float'}")
        self._learn(made, name, HALF if dtype == HALF else "fp32")
        self._made_in[name] = dtype
        self._stored[name, dtype] = made if dtype == HALF else self._converted(name, made, dtype)
        if name in self._in_floats:
            kept[name] = self._back(name, dtype)

    def _floats_alone(self, name: str) -> bool:
        """Whether nobody reads the tensor in another dtype, nor a function of it that its quantisation stands for."""
        return name not in self.absorbed and all(self._reads_floats(user, name) for user in self.graph.users(name))

    def _read_in_floats(self, name: str) -> bool:
        return self.graph.is_output(name) or any(self._reads_floats(user, name) for user in self.graph.users(name))

    def _reads_floats(self, user: Node, name: str) -> bool:
        form = self.forms.get(user.writes[0]) if user.writes else None
        if form is None or name in user.captures:
            return True
        if form.name == HALF or not form.quantised:
            return form.name != HALF or (user.operator == "Resize" and name in user.inputs[1:3])
        operands = operands_of(self.graph, user)
        return any(read == name and k not in (*operands.moved, *operands.others) for k, read in enumerate(user.inputs))

    # ---- nodes ---------------------------------------------------------------------------------------------------

    def _put(self, node: Node, like: str, dtype: str) -> str:
        self._learn(node.outputs[0], like, dtype)
        self._new.append(node)
        return node.outputs[0]

    def _learn(self, new: str, like: str, dtype: str) -> None:
        """The new tensor has the shape of a known one."""
        typed = onnx.ValueInfoProto(name=new)
        typed.type.CopyFrom(self.graph.value_info(like).type)
        typed.type.tensor_type.elem_type = ELEMENT[dtype]
        self.graph.tensors.learn(typed)
