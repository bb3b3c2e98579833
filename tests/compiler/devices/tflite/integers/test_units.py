"""Which operators of a QDQ model are computed in integers, and on which grids. LiteRT is not needed."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import parse

from autoglmc.compiler.devices.tflite.integers.grids import floats_of, port_scales, stored
from autoglmc.compiler.devices.tflite.integers.units import IntegerGraph, in_integers
from autoglmc.compiler.devices.tflite.records import Scales

WEIGHTS = """<float sx = {0.5}, uint8 zx = {130}, float sw = {0.25}, int8 zw = {0}, float sy = {1.0}, uint8 zy = {128},
             int8[2,2] w = {1, -2, 3, 4}>"""


def read(text: str, floats: tuple[str, ...] = ()) -> IntegerGraph:
    model = onnx.shape_inference.infer_shapes(parse(text), strict_mode=True)
    graph = model.graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    values = [value for value in (*graph.input, *graph.value_info, *graph.output) if value.name not in constants]
    shapes = {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim) for value in values}
    dtypes = {value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name for value in values}
    return in_integers(graph, shapes, dtypes, constants, floats)


def kinds(made: IntegerGraph) -> list[str]:
    return [node.op_type for node in made.nodes]


PRODUCT = f"""g (float[3,2] x) => (float[3,2] z) {WEIGHTS} {{
    q = QuantizeLinear(x, sx, zx)  a = DequantizeLinear(q, sx, zx)  b = DequantizeLinear(w, sw, zw)
    c = MatMul(a, b)  r = Relu(c)  y = QuantizeLinear(r, sy, zy)  z = DequantizeLinear(y, sy, zy) }}"""


def test_a_unit_reads_and_writes_integers_and_keeps_its_activation() -> None:
    made = read(PRODUCT)
    assert kinds(made) == ["QuantizeLinear", "MatMul", "Relu", "DequantizeLinear"]
    assert list(made.nodes[1].input) == ["q", "b.stored"] and list(made.nodes[2].output) == ["y"]
    assert set(made.units) == {1, 2} and set(made.units.values()) == {"y"}
    assert made.scales["q"] == Scales((0.5,), (2,)) and made.dtypes["q"] == "int8"
    assert made.scales["c"] == made.scales["y"] == Scales((1.0,), (0,))


def test_a_unit_stays_in_floats_where_that_is_asked_for() -> None:
    made = read(PRODUCT, ("y",))
    assert kinds(made) == ["QuantizeLinear", "DequantizeLinear", "MatMul", "Relu", "QuantizeLinear", "DequantizeLinear"] and not made.units
    np.testing.assert_array_equal(made.constants["b"], np.float32([[0.25, -0.5], [0.75, 1.0]]))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("c = MatMul(a, b)  y = QuantizeLinear(c, sy, zy)  z = Relu(c)", ["MatMul", "QuantizeLinear", "Relu"]),  # floats leave
        ("c = Sin(a)  y = QuantizeLinear(c, sy, zy)  z = DequantizeLinear(y, sy, zy)", ["Sin", "QuantizeLinear", "DequantizeLinear"]),
        ("c = Add(a, x)  y = QuantizeLinear(c, sy, zy)  z = DequantizeLinear(y, sy, zy)", ["Add", "QuantizeLinear", "DequantizeLinear"]),
    ],
)
def test_what_is_no_unit_stays_between_its_borders(body: str, expected: list[str]) -> None:
    begin = f"g (float[3,2] x) => (float[3,2] z) {WEIGHTS} {{ q = QuantizeLinear(x, sx, zx)  a = DequantizeLinear(q, sx, zx)"
    made = read(f"{begin}  b = DequantizeLinear(w, sw, zw)  {body} }}")
    assert kinds(made) == ["QuantizeLinear", "DequantizeLinear", *expected] and not made.units


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("c = Sin(a)  y = QuantizeLinear(c, sy, zy)", {"y": "Sin is not converted in integers"}),
        ("s = Sigmoid(a)  c = Mul(a, s)  y = QuantizeLinear(c, sy, zy)", {"y": "nothing is quantised between Sigmoid and Mul"}),
        ("c = Sum(a, a, a)  y = QuantizeLinear(c, sy, zy)", {"y": "Sum of 3 is not converted in integers"}),
        ("t = Mul(a, x)  c = Add(a, t)  y = QuantizeLinear(c, sy, zy)", {}),  # it reads floats besides
        ("c = Add(a, a)  y = QuantizeLinear(c, sy, zy)", {}),
    ],
)
def test_what_stays_in_floats_says_why(body: str, why: dict[str, str]) -> None:
    begin = f"g (float[3,2] x) => (float[3,2] z) {WEIGHTS} {{ q = QuantizeLinear(x, sx, zx)  a = DequantizeLinear(q, sx, zx)"
    assert read(f"{begin}  {body}  z = DequantizeLinear(y, sy, zy) }}").floats == why


def test_a_sum_of_two_is_an_addition() -> None:
    begin = f"g (float[3,2] x) => (float[3,2] z) {WEIGHTS} {{ q = QuantizeLinear(x, sx, zx)  a = DequantizeLinear(q, sx, zx)"
    assert kinds(read(f"{begin}  c = Sum(a, a)  y = QuantizeLinear(c, sy, zy)  z = DequantizeLinear(y, sy, zy) }}"))[1] == "Add"


def test_a_tensor_with_two_grids_is_refused() -> None:
    made = read(f"""g (uint8[3,2] q) => (float[3,2] z) {WEIGHTS} {{
        a = DequantizeLinear(q, sx, zx)  b = DequantizeLinear(q, sy, zy)  z = Add(a, b) }}""")
    assert "other scales" in made.refused["b"]


def test_integers_that_only_move_keep_their_grid() -> None:
    made = read(f"""g (uint8[3,2] q) => (float[2,3] z) {WEIGHTS} {{ t = Transpose(q)  z = DequantizeLinear(t, sx, zx) }}""")
    assert made.scales["q"] == made.scales["t"] == Scales((0.5,), (2,)) and made.dtypes["t"] == "int8"


@given(st.lists(st.integers(0, 255), min_size=1, max_size=20), st.integers(0, 255), st.floats(1e-4, 10))
def test_stored_integers_stand_for_the_same_numbers(values: list[int], zero: int, scale: float) -> None:
    raw = np.array(values, np.uint8)
    grid = Scales((scale,), (zero - 128,))
    expected = (raw.astype(np.float32) - np.float32(zero)) * np.float32(scale)
    np.testing.assert_array_equal(floats_of(stored(raw), grid), expected)
    assert port_scales(grid, "uint8").zero == (zero,)
