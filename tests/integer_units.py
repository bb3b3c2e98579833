"""Every operator of a QDQ model by itself: on the integers that reach it in the model, how many steps LiteRT is from onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.utils import Extractor
from run_tflite import operators_of, run_tflite

from autoglmc.compiler.devices.tflite.emit import write_tflite

MOST_MEMBERS = 12
LATEST = 21


@dataclass(frozen=True)
class UnitDistance:
    """What one unit computes, beside its reference."""

    operators: tuple[str, ...]
    """ONNX's, without Quantize and Dequantize."""
    codes: tuple[str, ...]
    """LiteRT's."""
    steps: int
    """The largest distance of two integers."""
    share: float
    """Of the elements that differ."""
    in_floats: bool


def reference(model: onnx.ModelProto, feeds: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """By onnxruntime without optimisations: every operator rounds where the model says."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    have = {value.name for value in wide.graph.output}
    known = {value.name: value for value in wide.graph.value_info}
    wide.graph.output.extend(known[name] for name in names if name not in have)
    for entry in wide.opset_import:
        if entry.domain == "":
            entry.version = max(entry.version, LATEST)  # recovered operators may be of a later opset than the file
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(wide.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def units(model: onnx.ModelProto) -> Iterator[tuple[list[str], str, list[onnx.NodeProto]]]:
    """(integer inputs, integer output, members) of what lies between DequantizeLinear and QuantizeLinear."""
    makers = {name: node for node in model.graph.node for name in node.output}
    constants = {tensor.name for tensor in model.graph.initializer}
    for root in model.graph.node:
        if root.op_type != "QuantizeLinear":
            continue
        found, reads, queue, members = True, [], [root.input[0]], [root]
        while queue:
            name = queue.pop()
            node = makers.get(name)
            if name in constants or not name:
                continue
            if node is None or len(members) > MOST_MEMBERS or node.op_type == "QuantizeLinear":
                found = False
                break
            if node not in members:
                members.append(node)
            if node.op_type == "DequantizeLinear":
                reads += [node.input[0]] if node.input[0] not in constants and node.input[0] not in reads else []
            else:
                queue += node.input
        if found and reads and len(members) > 2:
            yield sorted(reads), root.output[0], members


def distances(model: onnx.ModelProto, feeds: Mapping[str, Any]) -> list[UnitDistance]:
    """Of each unit of a model whose shapes are known."""
    found = list(units(model))
    names = sorted({name for reads, result, _ in found for name in (*reads, result)})
    known = {value.name for value in (*model.graph.value_info, *model.graph.output)}
    names = [name for name in names if name in known]
    values = {**feeds, **reference(model, feeds, names)}
    extractor = Extractor(model)
    return [_distance(extractor.extract_model(reads, [result]), members, values, result) for reads, result, members in found]


def _distance(part: onnx.ModelProto, members: list[onnx.NodeProto], values: Mapping[str, Any], result: str) -> UnitDistance:
    data = write_tflite(part)
    (got,) = run_tflite(data, {value.name: values[value.name] for value in part.graph.input}, [result])
    apart = np.abs(np.asarray(got, np.int64) - np.asarray(values[result], np.int64))
    assert got.shape == values[result].shape and got.dtype == values[result].dtype
    codes = tuple(sorted(name for (name, _), number in operators_of(data).items() for _ in range(number)))
    computed = tuple(node.op_type for node in members if node.op_type not in ("QuantizeLinear", "DequantizeLinear"))
    return UnitDistance(computed, codes, int(apart.max(initial=0)), float((apart > 0).mean()), "DEQUANTIZE" in codes)
