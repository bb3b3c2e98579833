"""The operator cases of the ONNX standard evaluated by the kernels of the float64 reference: graphs without control flow, node by node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper
from operator_cases import Case

from autoglmc.compiler.reference.kernels.call import Call
from autoglmc.compiler.reference.kernels.table import KERNELS


def covered(case: Case) -> bool:
    """Whether every operator of the case has a kernel."""
    return all(node.op_type == "Constant" or (node.domain, node.op_type) in KERNELS for node in case.model.graph.node)


def widen(value: Any) -> Any:
    """As the reference hands values to kernels: every floating-point dtype as float64."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return [widen(part) for part in value]
    value = np.asarray(value)
    return value.astype(np.float64) if value.dtype.kind == "f" or "float" in value.dtype.name else value


def evaluate(case: Case) -> list[Any]:
    graph = case.model.graph
    versions = {opset.domain: opset.version for opset in case.model.opset_import}
    values = {name: widen(value) for name, value in case.feeds.items()}
    dtypes = _dtypes(case.model)
    for initializer in graph.initializer:
        values[initializer.name] = widen(numpy_helper.to_array(initializer))
        dtypes[initializer.name] = onnx.helper.tensor_dtype_to_np_dtype(initializer.data_type).name
    for node in graph.node:
        results = _results(node, values, dtypes, versions)
        for name, result in zip(node.output, results, strict=False):
            values[name] = result
            if name not in dtypes and isinstance(result, np.ndarray):
                dtypes[name] = result.dtype.name
    return [values[output.name] for output in graph.output]


def _results(node: onnx.NodeProto, values: Mapping[str, Any], dtypes: Mapping[str, str], versions: Mapping[str, int]) -> tuple[Any, ...]:
    attributes = {attribute.name: _attribute(attribute) for attribute in node.attribute}
    if node.op_type == "Constant":
        ((name, value),) = attributes.items()
        kind = {"value_float": np.float64, "value_floats": np.float64, "value_int": np.int64, "value_ints": np.int64}.get(name)
        return (np.asarray(value, kind) if kind else widen(np.asarray(value)),)
    call = Call(
        operator=node.op_type,
        domain=node.domain,
        version=versions[node.domain],
        attributes=attributes,
        inputs=tuple(values[name] if name else None for name in node.input),
        dtypes=tuple(dtypes.get(name, "") if name else "" for name in node.input),
        outputs=len(node.output),
    )
    with np.errstate(all="ignore"):
        return KERNELS[node.domain, node.op_type](call)


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS, onnx.AttributeProto.STRINGS):
        return [item.decode() if isinstance(item, bytes) else item for item in value]
    return value


def _dtypes(model: onnx.ModelProto) -> dict[str, str]:
    """The declared dtype of every tensor that onnx can infer."""
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception:
        graph = model.graph
    found = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.HasField("tensor_type") and value.type.tensor_type.elem_type:
            found[value.name] = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name
    return found


def difference(want: Any, found: Any, digits: int | None = None) -> str:
    """ "" where a result is the expected value within what the expected value's dtype, or so many digits, rounds; else what differs."""
    if want is None or found is None:
        return "" if want is found else f"{type(found)} instead of {type(want)}"
    if isinstance(want, list | tuple):
        if not isinstance(found, list | tuple) or len(want) != len(found):
            return f"not a sequence of {len(want)}"
        return next((d for pair in zip(want, found, strict=True) if (d := difference(*pair, digits))), "")
    found, want = np.asarray(found), np.asarray(want)
    if found.shape != want.shape:
        return f"shape {found.shape} instead of {want.shape}"
    real = want.dtype.kind == "f" or "float" in want.dtype.name
    if not real:
        if found.dtype != want.dtype and want.dtype.kind not in "OUST":
            return f"dtype {found.dtype} instead of {want.dtype}"
        return "" if np.array_equal(found, want) else f"{found.ravel()[:8]} instead of {want.ravel()[:8]}"
    return f"dtype {found.dtype} instead of float64" if found.dtype != np.float64 else _apart(want, found, digits)


def _apart(want: np.ndarray, found: np.ndarray, digits: int | None) -> str:
    epsilon = 2 * float(ml_dtypes.finfo(want.dtype).eps) if want.dtype != np.float64 else 2.0**-22
    epsilon = 10.0**-digits if digits else epsilon
    wide = want.astype(np.float64)
    found = np.where(np.isfinite(found) & ~np.isfinite(wide), found.astype(want.dtype).astype(np.float64), found)
    finite = np.abs(wide[np.isfinite(wide)])
    with np.errstate(all="ignore"):
        near = np.isclose(found, wide, rtol=8 * epsilon, atol=2 * epsilon * float(finite.max(initial=0)), equal_nan=True)
    if near.all():
        return ""
    worst = np.argwhere(~near)[0]
    return f"{found[tuple(worst)]!r} instead of {wide[tuple(worst)]!r} at {worst.tolist()}, {(~near).sum()} of {near.size} elements"
