"""A .tflite file on LiteRT's interpreter, and what is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime

from autoglmc.compiler.devices.silence import silenced
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.source import MemoryModel
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.stages import recover, simplify

Arrays = Mapping[str, np.ndarray[Any, Any]]


def prepared(model: onnx.ModelProto, shapes: Mapping[str, int] | None = None) -> onnx.ModelProto:
    """As the compiler has it before it is placed: constants folded, operators recovered, every tensor typed."""
    graph = Graph(load_model(MemoryModel(model, "model"), shapes).proto)
    recover(graph)
    simplify(graph)
    return graph.to_model()


def run_tflite(data: bytes, feeds: Arrays, outputs: Sequence[str]) -> list[Any]:
    """By the file's signature, with XNNPACK's kernels."""
    from ai_edge_litert.interpreter import Interpreter

    with silenced(2):
        interpreter = Interpreter(model_content=data, num_threads=1)
        interpreter.allocate_tensors()
    found = interpreter.get_signature_runner("serving_default")(**feeds)
    return [found[name] for name in outputs]


def run_onnx(model: onnx.ModelProto, feeds: Arrays, outputs: Sequence[str]) -> list[Any]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(list(outputs), dict(feeds)))


def operators_of(data: bytes) -> Counter[tuple[str, int]]:
    """(Name, version) of each operator."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    codes = [(names[code.builtinCode], code.version) for code in model.operatorCodes]
    return Counter(codes[op.opcodeIndex] for op in model.subgraphs[0].operators)


def transposes(data: bytes) -> int:
    return sum(number for (name, _), number in operators_of(data).items() if name == "TRANSPOSE")


def on_constants(data: bytes) -> list[str]:
    """Operators that compute the same in every run."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    graph = model.subgraphs[0]
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    computed = {int(k) for k in (*graph.inputs, *(k for op in graph.operators for k in op.outputs))}
    alone = [op for op in graph.operators if not computed & {int(k) for k in op.inputs}]
    return [names[model.operatorCodes[op.opcodeIndex].builtinCode] for op in alone]


def feeds_of(model: onnx.ModelProto, seed: int = 0, most: int = 30) -> dict[str, np.ndarray[Any, Any]]:
    """Normal numbers, whole numbers below `most`."""
    rng, found = np.random.default_rng(seed), {}
    for value in model.graph.input:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        numbers = rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(0, 2 if dtype.kind == "b" else most, shape)
        found[value.name] = numbers.astype(dtype)
    return found


def apart(want: Any, got: Any) -> float:
    """The largest difference, over the largest number."""
    want, got = np.asarray(want, np.float64), np.asarray(got, np.float64)
    assert want.shape == got.shape
    return float(np.abs(want - got).max() / max(np.abs(want).max(), 1e-30)) if want.size else 0.0
