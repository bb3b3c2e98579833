"""A memory model is found again where there is one, stays small where nothing speaks for more, and says the same as a plan."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from calibrated_targets import ORIGIN, calibrated, calibration
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from small_models import parse, save

from autoglmc.compiler.calibrate.fit_memory import MeasuredMemory, fit_memory, predicted
from autoglmc.compiler.calibrate.measure.private_memory import private_bytes, private_memory
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.plan.memory_needs import Moment, Needs, needs_of
from autoglmc.targets.calibration import MemoryModel

MIB = 1 << 20
KINDS = ("Add", "Attention", "Conv", "Gather", "MatMul", "Relu", "Resize")
pytest.importorskip("scipy")


def rows(model: MemoryModel, seed: int, count: int = 60, noise: float = 0.0) -> list[MeasuredMemory]:
    """Made-up bundles, and exactly what the model says of them; `noise`: relative."""
    dice = random.Random(seed)
    found = []
    for index in range(count):
        weights = tuple(((kind,), dice.randrange(MIB, 40 * MIB)) for kind in ("Conv", "Gather", "MatMul") if dice.random() < 0.6)
        kinds = [kind for kind in KINDS if dice.random() < 0.6] or ["Relu"]
        moments = tuple(Moment(kind, dice.randrange(MIB, 20 * MIB), dice.randrange(MIB, 20 * MIB)) for kind in kinds)
        one = MeasuredMemory(f"{index}", f"n{index}", Needs(weights, moments), dice.randrange(MIB), 0, 0)
        whole = predicted(model, one) * (1 + noise * dice.uniform(-1, 1))
        idle = MemoryModel(base=model.base, weights=model.weights, working=0.0, origin=ORIGIN, weights_of=model.weights_of)
        found.append(MeasuredMemory(one.case, one.network, one.needs, one.arena, int(predicted(idle, one)), int(whole)))
    return found


@settings(max_examples=6, deadline=None)
@given(
    st.floats(2, 20), st.floats(0.8, 2.0), st.floats(0.5, 2.0), st.sampled_from(["Gather", "Conv"]), st.floats(0.0, 0.3),
    st.sampled_from(["Attention", "Resize"]), st.floats(2.0, 5.0), st.integers(0, 1000),
)  # fmt: skip
def test_known_factors_are_found_again(
    base: float, weights: float, working: float, held: str, share: float, busy: str, buffers: float, seed: int
) -> None:
    model = MemoryModel(
        base=base * MIB, weights=weights, working=working, origin=ORIGIN, weights_of=((held, share * weights),), buffers=((busy, buffers),)
    )
    found = fit_memory(rows(model, seed))
    assert found is not None
    assert found.base == pytest.approx(model.base, rel=0.03, abs=2**16)
    assert found.weights == pytest.approx(weights, rel=0.03) and found.working == pytest.approx(working, rel=0.03)
    assert [kind for kind, _ in found.weights_of] == [held] and found.weights_of[0][1] == pytest.approx(share * weights, rel=0.03, abs=0.01)
    assert [kind for kind, _ in found.buffers] == [busy] and found.buffers[0][1] == pytest.approx(buffers, rel=0.03)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_noise_earns_no_operator_a_number_of_its_own(seed: int) -> None:
    plain = MemoryModel(base=5.0 * MIB, weights=1.0, working=1.3, origin=ORIGIN)
    found = fit_memory(rows(plain, seed, noise=0.05))
    assert found is not None and found.weights_of == ()
    assert found.weights == pytest.approx(1.0, rel=0.03) and found.working == pytest.approx(1.3, rel=0.2)
    errors = [abs(predicted(found, one) / one.private - 1) for one in rows(plain, seed + 1)]
    assert max(errors) < 0.10


def test_what_one_network_alone_shows_is_no_rule() -> None:
    plain = MemoryModel(base=5.0 * MIB, weights=1.0, working=1.3, origin=ORIGIN)
    made = rows(plain, 3)
    odd = made[0]
    made[0] = MeasuredMemory(odd.case, odd.network, odd.needs, odd.arena, odd.loaded, odd.private * 3)
    found = fit_memory(made)
    assert found is not None and found.buffers == () and found.working == pytest.approx(1.3, rel=0.03)


def test_few_bundles_make_a_model_of_three_numbers_and_fewer_none() -> None:
    model = MemoryModel(base=5.0 * MIB, weights=1.0, working=1.3, origin=ORIGIN, buffers=(("Attention", 4.0),))
    found = fit_memory(rows(model, 1, count=8))
    assert found is not None and not found.weights_of and not found.buffers
    assert fit_memory(rows(model, 1, count=5)) is None


def embedded() -> onnx.ModelProto:
    made = parse("g (int64[4] i) => (float[4,64] y) { e = Gather(t, i) m = MatMul(e, w) s = Softmax(m) y = Add(s, e) }")
    for name, shape in (("t", (1000, 64)), ("w", (64, 64))):
        made.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    return made


@settings(max_examples=5, deadline=None)
@given(st.floats(0, 2), st.floats(0, 9), st.floats(0.5, 2.0), st.sampled_from(["Softmax", "MatMul", "Add"]))
def test_a_plan_says_what_the_fit_says(share: float, buffers: float, working: float, busy: str) -> None:
    import tempfile

    model = MemoryModel(
        base=1.0 * MIB, weights=1.0, working=working, origin=ORIGIN, weights_of=(("Gather", share),), buffers=((busy, buffers),)
    )
    target = calibrated("x86_cpu", cpu=calibration(memory=model))
    with tempfile.TemporaryDirectory() as folder:
        path = save(embedded(), Path(folder))
        result = compile_model(path, target, output=Path(folder) / "b", verify=False)
        plain = compile_model(path, "x86_cpu", output=Path(folder) / "p", verify=False)
    (held,), (unmeasured,) = result.predicted.held.values(), plain.predicted.held.values()
    segments = plain.compiled.segments
    one = MeasuredMemory("m", "m", needs_of(segments, segments, target), unmeasured.arena, 1, 1)
    assert held.total == pytest.approx(predicted(model, one), abs=4)
    assert held.weights == pytest.approx(4 * (64 * 64 + share * 64000), abs=4)
    (memory,) = [one for one in result.as_json()["memory"]["memories"] if one["name"] == "dram"]
    assert memory["bytes"] == memory["weights"] + memory["working"] + memory["arena"] + memory["runtime"] == held.total


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_private_memory_counts_what_is_written_not_what_is_mapped(tmp_path: Path) -> None:
    import mmap

    before = private_bytes()
    kept = np.ones(32 * MIB, np.uint8)
    assert 30 * MIB < private_bytes() - before < 36 * MIB and kept.nbytes == 32 * MIB
    path = tmp_path / "weights"
    path.write_bytes(bytes(32 * MIB))
    before = private_bytes()
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[:: mmap.PAGESIZE]) == 0
        assert private_bytes() - before < 4 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_weights_of_a_convolution_are_held_once(tmp_path: Path) -> None:
    """What onnxruntime frees when it has made its own form of them goes back to the system; a table that is read by row is mapped."""
    model = parse(
        "g (float[1,512,8,8] x, int64[4] i) => (float[1,512,8,8] y, float[4,1024] z) { y = Conv<pads = [1,1,1,1]>(x, w) z = Gather(t, i) }"
    )
    dice = np.random.default_rng(0)
    for name, shape in (("w", (512, 512, 3, 3)), ("t", (8192, 1024))):
        model.graph.initializer.append(numpy_helper.from_array(dice.standard_normal(shape, np.float32), name))
    compile_model(save(model, tmp_path), "x86_cpu", output=tmp_path / "b", verify=False)
    loaded, private = private_memory(tmp_path / "b")
    assert 0.8 * 9 * MIB < loaded < 1.7 * 9 * MIB, loaded  # 9 MiB of filters, 32 MiB of table
    assert loaded <= private < 2 * 9 * MIB, private
