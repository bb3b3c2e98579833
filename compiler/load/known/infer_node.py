"""Types of one node's results, from the types of its operands and the values that are known of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ....passes.contrib_types.stand_ins import STAND_INS, Scribe, whole
from .types import sizes_of

if TYPE_CHECKING:
    import numpy as np
    import onnx

MICROSOFT = "com.microsoft"
VALUES = 1024
"""Elements of the largest operand whose value shape inference is shown."""


class NodeInference:
    """onnx's rules, node by node, for the opsets of a model."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._imports = list(model.opset_import)
        self._opsets = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}
        self._ir_version = model.ir_version

    def infer(
        self, node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], values: Mapping[str, np.ndarray]
    ) -> Mapping[str, onnx.TypeProto]:
        """By result; without those that nothing is known of. An operator of com.microsoft has the types of what stands for it."""
        if node.domain == MICROSOFT:
            return self._stand_in(node, types, values)
        return self._infer(node, types, values)

    def _infer(
        self, node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], values: Mapping[str, np.ndarray]
    ) -> Mapping[str, onnx.TypeProto]:
        from onnx import defs, numpy_helper, shape_inference

        domain = "" if node.domain == "ai.onnx" else node.domain
        reads = [name for name in dict.fromkeys(node.input) if name]
        if domain not in self._opsets or not all(name in types for name in reads):
            return {}
        given = {name: types[name] for name in reads}
        data = {name: numpy_helper.from_array(values[name], name) for name in reads if name in values and values[name].size <= VALUES}
        try:
            schema = defs.get_schema(node.op_type, self._opsets[domain], domain)
            return shape_inference.infer_node_outputs(schema, node, given, data, opset_imports=self._imports, ir_version=self._ir_version)
        except Exception:  # shape inference raises what it likes; then nothing is known
            return {}

    def _stand_in(
        self, node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], values: Mapping[str, np.ndarray]
    ) -> Mapping[str, onnx.TypeProto]:
        from onnx import helper, numpy_helper

        writer = STAND_INS.get(node.op_type)
        if writer is None:
            return {}
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        ranks = {name: len(sizes) for name in node.input if (sizes := sizes_of(types.get(name))) is not None}
        wholes = {name: kind for name in node.input if (kind := whole(types.get(name))) is not None}
        scribe = Scribe(node, attributes, ranks, wholes, "\0")
        try:
            writer(scribe)
        except (KeyError, IndexError, TypeError, ValueError):  # an attribute that the operator must have is missing
            return {}
        seen = {name: types[name] for name in node.input if name in types}
        seen.update((value.name, value.type) for value in scribe.inputs)
        found: dict[str, onnx.TypeProto] = {}
        known = {name: values[name] for name in node.input if name in values}
        for written in scribe.written:
            if written.op_type == "Constant":
                known[written.output[0]] = numpy_helper.to_array(written.attribute[0].t)
            found.update(self._infer(written, seen, known))
            seen.update(found)
        return {name: kind for name, kind in found.items() if name in node.output}
