"""New rows at their places: rows without a token are zeros, and scores of theirs are closed. What makes no number of zeros is refused, and
what opens what a mask closes; whatever is accepted computes what a growing cache does, with NaN in all places that are not filled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from decoder_forms import FLOAT, HEADS, LAYOUTS, WIDTH, Layout, Scored, _distance, _joined, _three, _turned, causal, laid_out
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from placed_steps import farthest
from small_decoders import Writer

from autoglmc.compiler.errors import ModelError
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.state.closed_scores import is_causal

EMPTY = "a row without a token is zeros, of which an operator may make no finite number"
OPEN = "attention is not causal"
KEYS = LAYOUTS["heads before rows"]


Read = Callable[[Writer, str], str]
"""From values with the rows that are cached [1, heads, rows, width], all greater than 0, to those that attention reads."""


def reading(read: Read) -> Layout:
    def layout(w: Writer, x: str) -> tuple[str, str, str]:
        q, k, v = _three(w, x)
        rows = _joined(w, "v", w("Add", w("Abs", v), 0.5), 2)
        return q, _turned(w, _joined(w, "k", k, 2), (0, 1, 3, 2)), read(w, rows)

    return Layout(KEYS.caches, layout)


def with_scales(kind: str) -> Layout:
    """Values beside a cache of their scales."""

    def layout(w: Writer, x: str) -> tuple[str, str, str]:
        q, k, v = _three(w, x)
        scales = _joined(w, "s", w("Add", w("Abs", w("Slice", v, [0], [1], [3])), 0.5), 2)
        return q, _turned(w, _joined(w, "k", k, 2), (0, 1, 3, 2)), w(kind, _joined(w, "v", v, 2), scales)

    return Layout({**KEYS.caches, "s": (1, HEADS, "past", 1)}, layout)


def normal(w: Writer, x: str, epsilon: float = 1e-5, axis: int = -1) -> str:
    return str(w("LayerNormalization", x, w.constant(np.ones(WIDTH, np.float32)), axis=axis, epsilon=epsilon))


READ: dict[str, Read] = {
    "Abs": lambda w, x: w("Abs", x),
    "Sqrt": lambda w, x: w("Sqrt", x),
    "Exp": lambda w, x: w("Exp", x),
    "Pow 2": lambda w, x: w("Pow", x, 2.0),
    "Pow 0.5": lambda w, x: w("Pow", x, 0.5),
    "2 to it": lambda w, x: w("Pow", 2.0, x),
    "Div by 3": lambda w, x: w("Div", x, 3.0),
    "Mod 0.7": lambda w, x: w("Mod", x, 0.7, fmod=1),
    "Clip": lambda w, x: w("Clip", x, 0.6, 1.0),
    "Tanh": lambda w, x: w("Tanh", x),
    "Log of 1 more": lambda w, x: w("Log", w("Add", x, 1.0)),
    "1 over 1 more": lambda w, x: w("Reciprocal", w("Add", x, 1.0)),
    "over 1 more": lambda w, x: w("Div", x, w("Max", x, 0.1)),
    "normal": normal,
}
UNREADABLE: dict[str, Read] = {
    "Reciprocal": lambda w, x: w("Reciprocal", x),
    "Log": lambda w, x: w("Log", x),
    "Sqrt of less": lambda w, x: w("Sqrt", w("Sub", x, 0.25)),
    "Div by it": lambda w, x: w("Div", 1.0, x),
    "0 over 0": lambda w, x: w("Div", x, w("Mul", x, 2.0)),
    "Pow -1": lambda w, x: w("Pow", x, -1.0),
    "Pow itself less": lambda w, x: w("Pow", x, w("Sub", x, 1.0)),
    "Mod it": lambda w, x: w("Mod", x, x, fmod=1),
    "Exp of much": lambda w, x: w("Exp", w("Sub", 100.0, w("Mul", x, 200.0))),
    "behind others": lambda w, x: w("Reciprocal", w("Relu", w("Transpose", w("Abs", x), perm=(0, 1, 2, 3)))),
    "infinite": lambda w, x: w("Where", w("Greater", x, 0.25), x, float("-inf")),
    "no epsilon": lambda w, x: normal(w, x, epsilon=0.0),
}


@pytest.mark.parametrize("name", READ)
def test_what_makes_numbers_of_zeros_equals_a_growing_cache(name: str) -> None:
    assert farthest(laid_out(reading(READ[name]), causal)) < 1e-4


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_makes_no_number_of_zeros_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=EMPTY):
        farthest(laid_out(reading(UNREADABLE[name]), causal))


def test_values_are_multiplied_by_cached_scales_and_never_divided() -> None:
    assert farthest(laid_out(with_scales("Mul"), causal)) < 1e-4
    with pytest.raises(ModelError, match=EMPTY):
        farthest(laid_out(with_scales("Div"), causal))


def test_a_normalization_over_rows_is_refused() -> None:
    def over_rows(w: Writer, x: str) -> str:
        return str(w("LayerNormalization", x, 1.0, axis=2))

    with pytest.raises(ModelError, match="reads the rows of a cache together"):
        farthest(laid_out(reading(over_rows), causal))


def test_a_divisor_that_is_computed_for_each_token_goes() -> None:
    def scored(w: Writer, scores: str, positions: str) -> str:
        warm = w("Add", w("Abs", w("Cast", w("Unsqueeze", positions, [1]), to=FLOAT)), 1.0)
        return causal(w, w("Div", scores, warm), positions)

    assert farthest(laid_out(KEYS, scored)) < 1e-4


def opened(w: Writer, positions: str, open_: float, closed: float) -> str:
    return str(w("Where", w("GreaterOrEqual", _distance(w, positions), 0), open_, closed))


def halves(w: Writer, scores: str) -> tuple[str, str]:
    return w("Slice", scores, [0], [2], [1]), w("Slice", scores, [2], [HEADS], [1])


Behind = Callable[[Writer, str, str], str]
"""From scores and positions to what a softmax reads."""
CLOSING: dict[str, Behind] = {
    "Neg twice": lambda w, s, p: w("Neg", w("Neg", w("Add", s, opened(w, p, 0.0, -1e9)))),
    "Sub": lambda w, s, p: w("Sub", s, opened(w, p, 0.0, 1e9)),
    "Div": lambda w, s, p: w("Div", w("Add", s, opened(w, p, 0.0, -1e9)), 8.0),
    "capped, then closed": lambda w, s, p: w("Add", w("Mul", w("Tanh", s), 30.0), opened(w, p, 0.0, -65504.0)),
    "Max of the least": lambda w, s, p: w("Max", w("Add", s, opened(w, p, 0.0, -1e9)), -3e38),
    "Min": lambda w, s, p: w("Min", s, opened(w, p, 1e9, -1e9)),
    "halves": lambda w, s, p: w("Concat", *(w("Add", one, opened(w, p, 0.0, -1e9)) for one in halves(w, s)), axis=1),
    "Reshape": lambda w, s, p: w(
        "Unsqueeze", w("Squeeze", w("Add", s, opened(w, p, 0.0, float("-inf"))), [0]), [0]
    ),
    "twice": lambda w, s, p: w("Add", w("Mul", s, 1.0), w("Mul", opened(w, p, 0.0, -1e9), 2.0)),
}  # fmt: skip
OPENING: dict[str, Behind] = {
    "half of the heads": lambda w, s, p: w("Concat", w("Add", halves(w, s)[0], opened(w, p, 0.0, -1e9)), halves(w, s)[1], axis=1),
    "Neg": lambda w, s, p: w("Neg", w("Add", s, opened(w, p, 0.0, -1e9))),
    "a factor that is computed": lambda w, s, p: w("Mul", w("Add", s, opened(w, p, 0.0, -1e9)), w("Tanh", w("Mul", s, 0.1))),
    "a great number more": lambda w, s, p: w("Add", w("Add", s, opened(w, p, 0.0, -1e9)), opened(w, p, 0.0, 1e9)),
    "a great number more, computed": lambda w, s, p: w("Add", opened(w, p, 0.0, -1e4), w("Neg", w("Add", s, opened(w, p, 0.0, -1e9)))),
    "all as low": lambda w, s, p: w("Min", w("Add", s, opened(w, p, 0.0, -1e9)), -1e9),
    "Max": lambda w, s, p: w("Max", w("Add", s, opened(w, p, 0.0, -1e9)), -5.0),
    "Clip": lambda w, s, p: w("Clip", w("Add", s, opened(w, p, 0.0, -1e9)), -5.0, 100.0),
    "Abs": lambda w, s, p: w("Abs", w("Add", s, opened(w, p, 0.0, -1e9))),
    "Tanh": lambda w, s, p: w("Tanh", w("Add", s, opened(w, p, 0.0, -1e9))),
    "int8": lambda w, s, p: w("Cast", w("Cast", w("Add", s, opened(w, p, 0.0, -1e9)), to=TensorProto.INT8), to=FLOAT),
    "Where of the other": lambda w, s, p: w(
        "Where", w("Less", _distance(w, p), 0), s, w("Add", s, opened(w, p, 0.0, -1e9))
    ),
    "not behind a greater factor": lambda w, s, p: w("Add", w("Mul", w("Tanh", s), 1e4), opened(w, p, 0.0, -1e4)),
}  # fmt: skip


def weighed(behind: Behind) -> Scored:
    return lambda w, scores, positions: w("Softmax", behind(w, scores, positions), axis=-1)


@pytest.mark.parametrize("name", CLOSING)
def test_what_stays_closed_equals_a_growing_cache(name: str) -> None:
    assert farthest(laid_out(KEYS, weighed(CLOSING[name]))) < 1e-4


@pytest.mark.parametrize("name", OPENING)
def test_what_opens_a_closed_score_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=OPEN):
        farthest(laid_out(KEYS, weighed(OPENING[name])))


@settings(max_examples=25, deadline=None)
@given(
    closed=st.sampled_from([-1e9, -65504.0, -1e4, -50.0, 0.0, 1e4]),
    steps=st.lists(st.tuples(st.sampled_from(["Mul", "Div", "Add", "Sub", "Max", "Min"]), st.sampled_from(
        [-1e9, -2.0, -1.0, -1e-4, 0.0, 1e-4, 0.5, 1.0, 8.0, 1e4]
    )), max_size=2),
    read=st.sampled_from(sorted({**READ, **UNREADABLE})),
)  # fmt: skip
def test_what_is_accepted_equals_a_growing_cache(closed: float, steps: list[tuple[str, float]], read: str) -> None:
    if ("Div", 0.0) in steps:
        steps = []

    def behind(w: Writer, scores: str, positions: str) -> str:
        scores = w("Add", scores, opened(w, positions, 0.0, closed))
        for kind, number in steps:
            scores = w(kind, scores, number)
        return scores

    try:
        worst = farthest(laid_out(reading({**READ, **UNREADABLE}[read]), weighed(behind)))
    except ModelError as failure:
        assert EMPTY in failure.message or OPEN in failure.message
        assert read in UNREADABLE or steps or closed > -1e4
    else:
        assert worst < 1e-2
        assert read in READ


@pytest.mark.parametrize("kind", [TensorProto.BFLOAT16, TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_a_mask_of_any_floats_is_read(kind: int) -> None:
    """As ALiBi is in bfloat16 in Falcon's exports."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    for closed, causal_ in ((-3e4, True), (0.0, False)):
        mask = numpy_helper.from_array(np.triu(np.full((4, 4), closed), 1).astype(dtype), "mask")
        nodes = [helper.make_node("Cast", ["mask"], ["wide"], to=FLOAT), helper.make_node("Add", ["x", "wide"], ["scores"])]
        ends = [helper.make_tensor_value_info(name, FLOAT, [4, 4]) for name in ("x", "wide", "scores")]
        model = helper.make_model(helper.make_graph(nodes, "scores", ends[:1], ends[2:], [mask], value_info=ends[1:2]))
        assert is_causal(Graph(model), "scores", 4) is causal_
