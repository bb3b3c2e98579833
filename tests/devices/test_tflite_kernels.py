"""What the emitter writes otherwise than ONNX has it, since LiteRT computes that faster: right, and really run by the fast kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from run_tflite import apart, feeds_of, run_onnx, run_tflite
from window_models import FEW, PADDING, PAIR, SIZES, convolution, model_of

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'autoglmc[litert]'")

from autoglmc.compiler.calibrate.grid.grid import grid
from autoglmc.compiler.calibrate.measure.litert_names import reported
from autoglmc.compiler.calibrate.measure.source import Runnable
from autoglmc.compiler.devices.litert.bound import BoundSegment
from autoglmc.compiler.devices.litert.compiled import Compiled, Options
from autoglmc.compiler.devices.litert.operators import FileOperator, operators_in
from autoglmc.compiler.devices.litert.probe import refusal
from autoglmc.compiler.devices.litert.profiler import Event, Profiler
from autoglmc.compiler.devices.silence import silenced
from autoglmc.compiler.devices.tflite.depthwise import MOST_PLACES, in_parts
from autoglmc.compiler.devices.tflite.emit import refusals, write_tflite

CLOSE = 2e-5
LARGE = st.tuples(st.integers(1, 9), st.integers(1, 40))


def hold(model: onnx.ModelProto) -> bytes:
    """The same numbers as onnxruntime; the file."""
    feeds = feeds_of(model)
    (want,) = run_onnx(model, feeds, ["y"])
    assert not refusals(model)
    data = write_tflite(model)
    (got,) = run_tflite(data, feeds, ["y"])
    assert apart(want, got) < CLOSE
    return data


def codes(data: bytes) -> list[str]:
    return [operator.code for operator in operators_in(np.frombuffer(data, np.uint8))]


@given(LARGE)
def test_parts_are_small_and_cover_a_window_once(kernel: tuple[int, int]) -> None:
    seen = np.zeros(kernel, int)
    for rows, columns in in_parts(kernel):
        assert 0 < len(rows) * len(columns) <= MOST_PLACES
        seen[rows.start : rows.stop, columns.start : columns.stop] += 1
    assert (seen == 1).all()


@FEW
@given(SIZES, LARGE, PAIR, PAIR, PADDING, st.integers(1, 2))
def test_large_depthwise_windows(size: Any, kernel: Any, strides: Any, dilations: Any, padding: Any, batch: int) -> None:
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if "pads" in padding:  # as much as makes the window fit
        missing = [max(0, r - n) for r, n in zip(reach, size, strict=True)]
        padding = {"pads": [-(-m // 2) + p for m, p in zip((*missing, *missing), padding["pads"], strict=True)]}
    assume(padding.get("auto_pad") != "VALID" or all(r <= n for r, n in zip(reach, size, strict=True)))
    data = hold(convolution(size, kernel, strides, dilations, padding, (4, 4, 4), batch))
    assert codes(data).count("DEPTHWISE_CONV_2D") <= len(list(in_parts(kernel)))


@FEW
@given(st.data(), st.integers(1, 2), st.sampled_from([1, 3, 16, 20]))
def test_transposed_convolutions_with_strides(data: st.DataObject, rank: int, channels: int) -> None:
    """Of kernels that are larger than the strides and smaller, with what is cut off and what is added."""

    def each(low: int, high: int) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank))

    size, kernel, strides = each(1, 6), each(1, 9), each(1, 4)
    pads = [data.draw(st.integers(0, k // 2)) for k in kernel * 2]
    extra = [data.draw(st.integers(0, s - 1)) for s in strides]
    out = [(n - 1) * s + k + e - a - b for n, s, k, e, a, b in zip(size, strides, kernel, extra, pads[:rank], pads[rank:], strict=True)]
    assume(min(out) > 0)
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((5, channels, *kernel)).astype(np.float32), "b": rng.random(channels).astype(np.float32)}
    options = {"strides": strides, "pads": pads, "output_padding": extra}
    made = codes(hold(model_of("ConvTranspose", {"x": (2, 5, *size)}, weights, ["x", "w", "b"], **options)))
    assert channels > 1 or max(strides) == 1 or "TRANSPOSE_CONV" not in made


@FEW
@given(st.lists(PAIR, min_size=1, max_size=6), st.sampled_from(["Expand", "Tile"]), st.booleans())
def test_repeated_tensors(axes: Sequence[tuple[int, int]], kind: str, whole: bool) -> None:
    """Axes as (extent, times); Expand repeats those of one element alone."""
    shape = tuple(1 if kind == "Expand" and times > 1 else extent for extent, times in axes)
    wanted = [size * times for size, (_, times) in zip(shape, axes, strict=True)]
    operand = wanted if kind == "Expand" else [times for _, times in axes]
    model = model_of(kind, {"x": shape}, {"s": np.array(operand, np.int64)}, ["x", "s"])
    if whole:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.elem_type = onnx.TensorProto.INT64
    assert "BROADCAST_TO" not in codes(hold(model))


@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_local_response_normalisation(beta: float) -> None:
    hold(model_of("LRN", {"x": (1, 12, 5, 4)}, {}, ["x"], size=5, alpha=0.3, beta=beta, bias=2.0))


OWN = frozenset({
    "ADD", "ARG_MAX", "CAST", "CONCATENATION", "CUMSUM", "EQUAL", "GATHER", "GATHER_ND", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL",
    "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOG_SOFTMAX", "NOT_EQUAL", "ONE_HOT", "POW", "QUANTIZE", "REDUCE_PROD", "RELU_0_TO_1",
    "RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "SELECT_V2", "SIGN", "SPLIT_V", "TILE", "TOPK_V2",
})  # fmt: skip
"""LiteRT's own kernels that run what XNNPACK does not: each of an ONNX operator that no other kernel runs, or at the speed of a copy."""
ADDED = ("Clamp", "Static Reshape")
"""Events of XNNPACK that may be no operator of the file: activations that are inside others there, shapes that it wants itself."""
LEAST = 150
LONG = ("LSTM", "GRU", "RNN")


def events(path: Path) -> tuple[tuple[Event, ...], tuple[FileOperator, ...]]:
    model = onnx.load_model(path)
    content = np.frombuffer(write_tflite(onnx.shape_inference.infer_shapes(model)), np.uint8)
    ports = Runnable.of(path, model).ports
    with silenced(2):
        compiled = Compiled(content, Options(threads=1, profiling=True))
    segment = BoundSegment(path, compiled, ports.inputs, ports.outputs, "")
    return Profiler(compiled).events(lambda: segment.run({})), operators_in(content)


def kernels() -> Iterator[tuple[str, onnx.ModelProto]]:
    """Of each name up to its sizes and of each kind of window the first, without those that are unrolled to thousands of operators."""
    seen = set()
    for kernel in grid():
        key = (kernel.name.split(" ")[0], *(step.operator for step in kernel.steps), *_window(kernel))
        if key not in seen and not kernel.name.startswith(LONG):
            seen.add(key)
            yield kernel.name, kernel.model


def _window(kernel: Any) -> Iterator[object]:
    """What kernels are chosen by: places, groups, strides and dilations, as ranges."""
    weights = kernel.constants.get("w")
    attributes = kernel.steps[0].attributes
    if weights is not None and weights.ndim > 2:
        yield weights.ndim
        yield int(np.prod(weights.shape[2:])) > MOST_PLACES, weights.shape[0] <= 16, weights.shape[1] == 1
    yield from (repr(attributes.get(name)) for name in ("dilations", "mode", "strides", "axis"))


@pytest.mark.skipif(bool(refusal()), reason=f"LiteRT cannot be timed: {refusal()}")
def test_operators_are_run_by_xnnpack_and_by_its_fast_kernels(tmp_path: Path) -> None:
    """Of every kind of kernel that calibrations measure: a slow one that no rate knows of made predictions 3 to 12 times too fast."""
    wrong, taken = [], 0
    for name, model in kernels():
        if refusals(model):
            continue
        path = tmp_path / "kernel.onnx"
        onnx.save_model(model, path)
        ran, operators = events(path)
        (found,) = reported([ran], operators)
        for event, one in zip(ran, found, strict=True):
            if not event.delegated and event.kind not in OWN:
                wrong.append(f"{name}: {event.kind} is LiteRT's own")
            if not one.others and not event.kind.startswith(ADDED):
                wrong.append(f"{name}: {event.kind} is no operator of the file")
        depthwise = sum(operator.code == "DEPTHWISE_CONV_2D" for operator in operators)
        if depthwise > sum("DWConv" in event.kind for event in ran):
            wrong.append(f"{name}: depthwise, and not run as such")
        taken += 1
    assert not wrong and taken >= LEAST
