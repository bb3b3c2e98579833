"""The untouched model as trial inputs run it, twice: by onnxruntime (sides of the main graph only), and node by node with bodies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.inputs.trials import Run
from autoglmc.compiler.reference.kernels.call import Call
from autoglmc.compiler.reference.reached import RULES, reached
from autoglmc.compiler.verify.reference import Reference

Values = Mapping[str, Any]


def sides(node: onnx.NodeProto, opset: int, values: Values, path: str = "") -> set[tuple[str, str]]:
    """The sides that a node in the bodies of `path` reached on these values of its operands."""
    if node.op_type not in RULES or node.domain not in ("", "ai.onnx"):
        return set()
    call = Call(
        operator=node.op_type,
        domain=node.domain,
        version=opset,
        attributes={a.name: helper.get_attribute_value(a) for a in node.attribute if not a.HasField("g")},
        inputs=tuple(_wide(values[name]) if name else None for name in node.input),
        dtypes=tuple("" for _ in node.input),
        outputs=len(node.output),
    )
    return {(path + node.output[0], side) for side in reached(call, ())}


def _wide(value: Any) -> Any:
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def _opset(model: onnx.ModelProto) -> int:
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


class ByOnnxruntime:
    """Fetches what the sides of the main graph's nodes need."""

    def __init__(self, model: onnx.ModelProto, source: Path) -> None:
        self.model, self.opset, self.runs = model, _opset(model), 0
        self.nodes = [node for node in model.graph.node if node.op_type in RULES]
        wanted = [name for node in self.nodes for name in node.input if name]
        self.reference = Reference(source, model, wanted)
        self.constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name in wanted}

    def run(self, inputs: Values) -> Run:
        self.runs += 1
        found = {**self.constants, **inputs, **self.reference.run(inputs)}
        reached_sides = [sides(node, self.opset, found) for node in self.nodes if all(name in found for name in node.input if name)]
        return Run({name: found[name] for name in self.reference.outputs}, frozenset().union(*reached_sides))


class NodeByNode:
    """onnx's reference implementation for each node, If and Loop walked here, so that sides in bodies are seen too."""

    def __init__(self, model: onnx.ModelProto, refuses: str = "") -> None:
        self.model, self.opset, self.runs = model, _opset(model), 0
        self.refuses = refuses
        """A condition on the inputs, in Python, for a model that takes only some."""

    def run(self, inputs: Values) -> Run:
        self.runs += 1
        if self.refuses and eval(self.refuses, {"np": np}, dict(inputs)):
            raise ModelError(f"the model refuses {self.refuses}")
        seen: set[tuple[str, str]] = set()
        outputs = self._graph(self.model.graph, dict(inputs), seen)
        return Run(dict(zip((value.name for value in self.model.graph.output), outputs, strict=True)), frozenset(seen))

    def _graph(self, graph: onnx.GraphProto, values: dict[str, Any], seen: set[tuple[str, str]], path: str = "") -> list[Any]:
        values.update({tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer})
        for node in graph.node:
            bodies = {a.name: a.g for a in node.attribute if a.HasField("g")}
            seen |= sides(node, self.opset, values, path)
            if node.op_type == "If":
                taken = bodies["then_branch" if values[node.input[0]].reshape(-1)[0] else "else_branch"]
                results = self._graph(taken, dict(values), seen, f"{path}{node.output[0]}/")
            elif node.op_type == "Loop":
                results = self._loop(node, bodies["body"], values, seen, f"{path}{node.output[0]}/")
            else:
                results = self._node(node, values)
            values.update(zip(node.output, results, strict=True))
        return [values[value.name] for value in graph.output]

    def _loop(
        self, node: onnx.NodeProto, body: onnx.GraphProto, values: dict[str, Any], seen: set[tuple[str, str]], path: str
    ) -> list[Any]:
        """Of loops without scan outputs."""
        carried = [values[name] for name in node.input[2:]]
        for turn in range(int(values[node.input[0]].reshape(-1)[0])):
            names = [value.name for value in body.input]
            inner = dict(values, **dict(zip(names, [np.array(turn), np.array(True), *carried], strict=True)))
            _, *carried = self._graph(body, inner, seen, path)
        return carried

    def _node(self, node: onnx.NodeProto, values: Values) -> list[Any]:
        operands = dict.fromkeys(name for name in node.input if name)
        graph = helper.make_graph(
            [node], "one", [onnx.ValueInfoProto(name=n) for n in operands], [onnx.ValueInfoProto(name=n) for n in node.output]
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        return list(ReferenceEvaluator(model).run(None, {name: values[name] for name in operands}))
