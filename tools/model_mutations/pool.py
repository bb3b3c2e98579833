"""The forty small models that are mutated: networks of the repository's tests, of the standard's own tests, and one of them quantised."""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

OWN = Path(__file__).resolve().parents[2] / "tests" / "models"
THEIRS = Path(onnx.__file__).parent / "backend" / "test" / "data"
SHAPES = {"bert_tiny": ("batch=1", "seq=16"), "lightnet": ("batch=1",), "glm_tiny": ("batch=1", "seq=8")}
NETWORKS = ("squeezenet", "shufflenet", "inception_v1")
CONVERTED = (
    "AvgPool1d", "BatchNorm1d_3d_input_eval", "Conv1d_dilated", "Conv2d_depthwise_padded", "Conv2d_groups", "Conv3d_dilated_strided",
    "ConvTranspose2d", "ConstantPad2d", "Embedding", "GLU_dim", "Linear", "Linear_no_bias", "MaxPool1d_stride_padding_dilation",
    "MaxPool2d_stride_padding_dilation", "PReLU_2d_multiparam", "PixelShuffle", "PoissonNLLLLoss_no_reduce", "ReflectionPad2d", "Softmin",
    "Softplus", "Softsign", "log_softmax_lastdim",
)  # fmt: skip
SIMPLE = (
    "expand_shape_model1", "sequence_model1", "sequence_model3", "sequence_model4", "sequence_model7", "shrink",
    "strnorm_model_monday_casesensintive_lower",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Model:
    """options: what a compilation needs, as sizes of dynamic dims."""

    name: str
    data: bytes
    options: tuple[str, ...] = ()


def models() -> list[Model]:
    """All forty-two. Raises FileNotFoundError where the installed onnx has no test data."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        # in a process of its own: the pool is forked from, and must not have onnxruntime's threads
        quantised = other.submit(_quantised).result()
    found = [*_own(), *_theirs(), quantised, *_control_flow()]
    assert len(found) == 45, len(found)
    return found


def _own() -> Iterator[Model]:
    for path in sorted(OWN.glob("*.onnx")):
        options = (text for size in SHAPES.get(path.stem, ()) for text in ("--shape", size))
        yield Model(path.stem, path.read_bytes(), tuple(options))


def _theirs() -> Iterator[Model]:
    for name in NETWORKS:
        yield Model(name, (THEIRS / "light" / f"light_{name}.onnx").read_bytes())
    for folder, names in (("pytorch-converted", CONVERTED), ("simple", SIMPLE)):
        for name in names:
            yield Model(name, (THEIRS / folder / f"test_{name}" / "model.onnx").read_bytes())


def _quantised() -> Model:
    """lightnet in integers, as onnxruntime's own quantiser writes it."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    logging.disable(logging.WARNING)
    dice = np.random.default_rng(1)
    source = onnx.load(OWN / "lightnet.onnx")
    entry = source.graph.input[0]
    sizes = [dim.dim_value or 1 for dim in entry.type.tensor_type.shape.dim]

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [{entry.name: dice.standard_normal(sizes).astype(np.float32)}]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self.left.pop() if self.left else None

    with tempfile.TemporaryDirectory() as folder:
        quantize_static(str(OWN / "lightnet.onnx"), f"{folder}/q.onnx", Reader(), per_channel=True)
        return Model("lightnet_quantised", Path(folder, "q.onnx").read_bytes(), ("--shape", "batch=1"))


def _control_flow() -> Iterator[Model]:
    """Bodies: an If whose branches read weights from outside, a Loop that carries a state, a Scan over rows."""
    yield Model("branches", onnx.parser.parse_model(_IF).SerializeToString())
    yield Model("loop", onnx.parser.parse_model(_LOOP).SerializeToString())
    yield Model("function", onnx.parser.parse_model(_FUNCTION).SerializeToString())


_IF = """<ir_version: 8, opset_import: ["": 17]>
branches (bool flag, float[2,4] x) => (float[2,4] y) <float[4,4] w = {1,0,0,0, 0,2,0,0, 0,0,3,0, 0,0,0,4}, float[4] b = {1,2,3,4}> {
    p = MatMul (x, w)
    y = If (flag) <then_branch = yes () => (float[2,4] a) { a = Add (p, b) }, else_branch = no () => (float[2,4] c) { d = MatMul (p, w)
        c = Relu (d) }>
}"""
_LOOP = """<ir_version: 8, opset_import: ["": 17]>
loop (float[2,4] x) => (float[2,4] y, float[3,2,4] all) <int64 trips = {3}, bool go = {1}, float[4] b = {1,2,3,4}> {
    y, all = Loop (trips, go, x) <body = step (int64 i, bool on, float[2,4] s) => (bool still, float[2,4] t, float[2,4] out) {
        still = Identity (on)
        u = Mul (s, b)
        t = Tanh (u)
        out = Identity (t) }>
}"""
_FUNCTION = """<ir_version: 8, opset_import: ["": 17, "own": 1]>
function (float[2,4] x) => (float[2,4] y) <float[4,4] w = {1,0,0,0, 0,2,0,0, 0,0,3,0, 0,0,0,4}> {
    p = own.Layer (x, w)
    y = own.Layer (p, w)
}
<domain: "own", opset_import: ["": 17]> Layer (a, k) => (r) { m = MatMul (a, k)
    r = Sigmoid (m) }"""
