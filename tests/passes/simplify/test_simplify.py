"""Rules that simplify every graph and rules that tune a segment: each fires where it should, stays out elsewhere, keeps its contract."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from golden import Golden
from hypothesis import given, settings
from hypothesis import strategies as st
from run_model import emitted, feeds, infer, run
from small_models import parse

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import SIMPLIFY, every_rule, named
from autoglmc.passes.rule.apply import apply

W = "float[4,2] w = {1,2,3,4,5,6,7,8}, float[2] b = {9,-9}, float[4] v = {1,2,3,2}"
K = "float[2,2,1,1] k = {1,-2,3,4}"
NHWC = "h = Conv(x, k) t = Transpose<perm=[0,2,3,1]>(h)"
FIRES: Mapping[str, tuple[str, ...]] = {
    "global_averagepool": (
        """g (float[1,2,7,7] x) => (float[1,2,1,1] y) {
            y = AveragePool<kernel_shape=[1280,1280], strides=[1280,1280], auto_pad="SAME_UPPER">(x) }""",
        "g (float[1,2,3,5] x) => (float[1,2,1,1] y) { y = AveragePool<kernel_shape=[5,7], pads=[1,1,1,1], count_include_pad=1>(x) }",
        "g (float[N,2,4] x) => (float[N,2,1] y) { y = AveragePool<kernel_shape=[4]>(x) }",
    ),
    "global_maxpool": ("g (float[1,2,3,5] x) => (float[1,2,1,1] y) { y = MaxPool<kernel_shape=[5,7], pads=[1,1,1,1]>(x) }",),
    "merge_reshape": (
        "g (float[2,6] x) => (float[3,4] y) <int64[3] s = {2,2,3}, int64[2] t = {3,4}> { a = Reshape(x, s) y = Reshape(a, t) }",
        "g (float[2,6] x) => (float[2,6] y) <int64[1] s = {1}, int64[2] t = {0,-1}> { a = Flatten(x) y = Reshape(a, t) }",
        "g (float[A,6] x) => (float[B,3] y) <int64[3] s = {-1,2,3}, int64[2] t = {-1,3}> { a = Reshape(x, s) y = Reshape(a, t) }",
        "g (float[2,3] x) => (float[6] y) <int64[1] s = {1}, int64[1] t = {-1}> { a = Unsqueeze(x, s) y = Reshape(a, t) }",
        "g (float[2,1,3] x) => (float[2,3] y, float[2,3] z) <int64[1] s = {1}, int64[2] t = {0,3}> { z = Squeeze(x, s) y = Reshape(z, t) }",
    ),
    "undo_reshape": (
        "g (float[2,1,3] x) => (float[2,1,3] y) <int64[1] s = {1}> { a = Squeeze(x, s) b = Unsqueeze(a, s) y = Tanh(b) }",
        "g (float[2,3] x) => (float[2,3] y) <int64[1] s = {-1}, int64[2] t = {2,3}> { a = Reshape(x, s) b = Reshape(a, t) y = Tanh(b) }",
    ),
    "merge_shaping": (
        "g (float[2,1,3] x) => (float[2,3,1] y) <int64[1] s = {1}, int64[1] t = {2}> { a = Squeeze(x, s) y = Unsqueeze(a, t) }",
        "g (float[2,2,3] x) => (float[12] y) <int64[1] s = {0}> { a = Flatten<axis=0>(x) y = Squeeze(a, s) }",
        "g (float[2,2,3] x) => (float[4,3] y) <int64[1] s = {0}> { a = Unsqueeze(x, s) y = Flatten<axis=3>(a) }",
    ),
    "merge_transpose": (
        "g (float[2,3,4] x) => (float[3,4,2] y) { a = Transpose<perm=[2,0,1]>(x) y = Transpose<perm=[2,0,1]>(a) }",
        "g (float[2,3,4] x) => (float[2,4,3] y) { a = Transpose(x) y = Transpose<perm=[2,0,1]>(a) }",
        "g (float[2,3] x) => (float[2,3] y) { a = Transpose(x) c = Transpose(a) y = Relu(c) }",
    ),
    "transpose_through": (
        "g (float[2,3,4] x) => (float[2,3,4] y) { a = Transpose<perm=[0,2,1]>(x) c = Tanh(a) y = Transpose<perm=[0,2,1]>(c) }",
        """g (float[2,3,4] x) => (float[4,2,3] y) <float l = {-1}, float h = {0.5}> {
            a = Transpose<perm=[0,2,1]>(x) c = Clip(a, l, h) y = Transpose<perm=[1,0,2]>(c) }""",
    ),
    "fold_channels_last": (
        f"g (float[1,2,3,3] x) => (float[1,3,3,2] y) <{K}, float[2] b = {{3,-1}}> {{ {NHWC} y = Add(t, b) }}",
        f"g (float[1,2,3,3] x) => (float[1,3,3,2] y) <{K}, float[1,1,2] b = {{3,-1}}> {{ {NHWC} y = Mul(b, t) }}",
        f"g (float[1,2,3,3] x) => (float[1,3,3,2] y) <{K}, float b = {{3}}> {{ {NHWC} y = Div(t, b) }}",
        f"g (float[1,2,3,3] x) => (float[1,3,3,2] y) <{K}, float[2] b = {{3,1}}> {{ {NHWC} y = Sub(t, b) }}",
    ),
    "fold_product": (
        f"g (float[2,3,4] x) => (float[2,3,2] y) <{W}, float s = {{0.125}}> {{ a = MatMul(x, w) y = Mul(a, s) }}",
        f"g (float[2,3,4] x) => (float[2,3,2] y) <{W}, float[1,1] s = {{3}}> {{ a = MatMul(x, w) y = Div(a, s) }}",
        f"g (float[3,4] x) => (float[3,2] y) <{W}, float[2] s = {{3,-2}}> {{ a = MatMul(x, w) c = Add(b, a) y = Mul(s, c) }}",
        f"g (float[3,4] x) => (float[3,2] y) <{W}, float s = {{3}}, float o = {{5}}> {{ a = MatMul(x, w) c = Add(a, o) y = Mul(c, s) }}",
    ),
    "fold_pad": (
        f"g (float[1,2,3,3] x) => (float[1,2,4,6] y) <{K}, int64[8] p = {{0,0,1,2,0,0,0,1}}> {{ a = Pad(x, p) y = Conv(a, k) }}",
        f"""g (float[1,2,3,3] x) => (float[1,2,8,8] y) <{K}, int64[8] p = {{0,0,1,2,0,0,3,2}}, float z = {{0}}> {{
            a = Pad(x, p, z) y = Conv<pads=[1,1,0,0]>(a, k) }}""",
        """g (float[1,2,3,3] x) => (float[1,2,2,4] y) <int64[8] p = {0,0,1,2,0,0,0,1}> {
            a = Pad(x, p) y = AveragePool<kernel_shape=[3,3]>(a) }""",
        """g (float[1,2,3,3] x) => (float[1,2,4,4] y) <int64[8] p = {0,0,1,1,0,0,1,1}> {
            a = Pad(x, p) y = AveragePool<kernel_shape=[4,4], pads=[1,1,1,1], count_include_pad=1>(a) }""",
        """g (float[1,2,3,3] x) => (float[1,2,4,4] y) <int64[8] p = {0,0,1,1,0,0,1,1}, float z = {-inf}> {
            a = Pad(x, p, z) y = MaxPool<kernel_shape=[2,2]>(a) }""",
    ),
    "flatten_product": (
        f"g (float[2,3,4] x) => (float[2,3,2] y) <{W}> {{ a = MatMul(x, w) y = Add(a, b) }}",
        f"g (float[2,3,4] x) => (float[2,3,2] y) <{W}, float[1,1,2] c = {{1,3}}> {{ a = MatMul(x, w) y = Add(c, a) }}",
        f"g (float[2,1,3,4] x, float[4,2] u) => (float[2,1,3,2] y) <{W}> {{ a = MatMul(x, u) y = Add(a, b) }}",
    ),
    "flatten_layernorm": (
        f"g (float[2,3,4] x, float[2,3,4] z) => (float[2,3,4] y) <{W}> {{ a = Add(x, z) y = LayerNormalization(a, v) }}",
        f"""g (float[2,3,4] x, float[2,3,4] z) => (float[2,3,4] y) <{W}> {{
            a = Add(x, z) y = LayerNormalization<axis=2, epsilon=0.125>(a, v, v) }}""",
    ),
    "flatten_rows": (
        *(
            f"g (float[6,4] x, float[2,3,4] z, float[6,4] u) => (float[2,3,4] y) <int64[3] s = {{2,3,4}}, {W}> {{ a = Reshape(x, s) {f} }}"
            for f in (
                "y = Gelu(a)",
                "y = Softmax<axis=2>(a)",
                "y = LogSoftmax(a)",
                "y = LayerNormalization<axis=2, epsilon=0.25>(a, v, v)",
                "y = RMSNormalization(a, v)",
                "y = Mul(v, a)",
                "y = Sub(z, a)",
                "c = Reshape(u, s) y = Add(a, c)",
            )
        ),
        f"g (float[6,4] x) => (float[2,3,2] y) <int64[3] s = {{2,3,4}}, {W}> {{ a = Reshape(x, s) y = MatMul(a, w) }}",
        f"g (float[6,4] x) => (float[2,3,4] y) <int64[3] s = {{2,3,4}}, float[1,1,4] c = {{1,2,3,4}}, {W}> "
        "{ a = Reshape(x, s) y = Div(a, c) }",
    ),
}
STAYS: Mapping[str, tuple[str, ...]] = {
    "global_averagepool": (
        "g (float[1,2,3,5] x) => (float[1,2,1,2] y) { y = AveragePool<kernel_shape=[3,4]>(x) }",
        "g (float[1,2,3,5] x) => (float[1,2,1,1] y) { y = AveragePool<kernel_shape=[3,5], pads=[0,1,0,0], strides=[1,2]>(x) }",
        "g (float[1,2,3,3] x) => (float[1,2,2,1] y) { y = AveragePool<kernel_shape=[3,3], pads=[1,0,0,0]>(x) }",
        "g (float[1,2,3,3] x) => (float[1,2,1,1] y) { y = AveragePool<kernel_shape=[2,2], dilations=[2,2]>(x) }",
    ),
    "global_maxpool": (
        "g (float[1,2,3,5] x) => (float[1,2,1,1] y, int64[1,2,1,1] z) { y, z = MaxPool<kernel_shape=[3,5]>(x) }",
        "g (float[1,2,3,5] x) => (float[1,2,1,2] y) { y = MaxPool<kernel_shape=[3,4]>(x) }",
    ),
    "merge_reshape": (
        "g (float[A,B,6] x) => (float[A,C,2] y) <int64[3] s = {0,-1,2}, int64[3] t = {0,0,-1}> { a = Reshape(x, s) y = Reshape(a, t) }",
        "g (float[2,6] x) => (float[3,4] y) <int64[2] t = {3,4}> { a = Relu(x) y = Reshape(a, t) }",
    ),
    "undo_reshape": (
        "g (float[2,1,3] x) => (float[2,3,1] y) <int64[1] s = {1}, int64[1] t = {2}> { a = Squeeze(x, s) y = Unsqueeze(a, t) }",
    ),
    "merge_shaping": (
        "g (float[A,B] x) => (float[1,A,C] y) <int64[2] s = {0,-1}, int64[1] t = {0}> { a = Reshape(x, s) y = Unsqueeze(a, t) }",
    ),
    "merge_transpose": ("g (float[2,3] x) => (float[3,2] y) { a = Relu(x) y = Transpose(a) }",),
    "transpose_through": (
        "g (float[2,3] x) => (float[2,3] y, float[3,2] z) { a = Transpose(x) z = Tanh(a) y = Transpose(z) }",
        "g (float[2,3] x) => (float[2,3] y) { a = Transpose(x) c = Softmax(a) y = Transpose(c) }",
    ),
    "fold_channels_last": (
        f"g (float[1,2,3,3] x) => (float[1,3,3,2] y) <{K}, float[3,1] b = {{3,-1,2}}> {{ {NHWC} y = Add(t, b) }}",
        f"g (float[1,2,3,3] x) => (float[1,3,3,2] y, float[1,2,3,3] h) <{K}, float[2] b = {{3,-1}}> {{ {NHWC} y = Add(t, b) }}",
        f"g (float[1,2,3,3] x) => (float[1,3,3,2] y) <{K}, float[2] b = {{3,-1}}> {{ {NHWC} y = Sub(b, t) }}",
        "g (float[1,2,3,3] x) => (float[1,3,3,2] y) <float[2] b = {3,-1}> { t = Transpose<perm=[0,2,3,1]>(x) y = Mul(t, b) }",
    ),
    "fold_product": (
        f"g (float[3,4] x) => (float[3,2] y) <{W}, float[3,1] s = {{1,2,3}}> {{ a = MatMul(x, w) y = Mul(a, s) }}",
        f"g (float[3,4] x) => (float[3,2] y) <{W}, float[2] s = {{1,0}}> {{ a = MatMul(x, w) y = Div(a, s) }}",
        f"g (float[3,4] x) => (float[3,2] y) <{W}, float[2] s = {{1,3}}> {{ a = MatMul(x, w) y = Div(s, a) }}",
        f"g (float[3,4] x, float[4,2] u) => (float[3,2] y) <{W}, float s = {{2}}> {{ a = MatMul(x, u) y = Mul(a, s) }}",
        f"g (float[3,4] x) => (float[3,2] y, float[3,2] a) <{W}, float s = {{2}}> {{ a = MatMul(x, w) y = Mul(a, s) }}",
        f"g (float[3,4] x) => (float[3,2] y) <{W}, float[3,1] s = {{1,2,3}}, float t = {{2}}> "
        "{ a = MatMul(x, w) c = Add(a, s) y = Mul(c, t) }",
    ),
    "fold_pad": tuple(
        f"g (float[1,2,3,3] x) => (float[{shape}] y) <{K}, int64[8] p = {{{pads}}}, float z = {{{value}}}> {{ a = Pad{mode}(x, p, z) {f} }}"
        for shape, pads, value, mode, f in (
            ("1,2,5,5", "0,0,1,1,0,0,1,1", "1", "", "y = Conv(a, k)"),
            ("1,2,2,2", "0,0,0,0,0,0,-1,-1", "0", "", "y = Conv(a, k)"),
            ("2,2,3,3", "1,0,0,0,0,0,0,0", "0", "", "y = Conv(a, k)"),
            ("1,2,5,5", "0,0,1,1,0,0,1,1", "0", '<mode="reflect">', "y = Conv(a, k)"),
            ("1,2,5,5", "0,0,1,1,0,0,1,1", "0", "", 'y = Conv<auto_pad="SAME_UPPER">(a, k)'),
            ("1,2,4,4", "0,0,1,1,0,0,1,1", "0", "", "y = MaxPool<kernel_shape=[2,2]>(a)"),
            ("1,2,5,5", "0,0,1,1,0,0,1,1", "0", "", "y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(a)"),
            ("1,2,5,5", "0,0,1,1,0,0,1,1", "0", "", "y = AveragePool<kernel_shape=[1,1]>(a)"),
        )
    ),
    "flatten_product": (
        f"g (float[3,4] x) => (float[3,2] y) <{W}> {{ a = MatMul(x, w) y = Add(a, b) }}",
        f"g (float[2,3,4] x) => (float[2,3,2] y) <{W}, float[3,1] c = {{1,2,3}}> {{ a = MatMul(x, w) y = Add(a, c) }}",
        f"g (float[2,3,4] x) => (float[2,3,2] y) <{W}, float c = {{3}}> {{ a = MatMul(x, w) y = Add(a, c) }}",
        f"g (float[2,3,4] x, float[2] c) => (float[2,3,2] y) <{W}> {{ a = MatMul(x, w) y = Add(a, c) }}",
        f"g (float[2,3,4] x) => (float[2,3,2] y, float[2,3,2] a) <{W}> {{ a = MatMul(x, w) y = Add(a, b) }}",
        "g (float[2,3,4] x, float[2,4,2] u) => (float[2,3,2] y) <float[2] b = {1,2}> { a = MatMul(x, u) y = Add(a, b) }",
        "g (double[2,3,4] x, double[4,2] u) => (double[2,3,2] y) <double[2] b = {1,2}> { a = MatMul(x, u) y = Add(a, b) }",
    ),
    "flatten_layernorm": (
        f"g (float[2,3,4] x, float[3,4] z) => (float[2,3,4] y) <{W}> {{ a = Add(x, z) y = LayerNormalization(a, v) }}",
        f"g (float[3,4] x, float[3,4] z) => (float[3,4] y) <{W}> {{ a = Add(x, z) y = LayerNormalization(a, v) }}",
        f"g (float[2,3,4] x, float[2,3,4] z) => (float[2,3,4] y, float[2,3,4] a) <{W}> {{ a = Add(x, z) y = LayerNormalization(a, v) }}",
        f"g (float[2,2,4] x, float[2,2,4] z) => (float[2,2,4] y) <{W}, float[2,4] u = {{1,2,3,4,5,6,7,8}}> "
        "{ a = Add(x, z) y = LayerNormalization<axis=1>(a, u) }",
    ),
    "flatten_rows": tuple(
        f"g (float[6,4] x, float[2,3,1] z) => (float[2,3,4] y, {more}) <int64[3] s = {{2,3,4}}, {W}> {{ a = Reshape(x, s) {f} }}"
        for more, f in (
            ("float[2,3,4] a", "y = Gelu(a)"),
            ("float[1] o", "y = Softmax<axis=1>(a) o = Identity(b)"),
            ("float[1] o", "y = Add(a, z) o = Identity(b)"),
            ("float[2,1,4] o", "y = Relu(a) o = ReduceMax(a, ax)"),
        )
    ),
}


def load(text: str) -> onnx.ModelProto:
    return infer(parse(text.replace("float[1] o", "float[2] o").replace(W, f"{W}, int64[1] ax = {{1}}"), opset=24, ir=10))


def test_what_fires_has_a_near_miss() -> None:
    """That every rule is tested at all, test_every_rule.py sees to."""
    assert set(FIRES) == set(STAYS) <= {rule.name for rule in every_rule()}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in FIRES.items() for text in texts])
def test_the_rule_fires_and_keeps_its_contract(name: str, text: str) -> None:
    rule, graph = named(name), Graph(load(text))
    before = [(graph.tensor(output).dtype, graph.tensor(output).shape) for output in graph.outputs]
    assert [decision.rule for decision in apply(graph, [rule]) if decision.taken] == [name]
    assert [(graph.tensor(output).dtype, graph.tensor(output).shape) for output in graph.outputs] == before
    same(load(text), graph, rule.contract.kind == "exact")


def same(model: onnx.ModelProto, graph: Graph, exact: bool) -> None:
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            dim.dim_value = dim.dim_value or 5
    fed, other, after = feeds(model, 1), feeds(model, 2), emitted(graph)
    befores, afters, moved = run(model, fed), run(after, fed), run(after, other)
    for old, new in zip(befores, afters, strict=True):
        np.testing.assert_allclose(new, old, rtol=0 if exact else 1e-5, atol=0 if exact else 1e-5 * max(1.0, float(np.abs(old).max())))
    assert not np.array_equal(afters[0], moved[0])


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in STAYS.items() for text in texts])
def test_a_near_miss_is_left_alone(name: str, text: str) -> None:
    graph = Graph(load(text))
    assert not any(decision.taken for decision in apply(graph, [named(name)]))


@settings(max_examples=60)
@given(st.data())
def test_chains_of_reshapes_and_transposes_shrink_and_stay_exact(data: st.DataObject) -> None:
    """Nothing but at most one Reshape, or one Transpose, is left between two operators that compute."""
    shape, steps = (2, 3, 4), []
    for k in range(data.draw(st.integers(2, 6))):
        kind = data.draw(st.sampled_from(["reshape", "transpose", "relu", "flatten"]))
        source, result = ("x" if k == 0 else f"t{k - 1}"), f"t{k}"
        if kind == "reshape":
            shape = data.draw(st.sampled_from([(2, 3, 4), (6, 4), (24,), (4, 1, 6), (2, 2, 2, 3)]))
            steps.append((f"{result} = Reshape({source}, s{k})", f"int64[{len(shape)}] s{k} = {{{','.join(map(str, shape))}}}"))
        elif kind == "transpose":
            order = data.draw(st.permutations(range(len(shape))))
            shape = tuple(shape[i] for i in order)
            steps.append((f"{result} = Transpose<perm={list(order)}>({source})", ""))
        elif kind == "flatten":
            shape = (shape[0], int(np.prod(shape[1:])))
            steps.append((f"{result} = Flatten<axis=1>({source})", ""))
        else:
            steps.append((f"{result} = Sigmoid({source})", ""))
    constants = ", ".join(constant for _, constant in steps if constant)
    last = f"float[{','.join(map(str, shape))}] y"
    body = f"{' '.join(line for line, _ in steps)} y = Tanh(t{len(steps) - 1})"
    text = f"g (float[2,3,4] x) => ({last}) {f'<{constants}>' if constants else ''} {{ {body} }}"
    graph = Graph(load(text))
    apply(graph, SIMPLIFY)
    same(load(text), graph, exact=True)
    for node in graph.nodes:
        producer = graph.producer(node.inputs[0])
        twice = producer is not None and node.kind == producer.kind and node.kind in ("Reshape", "Transpose")
        assert not twice, onnx.printer.to_text(graph.to_model())


def test_golden_texts(golden: Golden) -> None:
    """How each rule's result is written, as ONNX text."""
    texts = []
    for name, (first, *_) in FIRES.items():
        graph = Graph(load(first))
        old = [onnx.printer.to_text(node.to_proto()).strip() for node in graph.nodes]
        apply(graph, [named(name)])
        new = [onnx.printer.to_text(node.to_proto()).strip() for node in graph.nodes]
        texts.append("\n".join([f"# {name}: {named(name).summary}", *old, "->", *new, ""]))
    text = "\n".join(texts)
    golden("simplify.txt", text)
