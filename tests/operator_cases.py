"""The operator cases of the ONNX standard, onnxruntime's own answer to each, and the comparison that the standard's test runner makes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper

from autoglmc.compiler.devices.silence import silenced

PACKED = frozenset({"int4", "uint4", "float4_e2m1fn", "int2", "uint2"})
"""Dtypes of which onnxruntime keeps several elements in a byte; numpy gives each a byte of its own."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    model: onnx.ModelProto
    inputs: tuple[Any, ...]
    """In the order of the graph's inputs: arrays, lists of arrays for sequences, None for an empty optional."""
    outputs: tuple[Any, ...]
    rtol: float
    atol: float

    @property
    def feeds(self) -> dict[str, Any]:
        return {value.name: given for value, given in zip(self.model.graph.input, self.inputs, strict=True)}

    @property
    def operators(self) -> str:
        return ", ".join(dict.fromkeys(f"{n.domain}::{n.op_type}" if n.domain else n.op_type for n in self.model.graph.node))


@cache
def collect() -> list[Case]:
    """All cases, in the standard's order (8 s: the expected outputs are computed). onnx keeps what it has collected once, so that nothing
    else in a process may ask it for fewer."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings(), np.errstate(all="ignore"), silenced(2):
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    cases = []
    for case in found:
        (inputs, outputs), *_ = case.data_sets
        cases.append(Case(case.name, case.model, _values(inputs), _values(outputs), case.rtol, case.atol))
    return cases


def reference(case: Case) -> list[Any]:
    """What onnxruntime makes of the case's untouched model; raises whatever it raises. Tensors go in and out by address."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(case.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    if any(not value.type.startswith("tensor") for value in (*session.get_inputs(), *session.get_outputs())):
        return list(session.run(None, case.feeds))
    binding = session.io_binding()
    kinds = {value.name: value.type for value in case.model.graph.input}
    alive = []
    for name, given in case.feeds.items():
        if isinstance(given, np.ndarray) and given.dtype != object:
            data = pack(given)
            alive.append(data)
            element = kinds[name].tensor_type.elem_type
            binding.bind_input(name, "cpu", 0, element, given.shape, data.ctypes.data)
        else:
            return list(session.run(None, case.feeds))
    for value in session.get_outputs():
        binding.bind_output(value.name, "cpu")
    session.run_with_iobinding(binding)
    return [_fetched(value) for value in binding.get_outputs()]


def pack(array: np.ndarray) -> np.ndarray:
    """Bytes as onnxruntime keeps them: two (four) elements of a 4-bit (2-bit) dtype share a byte, the first in the low bits."""
    if array.dtype.name not in PACKED:
        return np.ascontiguousarray(array).view(np.uint8) if array.size and array.ndim else np.ascontiguousarray(array)
    tensor = numpy_helper.from_array(array)
    return np.frombuffer(tensor.raw_data or b"\0", np.uint8).copy()


def same(expected: Sequence[Any], got: Sequence[Any], case: Case) -> str:
    """ "" where `got` is what the standard's test runner accepts for `expected`, else the first difference."""
    if len(expected) != len(got):
        return f"{len(got)} outputs instead of {len(expected)}"
    for index, (want, found) in enumerate(zip(expected, got, strict=True)):
        difference = _difference(want, found, case)
        if difference:
            return f"output {index}: {difference}"
    return ""


def _difference(want: Any, found: Any, case: Case) -> str:
    if want is None or found is None:
        return "" if want is found else f"{found!r} instead of {want!r}"
    if isinstance(want, list | tuple):
        if not isinstance(found, list | tuple) or len(want) != len(found):
            return f"not a sequence of {len(want)}"
        return next((d for pair in zip(want, found, strict=True) if (d := _difference(*pair, case))), "")
    found = np.asarray(found)
    if found.shape != want.shape:
        return f"shape {list(found.shape)} instead of {list(want.shape)}"
    if want.dtype == object or want.dtype.kind in "US":
        return "" if np.array_equal(want.astype(object), found.astype(object)) else "other strings"
    if found.dtype != want.dtype:
        return f"dtype {found.dtype} instead of {want.dtype}"
    rtol = max(case.rtol, 2**-6) if want.dtype.name == "bfloat16" else case.rtol
    wide = [a.astype(np.float32) if a.dtype.kind == "V" or a.dtype.name in vars(ml_dtypes) else a for a in (want, found)]
    with np.errstate(all="ignore"):
        try:
            np.testing.assert_allclose(wide[1], wide[0], rtol=rtol, atol=case.atol)
        except AssertionError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            return "; ".join(line.strip() for line in lines[1:4])
    return ""


def _values(given: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(_value(item) for item in given)


def _value(item: Any) -> Any:
    if isinstance(item, onnx.TensorProto):
        return numpy_helper.to_array(item)
    if isinstance(item, list):
        return [_value(part) for part in item]
    return None if item is None else np.asarray(item)


def _fetched(value: Any) -> Any:
    """An OrtValue as numpy, those dtypes included that its own conversion does not know."""
    element = value.element_type()
    dtype = onnx.helper.tensor_dtype_to_np_dtype(element)
    if dtype.name not in vars(ml_dtypes):
        return value.numpy()
    import ctypes

    shape = tuple(value.shape())
    tensor = onnx.TensorProto(data_type=element, dims=shape)
    bits = 8 * dtype.itemsize if dtype.name not in PACKED else 2 if dtype.name.endswith("int2") else 4
    tensor.raw_data = ctypes.string_at(value.data_ptr(), (int(np.prod(shape)) * bits + 7) // 8)
    return numpy_helper.to_array(tensor)
