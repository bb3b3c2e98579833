"""Does a device run an operator: the order of the questions, dtypes, and reasons that name the line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoglmc.grammar import parse_target
from autoglmc.targets.operator_view import AttributeValue, OperatorView, TensorView
from autoglmc.targets.precision import Precision
from autoglmc.targets.support import No, Yes, guard_holds, link_zero_copy, lists, supports

TARGET = parse_target(
    """hw 1;
target t {
  onnx opset 13..21;
  memory m { size 1 GiB; bandwidth 50 GB/s; shared npu, gpu, cpu; }
  device npu : x {
    peak fp16 10 TOPS; dispatch 1 us; launch 1 us; max rank 4; max dim W 16384; static_shapes yes;
    supports fp16 {
      Conv where const(W) and all_dims(X) <= 20000;
      Relu, Add, Gather, Reshape, Cast, Where, Pow, Equal, Resize, If;
      MatMul where rank(A) == 2;
      MatMul where rank(A) == rank(B);
      com.acme::Foo;
    }
    supports int64 { Reshape; }
    supports bool { And; }
    deny { Erf; Add where rank(A) == 1; }
  }
  device gpu : x { peak fp32 1 TFLOPS; peak fp16 1 TOPS; dispatch 1 us; launch 1 us; supports fp32 { Relu; } supports fp16 { Relu, Add; } }
  device cpu : x { runtime ort; peak fp32 100 GFLOPS; dispatch 1 us; launch 1 us; supports all; deny { Erf; } }
  link npu <-> cpu { via shm; zero_copy where dtype == fp16 and last_dim_is_row else copy 10 GB/s; handoff 1 us; }
  link gpu <-> cpu { copy 10 GB/s; handoff 1 us; }
  link npu <-> gpu { zero_copy; handoff 1 us; }
}
""",
    "t.hw",
)
NPU, GPU, CPU = (TARGET.device(name) for name in ("npu", "gpu", "cpu"))
PLAIN = Precision(default=None, compute=(), keep=())
Shape = tuple[int | None, ...] | None


def t(shape: Shape, dtype: str = "fp32", const: bool = False) -> TensorView:
    return TensorView("t", dtype, shape, const)


def view(
    operator: str,
    inputs: dict[str, TensorView],
    outputs: dict[str, TensorView] | None = None,
    domain: str = "",
    attributes: dict[str, AttributeValue] | None = None,
    **more: object,
) -> OperatorView:
    made = OperatorView("n", domain, operator, 13, attributes or {}, inputs, outputs or {})
    return replace(made, **more)  # type: ignore[arg-type]


X = t((1, 3, 8, 8))
CONV = view("Conv", {"X": X, "W": t((4, 3, 3, 3), const=True)}, {"Y": t((1, 4, 6, 6))})


def test_yes_names_dtype_and_line() -> None:
    answer = supports(NPU, CONV, PLAIN)
    assert isinstance(answer, Yes) and answer.compute_dtype == "fp16" and answer.rule is not None
    assert (answer.rule.operator, str(answer.rule.origin)) == ("Conv", "t.hw:8")


def refusal(operator: OperatorView, device: object = NPU) -> str:
    answer = supports(device, operator, PLAIN)  # type: ignore[arg-type]
    assert isinstance(answer, No), answer
    return str(answer)


def test_reasons() -> None:
    wide = view("Conv", {"X": t((1, 3, 30000, 8)), "W": t((4, 3, 3, 3), const=True)})
    assert refusal(wide) == "all_dims(X) <= 20000 is false (H = 30000), t.hw:8"
    assert refusal(view("Conv", {"X": X, "W": t((4, 3, 3, 3))})) == "const(W) is false (const(W) = no), t.hw:8"
    assert refusal(view("Softmax", {"input": X})) == "`Softmax` is not in npu's table, t.hw:5"
    assert refusal(view("Erf", {"input": X})) == "`Erf` is denied, t.hw:16"
    assert refusal(view("Add", {"A": t((3,)), "B": t((3,))})) == "`Add` is denied where rank(A) == 1 (rank(A) = 1), t.hw:16"
    assert refusal(view("Relu", {"X": t((1, None, 8, 8))})) == "npu needs static shapes and the shape of X (`t`) is not known, t.hw:5"
    assert refusal(view("Relu", {"X": t((1, 1, 1, 1, 1))})) == "rank(X) <= 4 is false (rank(X) = 5), t.hw:5"
    assert refusal(view("Relu", {"X": t((1, 17000))})) == "dim(X, W) <= 16384 is false (W = 17000), t.hw:5"
    floats = view("And", {"A": t((1,), "fp32"), "B": t((1,), "fp32")})
    assert refusal(floats) == "`And` of fp32: npu's table lists it for bool only, t.hw:15"


def test_two_rules_are_ored() -> None:
    assert isinstance(supports(NPU, view("MatMul", {"A": t((2, 3)), "B": t((3, 4, 5))}), PLAIN), Yes)
    assert isinstance(supports(NPU, view("MatMul", {"A": t((2, 3, 3)), "B": t((3, 4, 5))}), PLAIN), Yes)
    said = refusal(view("MatMul", {"A": t((2, 3, 3)), "B": t((4, 5))}))
    assert said == "rank(A) == 2 is false (rank(A) = 3); and rank(A) == rank(B) is false (rank(A) = 3, rank(B) = 2), t.hw:10"


@pytest.mark.parametrize(
    ("operator", "allowed"),
    [
        (view("Gather", {"data": X, "indices": t((2,), "int64")}), True),
        (view("Gather", {"data": t((4,), "int64"), "indices": t((2,), "int64")}), False),
        (view("Reshape", {"data": t((4,), "int64"), "shape": t((2,), "int64")}), True),
        (view("Reshape", {"data": t((4,), "int32"), "shape": t((2,), "int64")}), False),
        (view("Where", {"condition": t((4,), "bool"), "X": t((4,)), "Y": t((4,))}), True),
        (view("Where", {"condition": t((4,), "bool"), "X": t((4,), "int64"), "Y": t((4,), "int64")}), False),
        (view("Add", {"A": t((2, 4), "int64"), "B": t((2, 4), "int64")}), False),
        (view("And", {"A": t((4,), "bool"), "B": t((4,), "bool")}), True),
        (view("Equal", {"A": t((4,)), "B": t((4,))}), True),
        (view("Pow", {"X": t((4,)), "Y": t((1,), "int64")}), True),
        (view("Cast", {"input": t((4,))}, {"output": t((4,), "int64")}), True),
        (view("Cast", {"input": t((4,), "int64")}, {"output": t((4,))}), False),
        (view("Resize", {"X": X, "scales": t((4,), const=True)}), True),
        (view("Relu", {"X": t((4,), "unknown")}), False),
        (view("Reshape", {"data": t((4,), "string"), "shape": t((2,), "int64")}), False),
        (view("Foo", {"a": t((4,)), "b": t((4,), "int64")}, domain="com.acme"), True),
        (view("Foo", {"a": t((4,))}, domain="com.other"), False),
    ],
)
def test_element_types(operator: OperatorView, allowed: bool) -> None:
    assert isinstance(supports(NPU, operator, PLAIN), Yes) is allowed


def test_compute_dtype_follows_precision() -> None:
    relu, add = view("Relu", {"X": X}), view("Add", {"A": X, "B": X})
    both = supports(GPU, relu, PLAIN)
    assert isinstance(both, Yes) and both.compute_dtype == "fp32"
    assert isinstance(supports(GPU, add, PLAIN), No)  # the device has fp32, only Add has not
    for precision in (replace(PLAIN, compute=(("fp16", "fp32"),)), replace(PLAIN, default="fp16")):
        answer = supports(GPU, add, precision)
        assert isinstance(answer, Yes) and answer.compute_dtype == "fp16"
    asked = supports(GPU, relu, replace(PLAIN, compute=(("fp16", "fp32"),)))
    assert isinstance(asked, Yes) and asked.compute_dtype == "fp16"


def test_supports_all() -> None:
    answer = supports(CPU, view("TopK", {"X": t((None, 4), "int32"), "K": t((1,), "int64")}), PLAIN)
    assert isinstance(answer, Yes) and (answer.compute_dtype, answer.rule) == ("int32", None)
    assert isinstance(supports(CPU, view("Erf", {"input": X}), PLAIN), No)
    assert isinstance(supports(CPU, view("Gelu", {"X": X}, domain="com.microsoft"), PLAIN), Yes)
    assert refusal(view("Foo", {"X": X}, domain="com.acme"), CPU).startswith("`com.acme::Foo` is not in cpu's table")


def test_bodies_need_every_operator_they_contain() -> None:
    branch = view("If", {"cond": t((), "bool")}, {"out": t((1,))}, has_body=True, functions=frozenset({"Relu", "Add"}))
    assert refusal(replace(branch, functions=frozenset({"Relu", "LSTM"}))) == "its body needs `LSTM`, which is not in npu's table, t.hw:5"
    assert isinstance(supports(CPU, branch, PLAIN), Yes)
    assert "its body" not in refusal(branch)  # all are listed; If on bool needs a bool block, which is another reason


def test_native_and_guards() -> None:
    assert lists(NPU, "Conv") and not lists(NPU, "Erf") and not lists(NPU, "Softmax") and lists(NPU, "com.acme::Foo")
    assert guard_holds(NPU, CONV, None)
    conv = NPU.supports[0].rules[0].where
    assert guard_holds(NPU, CONV, conv) and not guard_holds(NPU, view("Conv", {"X": X, "W": X}), conv)


def test_links() -> None:
    npu, gpu, free = TARGET.links
    assert link_zero_copy(npu, "fp16", (1, 2)) == (True, "shm, t.hw:20")
    assert link_zero_copy(npu, "fp32", (1, 2)) == (False, "dtype == fp16 is false (dtype = fp32), t.hw:20")
    assert link_zero_copy(npu, "fp16", ()) == (False, "last_dim_is_row is false (last_dim_is_row = no), t.hw:20")
    assert link_zero_copy(npu, "fp16", None)[0] is False
    assert link_zero_copy(gpu, "fp16", (1,)) == (False, "gpu to cpu has no zero copy, t.hw:21")
    assert link_zero_copy(free, "int64", None)[0] is True


@pytest.mark.parametrize(("block", "taken"), [
    ("supports int8, uint8 { Relu where rank(X) == 2; }", True), ("supports int8, uint8 { Relu where rank(X) == 4; }", False),
    ("supports int8, uint8 { Add; }", False), ("", True), ("supports fp32 { com.acme::Foo; }", True),
])  # fmt: skip
def test_blocks_of_integers_beside_all_say_what_is_computed_in_integers(block: str, taken: bool) -> None:
    """Between DequantizeLinear and QuantizeLinear; anything runs as it stands."""
    text = f"""hw 1; target t {{ onnx opset 13..21; memory m {{ size 1 GiB; bandwidth 50 GB/s; shared cpu; }}
        device cpu : x {{ runtime ort; peak fp32 1 GFLOPS; peak int8 4 GOPS; dispatch 1 us; launch 1 us; supports all; {block} }} }}"""
    device = parse_target(text, "t.hw").device("cpu")
    x, y = TensorView("x", "uint8", (2, 3), False), TensorView("y", "uint8", (2, 3), False)
    view = OperatorView("n", "", "Relu", 21, {}, {"X": x}, {"Y": y}, has_body=False, functions=frozenset())
    assert isinstance(supports(device, view, Precision()), Yes)
    quantised = supports(device, replace(view, quantised=True), Precision())
    assert isinstance(quantised, Yes) == taken
    if block.endswith("{ Add; }"):
        assert str(quantised) == "cpu has no integer kernel for `Relu`, t.hw:2"
