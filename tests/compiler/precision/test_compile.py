"""From a float model and samples to a bundle in integers: made, run, judged, smaller; saved as plain ONNX; calibrated once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from breadth import long
from quantised_models import convolutions
from quantised_models import quantise as quantise_by_onnxruntime
from small_models import parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.api.compile import compile as compile_api
from autoglmc.compiler.errors import UsageError, VerifyError
from autoglmc.compiler.precision import quantise_model as flow
from autoglmc.compiler.precision.losses import Judge
from autoglmc.compiler.precision.ranges import METHODS
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.targets.precision import Form

WIDE = """g (float[1,256] x) => (float[1,16] y) {
    a = MatMul(x, w0)  b = Add(a, b0)  c = Relu(b)  d = MatMul(c, w1)  e = Add(d, b0)  f = Relu(e)  y = Gemm(f, w2, b2) }"""
SHAPES = {"w0": (256, 256), "b0": (256,), "w1": (256, 256), "w2": (256, 16), "b2": (16,)}


def wide() -> onnx.ModelProto:
    model, generator = parse(WIDE), np.random.default_rng(0)
    arrays = {name: (generator.standard_normal(shape) * 0.08).astype(np.float32) for name, shape in SHAPES.items()}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    return model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(wide(), tmp_path, "wide.onnx")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    generator = np.random.default_rng(1)
    np.savez(tmp_path / "samples.npz", x=generator.standard_normal((16, 256)).astype(np.float32))
    return tmp_path / "samples.npz"


def written(precision: Any) -> int:
    """Operators that are in another form than fp32."""
    return sum(len(names) for names in precision.forms.values())


def compiled(model: Path, data: Path | None, folder: Path, **options: Any) -> Bundle:
    """In int8 where there is data, unless another precision is given."""
    if data is not None:
        options.setdefault("precision", "int8")
    return compile_api(model, options.pop("target", "x86_cpu"), output=folder / "out", calibration_data=data, **options)


def test_a_bundle_in_8_bits(model: Path, data: Path, tmp_path: Path) -> None:
    bundle = compiled(model, data, tmp_path, save_quantized=tmp_path / "q.onnx")
    precision, manifest = bundle.manifest.precision, bundle.manifest
    assert precision is not None and manifest.verification.verified
    before, after = precision.weight_bytes
    assert after < 0.27 * before
    float_bundle = compiled(model, None, tmp_path / "float")
    sizes = [sum(file.size for file in one.manifest.files.values()) for one in (bundle, float_bundle)]
    assert sizes[0] < 0.35 * sizes[1]
    assert set(precision.forms) == {"a8w8"} and len(precision.forms["a8w8"]) >= 3
    assert precision.calibration is not None and (precision.calibration.method, precision.calibration.samples) == ("minmax", 12)
    (accuracy,) = precision.accuracy
    assert (accuracy.output, accuracy.samples, accuracy.held_out) == ("y", 4, True)
    assert 0.99 < accuracy.least_cosine <= accuracy.cosine < 1.0
    segment = onnx.load(bundle.folder / manifest.segments[0].file, load_external_data=False)
    for node in segment.graph.node:  # units in integers: every product is between what quantises
        if node.op_type in ("MatMul", "Gemm"):
            makers = {name: other.op_type for other in segment.graph.node for name in other.output}
            assert [makers[name] for name in node.input[:2]] == ["DequantizeLinear"] * 2


def test_forms_are_chosen(model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the solver, within the accuracy that the target asks for; losses are kept for the next target."""
    calls: list[int] = []
    loss = Judge.loss
    monkeypatch.setattr(Judge, "loss", lambda judge, forms: calls.append(len(forms)) or loss(judge, forms))
    bundle = compiled(model, data, tmp_path, precision="auto")
    precision = bundle.manifest.precision
    assert precision is not None and bundle.manifest.verification.verified and calls
    assert set(precision.forms) <= {"a8w8", "a16w8", "w8", "w4", "fp16"} and precision.forms
    assert all(output.cosine >= 0.98 for output in precision.accuracy)
    calls.clear()
    exact = tmp_path / "exact.hw"
    exact.write_text('hw 1;\ninclude "x86_cpu.hw";\ntarget exact extends x86_cpu { limits { accuracy cosine >= 0.9999999; } }\n')
    strict = compiled(model, data, tmp_path / "strict", precision="auto", target=exact)
    assert strict.manifest.precision is not None and not calls
    assert written(strict.manifest.precision) < written(precision)


def test_data_alone_lets_the_solver_choose(model: Path, data: Path, tmp_path: Path) -> None:
    asked, alone = (compile_api(model, "x86_cpu", output=tmp_path / str(p), calibration_data=data, precision=p) for p in ("auto", None))
    assert alone.digest == asked.digest and alone.manifest.precision is not None and alone.manifest.precision.forms


def test_losses_are_kept_by_the_scales_that_they_were_measured_with(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another target may take a form of the same name with other scales: what the first one lost says nothing of it."""
    written: list[Form] = []
    loss = Judge.loss

    def measured(judge: Judge, forms: Mapping[str, Form]) -> float:
        written.extend(form for name, form in forms.items() if name in {"a", "d", "y"})  # those with weights; others have no channels
        return loss(judge, forms)

    monkeypatch.setattr(Judge, "loss", measured)
    found = []
    for number, target in enumerate(("x86_cpu", "tensor_g2", "x86_cpu")):
        compiled(model, data, tmp_path / str(number), target=target, precision="auto", verify=False)
        found.append({form.per_channel for form in written if form.name == "a8w8"})
        written.clear()
    assert found == [{True}, {False}, set()]


def test_the_saved_model_is_what_the_bundle_computes(model: Path, data: Path, tmp_path: Path) -> None:
    bundle = compiled(model, data, tmp_path, save_quantized=tmp_path / "q.onnx")
    saved = onnx.load(tmp_path / "q.onnx")
    onnx.checker.check_model(saved, full_check=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "q.onnx"), providers=["CPUExecutionProvider"])
    for sample in np.load(data)["x"]:
        feeds = {"x": sample[None]}
        np.testing.assert_array_equal(session.run(None, feeds)[0], bundle.run(feeds)["y"])
    assert bundle.verify(tmp_path / "q.onnx").verified
    with pytest.raises(VerifyError, match="compiled from a quantised form of this model, so it is verified against that"):
        bundle.verify(model)


def test_a_second_target_is_not_calibrated_again(model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compiled(model, data, tmp_path / "1")

    def refuse(*_: object) -> None:
        raise AssertionError("calibrated again")

    monkeypatch.setattr(flow, "ranges_of", refuse)
    again = compiled(model, data, tmp_path / "2")
    assert again.digest == first.digest  # what comes out of the cache is what went in
    other = compiled(model, data, tmp_path / "3", target="snapdragon_8gen3", emulate=True)
    assert other.manifest.precision is not None and first.manifest.precision is not None
    assert other.manifest.precision.calibration == first.manifest.precision.calibration
    with pytest.raises(AssertionError, match="calibrated again"):
        compiled(model, data, tmp_path / "4", calibration_method="percentile")
    np.savez(tmp_path / "others.npz", x=np.ones((16, 256), np.float32))
    with pytest.raises(AssertionError, match="calibrated again"):
        compiled(model, tmp_path / "others.npz", tmp_path / "5")


@pytest.mark.parametrize("method", long(METHODS, ["entropy"]))
def test_every_method_of_calibration(method: str, data: Path, tmp_path: Path) -> None:
    model = save(convolutions(), tmp_path)
    x = np.random.default_rng(0).standard_normal((16, 3, 24, 24)).astype(np.float32)
    bundle = compiled(model, [{"x": one[None]} for one in x], tmp_path, calibration_method=method)  # type: ignore[arg-type]
    assert bundle.manifest.precision is not None
    assert bundle.manifest.precision.accuracy[0].least_cosine > 0.99


def test_fp32_is_the_model_as_it_is(model: Path, data: Path, tmp_path: Path) -> None:
    assert compiled(model, data, tmp_path / "1", precision="fp32").digest == compiled(model, None, tmp_path / "2").digest


def test_halves_need_no_calibration(data: Path, tmp_path: Path) -> None:
    """Nothing is calibrated, so accuracy is measured on every sample; Softmax stays in fp32."""
    made = wide()
    made.graph.node.append(onnx.helper.make_node("Softmax", ["y"], ["p"]))
    made.graph.output[0].name = "p"
    model = save(made, tmp_path)
    bundle = compiled(model, data, tmp_path / "1", target="snapdragon_8gen3", precision="fp16", emulate=True)
    precision = bundle.manifest.precision
    assert precision is not None and precision.calibration is None and set(precision.forms) == {"fp16"}
    assert "p" not in precision.forms["fp16"] and precision.weight_bytes[1] <= 0.51 * precision.weight_bytes[0]
    assert (precision.accuracy[0].samples, precision.accuracy[0].held_out) == (16, True) and precision.accuracy[0].least_cosine > 0.9999
    without = compiled(model, None, tmp_path / "2", target="snapdragon_8gen3", precision="fp16", emulate=True)
    assert without.manifest.precision is not None and without.manifest.precision.accuracy == ()


def test_wrong_data_shows_in_the_accuracy(model: Path, tmp_path: Path) -> None:
    """The control: scales of inputs that are a hundred times smaller cut off everything."""
    small = [{"x": np.full((1, 256), 0.01 * (-1) ** k, np.float32)} for k in range(7)]
    real = [{"x": np.random.default_rng(k).standard_normal((1, 256)).astype(np.float32)} for k in range(9)]
    mixed = [*small[:3], real[0], *small[3:6], real[1]]  # every fourth is held out
    bundle = compiled(model, mixed, tmp_path)  # type: ignore[arg-type]
    assert bundle.manifest.precision is not None and bundle.manifest.precision.accuracy[0].least_cosine < 0.98


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int16"}, "--precision int16 needs calibration data"),
        ({"precision": "int7"}, "'int7' is not a precision"),
        ({"save_quantized": "q.onnx"}, "--save-quantized needs --precision or --calibration-data"),
        ({"calibration_method": "minmax"}, "--calibration-method needs --precision or --calibration-data"),
        ({"precision": "fp32", "save_quantized": "q.onnx"}, "makes no quantised model"),
        ({"calibration_data": "DATA", "calibration_method": "mean"}, "'mean' is not a calibration method"),
        ({"calibration_data": "DATA", "save_quantized": "q.txt"}, "q.txt"),
        (
            {"calibration_data": "DATA", "expect": {"y": np.zeros((1, 16), np.float32)}, "inputs": {"x": np.zeros((1, 256), np.float32)}},
            "--expect",
        ),
        ({"precision": "int16", "calibration_data": "DATA"}, "no operator of the model can run in int16 on 'x86_cpu'"),
    ],
)
def test_what_cannot_be_asked_for(options: dict[str, Any], message: str, model: Path, data: Path, tmp_path: Path) -> None:
    given = {name: data if isinstance(value, str) and value == "DATA" else value for name, value in options.items()}
    with pytest.raises(UsageError) as raised:
        compile_api(model, "x86_cpu", output=tmp_path / "out", **given)
    assert message in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_quantised_already(data: Path, tmp_path: Path) -> None:
    made = quantise_by_onnxruntime(convolutions(), tmp_path, per_channel=True)
    with pytest.raises(UsageError, match="the model is quantised already: "):
        compiled(made, data, tmp_path)


def test_a_model_in_halves_is_told_so(tmp_path: Path) -> None:
    made = save(parse("g (float16[1,4] x) => (float16[1,4] y) { y = Relu(x) }"), tmp_path)
    with pytest.raises(UsageError, match="the model computes in fp16, and --precision takes models of fp32"):
        compiled(made, [{"x": np.ones((1, 4), np.float16)}] * 8, tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize("option", [["--stop-after", "simplify"], ["--pareto", "latency,memory"], ["--pass", "PASS"]])
def test_what_it_cannot_be_combined_with(
    option: list[str], model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text("def f(graph): pass\nf.contract = 'exact'\n")
    words = [word.replace("PASS", f"{tmp_path / 'own.py'}:f") for word in option]
    assert cli.run([str(model), "--target", "x86_cpu", "--calibration-data", str(data), "-o", str(tmp_path / "out"), *words]) == 2
    assert "and --precision exclude each other" in capsys.readouterr().err


def test_metadata_stays(data: Path, tmp_path: Path) -> None:
    made = wide()
    made.metadata_props.add(key="classes", value="cat,dog")
    assert compiled(save(made, tmp_path), data, tmp_path).metadata == {"classes": "cat,dog"}


def test_one_sample_is_told(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "one.npz", x=np.random.default_rng(0).standard_normal((1, 256)).astype(np.float32))
    code = cli.run(
        [
            str(model),
            "--target",
            "x86_cpu",
            "--precision",
            "int8",
            "--calibration-data",
            str(tmp_path / "one.npz"),
            "-o",
            str(tmp_path / "out"),
        ]
    )
    shown = " ".join(capsys.readouterr().out.split())
    assert code == 0 and "calibrated on one sample" in shown and "accuracy on 1 calibration sample: cosine" in shown


def test_the_screen_shows_what_it_costs(model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.run([str(model), "--target", "x86_cpu", "--precision", "int8", "--calibration-data", str(data), "-o", str(tmp_path / "out")])
    shown = " ".join(capsys.readouterr().out.split())
    assert code == 0 and "in a8w8; weights" in shown and "scales: minmax of 12 samples" in shown
    assert "accuracy on 4 held-out samples: cosine 0.99" in shown


def test_bad_data_is_one_message(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "bad.npz", x=np.full((4, 256), np.nan, np.float32))
    code = cli.run([str(model), "--target", "x86_cpu", "--calibration-data", str(tmp_path / "bad.npz"), "-o", str(tmp_path / "out")])
    told = capsys.readouterr().err
    assert code == 2 and told.count("error:") == 1 and "'x' has a NaN or an infinite number" in told and "Traceback" not in told
    assert not (tmp_path / "out").exists()
