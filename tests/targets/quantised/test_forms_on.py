"""In which forms a device may run an operator: what its table, its `weights` lines and its `precision` make of one operator."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoglmc.grammar import parse_target
from autoglmc.targets.formula import Binary, Call, Expression, Name, Number
from autoglmc.targets.model import Device
from autoglmc.targets.operator_view import OperatorView, TensorView
from autoglmc.targets.origin import Origin
from autoglmc.targets.precision import FORMS, FormName, Keep, Precision, Prefer, WeightFormat
from autoglmc.targets.quantised.forms_on import choices_on, forms_on
from autoglmc.targets.quantised.views import in_form
from autoglmc.targets.support import Yes, supports

TARGET = parse_target(
    """hw 1;
target t {
  onnx opset 13..21;
  memory m { size 1 GiB; bandwidth 50 GB/s; shared npu, cpu, fast; }
  device npu : x {
    peak fp16 10 TOPS; peak int8 20 TOPS; dispatch 1 us; launch 1 us;
    supports fp16 { Conv, MatMul, Relu, Softmax, Gather; }
    supports int8, uint8, uint16 { Conv, Relu where quantised; MatMul where quantised and dtype(A) == uint8; }
    supports int64 { Add; }
  }
  device cpu : x { runtime ort; peak fp32 100 GFLOPS; dispatch 1 us; launch 1 us; supports all; }
  device fast : x { runtime ort; peak fp32 100 GFLOPS; peak int8 400 GFLOPS; dispatch 1 us; launch 1 us; supports all; deny { Softmax; } }
  link npu <-> cpu { zero_copy; handoff 1 us; }
  link fast <-> cpu { zero_copy; handoff 1 us; }
}
""",
    "t.hw",
)
NPU, CPU, FAST = (TARGET.device(name) for name in ("npu", "cpu", "fast"))
HERE = Origin("t.hw", 1, 1)


def floats(shape: tuple[int, ...], const: bool = False) -> TensorView:
    return TensorView("t", "fp32", shape, const)


def view(operator: str, /, **inputs: TensorView) -> OperatorView:
    return OperatorView("n", "", operator, 17, {}, inputs, {"Y": floats((1, 8, 4, 4))})


CONV = view("Conv", X=floats((1, 3, 4, 4)), W=floats((8, 3, 3, 3), True), B=floats((8,), True))
RELU = view("Relu", X=floats((1, 8)))
SOFTMAX = view("Softmax", input=floats((1, 8)))
MATMUL = view("MatMul", A=floats((1, 8)), B=floats((8, 8), True))
ATTENTION = view("MatMul", A=floats((1, 8)), B=floats((8, 8)))
ADD = view("Add", A=floats((1, 8)), B=floats((1, 8)))
INDICES = OperatorView("n", "", "Add", 17, {}, {"A": TensorView("a", "int64", (1,), False), "B": TensorView("b", "int64", (1,), False)}, {})


def names(device: Device, one: OperatorView) -> list[str]:
    return [form.name for form in forms_on(device, one)]


def prefer(form: FormName, *operators: str, most_loss: float | None = None, where: Expression | None = None) -> Prefer:
    return Prefer(form=form, operators=operators, device="", most_loss=most_loss, where=where, origin=HERE)


def keep(form: FormName, *operators: str, where: Expression | None = None) -> Keep:
    return Keep(form=form, operators=operators, device="", where=where, origin=HERE)


def saying(device: Device, *lines: Prefer | Keep) -> Device:
    prefers = tuple(line for line in lines if isinstance(line, Prefer))
    return replace(device, precision=Precision(prefers=prefers, keeps=tuple(line for line in lines if isinstance(line, Keep))))


def weights(dtype: str, *operators: str, block: int = 0, activations: str = "", where: Expression | None = None) -> WeightFormat:
    return WeightFormat(
        dtype=dtype, block=block, symmetric=True, activations=activations, operators=operators, where=where, origin=HERE
    )  # fmt: skip


@pytest.mark.parametrize(
    ("device", "one", "expected"),
    [
        (NPU, CONV, ["fp16", "a16w8", "a8w8"]),
        (NPU, RELU, ["fp16", "a16w8", "a8w8"]),
        (NPU, SOFTMAX, ["fp16"]),
        (NPU, MATMUL, ["fp16", "a8w8"]),
        (NPU, ADD, []),
        (NPU, INDICES, ["fp32"]),
        (CPU, CONV, ["fp32"]),
        (FAST, CONV, ["fp32", "a8w8"]),
        (FAST, SOFTMAX, []),
    ],
)
def test_the_table_decides(device: Device, one: OperatorView, expected: list[str]) -> None:
    assert names(device, one) == expected


def test_the_first_dtype_of_the_table_is_taken() -> None:
    by_name = {form.name: form for form in forms_on(NPU, CONV)}
    assert (by_name["a8w8"].activations, by_name["a16w8"].activations) == ("int8", "uint16")
    assert next(form.activations for form in forms_on(NPU, MATMUL) if form.name == "a8w8") == "uint8"
    assert next(form.activations for form in forms_on(FAST, CONV) if form.name == "a8w8") == "uint8"


def test_every_form_of_integers_is_one_that_the_table_takes() -> None:
    for device in (NPU, FAST):
        for one in (CONV, RELU, MATMUL):
            for form in forms_on(device, one):
                if form.quantised:
                    assert isinstance(supports(device, in_form(one, form), Precision()), Yes)


def test_a_weights_line_is_about_constant_weights_beside_the_widest_float() -> None:
    npu = replace(NPU, weights=(weights("int4", block=32), weights("int8", "MatMul")))
    w4 = next(form for form in forms_on(npu, MATMUL) if form.name == "w4")
    assert (w4.activations, w4.weights, w4.block, w4.quantised) == ("fp16", "int4", 32, False)
    assert names(npu, MATMUL) == ["fp16", "a8w8", "w8", "w4"]
    assert names(npu, CONV) == ["fp16", "a16w8", "a8w8", "w4"]
    assert names(npu, ATTENTION) == ["fp16", "a8w8"], "B is no weight there"
    assert names(replace(CPU, weights=(weights("int4"),)), MATMUL) == ["fp32", "w4"]


def test_weights_beside_integers_need_the_operator_in_them() -> None:
    npu = replace(NPU, weights=(weights("int4", activations="uint16"),))
    w4 = next(form for form in forms_on(npu, CONV) if form.name == "w4")
    assert (w4.activations, w4.quantised, w4.per_channel) == ("uint16", True, True)
    assert "w4" not in names(npu, MATMUL), "its table lists MatMul for uint8 only"


def test_the_first_weights_line_that_applies_counts() -> None:
    large = Binary(">=", Call("elements", (Name("B"),)), Number(1e6, "1000000"))
    npu = replace(NPU, weights=(weights("int4", "MatMul", block=32, where=large), weights("int4", "MatMul", block=16)))
    assert next(form.block for form in forms_on(npu, MATMUL) if form.name == "w4") == 16
    wide = view("MatMul", A=floats((1, 2048)), B=floats((2048, 2048), True))
    assert next(form.block for form in forms_on(npu, wide) if form.name == "w4") == 32


def test_preferred_forms_come_first_in_the_order_of_their_lines() -> None:
    device = saying(NPU, prefer("a8w8", most_loss=1e-3), prefer("a16w8"), prefer("a8w8", most_loss=0.5), prefer("w4"))
    assert names(device, CONV) == ["a8w8", "a16w8", "fp16"]
    first = choices_on(device, CONV)[0]
    assert first.most_loss == 1e-3 and first.line is device.precision.prefers[0], "the first line for a form counts"
    assert names(device, SOFTMAX) == ["fp16"], "a form that the table lacks is not preferred either"


def test_a_line_for_some_operators_leaves_the_others() -> None:
    device = saying(NPU, prefer("a8w8", "Relu"))
    assert (names(device, RELU), names(device, CONV)) == (["a8w8", "fp16", "a16w8"], ["fp16", "a16w8", "a8w8"])


def test_keep_is_stronger_than_prefer() -> None:
    device = saying(NPU, prefer("a8w8"), keep("fp16", "Conv"), keep("a8w8", "Conv", "Relu"), keep("fp32", "Softmax"))
    assert names(device, CONV) == ["fp16"]
    assert names(device, RELU) == ["a8w8"]
    assert names(device, SOFTMAX) == [], "in fp32 or not on this device"
    assert choices_on(device, CONV)[0].line == device.precision.keeps[0]


def test_a_condition_that_is_not_known_to_hold_does_not_apply() -> None:
    narrow = Binary("<=", Call("elements", (Name("X"),)), Number(8, "8"))
    device = saying(NPU, keep("fp16", "Relu", where=narrow))
    assert names(device, RELU) == ["fp16"]
    assert names(device, view("Relu", X=TensorView("x", "fp32", None, False))) == ["fp16", "a16w8", "a8w8"]


def test_names_of_forms_are_ordered_from_the_most_exact() -> None:
    assert tuple(FORMS) == ("fp32", "fp16", "a16w8", "a8w8", "w8", "w4")
    assert all(name == form.name for name, form in FORMS.items())
