"""Orders of axes against numpy: what a Transpose or a Reshape is said to do with stored bytes, it does."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.devices.tflite.order import (
    after_reshape,
    after_transpose,
    before_reshape,
    before_transpose,
    blocks_of,
    channels_last,
    moves_data,
    stored,
    turn,
)

SIZES = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=5).map(tuple)


def filled(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(math.prod(shape)).reshape(shape)


@st.composite
def ordered(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = draw(SIZES)
    return shape, tuple(draw(st.permutations(range(len(shape)))))


@given(ordered(), st.data())
def test_a_turn_leads_from_one_order_to_another(case: tuple, data: st.DataObject) -> None:
    shape, before = case
    after = tuple(data.draw(st.permutations(range(len(shape)))))
    x = filled(shape)
    turned = x.transpose(before).transpose(turn(before, after))
    assert (turned == x.transpose(after)).all() and turned.shape == stored(shape, after)
    assert moves_data(stored(shape, before), turn(before, after)) == (list(x.transpose(before).flat) != list(turned.flat))


@given(ordered(), st.data())
def test_a_transpose_keeps_the_bytes(case: tuple, data: st.DataObject) -> None:
    shape, order = case
    perm = tuple(data.draw(st.permutations(range(len(shape)))))
    x = filled(shape)
    after = after_transpose(order, perm)
    assert (x.transpose(order) == x.transpose(perm).transpose(after)).all()
    assert before_transpose(after, perm) == order


@given(st.lists(SIZES.filter(lambda s: len(s) <= 3), min_size=1, max_size=3), st.data())
def test_a_reshape_keeps_the_bytes_where_it_says_so(parts: list, data: st.DataObject) -> None:
    """Shapes that share a product block by block, so that orders with an answer are met."""
    before = tuple(size for part in parts for size in part)
    after = tuple(size for part in parts for size in data.draw(st.sampled_from([part, (math.prod(part),), part[::-1]])))
    order = tuple(data.draw(st.permutations(range(len(before)))))
    blocks, x = blocks_of(before, after), filled(before)
    found = after_reshape(blocks, order)
    if found is not None:
        assert sorted(found) == list(range(len(after)))
        assert (x.transpose(order).reshape(stored(after, found)) == x.reshape(after).transpose(found)).all()
    if (back := before_reshape(blocks, tuple(range(len(after))))) is not None:
        assert back == tuple(range(len(before)))


def test_orders_that_channels_last_goes_through() -> None:
    assert channels_last(4) == (0, 2, 3, 1) and channels_last(5, 2) == (0, 3, 4, 1, 2) and channels_last(2) == (0, 1)
    assert after_reshape(blocks_of((1, 6, 4, 4), (1, 2, 3, 4, 4)), channels_last(4)) == channels_last(5, 2)
    assert after_reshape(blocks_of((2, 6, 4, 5), (2, 6, 20)), channels_last(4)) == (0, 2, 1)
    assert after_reshape(blocks_of((2, 6, 4, 5), (2, 120)), channels_last(4)) is None
