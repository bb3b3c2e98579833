"""The smallest change of a table: every change that is named does admit the operator, and says the line it belongs to."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autoglmc.grammar import analyse_text, parse_target
from autoglmc.targets.admit import admit
from autoglmc.targets.environment import Environment
from autoglmc.targets.expression import truth
from autoglmc.targets.formula import render
from autoglmc.targets.operator_view import OperatorView, TensorView
from autoglmc.targets.precision import Precision
from autoglmc.targets.support import Yes, supports
from autoglmc.targets.widen import widen

TARGET = parse_target(
    """hw 1;
target t {
  onnx opset 13..21;
  memory m { size 1 GiB; bandwidth 50 GB/s; shared npu, cpu; }
  device npu : x {
    peak fp16 10 TOPS; dispatch 1 us; launch 1 us; max rank 4; max dim W 1024; static_shapes yes;
    supports fp16 {
      Conv where const(W) and rank(X) == 4 and all_dims(X) <= 512;
      MatMul where rank(A) in 2..3 and const(B);
      Resize where attr.mode in { linear, nearest };
      Gather where const(indices) or dtype(indices) == int32;
      Relu; Erf where rank(input) <= 5;
    }
    supports int32 { Relu; }
    deny { Erf where rank(input) == 2; Relu where rank(X) == 1; }
  }
  device cpu : x { runtime ort; peak fp32 100 GFLOPS; dispatch 1 us; launch 1 us; supports all; }
  link npu <-> cpu { copy 10 GB/s; handoff 1 us; }
  precision { default fp16; }
}
""",
    "t.hw",
)
NPU = TARGET.device("npu")
Shape = tuple[int | None, ...] | None


def t(shape: Shape, dtype: str = "fp32", const: bool = False) -> TensorView:
    return TensorView("t", dtype, shape, const)


def view(operator: str, has_body: bool = False, functions: frozenset[str] = frozenset(), **inputs: TensorView) -> OperatorView:
    attributes = {"mode": "cubic"} if operator == "Resize" else {}
    return OperatorView("n", "", operator, 18, attributes, inputs, {}, has_body, functions)


CASES = [
    (view("Relu", X=t((2, 3))), []),
    (
        view("Conv", X=t((1, 3, 600, 8)), W=t((4, 3, 3, 3), const=True)),
        [("Conv where const(W) and rank(X) == 4 and all_dims(X) <= 600;", "t.hw:8")],
    ),
    (
        view("Conv", X=t((1, 3, 8)), W=t((4, 3, 3))),
        [("Conv where rank(X) in {3, 4} and all_dims(X) <= 512;", "t.hw:8")],
    ),
    (
        view("Conv", X=t((1, 3, 8, 2000)), W=t((4, 3, 3, 3), const=True)),
        [("max dim W 2000;", "t.hw:5"), ("Conv where const(W) and rank(X) == 4 and all_dims(X) <= 2000;", "t.hw:8")],
    ),
    (
        view("MatMul", A=t((1, 2, 3, 4, 5)), B=t((5, 6), const=True)),
        [("max rank 5;", "t.hw:5"), ("MatMul where rank(A) in 2..5 and const(B);", "t.hw:9")],
    ),
    (view("Resize", X=t((1, 1, 2, 2))), [("Resize where attr.mode in {linear, nearest, cubic};", "t.hw:10")]),
    (
        view("Gather", data=t((9, 2)), indices=t((3,), "int64")),
        [("Gather where const(indices) or dtype(indices) in {int32, int64};", "t.hw:11")],
    ),
    (view("Sin", input=t((2, 3))), [("supports fp16 { Sin; }", "t.hw:7")]),
    (view("Add", A=t((2, 3), "int64"), B=t((3,), "int64")), [("supports int64 { Add; }", "t.hw:5")]),
    (view("Add", A=t((2, 3), "int32"), B=t((3,), "int32")), [("supports int32 { Add; }", "t.hw:14")]),
    (view("Erf", input=t((2, 3))), [("", "t.hw:15")]),
    (view("Relu", X=t((3,))), [("", "t.hw:15")]),
    (
        view("If", has_body=True, functions=frozenset({"Relu", "Sin"}), cond=t((1,), "bool")),
        [("supports fp16 { If; }", "t.hw:7"), ("supports fp16 { Sin; }", "t.hw:7"), ("supports bool { If; }", "t.hw:5")],
    ),
]


@pytest.mark.parametrize(("operator", "expected"), CASES, ids=[f"{case[0].operator}-{k}" for k, case in enumerate(CASES)])
def test_it_names_the_lines_and_they_suffice(operator: OperatorView, expected: list[tuple[str, str]]) -> None:
    found = admit(NPU, operator, TARGET.precision)
    assert found is not None
    device, edits = found
    assert isinstance(supports(device, operator, TARGET.precision), Yes)
    assert [(edit.text, str(edit.origin)) for edit in edits] == expected


@pytest.mark.parametrize(
    "operator",
    [view("Relu", X=t(None)), view("Relu", X=t((None, 2))), view("Relu", X=t((2,), "string")), view("Sin", input=t((2,), "unknown"))],
)
def test_no_line_helps_where_a_shape_or_dtype_is_not_known(operator: OperatorView) -> None:
    assert admit(NPU, operator, TARGET.precision) is None


def test_a_changed_line_is_one_a_file_may_hold() -> None:
    """What is proposed parses where it is said to belong, and the file then takes the operator."""
    for operator, expected in CASES:
        for text, _ in expected:
            if text.startswith(("supports", "Conv", "MatMul", "Resize", "Gather")):
                inside = text.partition("{")[2].rpartition("}")[0] if text.startswith("supports") else text
                dtype = text.split()[1] if text.startswith("supports") else "fp16"
                target = parse_target(PLAIN.format(dtype=dtype, line=inside), "p.hw")
                assert target.device("npu").supports[0].rules[0].operator in (operator.operator, *operator.functions)


PLAIN = """hw 1;
target p {{
  onnx opset 13..21;
  memory m {{ size 1 GiB; bandwidth 50 GB/s; shared npu, cpu; }}
  device npu : x {{ peak fp16 10 TOPS; dispatch 1 us; launch 1 us; supports {dtype} {{ {line} }} }}
  device cpu : x {{ runtime ort; peak fp32 100 GFLOPS; dispatch 1 us; launch 1 us; supports all; }}
  link npu <-> cpu {{ copy 10 GB/s; handoff 1 us; }}
}}
"""


@st.composite
def conditions(draw: st.DrawFn) -> str:
    atoms = ["rank(X) {c} {n}", "dim(X, -1) {c} {n}", "all_dims(X) {c} {n}", "const(X)", "dtype(X) == fp16", "rank(X) in {n}..{m}"]
    parts = []
    for atom in draw(st.lists(st.sampled_from(atoms), min_size=1, max_size=4)):
        low = draw(st.integers(0, 9))
        comparison = draw(st.sampled_from(["<=", ">=", "==", "<", ">", "!="]))
        parts.append(atom.format(c=comparison, n=low, m=low + draw(st.integers(0, 3))))
    return parts[0] + "".join(f" {draw(st.sampled_from(['and', 'or']))} {part}" for part in parts[1:])


@given(conditions(), st.lists(st.integers(1, 9), max_size=4), st.booleans())
def test_a_widened_condition_holds_and_still_takes_what_it_took(text: str, shape: list[int], const: bool) -> None:
    target = analyse_text(PLAIN.format(dtype="fp16", line=f"Relu where {text};"), "p.hw").target
    assume(target is not None)  # HW0505: a condition that can never hold
    assert target is not None
    where = target.device("npu").supports[0].rules[0].where
    assert where is not None
    seen = Environment(tensors={"X": t(tuple(shape), const=const)})
    wider, changed = widen(where, seen)
    assert wider is None or truth(wider, seen) is True
    assert (changed == 0) == (truth(where, seen) is True)
    for rank in range(4):
        other = Environment(tensors={"X": t((3,) * rank, "fp16", const=not const)})
        if truth(where, other) is True and wider is not None:
            assert truth(wider, other) is True, render(wider)


def test_precision_is_left_alone() -> None:
    strict = Precision(default=None, compute=(), keep=())
    found = admit(NPU, view("Gather", data=t((9, 2)), indices=t((3,), "int32")), strict)
    assert found is not None and found[1] == ()
