"""Every operator of a QDQ model by itself: on the integers that reach it in the model, how many steps LiteRT is from onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.utils import Extractor
from run_tflite import operators_of, run_tflite

from autoglmc.compiler.devices.tflite.emit import units_in_floats, write_tflite
from autoglmc.compiler.reference.evaluate import Evaluator
from autoglmc.compiler.reference.program import program_of

MOST_MEMBERS = 12
LATEST = 21
TIE = 2e-3
"""Steps: a number so near to the middle between two integers is rounded by the last bits of fp32, or by which way a tie goes."""
Parts = Sequence[tuple[onnx.ModelProto, Mapping[str, Any]]]
"""Units as models of their own, and the integers that they are given."""


@dataclass(frozen=True)
class UnitDistance:
    """What one unit computes, beside its reference."""

    result: str
    """The quantised tensor."""
    operators: tuple[str, ...]
    """ONNX's, without Quantize and Dequantize."""
    codes: tuple[str, ...]
    """LiteRT's."""
    elements: int
    apart: int
    """Elements that differ."""
    ties: int
    """Those of them whose number, computed in float64, lies in the middle between the two integers."""
    steps: int
    """The largest distance of two integers."""
    why_in_floats: str
    """"" in integers."""

    @property
    def share(self) -> float:
        """Of the elements that differ."""
        return self.apart / max(self.elements, 1)

    @property
    def in_floats(self) -> bool:
        return "DEQUANTIZE" in self.codes


def interpreted(parts: Parts) -> list[Any]:
    """The only result of each, by LiteRT's interpreter."""
    return [run_tflite(write_tflite(model), feeds, [model.graph.output[0].name])[0] for model, feeds in parts]


def reference(model: onnx.ModelProto, feeds: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """By onnxruntime without optimisations: every operator rounds where the model says. feeds: what the model does not read is left out."""
    if not names:
        return {}  # a session would give every output
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
    fed = {value.name: feeds[value.name] for value in session.get_inputs()}
    return dict(zip(names, session.run(names, fed), strict=True))


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


def distances(model: onnx.ModelProto, feeds: Mapping[str, Any], run: Callable[[Parts], list[Any]] = interpreted) -> list[UnitDistance]:
    """Of each unit of a model whose shapes are known. run: the results of units."""
    found = list(units(model))
    names = sorted({name for reads, result, _ in found for name in (*reads, result)})
    known = {value.name for value in (*model.graph.value_info, *model.graph.output)}
    values = {**feeds, **reference(model, feeds, [name for name in names if name in known])}
    extractor = Extractor(model)
    parts = [extractor.extract_model(reads, [result]) for reads, result, _ in found]
    given = [(part, {value.name: values[value.name] for value in part.graph.input}) for part in parts]
    results = run(given)
    return [
        _distance(part, fed, members, values[result], got)
        for (part, fed), (_, result, members), got in zip(given, found, results, strict=True)
    ]


def _distance(part: onnx.ModelProto, fed: Mapping[str, Any], members: Sequence[onnx.NodeProto], want: Any, got: Any) -> UnitDistance:
    assert got.shape == want.shape and got.dtype == want.dtype
    apart = np.abs(np.asarray(got, np.int64) - np.asarray(want, np.int64))
    result = part.graph.output[0].name
    return UnitDistance(
        result=result,
        operators=tuple(node.op_type for node in reversed(members) if node.op_type not in ("QuantizeLinear", "DequantizeLinear")),
        codes=tuple(sorted(name for (name, _), number in operators_of(write_tflite(part)).items() for _ in range(number))),
        elements=apart.size,
        apart=int((apart > 0).sum()),
        ties=_ties(part, fed, want, got) if apart.any() else 0,
        steps=int(apart.max(initial=0)),
        why_in_floats=units_in_floats(part).get(result, ""),
    )


def _ties(part: onnx.ModelProto, fed: Mapping[str, Any], want: Any, got: Any) -> int:
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in part.graph.initializer}
    (last,) = (node for node in part.graph.node if node.output[0] == part.graph.output[0].name)
    source, scale, zero = last.input[0], weights[last.input[1]], weights[last.input[2]] if len(last.input) > 2 else np.zeros(())
    assert scale.size == 1
    exact = Evaluator(program_of(part)).run(fed, [source]).values[source] / np.float64(scale.item()) + zero.item()
    middle = (np.asarray(want, np.float64) + got) / 2
    return int(((want != got) & (np.abs(exact - middle) <= TIE)).sum())
