"""A target's rule as a rewrite: found in any spelling, written once, with constants of the dtype, within its claim, where it may be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_texts import MY_GELU, with_rules
from run_model import emitted, feeds, infer, run
from small_models import parse

from autoglmc.grammar import parse_target
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.rule.compile_rule import compile_rule
from autoglmc.passes.rule.rewrite import Rewrite
from autoglmc.targets.model import Target
from autoglmc.targets.stock import stock_names, stock_path

X, Y = "float[2,3,4,5] x", "float[2,3,4,5] y"


def own(text: str) -> Rewrite:
    return compile_rule(parse_target(with_rules(text), "box.hw").rules[0])


def model(body: str, inputs: str = X, output: str = Y, constants: str = "", opset: int = 21) -> onnx.ModelProto:
    return infer(parse(f"g ({inputs}) => ({output}) {constants} {{ {body} }}", opset=opset, ir=10))


def rewritten(rule: Rewrite, before: onnx.ModelProto) -> Graph | None:
    graph = Graph(before)
    return graph if any(decision.taken for decision in apply(graph, [rule])) else None


def holds(rule: Rewrite, before: onnx.ModelProto, scale: float = 3.0) -> None:
    """The rule fires, writes what it says, and every output is within its claim."""
    graph = rewritten(rule, before)
    assert graph is not None
    after = emitted(graph)
    onnx.checker.check_model(after, full_check=True)
    assert set(rule.emits) <= {node.kind for node in graph.nodes}
    for seed in range(3):
        fed = feeds(before, seed, scale)
        for exact, ours in zip(run(before, fed), run(after, fed), strict=True):
            assert exact.shape == ours.shape and exact.dtype == ours.dtype
            rounding = 32 * np.finfo(ours.dtype).eps * max(1.0, float(np.abs(exact).max()), float(np.abs(fed["x"]).max()))
            assert np.abs(exact - ours).max() <= rule.contract.absolute + rounding


FIRES = {
    "one operator": (MY_GELU, model("y = Gelu(x)")),
    "two inputs": ("rule r(x, y) { match Max(x, y); emit y + Relu(x - y); }", model("y = Max(x, z)", f"{X}, float[5] z")),
    "an attribute's value": (
        "rule r(x, a) { match LeakyRelu(x, alpha = a); emit Relu(x) - a * Relu(-x); }",
        model("y = LeakyRelu<alpha=0.3>(x)"),
    ),
    "an attribute passed on": (
        "rule r(x, a) { match Softmax(x, axis = a); emit Exp(LogSoftmax(x, axis = a)); }",
        model("y = Softmax<axis=1>(x)"),
    ),
    "a number": ("rule r(x) { match Pow(x, 2); emit x * x; error exact; }", model("y = Pow(x, e)", constants="<float e = {2}>")),
    "the same input twice": ("rule r(x) { match x * x; emit Abs(x) * Abs(x); }", model("y = Mul(x, x)")),
    "a list": (
        "rule r(x) { match Relu(Reshape(x, [2, -1])); emit Reshape(Relu(x), [2, -1]); }",
        model("u = Reshape(x, s) y = Relu(u)", output="float[2,60] y", constants="<int64[2] s = {2,-1}>"),
    ),
    "a matrix": (
        "rule r(x, w, b) { match MatMul(x, w) + b; emit Gemm(x, w, b); }",
        model("m = MatMul(x, w) y = Add(b, m)", "float[2,3] x, float[3,4] w, float[4] b", "float[2,4] y"),
    ),
    "another domain": (
        "rule r(x) { match x * Sigmoid(1.702 * x); emit com.microsoft::QuickGelu(x, alpha = 1.702); }",
        model("u = Mul(c, x) s = Sigmoid(u) y = Mul(s, x)", constants="<float c = {1.702}>"),
    ),
    "a function no built-in rule knows": (
        "rule r(x) { match Sin(x) ^ 2 + Cos(x) ^ 2 + x; emit 1 + x; }",
        model("s = Sin(x) c = Cos(x) t = Mul(s, s) u = Mul(c, c) a = Add(x, u) y = Add(t, a)"),
    ),
}
STAYS = {
    "another attribute": (MY_GELU, model('y = Gelu<approximate="tanh">(x)'), ""),
    "another operator": (MY_GELU, model("y = Erf(x)"), ""),
    "different inputs": ("rule r(x) { match x * x; emit Abs(x) * Abs(x); }", model("y = Mul(x, z)", f"{X}, {X.replace('x', 'z')}"), ""),
    "shapes the result does not take": (
        "rule r(x, w, b) { match MatMul(x, w) + b; emit Gemm(x, w, b); }",
        model("m = MatMul(x, w) y = Add(b, m)", "float[7,2,3] x, float[3,4] w, float[4] b", "float[7,2,4] y"),
        "does not accept operands of these shapes",
    ),
    "a result that is smaller": (
        "rule r(x, y) { match x * 1 + 0 * y; emit x * 1; }",
        model("a = Mul(x, i) b = Mul(z, o) y = Add(a, b)", f"float[5] x, {X.replace('x', 'z')}", constants="<float i={1}, float o={0}>"),
        "it would produce shape [5]",
    ),
    "integers": ("rule r(x) { match Abs(x); emit Relu(x) + Relu(-x); }", model("y = Abs(x)", "int64[4] x", "int64[4] y"), "int64"),
    "a constant beyond the dtype": (
        "rule r(x) { match Abs(x); emit Relu(x * 1e6) / 1e6 + Relu(-x); }",
        model("y = Abs(x)", "float16[4] x", "float16[4] y"),
        "1e+06 is out of range for fp16",
    ),
    "a condition": (
        "rule r(x, a) { match LeakyRelu(x, alpha = a) where attr.alpha > 1; emit Relu(x) - a * Relu(-x); }",
        model("y = LeakyRelu<alpha=0.3>(x)"),
        "attr.alpha > 1",
    ),
}


@pytest.mark.parametrize("name", FIRES)
def test_it_fires_and_keeps_its_claim(name: str) -> None:
    text, before = FIRES[name]
    holds(own(text), before)


@pytest.mark.parametrize("name", STAYS)
def test_it_stays_away(name: str) -> None:
    text, before, reason = STAYS[name]
    rule, graph = own(text), Graph(before)
    decisions = apply(graph, [rule])
    assert not any(decision.taken for decision in decisions)
    assert reason in " ".join(decision.reason for decision in decisions) and bool(reason) == bool(decisions)
    assert onnx.printer.to_text(graph.to_model()) == onnx.printer.to_text(Graph(before).to_model())


def test_names_and_equal_parts_are_written_once() -> None:
    text = "rule r(x) { match Mish(x); let s = Softplus(x), unused = Exp(x); emit x * Tanh(s) + 0 * (Tanh(s) * Tanh(Softplus(x))); }"
    rule = own(text)
    graph = rewritten(rule, model("y = Mish(x)"))
    assert graph is not None
    assert [node.kind for node in graph.nodes] == ["Softplus", "Tanh", "Mul", "Mul", "Mul", "Add"]
    assert "Exp" not in rule.emits


def test_numbers_are_reckoned_with_beforehand_and_have_the_dtype() -> None:
    rule = own("rule r(x) { match Abs(x); emit (1 + 2 * 3) / 7 * Relu(x) + Relu(-(1 ^ 5) * x); }")
    graph = rewritten(rule, model("y = Abs(x)", "float16[4] x", "float16[4] y"))
    assert graph is not None
    after = emitted(graph)
    assert {tensor.data_type for tensor in after.graph.initializer} == {onnx.TensorProto.FLOAT16}
    assert sorted(float(onnx.numpy_helper.to_array(tensor)) for tensor in after.graph.initializer) == [-1.0, 1.0]


# --- random formulas in random spellings


class Spelling:
    """Writes a formula as nodes, in an order and grouping of its own."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.nodes, self.constants, self.count = draw, list[str](), list[str](), 0

    def new(self, call: str) -> str:
        self.count += 1
        self.nodes.append(f"t{self.count} = {call}")
        return f"t{self.count}"

    def number(self, value: float) -> str:
        self.count += 1
        self.constants.append(f"float c{self.count} = {{{value}}}")
        return f"c{self.count}"

    def both(self, operator: str, left: str, right: str) -> str:
        return self.new(f"{operator}({left}, {right})" if self.draw(st.booleans()) else f"{operator}({right}, {left})")

    def joined(self, operator: str, parts: list[str]) -> str:
        """Any order, any grouping."""
        parts = list(self.draw(st.permutations(parts)))
        while len(parts) > 1:
            k = self.draw(st.integers(0, len(parts) - 2))
            parts[k : k + 2] = [self.both(operator, parts[k], parts[k + 1])]
        return parts[0]


Written = tuple[str, Callable[[Spelling], str]]


@st.composite
def formulas(draw: st.DrawFn) -> Written:
    """A sum of products of functions of x with distinct coefficients, as text and as something that spells it."""
    terms: list[tuple[int, list[tuple[str, float]]]] = []
    functions = draw(st.lists(st.sampled_from(["Tanh", "Sigmoid", "Erf", "Sin", "Softplus", "Abs"]), min_size=2, max_size=4, unique=True))
    for k, function in enumerate(functions):
        factors = [(function, draw(st.sampled_from([0.5, 2.0, 3.0])))] + [("", 1.0)] * draw(st.integers(0, 2))
        terms.append((k + 2, factors))
    text = " + ".join(
        f"{coefficient} * " + " * ".join(f"{function}({scale} * x)" if function else "x" for function, scale in factors)
        for coefficient, factors in terms
    )

    def spell(spelling: Spelling) -> str:
        products = []
        for coefficient, factors in terms:
            parts = [spelling.number(coefficient)]
            for function, scale in factors:
                scaled = spelling.both("Mul", "x", spelling.number(scale)) if function else "x"
                parts.append(spelling.new(f"{function}({scaled})") if function else "x")
            products.append(spelling.joined("Mul", parts))
        return spelling.joined("Add", products)

    return text, spell


@settings(max_examples=40)
@given(st.data())
def test_random_formulas_are_found_in_any_order_and_grouping(data: st.DataObject) -> None:
    text, spell = data.draw(formulas())
    spelling = Spelling(data.draw)
    result = spell(spelling)
    before = model(" ".join([*spelling.nodes, f"y = Identity({result})"]), constants=f"<{', '.join(spelling.constants)}>")
    rule = own(f"rule r(x) {{ match {text}; emit Atan(x) + ({text}) - Atan(x); }}")
    graph = rewritten(rule, before)
    assert graph is not None
    fed = feeds(before, 0, 2.0)
    (exact,), (ours,) = run(before, fed), run(emitted(graph), fed)
    assert np.allclose(exact, ours, rtol=1e-4, atol=1e-4)
    assert sum(node.kind == "Atan" for node in graph.nodes) == 1


# --- every rule of the files that ship


def shipped() -> list[tuple[Target, int]]:
    targets = [parse_target(stock_path(name).read_text("utf-8"), str(stock_path(name))) for name in stock_names()]
    return [(target, k) for target in targets for k in range(len(target.rules))]


def test_every_rule_of_the_stock_targets_fires_on_its_own_match() -> None:
    from autoglmc.compiler.hw.try_rules import try_rules

    for target, k in shipped():
        assert try_rules(target) == ()
        assert compile_rule(target.rules[k]).operators
