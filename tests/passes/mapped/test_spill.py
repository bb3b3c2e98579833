"""Weights that are made anew and lie in a temporary file read as what they are, and a file that is gone is never taken for another one."""

from __future__ import annotations

import gc
import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from small_models import parse

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import UserError
from autoglmc.compiler.load.source import weights_gone
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.mapped import spill
from autoglmc.passes.mapped.mapped_tensor import LARGE, DataGone, array_of, data_bytes, inlined, is_mapped, states_in
from autoglmc.passes.mapped.spill import DESCRIPTORS, SpillFailed, in_memory, placed, spilling

pytestmark = pytest.mark.skipif(
    not DESCRIPTORS.is_dir() or in_memory(tempfile.gettempdir()), reason="temporary files gain nothing here: no /proc, or memory themselves"
)
TYPES = ("FLOAT", "FLOAT16", "BFLOAT16", "INT4", "INT8", "BOOL", "DOUBLE")


def weight(size: int, kind: str = "FLOAT", seed: int = 0) -> TensorProto:
    dtype = helper.tensor_dtype_to_np_dtype(TensorProto.DataType.Value(kind))
    values = np.random.default_rng(seed).integers(0, 2, size // max(dtype.itemsize, 1)).astype(np.float32).astype(dtype)
    return numpy_helper.from_array(values, f"w{seed}")


WEIGHTS = st.lists(st.tuples(st.sampled_from((8, LARGE - 8, LARGE, 3 * LARGE)), st.sampled_from(TYPES)), max_size=5)


@given(WEIGHTS, st.sampled_from((0, 4 * LARGE)))
def test_stubs_read_as_the_weights(sizes: list[tuple[int, str]], room: int) -> None:
    weights = [weight(size, kind, k) for k, (size, kind) in enumerate(sizes)]
    with spilling(room):
        found = [placed(one) for one in weights]
        for one, other in zip(weights, found, strict=True):
            assert is_mapped(other) or other is one
            assert data_bytes(other) == len(one.raw_data) and inlined(other).SerializeToString() == one.SerializeToString()
            assert array_of(other).tobytes() == array_of(one).tobytes()
        left = sum(len(one.raw_data) for one in found if len(one.raw_data) >= LARGE)
        assert left <= room and (left == room or not any(map(is_mapped, found)) or left + 3 * LARGE > room)
        assert not states_in(found)  # no file of the model's
    assert not any(is_mapped(placed(one)) for one in weights)


def test_a_graph_keeps_the_file_and_nobody_else_does() -> None:
    before = set(os.listdir(DESCRIPTORS))
    with spilling(0):
        graph = Graph(parse("g (float[4] x) => (float[4] y) { y = Neg(x) }"))
        name = graph.constant(np.arange(LARGE, dtype=np.float32))
        stub = graph.constants[name]
        twin, _ = graph.copy()
    del graph
    gc.collect()
    value = twin.value(name)
    assert is_mapped(stub) and value is not None and value[-1] == LARGE - 1
    del twin
    gc.collect()
    assert value[-1] == LARGE - 1  # what was read stays
    del value
    gc.collect()
    assert set(os.listdir(DESCRIPTORS)) <= before
    with pytest.raises(DataGone) as gone:
        array_of(stub)
    assert weights_gone(gone.value) is not None
    with spilling(0):  # a file of the same number, and maybe with the same inode
        assert is_mapped(placed(weight(8 * LARGE)))
        with pytest.raises(DataGone, match=r"closed|cannot be read"):
            array_of(stub)


def test_weights_of_bodies_stay_in_memory() -> None:
    with spilling(0):
        graph = Graph(parse("g (float[4] x) => (float[4] y) { y = Neg(x) }"))
        inner = graph.enter(parse("b () => (float[4] z) { z = Neg(x) }").graph)
        assert not is_mapped(inner.constants[inner.constant(np.zeros(LARGE, np.float32))])


def folding() -> onnx.ModelProto:
    """A matrix that is cast and transposed, and a scale that goes into a convolution."""
    model = parse("g (float[1,8,32,32] x) => (float[1,512,32,32] y) { v = Transpose <perm = [1,0,2,3]> (w) c = Conv(x, v) y = Mul(c, s) }")
    draw = np.random.default_rng(0)
    model.graph.initializer.append(numpy_helper.from_array(draw.standard_normal((8, 512, 1, 1)).astype(np.float32), "w"))
    model.graph.initializer.append(numpy_helper.from_array(draw.standard_normal((512, 1, 1)).astype(np.float32), "s"))
    return model


def test_the_bundle_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "LARGE", 256)
    made: list[bool] = []
    original = spill.Spill.placed

    def noted(self: spill.Spill, tensor: TensorProto) -> TensorProto:
        found = original(self, tensor)
        made.append(is_mapped(found))
        return found

    monkeypatch.setattr(spill.Spill, "placed", noted)
    found = []
    for room in (0, 1 << 30):
        with spilling(room):
            compile_model(folding(), "x86_cpu", output=tmp_path / str(room), verify=False)
        files = sorted(file for file in (tmp_path / str(room)).rglob("*") if file.is_file())
        found.append([(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files])
        assert any(made) == (room == 0)
        made.clear()
    assert found[0] == found[1]


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Full:
        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(spill.tempfile, "TemporaryFile", lambda **options: Full())
    with spilling(0), pytest.raises(SpillFailed, match="No space left"):
        placed(weight(LARGE))
    monkeypatch.setattr(spill, "LARGE", 256)
    monkeypatch.setattr(spill.spilling.__wrapped__, "__defaults__", (0,))  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="No space left") as found:
        compile_model(folding(), "x86_cpu", output=tmp_path / "b", verify=False)
    assert "TMPDIR" in found.value.help and not (tmp_path / "b").exists()


def test_a_folder_in_memory_gains_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not in_memory(str(tmp_path)) and not in_memory(str(tmp_path / "none"))
    device = os.stat(tmp_path).st_dev
    mounts = tmp_path / "mounts"
    mounts.write_text(f"22 1 {os.major(device)}:{os.minor(device)} / / rw shared:1 - tmpfs tmpfs rw\n")
    monkeypatch.setattr(spill, "MOUNTS", mounts)
    assert in_memory(str(tmp_path))
    with spilling(0):
        assert not is_mapped(placed(weight(LARGE)))


def test_many_weights_that_are_read_at_once_take_few_descriptors() -> None:
    """A usual limit is 1,024, and a session reads all weights of a model."""
    with spilling(0):
        found = [placed(weight(LARGE, seed=k)) for k in range(300)]
        before = len(os.listdir(DESCRIPTORS))
        arrays = [array_of(one) for one in found]
        assert len(os.listdir(DESCRIPTORS)) - before <= 2
        assert [array.tobytes() for array in arrays] == [weight(LARGE, seed=k).raw_data for k in range(300)]


def test_few_descriptors_too_where_each_is_read_before_the_next_is_written() -> None:
    with spilling(0):
        before, arrays = len(os.listdir(DESCRIPTORS)), []
        for k in range(300):
            arrays.append(array_of(placed(weight(4 * LARGE, seed=k))))
        assert len(os.listdir(DESCRIPTORS)) - before <= 6  # the file, and a mapping for each time that it doubled
        assert all(array.tobytes() == weight(4 * LARGE, seed=k).raw_data for k, array in enumerate(arrays))
