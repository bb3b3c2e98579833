"""The facts of dtypes are those of onnx, numpy and ml_dtypes, and stand in one file."""

from __future__ import annotations

import ast
from pathlib import Path

import ml_dtypes
import numpy
import onnx
import pytest
from onnx import TensorProto, helper

from autoglmc.targets.dtypes import (
    ADDRESSABLE,
    DTYPE,
    DTYPES,
    ELEMENT,
    EXOTIC,
    FLOATS,
    LARGEST,
    NUMPY,
    OTHER_NAMES,
    PLAIN_FLOATS,
    ROUNDOFF,
    SMALLEST_NORMAL,
    WIDEST_FIRST,
)  # fmt: skip

ROOT = Path(__file__).resolve().parent.parent.parent
ABOUT_RUNTIMES = {
    "compiler/devices/tflite/versions.py": "versions of LiteRT's operators, by the dtype of an operand",
    "compiler/devices/litert/compiled.py": "LiteRT's numbers of element types",
    "compiler/devices/core_ai/api.py": "what Core AI takes as it is",
    "compiler/devices/openvino.py": "what OpenVINO computes without widening or narrowing",
    "compiler/devices/mil/elementwise.py": "what Core ML casts to",
    "compiler/devices/mil/packed.py": "what Core ML keeps constants in",
    "compiler/devices/mil/program.py": "what Core ML takes as an input or gives as an output",
    "compiler/load/runtime_gap.py": "what hardly any kernel of onnxruntime lacks, in its own words",
    "compiler/explain/model_changes.py": "the narrower dtype that a change of the model proposes",
    "compiler/probe/case.py": "what devices are probed with",
    "compiler/reference/kernels/conversion.py": "what the reference's own casts hold: it shares no fact with what it judges",
    "compiler/verify/terms.py": "what the judge takes for the unit roundoff of each",
    "compiler/precision/request.py": "the precisions that a user may ask for",
    "passes/precision/choose_forms.py": "what activations are held in, by forms of the solver's problem",
    "targets/precision.py": "the number formats of forms, and other names of them",
    "targets/work/kind.py": "dtypes for which runtimes have kernels of their own",
    "passes/recover/space_to_depth.py": "what onnxruntime has kernels for",
    "passes/tune/plain_weights.py": "weights that onnxruntime leaves behind a DequantizeLinear",
    "passes/tune/flatten_rows.py": "what onnxruntime has kernels for",
    "passes/simplify/remove_requantize.py": "integers that a float of that width holds exactly",
}
"""Other tables of several dtypes, and what they say that is no fact of a dtype."""


@pytest.mark.parametrize("name", DTYPES)
def test_codes_names_and_bits_are_those_of_onnx(name: str) -> None:
    dtype = DTYPES[name]
    for code in dtype.codes:
        assert DTYPE[code] == name
        spelt = TensorProto.DataType.Name(code).lower()
        assert spelt == dtype.onnx or (name == "fp8" and spelt.startswith("float8"))
        array = helper.tensor_dtype_to_np_dtype(code)
        assert array.itemsize * 8 == max(dtype.bits, 8)
        assert not dtype.numpy or numpy.dtype(dtype.numpy) == array
    assert DTYPE[ELEMENT[name]] == name


@pytest.mark.parametrize("name", sorted(LARGEST))
def test_ranges_are_those_of_numpy(name: str) -> None:
    about = numpy.finfo(NUMPY[name]) if name in NUMPY else ml_dtypes.finfo(ml_dtypes.bfloat16)
    assert float(about.max) == LARGEST[name]
    assert float(about.smallest_normal) == SMALLEST_NORMAL[name]
    assert float(about.eps) / 2 == ROUNDOFF[name]


def test_exotic_dtypes_are_those_without_a_numpy_type() -> None:
    for code, (spelt, bits) in EXOTIC.items():
        assert DTYPE.get(code) not in NUMPY
        if code in TensorProto.DataType.values():  # newer onnx knows more
            assert TensorProto.DataType.Name(code).lower() == spelt
            assert helper.tensor_dtype_to_np_dtype(code).itemsize * 8 == max(bits, 8)
    assert {code for name, dtype in DTYPES.items() if name not in NUMPY for code in dtype.codes} <= EXOTIC.keys()


def test_sets() -> None:
    assert set(WIDEST_FIRST) == FLOATS == {name for name, dtype in DTYPES.items() if dtype.kind == "float"}
    assert [DTYPES[name].bits for name in WIDEST_FIRST] == sorted((DTYPES[name].bits for name in WIDEST_FIRST), reverse=True)
    assert PLAIN_FLOATS == {"fp64", "fp32", "fp16"}
    assert DTYPES.keys() - ADDRESSABLE == {"int4", "uint4", "fp8", "complex64", "complex128"}
    assert not OTHER_NAMES.keys() & DTYPES.keys(), "what is a name of ours needs no translation"
    assert onnx.TensorProto.STRING == ELEMENT["string"]


def tables(path: Path) -> list[int]:
    """Lines of literals that name three dtypes or more."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Dict | ast.Set | ast.List | ast.Tuple):
            words = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}
            if len(words & (DTYPES.keys() | set(NUMPY.values()))) >= 3:
                found.append(node.lineno)
    return found


def test_no_other_file_has_a_table_of_dtypes() -> None:
    files = [path for folder in ("compiler", "grammar", "passes", "targets") for path in (ROOT / folder).rglob("*.py")]
    with_tables = {path.relative_to(ROOT).as_posix() for path in files if tables(path)}
    assert with_tables == {"targets/dtypes.py", *ABOUT_RUNTIMES}
