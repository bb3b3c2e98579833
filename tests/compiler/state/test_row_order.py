"""Rows of caches stay where they are: what goes out with old rows elsewhere is refused, and what reads rows in another order. Whatever is
taken computes what a growing cache does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from decoder_forms import HEADS, LAYOUTS, WIDTH, Layout, _distance, _joined, _three, _turned, causal, laid_out
from placed_steps import farthest
from small_decoders import Writer

from autoglmc.compiler.errors import ModelError

FAR = 2**63 - 1
KEYS = LAYOUTS["heads before rows"].caches


def going_out(change: Callable[[Writer, str], str]) -> onnx.ModelProto:
    """Keys are changed behind the join, and attention reads them as they are."""

    def layout(w: Writer, x: str) -> tuple[str, str, str]:
        q, k, v = _three(w, x)
        keys = w("Concat", "past.k", k, axis=2)
        made = change(w, keys)
        w("Identity", made, name="present.k")
        return q, _turned(w, keys, (0, 1, 3, 2)), _joined(w, "v", v, 2)

    return laid_out(Layout(KEYS, layout), causal)


def halves(w: Writer, x: str, axis: int, half: int) -> tuple[str, str]:
    return w("Slice", x, [0], [half], [axis]), w("Slice", x, [half], [FAR], [axis])


def swapped(w: Writer, x: str) -> str:
    first, second = halves(w, x, 1, HEADS // 2)
    return str(w("Concat", second, first, axis=1))


STAYING = {
    "turned there and back": lambda w, x: _turned(w, _turned(w, x)),
    "heads swapped twice": lambda w, x: swapped(w, swapped(w, x)),
    "flattened and apart again": lambda w, x: w("Reshape", w("Reshape", x, [1, HEADS, -1]), [1, HEADS, -1, WIDTH]),
    "heads taken in their order": lambda w, x: w("Gather", x, np.arange(HEADS), axis=1),
}
MOVED = {
    "heads swapped": swapped,
    "heads turned round": lambda w, x: w("Gather", x, np.arange(HEADS)[::-1].copy(), axis=1),
    "a head twice": lambda w, x: w("Gather", x, np.array([0, 0, *range(2, HEADS)]), axis=1),
    "numbers of a head turned round": lambda w, x: w("Slice", x, [-1], [-FAR], [3], [-1]),
    "numbers of a head shifted": lambda w, x: w("Concat", *reversed(halves(w, x, 3, 3)), axis=3),
    "turned and counted through": lambda w, x: w("Reshape", _turned(w, x, (0, 3, 2, 1)), [1, HEADS, -1, WIDTH]),
}


@pytest.mark.parametrize("name", STAYING)
def test_old_rows_that_go_out_where_they_came_in_are_taken(name: str) -> None:
    assert farthest(going_out(STAYING[name])) < 1e-4


@pytest.mark.parametrize("name", MOVED)
def test_old_rows_that_go_out_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match="its old rows in another order, or some of them elsewhere"):
        farthest(going_out(MOVED[name]))


def test_a_cache_of_a_window_is_named() -> None:
    with pytest.raises(ModelError, match="goes out with 5 rows and came in with 10: it holds a window"):
        farthest(going_out(lambda w, x: w("Slice", x, [-5], [FAR], [2])))


def reading(change: Callable[[Writer, str], str]) -> onnx.ModelProto:
    """Both keys and values are changed between the caches and attention."""

    def layout(w: Writer, x: str) -> tuple[str, str, str]:
        q, k, v = _three(w, x)
        k, v = change(w, _joined(w, "k", k, 2)), change(w, _joined(w, "v", v, 2))
        return q, _turned(w, k, (0, 1, 3, 2)), v

    return laid_out(Layout(KEYS, layout), causal)


def through_heads(w: Writer, x: str) -> str:
    """Rows and heads are counted through, not turned."""
    return str(w("Reshape", _turned(w, w("Reshape", x, [1, -1, HEADS, WIDTH])), [1, HEADS, -1, WIDTH]))


@pytest.mark.parametrize(
    "change",
    [
        lambda w, x: w("Slice", x, [-1], [-FAR], [2], [-1]),
        lambda w, x: w("Slice", w("Concat", x, np.zeros((1, HEADS, 1, WIDTH)), axis=2), [1], [FAR], [2]),
        through_heads,
    ],
)
def test_rows_that_attention_reads_in_another_order_are_refused(change: Callable[[Writer, str], str]) -> None:
    with pytest.raises(ModelError, match="not all read in their order"):
        farthest(reading(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda w, x: w("Slice", w("Slice", x, [-1], [-FAR], [3], [-1]), [-1], [-FAR], [3], [-1]),
        lambda w, x: w("Slice", w("Concat", np.zeros((1, HEADS, 1, WIDTH)), x, axis=2), [1], [FAR], [2]),
    ],
)
def test_what_stood_before_rows_and_is_gone_again_changes_nothing(change: Callable[[Writer, str], str]) -> None:
    assert farthest(reading(change)) < 1e-4


def sinks_in_front(w: Writer, scores: str, positions: str) -> str:
    closed = w("Where", w("GreaterOrEqual", _distance(w, positions), 0), 0.0, -1e9)
    shape = w("Concat", [1, HEADS], w("Shape", positions), [1], axis=0)
    sinks = w("Expand", w.constant(w.draw.standard_normal((1, HEADS, 1, 1)).astype(np.float32)), shape)
    weights = w("Softmax", w("Concat", sinks, w("Add", scores, closed), axis=-1), axis=-1)
    return str(w("Slice", weights, [1], [FAR], [3]))


def kept_in_front(w: Writer, scores: str, positions: str) -> str:
    """The weight of no key stays: weights and values are one place apart."""
    shape = w("Concat", [1, HEADS], w("Shape", positions), [1], axis=0)
    sinks = w("Expand", w.constant(np.zeros((1, HEADS, 1, 1), np.float32)), shape)
    weights = causal(w, scores, positions)
    return str(w("Slice", w("Concat", sinks, weights, axis=-1), [0], [-1], [3]))


def test_scores_of_no_key_may_stand_before_the_others() -> None:
    assert farthest(laid_out(LAYOUTS["heads before rows"], sinks_in_front)) < 1e-4


def test_weights_beside_other_rows_than_their_own_are_refused() -> None:
    with pytest.raises(ModelError, match="not all read in their order"):
        farthest(laid_out(LAYOUTS["heads before rows"], kept_in_front))
