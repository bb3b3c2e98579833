"""Whole networks as .tflite files on LiteRT, against onnxruntime; and what a file promises besides its numbers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import half_nets
import numpy as np
import onnx
import pytest
from run_tflite import apart, feeds_of, operators_of, prepared, run_onnx, run_tflite, transposes
from small_models import parse

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'autoglmc[litert]'")

from autoglmc.compiler.devices.tflite import file
from autoglmc.compiler.devices.tflite.emit import refusals, write_tflite

MODELS = Path(__file__).parent.parent / "models"
CLOSE = 1e-5
TRANSPOSES = {
    "vit": 9, "yolo": 2, "cnn_se": 1, "resnet": 1, "mlp_gelu": 0, "mixer": 4, "convnext": 2, "unet": 1, "decoder": 10, "keyword": 1,
}  # fmt: skip
"""At most: one where an image comes in, one where a map of features goes out, and those of heads and of mixers, which are the model's."""


def checked(source: onnx.ModelProto, sizes: Mapping[str, int] | None = None, **given: np.ndarray) -> bytes:
    """The file, whose outputs are as close to onnxruntime's of the untouched model as float32 is."""
    model = prepared(source, sizes)
    data = write_tflite(model)
    names, feeds = [value.name for value in model.graph.output], {**feeds_of(model), **given}
    for name, want, got in zip(names, run_onnx(source, feeds, names), run_tflite(data, feeds, names), strict=True):
        assert apart(want, got) < CLOSE, name
    return data


@pytest.mark.parametrize("name", half_nets.NETS)
def test_networks(name: str) -> None:
    data = checked(half_nets.NETS[name]())
    assert transposes(data) <= TRANSPOSES[name]


def test_lightnet_turns_its_input_and_nothing_else() -> None:
    data = checked(onnx.load(MODELS / "lightnet.onnx"), {"batch": 1})
    assert transposes(data) == 1


@pytest.mark.parametrize(("name", "sizes"), [("bert_tiny", {"batch": 1, "seq": 16}), ("glm_tiny", {"batch": 1, "seq": 8})])
def test_transformers(name: str, sizes: dict[str, int]) -> None:
    model = onnx.load(MODELS / f"{name}.onnx")
    rest = [value.name for value in model.graph.input if value.name != "input_ids"]
    checked(model, sizes, **{name: np.ones(tuple(sizes.values()), np.int64) for name in rest})


def test_the_same_model_gives_the_same_bytes_in_any_process() -> None:
    code = "import hashlib, half_nets, run_tflite as r; from autoglmc.compiler.devices.tflite.emit import write_tflite as w; "
    code += "print(hashlib.sha256(w(r.prepared(half_nets.yolo()))).hexdigest())"
    here = Path(__file__).parent.parent
    run = [sys.executable, "-c", code]
    seeds = ({"PYTHONHASHSEED": seed, "PYTHONPATH": str(here)} for seed in ("1", "2"))
    found = {subprocess.run(run, capture_output=True, text=True, check=True, env=env).stdout for env in seeds}
    assert len(found) == 1


PORTS = """g (float[1,2,3,4] b, float[2] a, int64[3] i) => (float[1,2,3,4] z, float[2] same, float[2] again, int64[3] j, float[1,2,3,4] y)
<float[2] w = {1.0, 2.0}> { z = Relu(b) same = Identity(a) again = Identity(a) j = Identity(i) y = Relu(b) }"""


def test_names_order_and_dtypes_are_the_models() -> None:
    """Inputs that are passed on, and two outputs of one tensor, too."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(checked(parse(PORTS)), 0))
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    for numbers, entries, names in (
        (graph.inputs, signature.inputs, ["b", "a", "i"]),
        (graph.outputs, signature.outputs, ["z", "same", "again", "j", "y"]),
    ):
        assert [graph.tensors[number].name.decode() for number in numbers] == names
        assert [entry.name.decode() for entry in entries] == names
        assert [entry.tensorIndex for entry in entries] == list(numbers)
    kinds = [graph.tensors[number].type for number in graph.inputs]
    assert kinds == [schema.TensorType.FLOAT32, schema.TensorType.FLOAT32, schema.TensorType.INT64]


def test_ports_that_are_channels_last_save_their_transposes() -> None:
    model = prepared(half_nets.convnext())
    plain, last = write_tflite(model), write_tflite(model, channels_last=["x", "features"])
    assert (transposes(plain), transposes(last)) == (2, 0)
    feeds = feeds_of(model)
    (want,), (got,) = run_tflite(plain, feeds, ["features"]), run_tflite(last, {"x": feeds["x"].transpose(0, 2, 3, 1)}, ["features"])
    assert apart(want, got.transpose(0, 3, 1, 2)) == 0


def test_constants_behind_the_flatbuffer_are_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    model = prepared(half_nets.cnn_se())
    inside = write_tflite(model)
    monkeypatch.setattr(file, "MOST_INSIDE", 0)
    behind = write_tflite(model)
    assert inside != behind and write_tflite(model) == behind
    feeds = feeds_of(model)
    assert apart(run_tflite(inside, feeds, ["logits"]), run_tflite(behind, feeds, ["logits"])) == 0


def test_constants_are_aligned() -> None:
    from ai_edge_litert import schema_py_generated as schema

    data = write_tflite(prepared(half_nets.vit()))
    model = schema.Model.GetRootAsModel(data, 0)
    starts = [model.Buffers(k).DataAsNumpy() for k in range(model.BuffersLength())]
    base = np.frombuffer(data, np.uint8).ctypes.data
    assert all((array.ctypes.data - base) % 16 == 0 for array in starts if isinstance(array, np.ndarray) and array.size)


def test_metadata_is_carried() -> None:
    from ai_edge_litert import schema_py_generated as schema

    data = write_tflite(prepared(half_nets.mlp_gelu()), metadata={"labels": "cat\ndog"})
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    assert [(entry.name, bytes(model.buffers[entry.buffer].data)) for entry in model.metadata] == [(b"labels", b"cat\ndog")]


def test_every_refused_node_is_named() -> None:
    """What follows a refused node is judged as if that one were converted."""
    model = parse("g (float[2,3,3] x) => (float[2] y, float[2,3,3] z) { a = Erf(x) b = Relu(a) z = Add(b, x) y = Det(z) }")
    found = refusals(prepared(model))
    assert [(refusal.operator, refusal.reason) for refusal in found] == [
        ("Erf", "LiteRT has no Erf outside GELU"),
        ("Det", "it is not converted to LiteRT's operators"),
    ]
    with pytest.raises(ValueError, match=r"Erf \(node .*\): LiteRT has no Erf outside GELU"):
        write_tflite(prepared(model))
    assert refusals(prepared(half_nets.resnet())) == ()


VERSIONS = [
    ("g (float[1,4,6,6] x) => (float y) <float[8,2,3,3] w> { y = Conv <group = 2> (x, w) }", ("CONV_2D", 6)),
    ("g (float[1,4,6,6] x) => (float y) <float[4,1,3,3] w> { y = Conv <group = 4, dilations = [2, 2]> (x, w) }", ("DEPTHWISE_CONV_2D", 2)),
    ("g (float[2,1,2,1,2] x, float[1,2,1,2,1] z) => (float y) { y = Sub(x, z) }", ("SUB", 3)),
    ("g (int64[2,3] x, int64[2,3] z) => (int64 y) { y = Mul(x, z) }", ("MUL", 5)),
    ("g (float[1,2,3,4,5] x) => (float y) { y = Transpose <perm = [4, 3, 2, 1, 0]> (x) }", ("TRANSPOSE", 4)),
]


@pytest.mark.parametrize(("text", "wanted"), VERSIONS, ids=[code for _, (code, _) in VERSIONS])
def test_versions_are_those_that_the_operators_need(text: str, wanted: tuple[str, int]) -> None:
    model = parse(text.replace(" <float[8,2,3,3] w>", "").replace(" <float[4,1,3,3] w>", ""))
    if "Conv" in text:
        shape = (8, 2, 3, 3) if "group = 2" in text else (4, 1, 3, 3)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(shape, np.float32), "w"))
    assert wanted in operators_of(write_tflite(prepared(model)))
