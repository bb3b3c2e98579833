from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from models import NAMES, SHAPES, model_path
from small_models import DYNAMIC, RELU, parse

from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.inputs.generate_inputs import SAMPLE_RATE, SEQUENCE, SYMBOLS, generate_inputs, small_shapes
from autoglmc.compiler.inputs.operands import Fit, fits_of
from autoglmc.compiler.inputs.steps import flow_of
from autoglmc.compiler.load.load_model import load_model


def one(declaration: str, name: str, seed: int = 0) -> np.ndarray:
    """The array made for one input, `declaration` as in ONNX text."""
    return generate_inputs(parse(f"g ({declaration}) => (float[1] y) {{ y = Identity({name}) }}"), seed)[name]


@pytest.mark.parametrize("name", NAMES)
def test_two_seeds_give_different_outputs_on_real_models(name: str) -> None:
    loaded = load_model(model_path(name), SHAPES[name])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(loaded.source), options, providers=["CPUExecutionProvider"])
    first, second = (session.run(None, generate_inputs(loaded.proto, seed)) for seed in (0, 1))
    for a, b in zip(first, second, strict=True):
        assert np.isfinite(a).all()
        assert np.abs(a - b).max() > 1e-2 * max(a.std(), b.std(), 1e-3)


def test_equal_seeds_give_equal_arrays_whatever_the_order_of_inputs() -> None:
    ab, ba = (parse(f"g ({inputs}) => (float[4] y) {{ y = Add(a, b) }}") for inputs in ("float[4] a, float[4] b", "float[4] b, float[4] a"))
    first, second = generate_inputs(ab, 3), generate_inputs(ba, 3)
    assert all(np.array_equal(first[name], second[name]) for name in "ab")
    assert not np.array_equal(first["a"], first["b"])


def test_indices_stay_inside_the_table() -> None:
    text = """g (int64[1,500] ids, int64[1,500] kinds) => (float[1,500,4] y) {
        flat = Cast<to=6>(ids) shaped = Unsqueeze(flat, axis) a = Gather(words, shaped)
        shared = Identity(segments) b = Gather(shared, kinds) y = Add(a, b)
    }"""
    model = parse(text)
    for name, rows in (("words", 30), ("segments", 2)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((rows, 4), np.float32), name))
    assert fits_of(flow_of(model)) == {"ids": Fit(0, 29), "kinds": Fit(0, 1)}
    made = generate_inputs(model, 0)
    assert made["ids"].min() == 0 and made["ids"].max() == 29 and set(made["kinds"].ravel()) == {0, 1}


def test_the_smaller_of_two_tables_counts_and_the_axis_is_respected() -> None:
    model = parse("g (int64[9] i) => (float[5,9] y, float[9,2] z) { y = Gather<axis=1>(wide, i) z = Gather<axis=-2>(tall, i) }")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((5, 7), np.float32), "wide"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((3, 2), np.float32), "tall"))
    assert fits_of(flow_of(model)) == {"i": Fit(0, 2)}


def test_masks_let_everything_pass() -> None:
    for kind in ("int64", "bool", "float"):
        assert one(f"{kind}[1,9] attention_mask", "attention_mask").all()


def test_names_that_mean_something() -> None:
    assert one("int64 sr", "sr") == SAMPLE_RATE and one("int64[1] sampling_rate", "sampling_rate")[0] == SAMPLE_RATE
    assert np.array_equal(one("int64[1,5] position_ids", "position_ids"), [[0, 1, 2, 3, 4]])
    assert np.abs(one("float[2,1,128] state", "state")).max() < 1


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("uint8", 0, 255), ("int8", -128, 127), ("int32", 0, 255), ("int64", 0, 255), ("uint16", 0, 255)]
)
def test_other_integers_are_bytes(kind: str, low: int, high: int) -> None:
    made = one(f"{kind}[40,40] x", "x")
    assert made.dtype == np.dtype(kind) and low <= made.min() and made.max() <= high
    assert 10 < len(np.unique(made)) <= SYMBOLS and int(made.max()) - int(made.min()) > 128


def test_feature_maps_are_blobs_plus_noise() -> None:
    cells = one("float[1,8,64,64] x", "x").reshape(8, 4, 16, 4, 16)
    within, between = cells.std(axis=(2, 4)).mean(), cells.mean(axis=(2, 4)).std()
    assert 0.25 < within < 0.35 and between > 0.5


def test_images_have_print_on_them() -> None:
    picture = one("float[1,3,640,640] x", "x")
    assert (picture < -1.5).mean() > 0.005 and 0.3 < picture.std() < 2 and np.abs(picture).max() < 6
    assert one("float[1,3,8,8] x", "x").std() > 0.1


def test_a_text_detector_finds_text() -> None:
    """On blobs and noise its largest output is 3e-5, and rounding alone moves that by several of its standard deviations."""
    loaded = load_model(model_path("ppocr4_det"), SHAPES["ppocr4_det"])
    session = onnxruntime.InferenceSession(str(loaded.source), providers=["CPUExecutionProvider"])
    for seed in range(2):
        (found,) = session.run(None, generate_inputs(loaded.proto, seed))
        assert found.max() > 0.9 and found.std() > 0.1


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "double", "float"])
def test_every_float_type_is_made(kind: str) -> None:
    made = one(f"{kind}[2,3] x", "x")
    assert made.shape == (2, 3) and np.isfinite(made.astype(np.float64)).all() and made.std() > 0


def test_scalars_strings_and_empty_tensors_are_made() -> None:
    assert one("float x", "x").shape == () and one("float[0,3] x", "x").shape == (0, 3)
    assert all(isinstance(word, str) for word in one("string[3] x", "x"))


def test_a_sequence_holds_different_tensors_and_a_map_is_refused_by_name() -> None:
    made = one("seq(float[2,n]) x", "x")
    assert [item.shape for item in made] == [(2, 1)] * SEQUENCE and not np.array_equal(made[0], made[1])
    with pytest.raises(ModelError, match="'x', a map"):
        one("map(int64, float[2]) x", "x")


def test_small_shapes_agree_on_names_and_keep_what_is_bound() -> None:
    assert small_shapes(parse(DYNAMIC), 32, 64) == {"x": (1, 4), "z": (1, 32)}
    assert small_shapes(parse(RELU), 32, 64) == {"x": (1, 4)}
    image = parse("g (float[n,3,h,w] x, float[2,batch,8] s) => (float[n] y) { y = Relu(x) }")
    assert small_shapes(image, 32, 64) == {"x": (1, 3, 64, 64), "s": (2, 1, 8)}
