"""For every predicate a condition may call: the reason that a person reads where it is false, where it holds, and where nobody can know."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoglmc.grammar import parse_target
from autoglmc.targets.explain import witness
from autoglmc.targets.operator_view import AttributeValue, OperatorView, TensorView
from autoglmc.targets.precision import Precision
from autoglmc.targets.predicates import PREDICATES
from autoglmc.targets.quantised.scales import Scales
from autoglmc.targets.support import No, Yes, environment_of, supports

FILE = """hw 1;
target t {{
  onnx opset 13..21;
  memory m {{ size 1 GiB; bandwidth 50 GB/s; shared npu, cpu; }}
  device npu : x {{
    peak fp16 10 TOPS; peak fp32 5 TOPS; dispatch 1 us; launch 1 us;
    supports fp16, fp32, int64 {{
      {operator} where {condition};
      Relu;
    }}
  }}
  device cpu : x {{ runtime ort; peak fp32 100 GFLOPS; dispatch 1 us; launch 1 us; supports all; }}
  link npu <-> cpu {{ copy 10 GB/s; handoff 1 us; }}
  precision {{ default fp16; }}
}}
"""
Shape = tuple[int | None, ...] | None


def t(shape: Shape, dtype: str = "fp32", const: bool = False, name: str = "t") -> TensorView:
    return TensorView(name, dtype, shape, const)


def view(operator: str, attributes: dict[str, AttributeValue] | None = None, **inputs: TensorView) -> OperatorView:
    outputs = {"Y": t((1, 8, 4, 4))} if operator in ("Conv", "MaxPool", "Resize") else {"output": t((4,))}
    return OperatorView("n", "", operator, 18, attributes or {}, inputs, outputs)


IMAGE = t((1, 3, 20000, 8))
WEIGHT = t((8, 3, 3, 3), const=True)
CONV = view("Conv", {"dilations": (1, 2), "group": 1, "auto_pad": "SAME_UPPER"}, X=IMAGE, W=t((8, 3, 3, 3)), B=t((8,), const=True))
BARE = view("Conv", X=IMAGE, W=WEIGHT)
BLIND = view("Conv", X=t((None, 3, 8, 8)), W=WEIGHT)
SCALED = view(
    "Conv",
    X=replace(IMAGE, scales=Scales(zero_points=(3,), scale=(0.1, 0.1))),
    W=replace(WEIGHT, scales=Scales(axis=0, zero_points=(0, 2), scale=(0.125, 0.5))),
    B=replace(t((8, 8), const=True), scales=Scales(axis=0, block=16)),
)
CONCAT = OperatorView(
    "n", "", "Concat", 18, {"axis": 1}, {"inputs": t((1, 2), name="a"), "inputs.1": t((1, 2, 3), name="b")}, {"concat_result": t(None)}
)

REASONS = [
    # predicate, operator, condition, what is said
    ("const", CONV, "const(W)", "const(W) is false (const(W) = no)"),
    ("const", CONV, "const(B) and const(W, B)", "const(W, B) is false (const(W) = no)"),
    ("present", BARE, "present(B)", "present(B) is false (present(B) = no)"),
    ("present", BARE, "present(attr.pads)", "present(attr.pads) is false (present(attr.pads) = no)"),
    ("rank", CONV, "rank(X) == 3", "rank(X) == 3 is false (rank(X) = 4)"),
    ("rank", CONCAT, "rank(inputs) <= 2", "rank(inputs) <= 2 is false (b = 3)"),
    ("rank", BARE, "rank(B) == 1", "rank(B) == 1 is false (B is left out)"),
    ("dim", CONV, "dim(X, H) <= 16384", "dim(X, H) <= 16384 is false (dim(X, H) = 20000)"),
    ("dim", BLIND, "dim(X, N) == 1", "dim(X, N) == 1 cannot be decided (dim(X, N) = unknown)"),
    ("dim", BARE, "dim(W, 7) == 1", "dim(W, 7) == 1 is false (W has rank 4)"),
    ("remainder", CONV, "remainder(W, 1, 2) == 0", "remainder(W, 1, 2) == 0 is false (remainder(W, 1, 2) = 1)"),
    ("remainder", BLIND, "remainder(X, N, 4) == 0", "remainder(X, N, 4) == 0 cannot be decided (remainder(X, N, 4) = unknown)"),
    ("remainder", BARE, "remainder(W, 7, 4) == 0", "remainder(W, 7, 4) == 0 is false (W has rank 4)"),
    ("all_dims", CONV, "all_dims(X) <= 16384", "all_dims(X) <= 16384 is false (H = 20000)"),
    ("all_dims", CONV, "all_dims(X, W) <= 16384", "all_dims(X, W) <= 16384 is false (H of X = 20000)"),
    ("dtype", CONV, "dtype(X) == fp16", "dtype(X) == fp16 is false (dtype(X) = fp32)"),
    ("dtype", CONV, "dtype(X) in { fp16, int8 }", "dtype(X) in {fp16, int8} is false (dtype(X) = fp32)"),
    (
        "nonnegative",
        view("Gather", indices=t((3,), "int64")),
        "nonnegative(indices)",
        "nonnegative(indices) is false (nonnegative(indices) = no)",
    ),
    ("elements", CONV, "elements(W) <= 64", "elements(W) <= 64 is false (elements(W) = 216)"),
    ("bytes", CONV, "bytes(W) <= 512 B", "bytes(W) <= 512 B is false (bytes(W) = 864)"),
    ("shape", CONV, "shape(B) == [4]", "shape(B) == [4] is false (shape(B) = [8])"),
    ("static", BLIND, "static(X)", "static(X) is false (static(X) = no)"),
    ("same_shape", CONV, "same_shape(X, W)", "same_shape(X, W) is false (same_shape(X, W) = no)"),
    ("all", CONV, "all(attr.dilations) == 1", "all(attr.dilations) == 1 is false (item 1 = 2)"),
    ("item", CONV, "item(attr.dilations, 1) == 1", "item(attr.dilations, 1) == 1 is false (item(attr.dilations, 1) = 2)"),
    ("item", CONV, "item(attr.dilations, 2) == 1", "item(attr.dilations, 2) == 1 is false (attr.dilations has 2 items)"),
    ("length", CONV, "length(attr.dilations) == 1", "length(attr.dilations) == 1 is false (length(attr.dilations) = 2)"),
    ("count", CONCAT, "count(inputs) >= 3", "count(inputs) >= 3 is false (count(inputs) = 2)"),
    ("per_tensor", SCALED, "per_tensor(W)", "per_tensor(W) is false (per_tensor(W) = no)"),
    ("per_tensor", BARE, "per_tensor(W)", "per_tensor(W) cannot be decided (per_tensor(W) = unknown)"),
    ("per_channel", SCALED, "per_channel(X)", "per_channel(X) is false (per_channel(X) = no)"),
    ("per_channel", SCALED, "per_channel(W) and per_channel(B)", "per_channel(B) is false (per_channel(B) = no)"),
    ("channel_axis", SCALED, "channel_axis(W) == 1", "channel_axis(W) == 1 is false (channel_axis(W) = 0)"),
    ("channel_axis", SCALED, "channel_axis(X) == 1", "channel_axis(X) == 1 is false (`t` has no scale a channel)"),
    ("block", SCALED, "block(B) == 32", "block(B) == 32 is false (block(B) = 16)"),
    ("block", SCALED, "block(W) == 32", "block(W) == 32 is false (`t` is not quantised in blocks)"),
    ("symmetric", SCALED, "symmetric(X)", "symmetric(X) is false (symmetric(X) = no)"),
    ("symmetric", SCALED, "symmetric(B)", "symmetric(B) cannot be decided (symmetric(B) = unknown)"),
    ("zero_point", SCALED, "zero_point(X) == 0", "zero_point(X) == 0 is false (zero_point(X) = 3)"),
    ("zero_point", SCALED, "zero_point(W) == 0", "zero_point(W) == 0 is false (a zero point of t = 2)"),
    ("scale", SCALED, "scale(W) <= 0.25", "scale(W) <= 0.25 is false (the largest scale of t = 0.5)"),
    ("native", CONV, "not native(Relu)", "not native(Relu) is false (native(Relu) = yes)"),
    # what is no predicate: attributes, several conjuncts, or
    ("", CONV, "rank(X) == 4 and attr.group > 1", "attr.group > 1 is false (attr.group = 1)"),
    ("", BARE, "attr.group > 1", "attr.group > 1 is false (attr.group is not given)"),
    ("", CONV, "attr.auto_pad in { NOTSET, VALID }", "attr.auto_pad in {NOTSET, VALID} is false (attr.auto_pad = SAME_UPPER)"),
    ("", CONV, "rank(X) in 2..3", "rank(X) in 2..3 is false (rank(X) = 4)"),
    ("", CONV, "const(W) or rank(X) == 3", "const(W) or rank(X) == 3 is false (const(W) = no, rank(X) = 4)"),
    ("", BLIND, "dim(X, N) == 1 and rank(X) == 5", "rank(X) == 5 is false (rank(X) = 4)"),
]


def asked(operator: OperatorView, condition: str) -> Yes | No:
    target = parse_target(FILE.format(operator=operator.operator, condition=condition), "t.hw")
    return supports(target.device("npu"), operator, Precision(default="fp16", compute=(), keep=()))


@pytest.mark.parametrize(("operator", "condition", "reason"), [case[1:] for case in REASONS], ids=[case[2] for case in REASONS])
def test_a_false_condition_names_the_conjunct_and_the_value(operator: OperatorView, condition: str, reason: str) -> None:
    answer = asked(operator, condition)
    assert isinstance(answer, No)
    assert str(answer) == f"{reason}, t.hw:8"


def test_every_predicate_has_a_case() -> None:
    assert {name for name, *_ in REASONS} - {""} == set(PREDICATES)


@pytest.mark.parametrize(
    ("condition", "values"),
    [
        ("rank(X) == 4 and const(B)", "rank(X) = 4, const(B) = yes"),
        ("rank(X) in 3..4 and rank(X) != 2", "rank(X) = 4"),
        ("all(attr.dilations) <= 2", "item 0 = 1, item 1 = 2"),
        ("present(B) or rank(W) == 9", "present(B) = yes, rank(W) = 4"),
    ],
)
def test_a_true_condition_tells_its_values(condition: str, values: str) -> None:
    answer = asked(CONV, condition)
    assert isinstance(answer, Yes) and answer.rule is not None and answer.rule.where is not None
    assert witness(answer.rule.where, environment_of(CONV)) == values
