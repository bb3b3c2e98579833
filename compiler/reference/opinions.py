"""Other implementations of single operators, to hold a kernel against: onnxruntime's own kernel, run alone with its optimisations off, and
onnx's reference implementation. Both share nothing with the kernels here, and nothing with what is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from .held import Held, dtype_of, hold, is_float
from .program import Step

IR_VERSION = 10
NEWEST_IR = 13
MOST_SESSIONS = 400
"""Kept open; a model has far fewer different operators."""


class Silent(Exception):
    """An implementation that does not have the operator, or does not take these values."""


class Onnxruntime:
    """Runs single operators in their own dtypes. Sessions are kept by everything but names and shapes."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[bytes, tuple[str, ...]], Any] = {}

    def __call__(self, step: Step, operands: Sequence[Held]) -> list[Held]:
        """The results in onnxruntime's own arithmetic, widened. Raises Silent."""
        if step.bodies or any(isinstance(held.value, list) for held in operands):
            raise Silent("it has bodies or sequences")
        node, fed = _apart(step, operands)
        key = (node.SerializeToString(), tuple(held.dtype for held in operands))
        try:
            session = self._sessions.get(key)
            if session is None:
                session = _open(step, node, fed)
                if len(self._sessions) < MOST_SESSIONS:
                    self._sessions[key] = session
            names = [value.name for value in session.get_outputs()]
            results = session.run(names, {name: held.in_own_dtype() for name, held in fed.items()})
        except Exception as problem:  # onnxruntime's exceptions share no base class
            raise Silent(str(problem)[:300]) from None
        if any(isinstance(result, (list, dict)) for result in results):
            raise Silent("its results are no tensors")
        found = dict(zip(names, results, strict=True))
        return [hold(found[name]) if name in found else Held(None, "") for name in node.output]


def _apart(step: Step, operands: Sequence[Held]) -> tuple[onnx.NodeProto, dict[str, Held]]:
    """The node with names of its own (one per different operand), and what to feed."""
    node, fed, known = onnx.NodeProto(), dict[str, Held](), dict[str, str]()
    node.CopyFrom(step.node)
    node.name = "judged"
    for k, (name, held) in enumerate(zip(step.node.input, operands, strict=True)):
        if name:
            node.input[k] = known.setdefault(name, f"i{k}")
            fed[node.input[k]] = held
    for k, name in enumerate(step.node.output):
        node.output[k] = f"o{k}" if name else ""
    if any(attribute.ref_attr_name for attribute in node.attribute):
        del node.attribute[:]
        node.attribute.extend(step.resolved)
    return node, fed


def _open(step: Step, node: onnx.NodeProto, fed: Mapping[str, Held]) -> Any:
    import onnxruntime

    graph = onnx.GraphProto(name="judged", node=[node])
    for name, held in fed.items():
        element = onnx.helper.np_dtype_to_tensor_dtype(dtype_of(held.dtype))
        graph.input.add(name=name, type=onnx.TypeProto(tensor_type=onnx.TypeProto.Tensor(elem_type=element)))
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output if name)
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in step.imports.items()]
    newest = step.imports.get("", 1) > 22 or any("4" in held.dtype for held in fed.values() if held.dtype not in ("int64", "uint64"))
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=11 if newest else IR_VERSION)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1  # hundreds of sessions: each would have threads of its own
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def by_onnx(step: Step, operands: Sequence[Held]) -> list[Held]:
    """The results by onnx.reference, floats given to it as float64. Raises Silent."""
    from onnx.reference import ReferenceEvaluator

    if step.bodies:
        raise Silent("it has bodies")
    node, fed = _apart(step, operands)
    feeds = {name: held.value for name, held in fed.items()}
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(node, opsets=dict(step.imports)).run(None, feeds)
    except Exception as problem:  # whatever the implementation raises; its words are those of Python, and no use to a reader
        raise Silent(f"onnx's reference does not evaluate {node.op_type} on these operands") from problem
    if any(not hasattr(result, "dtype") for result in results):
        raise Silent("its results are no tensors")
    return [hold(np.asarray(result)) for result in results]


def float_dtype(operands: Sequence[Held]) -> str:
    """The declared dtype of a floating-point result whose dtype nobody stated: that of the first operand of such a dtype."""
    return next((held.dtype for held in operands if held.dtype and is_float(held.dtype)), "float32")
