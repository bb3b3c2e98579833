"""Conditions over operators and tensors: three truth values, absence, quantified questions, and what a refusal says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.grammar.lower.context import Context
from autoglmc.grammar.lower.expression import lower_condition
from autoglmc.grammar.text.diagnostics import Source
from autoglmc.grammar.text.syntax import Statement, read
from autoglmc.grammar.words.reader import Report
from autoglmc.targets.environment import Environment
from autoglmc.targets.explain import explain
from autoglmc.targets.expression import evaluate, truth
from autoglmc.targets.formula import Expression, conjuncts, render
from autoglmc.targets.operator_view import TensorView


def condition(text: str, operator: str = "Conv") -> Expression:
    report = Report()
    statement = read(Source("c.hw", f"{operator} where {text};")).items[0]
    assert isinstance(statement, Statement) and statement.where is not None
    lowered = lower_condition(statement.where, Context(report, opset=(7, 21)).scope(operator), report)
    assert lowered is not None and not report.found, [d.message for d in report.found]
    return lowered


def tensor(shape: tuple[int | None, ...] | None, const: bool = False, dtype: str = "fp32", name: str = "t") -> TensorView:
    return TensorView(name, dtype, shape, const)


CONV = Environment(
    tensors={"X": tensor((1, 3, 224, 20000)), "W": tensor((8, 3, 3, 3), const=True), "Y": tensor((1, 8, None, 20000))},
    attributes={"group": 1, "dilations": (1, 2), "auto_pad": "NOTSET"},
    variables={"opset": 13},
    native=lambda name: name == "Gelu",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("const(W)", True),
        ("const(W, B)", True),
        ("const(X)", False),
        ("present(B)", False),
        ("rank(X) == 4", True),
        ("rank(X) in 3..4", True),
        ("rank(X) in { 2, 3 }", False),
        ("rank(B) == 1", False),
        ("rank(B) != 1", False),
        ("not present(B) or rank(B) == 1", True),
        ("dim(X, W) == 20000", True),
        ("dim(X, -1) == 20000", True),
        ("dim(X, 7) == 1", False),
        ("dim(Y, H) == 1", None),
        ("all_dims(W) <= 8", True),
        ("all_dims(X, W) <= 16384", False),
        ("all_dims(Y) <= 1000000", None),
        ("all_dims(Y) <= 100", False),
        ("all_dims(B) <= 1", True),
        ("dtype(X) == fp32", True),
        ("dtype(X) in { fp16, int8 }", False),
        ("shape(W) == [8, 3, 3, 3]", True),
        ("static(X) and not static(Y)", True),
        ("elements(W) == 216 and bytes(W) <= 1 KiB", True),
        ("attr.group == 1", True),
        ("attr.auto_pad in { NOTSET, VALID }", True),
        ('attr.auto_pad == "VALID"', False),
        ("all(attr.dilations) == 1", False),
        ("all(attr.strides) == 1", True),
        ("item(attr.dilations, 1) == 2", True),
        ("length(attr.dilations) == 2", True),
        ("attr.strides == [1, 1]", False),
        ("opset >= 13", True),
        ("native(Gelu) and not native(Erf)", True),
        ("-rank(X) + 2 * 3 - 8 / 4 == 0", True),
        ("2^2^3 == 256", True),
        ("rank(X) / 0 == 1", None),
        ("dim(Y, H) == 1 and rank(X) == 3", False),
        ("dim(Y, H) == 1 or rank(X) == 4", True),
        ("not (dim(Y, H) == 1)", None),
    ],
)
def test_truth(text: str, expected: bool | None) -> None:
    assert truth(condition(text), CONV) is expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("const(W) and all_dims(X) <= 16384", "all_dims(X) <= 16384 is false (W = 20000)"),
        ("all_dims(X, W) <= 16384", "all_dims(X, W) <= 16384 is false (W of X = 20000)"),
        ("rank(X) == 3 and const(W)", "rank(X) == 3 is false (rank(X) = 4)"),
        ("const(X)", "const(X) is false (const(X) = no)"),
        ("rank(B) == 1", "rank(B) == 1 is false (B is left out)"),
        ("attr.group == 2", "attr.group == 2 is false (attr.group = 1)"),
        ("attr.strides == [1, 1]", "attr.strides == [1, 1] is false (attr.strides is not given)"),
        ("const(W) and dim(Y, H) == 1", "dim(Y, H) == 1 cannot be decided (dim(Y, H) = unknown)"),
        ("rank(X) == 3 or rank(X) == 5", "rank(X) == 3 or rank(X) == 5 is false (rank(X) = 4)"),
        ("const(W)", ""),
    ],
)
def test_explain(text: str, said: str) -> None:
    assert explain(condition(text), CONV) == said


def test_a_variadic_operand_stands_for_all_its_tensors() -> None:
    concat = Environment(tensors={"inputs": tensor((1, 2), const=True, name="a"), "inputs.1": tensor((1, 2, 3), name="b")})
    assert truth(condition("rank(inputs) <= 3", "Concat"), concat) is True
    assert truth(condition("rank(inputs) == 2", "Concat"), concat) is False
    assert truth(condition("const(inputs)", "Concat"), concat) is False
    assert truth(condition("count(inputs) == 2", "Concat"), concat) is True
    assert explain(condition("rank(inputs) == 2", "Concat"), concat) == "rank(inputs) == 2 is false (b = 3)"


def test_evaluate_gives_values() -> None:
    assert evaluate(condition("rank(X) == 4"), CONV) is True
    left = condition("rank(X) * 2 == 8")
    assert evaluate(left.left, CONV) == 8  # type: ignore[union-attr]


TERMS = st.sampled_from(["const(W)", "rank(X) <= 3", "dim(Y, H) == 1", "attr.group == 1", "rank(B) == 1", "all_dims(W) <= 8"])
JOINED = st.sampled_from(["and", "or"])
TREES = st.recursive(
    TERMS,
    lambda inner: st.one_of(inner.map("not ({})".format), st.tuples(inner, JOINED, inner).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})")),
)


@given(TREES)
def test_rendered_text_means_the_same(text: str) -> None:
    from hypothesis import assume

    report = Report()
    statement = read(Source("c.hw", f"Conv where {text};")).items
    assume(statement)
    first = statement[0]
    assert isinstance(first, Statement) and first.where is not None
    lowered = lower_condition(first.where, Context(report, opset=(7, 21)).scope("Conv"), report)
    assume(lowered is not None and not report.found)  # a contradiction is reported
    assert lowered is not None
    again = condition(render(lowered))
    assert render(again) == render(lowered)
    assert truth(again, CONV) is truth(lowered, CONV)
    verdict = truth(lowered, CONV)
    assert (explain(lowered, CONV) == "") is (verdict is True)
    assert verdict is (False if False in (parts := [truth(part, CONV) for part in conjuncts(lowered)]) else None if None in parts else True)
