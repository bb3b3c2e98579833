"""Arrays that are kept are the same arrays, and beyond a few take no private memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.errors import UserError
from autoglmc.compiler.mapped_arrays import LEAST, MappedArrays
from autoglmc.compiler.run.resident import status_bytes

SHAPES = ((), (3,), (LEAST,), (3, LEAST), (LEAST, 0), (5, 7, LEAST // 16))


@given(
    st.lists(st.tuples(st.sampled_from(SHAPES), st.sampled_from(("f4", "f8", "i8", "u1", "?"))), max_size=5), st.sampled_from((0, 1 << 16))
)
def test_they_are_the_same(made: list[tuple[tuple[int, ...], str]], room: int) -> None:
    draw = np.random.default_rng(1)
    values = {f"v{k}": draw.integers(0, 2, shape).astype(dtype) for k, (shape, dtype) in enumerate(made)}
    values |= {"turned": np.arange(2 * LEAST).reshape(2, -1).T, "text": ["a"], "none": None}
    kept = MappedArrays(room).kept(values)
    assert list(kept) == list(values)
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            assert kept[name].dtype == value.dtype and kept[name].flags.aligned
            np.testing.assert_array_equal(kept[name], value)
        else:
            assert kept[name] is value


def test_what_is_beyond_the_room_is_not_private() -> None:
    before = status_bytes()
    if before is None:
        pytest.skip("this system does not say what is private")
    arrays, size, held = MappedArrays(1 << 20), 1 << 22, []
    for _ in range(16):
        held.append(arrays.kept({"x": np.ones(size, np.uint8)}))
    after = status_bytes()
    assert after is not None and after["RssAnon"] - before["RssAnon"] < 4 * size and all(one["x"].all() for one in held)


def test_no_room_on_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(UserError, match="No space left on device"):
        MappedArrays(0).kept({"x": np.ones(LEAST, np.uint8)})
