"""How far the sums under the root of a normalisation may be off: hardly where they are added up in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from slicing import ABSENT, bundle_of, cut
from small_models import parse

from autoglmc.compiler.errors import VerifyError
from autoglmc.compiler.export.parity import Parity, parity
from autoglmc.compiler.load.source import source_of
from autoglmc.compiler.reference.evaluate import Evaluator
from autoglmc.compiler.reference.program import program_of
from autoglmc.compiler.reference.rounding import Chains, noisy
from autoglmc.compiler.verify.terms import OTHER_KERNELS
from autoglmc.compiler.verify.verdicts import chains

Array = np.ndarray[Any, Any]
LANES = 32
"""Sums that a kernel of vectors adds up side by side."""
PER_CHANNEL = "<float[2] s = {1, 1}, float[2] b = {0, 0}>"
FORMS = {
    "InstanceNormalization": ((1, 2), f"{PER_CHANNEL} {{ y = InstanceNormalization(x, s, b) }}"),
    "GroupNormalization": ((1, 2), f"{PER_CHANNEL} {{ y = GroupNormalization<num_groups = 1>(x, s, b) }}"),
    "LayerNormalization": ((1,), "{ y = LayerNormalization(x, s) }"),
}
SIZES = (1024, 65536)


def side_by_side(terms: Array) -> Array:
    lanes = np.add.accumulate(terms.reshape(len(terms), -1, LANES), axis=1, dtype=np.float32)[:, -1]
    return np.add.accumulate(lanes, axis=1, dtype=np.float32)[:, -1:]


class Normalised:
    """In fp32, over `size` elements; less: what the sum of squares is divided by lacks."""

    def __init__(self, size: int, less: int) -> None:
        self._size, self._less = size, less

    def run(self, values: Mapping[str, Any]) -> dict[str, Any]:
        x = values["x"].reshape(-1, self._size)
        centred = x - side_by_side(x) / np.float32(self._size)
        variance = side_by_side(centred * centred) / np.float32(self._size - self._less)
        return {"y": (centred / np.sqrt(variance + np.float32(1e-5))).reshape(values["x"].shape)}


def form(name: str, size: int) -> tuple[onnx.ModelProto, tuple[int, ...]]:
    """The model, and the shape of its input, which is normalised over `size` elements."""
    outer, body = FORMS[name]
    shape = (*outer, size // 2 if name == "GroupNormalization" else size)
    declared = f"float[{','.join(map(str, shape))}]"
    model = parse(f"g ({declared} x) => ({declared} y) {body}", opset=21, ir=10)
    if name == "LayerNormalization":
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(size, np.float32), "s"))
    return model, shape


def compared(name: str, size: int, less: int) -> Parity:
    model, shape = form(name, size)
    return parity(source_of(model), Normalised(size, less), {"x": shape}, {"y": shape}, OTHER_KERNELS, lambda message: None)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FORMS)
def test_sums_in_blocks_are_right_and_a_variance_over_one_less_is_not(name: str, size: int) -> None:
    assert compared(name, size, 0).outputs
    with pytest.raises(VerifyError, match="the converted model differs"):
        compared(name, size, 1)


def test_squares_that_are_added_one_by_one_are_off_by_more() -> None:
    """Measured: 50 to 105 unit roundoffs where coreai-core adds 65,536 of them up."""
    model, shape = form("InstanceNormalization", 65536)
    x = {"x": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    exact = Evaluator(program_of(model)).run(x).values["y"]
    ways: tuple[Chains, ...] = ("", "sums", "deviations")
    off = [np.abs(Evaluator(program_of(model)).run(x, (), noisy(0, way)).values["y"] - exact).max() * 2.0**24 for way in ways]
    assert off[0] < 8 < off[1] < 100 < off[2]


def test_rounding_of_a_normalisation_without_a_bias_is_measured_before_its_kernel_was_checked() -> None:
    model, shape = form("LayerNormalization", 1024)
    x = {"x": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    exact, rounded = (Evaluator(program_of(model)).run(x, (), *way).values["y"] for way in ((), (noisy(0, "sums"),)))
    assert 0 < np.abs(rounded - exact).max() < 1e-4


def segments(*adapters: str) -> Any:
    return SimpleNamespace(segments=[SimpleNamespace(index=k, runtime=SimpleNamespace(adapter=one)) for k, one in enumerate(adapters)])


@pytest.mark.parametrize(
    ("adapters", "absent", "said"),
    [
        (("none", "ort"), {0: "plan only"}, ""),
        (("coreai", "litert"), {0: "not installed"}, "sums"),
        (("coreai", "litert"), {}, "deviations"),
        (("ort", "ort"), {}, ""),
    ],
)
def test_what_computed_a_segment_says_how_sums_are_added_up(adapters: tuple[str, ...], absent: dict[int, str], said: str) -> None:
    assert chains(segments(*adapters), SimpleNamespace(absent=absent)) == said  # type: ignore[arg-type]


def test_a_bundle_whose_runtime_is_not_here_is_judged_as_onnxruntime_which_ran(tmp_path: Any) -> None:
    model = parse("g (float[4] x) => (float[4] y) { a = Relu(x) y = Tanh(a) }")
    bundle = bundle_of(cut(model, ("npu", "cpu"), modes=("copy",), runtimes={"npu": ABSENT}), tmp_path / "b")
    assert chains(bundle.manifest, bundle.session(emulate=True)) == ""
