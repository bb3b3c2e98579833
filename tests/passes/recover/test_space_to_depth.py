"""SpaceToDepth and DepthToSpace: every equal movement of elements is found, others are left alone, and the values stay bit for bit."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import onnx
import onnx.reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_model import emitted, feeds, infer, run
from small_models import parse

from autoglmc.passes.decompose.space_to_depth import SHUFFLES
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.recover.space_to_depth import RECOVER_DEPTH_TO_SPACE, RECOVER_FOCUS, RECOVER_SPACE_TO_DEPTH
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.rule.shuffle import canonical, depth_to_space, space_to_depth

RULES = (RECOVER_FOCUS, RECOVER_SPACE_TO_DEPTH, RECOVER_DEPTH_TO_SPACE)
OPERATORS = ("SpaceToDepth", "DepthToSpace DCR", "DepthToSpace CRD")


def text(shape: tuple[int, ...], split: tuple[int, ...], order: tuple[int, ...], result: tuple[int, ...], dtype: str = "float") -> str:
    def dims(extents: tuple[int, ...]) -> str:
        return ",".join(map(str, extents))

    return f"""g ({dtype}[{dims(shape)}] x) => ({dtype}[{dims(result)}] y) <int64[{len(split)}] s = {{{dims(split)}}},
        int64[{len(result)}] t = {{{dims(result)}}}> {{ a = Reshape(x, s) b = Transpose<perm={list(order)}>(a) y = Reshape(b, t) }}"""


def recovered(source: str) -> tuple[onnx.ModelProto, Graph]:
    graph = Graph(infer(parse(source, opset=21, ir=10)))
    apply(graph, RULES)
    return infer(parse(source, opset=21, ir=10)), graph


def kinds(graph: Graph) -> list[str]:
    return [node.operator for node in graph.nodes]


def equal(model: onnx.ModelProto, graph: Graph, exact: bool = True) -> None:
    fed, other, after = feeds(model, 3), feeds(model, 4), emitted(graph)
    np.testing.assert_allclose(run(after, fed)[0], run(model, fed)[0], rtol=0 if exact else 1e-4, atol=0 if exact else 1e-4)
    assert not np.array_equal(run(after, fed)[0], run(after, other)[0])


def spelled(
    operator: str, n: int, c: int, h: int, w: int, block: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Shape of x, the shape it is split into, the order, the shape of the result."""
    small, large = (n, c * block**2, h, w), (n, c, h * block, w * block)
    x, y = (large, small) if operator == "SpaceToDepth" else (small, large)
    found = space_to_depth(x, block) if operator == "SpaceToDepth" else depth_to_space(x, block, operator[-3:])
    assert found is not None
    return x, tuple(extent or 0 for extent in found.shape), found.order, y


@settings(max_examples=60)
@given(
    st.sampled_from(OPERATORS),
    st.tuples(*[st.integers(1, 3)] * 4),
    st.integers(2, 3),
    st.booleans(),
    st.sampled_from(["float", "float16", "double"]),
)
def test_any_spelling_is_recovered_bit_for_bit(operator: str, extents: tuple[int, ...], block: int, short: bool, dtype: str) -> None:
    """Spelled with six axes, or with as few as the shape allows; where elements do not move, it stays a Reshape."""
    n, c, h, w = extents
    shape, split, order, result = spelled(operator, n, c, h, w, block)
    least = canonical(split, order)
    if short:
        split, order = tuple(extent or 0 for extent in least.shape), least.order
    model, graph = recovered(text(shape, split, order, result, dtype))
    assert kinds(graph) == ([operator.partition(" ")[0]] if least.moves else ["Reshape", "Transpose", "Reshape"])
    equal(model, graph)


@settings(max_examples=40)
@given(st.sampled_from(OPERATORS), st.tuples(*[st.integers(1, 3)] * 4), st.integers(2, 3))
def test_there_and_back_is_the_same_operator(operator: str, extents: tuple[int, ...], block: int) -> None:
    n, c, h, w = extents
    shape, split, order, result = spelled(operator, n, c, h, w, block)
    if not canonical(split, order).moves:
        return
    model, graph = recovered(text(shape, split, order, result))
    node = graph.nodes[0]
    before = {name: graph.attribute(node, name) for name in ("blocksize", "mode")}
    assert any(decision.taken for decision in apply(graph, SHUFFLES))
    assert kinds(graph) == ["Reshape", "Transpose", "Reshape"]
    equal(model, graph)
    apply(graph, RULES)
    assert {name: graph.attribute(graph.nodes[0], name) for name in before} == before


@pytest.mark.parametrize("order", [order for order in permutations(range(6)) if order not in ((0, 3, 5, 1, 2, 4), (0, 1, 2, 3, 4, 5))])
def test_every_other_order_is_left_alone(order: tuple[int, ...]) -> None:
    """Among them PixelUnshuffle, whose channels are outside the block."""
    split = (2, 3, 5, 2, 7, 2)
    source = text((2, 3, 10, 14), split, order, (2, 12, 5, 7))
    assert kinds(recovered(source)[1]) == ["Reshape", "Transpose", "Reshape"]


def test_the_channel_shuffle_of_shufflenet_is_left_alone() -> None:
    assert "DepthToSpace" not in kinds(recovered(text((1, 8, 4, 4), (1, 2, 4, 4, 4), (0, 2, 1, 3, 4), (1, 8, 4, 4)))[1])


SLICED = """g (float[1,2,4,6] x) => (float[{y}] y) <int64[2] a00 = {{0,0}}, int64[2] a01 = {{0,1}}, int64[2] a10 = {{1,0}},
    int64[2] a11 = {{1,1}}, int64[2] e = {{{e}}}, int64[2] ax = {{2,-1}}, int64[2] st = {{{st}}}, int64[1] z = {{0}}, int64[1] o = {{1}},
    int64[1] f = {{9223372036854775807}}, int64[1] hh = {{2}}, int64[1] ww = {{3}}, int64[1] tw = {{2}},
    float[1,8,1,1] k = {{1,2,3,4,5,6,7,8}}> {{
    s00 = Slice(x, a00, e, ax, st) s01 = Slice(x, a01, e, ax, st) s10 = Slice(x, a10, e, ax, st)
    rows = Slice(x, o, f, hh, tw) s11 = Slice(rows, o, f, ww, tw) {tail} }}"""


def sliced(tail: str, y: str = "1,8,2,3", e: str = "4,6", st: str = "2,2") -> str:
    return SLICED.format(tail=tail, y=y, e=e, st=st)


@pytest.mark.parametrize("end", ["4,6", "100,9223372036854775807"])
def test_interleaved_slices_in_rows(end: str) -> None:
    model, graph = recovered(sliced("y = Concat<axis=1>(s00, s01, s10, s11)", e=end))
    assert kinds(graph) == ["SpaceToDepth"]
    equal(model, graph)


@settings(max_examples=24)
@given(st.permutations(["s00", "s01", "s10", "s11"]))
def test_interleaved_slices_in_any_order_before_a_convolution(order: list[str]) -> None:
    """Two readers of the same x, in the order of the detectors' "Focus" among others."""
    model, graph = recovered(sliced(f"c = Concat<axis=-3>({', '.join(order)}) y = Conv(c, k)", y="1,1,2,3"))
    assert kinds(graph) == ["SpaceToDepth", "Conv"]
    equal(model, graph, exact=False)


@pytest.mark.parametrize(
    "source",
    [
        sliced("y = Concat<axis=1>(s00, s10, s01, s11)"),  # down the columns, and no convolution to take it
        sliced("y = Concat<axis=1>(s00, s01, s10, s10)"),
        sliced("y = Concat<axis=0>(s00, s01, s10, s11)", y="4,2,2,3"),
        sliced("c = Concat<axis=1>(s00, s10, s01, s11) y = Conv<group=2>(c, g)", y="1,2,2,3").replace(
            "float[1,8,1,1] k", "float[2,4,1,1] g"
        ),
        sliced("d = Concat<axis=1>(s00, s10, s01, s11) y = Relu(d)"),
        sliced("y = Concat<axis=1>(s00, s01)", y="1,4,2,3"),
    ],
)
def test_what_only_resembles_it_is_left_alone(source: str) -> None:
    assert "SpaceToDepth" not in kinds(recovered(source)[1])


def test_a_dtype_without_a_kernel_is_declined() -> None:
    graph = Graph(infer(parse(text((1, 3, 10, 14), (1, 3, 5, 2, 7, 2), (0, 3, 5, 1, 2, 4), (1, 12, 5, 7), "int64"), opset=21, ir=10)))
    decisions = apply(graph, RULES)
    assert [decision.taken for decision in decisions] == [False]
    assert "int64" in decisions[0].reason


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        (text((1, 3, 4, 6), (1, 3, 2, 2, 3, 2), (0, 3, 5, 1, 2, 4), (1, 12, 2, 3)), ["y = SpaceToDepth <blocksize: int = 2> (x)"]),
        (
            text((1, 8, 2, 3), (1, 2, 2, 2, 2, 3), (0, 1, 4, 2, 5, 3), (1, 2, 4, 6)),
            ['y = DepthToSpace <blocksize: int = 2, mode: string = "CRD"> (x)'],
        ),
        (
            sliced("c = Concat<axis=1>(s00, s10, s01, s11) y = Conv<pads=[1,1,1,1]>(c, k)", y="1,1,4,5"),
            [
                "y_spacetodepth_2 = SpaceToDepth <blocksize: int = 2> (x)",
                "y = Conv <pads: ints = [1, 1, 1, 1]> (y_spacetodepth_2, y_1)",
            ],
        ),
    ],
)
def test_golden_texts(source: str, lines: list[str]) -> None:
    graph = recovered(source)[1]
    assert [onnx.printer.to_text(node.to_proto()).strip().partition("] ")[2] for node in graph.nodes] == lines


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_both_modes_of_space_to_depth_are_taken_apart(mode: str) -> None:
    """It has a mode from opset 28 on; the channels of CRD lie outside the places in the block."""
    n, c, h, w, block = 2, 3, 2, 4, 2
    source = f"""g (float[{n},{c},{h * block},{w * block}] x) => (float[{n},{c * block**2},{h},{w}] y)
        {{ y = SpaceToDepth<blocksize={block}, mode="{mode}">(x) }}"""
    graph = Graph(infer(parse(source, opset=28, ir=10)))
    assert [decision.taken for decision in apply(graph, [SHUFFLES[0]])] == [True]
    x = np.arange(n * c * h * w * block**2, dtype=np.float32).reshape(n, c, h * block, w * block)
    places = x.reshape(n, c, h, block, w, block).transpose((0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4))
    after = emitted(graph)
    (ours,) = onnx.reference.ReferenceEvaluator(after).run(None, {"x": x})
    assert np.array_equal(ours, places.reshape(n, c * block**2, h, w))
