"""One probe of a runtime: a model of one operator, the values to run it on, and the operator as a target's table sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...targets.dtypes import ELEMENT
from ...targets.operator_view import OperatorView
from ...targets.operators import key_of

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

OLDEST, NEWEST = 18, 23
"""Opsets that a segment may declare: the compiler lifts to 18 and declares the first that has its operators."""
LARGEST = 1 << 22
"""Elements of one tensor; a larger case would take too long."""
PROBED = frozenset(ELEMENT[dtype] for dtype in ("fp32", "fp16", "int64", "int32", "int8", "uint8", "bool"))
"""TensorProto.DataType of the dtypes that devices take; a case with another one is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model of one operator with the values to run it on."""

    name: str
    model: onnx.ModelProto
    inputs: Mapping[str, Array]
    view: OperatorView

    @property
    def operator(self) -> str:
        """As in a table: "Conv", "com.microsoft::Gelu"."""
        return key_of(self.view.domain, self.view.operator)


def make_case(name: str, node: onnx.NodeProto, values: Sequence[Array | None], constants: frozenset[int], opset: int) -> Case | None:
    """The case of a node whose operands have these values, those at `constants` being weights. None where onnxruntime's CPU cannot
    answer, a dtype is not in PROBED, a tensor is empty or too large, or no input would be left."""
    from ...passes.graph.graph import Graph
    from .slice_model import run_on_cpu

    named = {n: v for n, v in zip(node.input, values, strict=True) if n and v is not None}
    fed = {n: v for k, n in enumerate(node.input) if k not in constants and (v := named.get(n)) is not None}
    if not fed or not all(_fits(value) for value in named.values()):
        return None
    model = _model(node, named, fed, opset)
    try:
        expected = run_on_cpu(model, fed)
    except Exception:  # onnxruntime's own types; without a CPU result there is nothing to compare with
        return None
    if not all(hasattr(value, "dtype") and _fits(value) for value in expected.values()):
        return None
    del model.graph.output[:]
    model.graph.output.extend(_info(n, value) for n, value in expected.items())
    graph = Graph(model)
    return Case(name=name, model=model, inputs=fed, view=graph.view(graph.nodes[0]))


def _model(node: onnx.NodeProto, named: Mapping[str, Array], fed: Mapping[str, Array], opset: int) -> onnx.ModelProto:
    import onnx

    graph = onnx.GraphProto(name="probe")
    graph.node.append(node)
    graph.input.extend(_info(name, value) for name, value in fed.items())
    graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in named.items() if name not in fed)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output if name)
    imports = [onnx.helper.make_opsetid("", OLDEST if node.domain else opset)]
    imports += [onnx.helper.make_opsetid(node.domain, opset)] if node.domain else []
    return onnx.helper.make_model(graph, opset_imports=imports, ir_version=10)


def _info(name: str, value: Array) -> onnx.ValueInfoProto:
    import onnx

    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def _fits(value: Array) -> bool:
    import onnx

    if value.dtype == object or value.dtype.kind in "USV" or not 0 < value.size <= LARGEST:
        return False
    return onnx.helper.np_dtype_to_tensor_dtype(value.dtype) in PROBED
