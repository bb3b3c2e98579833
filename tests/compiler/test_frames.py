"""Messages between processes come out as they went in, and large arrays are nowhere twice."""

from __future__ import annotations

import os
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.frames import Closed, Late, receive, send

ARRAYS = st.builds(
    lambda shape, dtype, turned: np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)[:: -1 if turned else 1],
    st.sampled_from(((0,), (3,), (2, 3), (3, 0), (40_000,), (300, 1_000))),
    st.sampled_from(("f4", "f8", "i1", "?", "U3")),
    st.booleans(),
)


def exchanged(message: Any) -> Any:
    reader, writer = os.pipe()
    sender = threading.Thread(target=send, args=(writer, message))
    sender.start()
    try:
        return receive(reader, 30.0)
    finally:
        sender.join()
        os.close(reader)
        os.close(writer)


@given(st.dictionaries(st.text(max_size=3), st.one_of(ARRAYS, st.text(), st.none(), st.lists(ARRAYS, max_size=2)), max_size=3))
def test_what_is_sent_is_received(message: dict[str, Any]) -> None:
    found = exchanged(message)
    assert list(found) == list(message)
    for name, value in message.items():
        for sent, got in zip(*([one] if not isinstance(one, list) else one for one in (value, found[name])), strict=True):
            assert isinstance(sent, np.ndarray) == isinstance(got, np.ndarray)
            if isinstance(sent, np.ndarray):
                assert sent.dtype == got.dtype and sent.flags.writeable == got.flags.writeable
            np.testing.assert_array_equal(got, sent)


def test_a_large_array_is_in_memory_once_on_each_side() -> None:
    array = np.ones(1 << 24, np.uint8)
    tracemalloc.start()
    try:
        got = exchanged({"x": array})
        assert tracemalloc.get_traced_memory()[1] < 1.2 * array.nbytes  # both ends are this process
    finally:
        tracemalloc.stop()
    assert got["x"].nbytes == array.nbytes


def test_an_end_that_is_gone_or_late_is_told() -> None:
    reader, writer = os.pipe()
    with pytest.raises(Late):
        receive(reader, 0.01)
    os.write(writer, b"\1\0")
    os.close(writer)
    with pytest.raises(Closed):
        receive(reader)
    os.close(reader)
