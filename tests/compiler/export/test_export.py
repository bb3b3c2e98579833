"""A model as one file: what is refused before any work, what an .onnx file keeps, and that a wrong conversion is never written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from small_models import DYNAMIC, RELU, parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.devices.adapter import Absent
from autoglmc.compiler.errors import VerifyError
from autoglmc.compiler.export.parity import parity
from autoglmc.compiler.load.source import source_of
from autoglmc.compiler.verify.terms import EXACT, OTHER_KERNELS

Screen = pytest.CaptureFixture[str]
# A BatchNormalization that folds, a GELU as exporters scatter it, and a second output; z is read by nobody.
NET = """g (float[1,3,8,8] b, float[1,4] z, float[1,3,8,8] a) => (float[1,3,8,8] second, float[1,3] first)
<float[3] s = {1, 2, 3}, float[3] o = {0.5, 0, 1}, float[3] m = {0, 1, 0}, float[3] v = {1, 1, 2}> {
  n = BatchNormalization(a, s, o, m, v)
  root = Constant<value_float = 1.41421356>() half = Constant<value_float = 0.5>() one = Constant<value_float = 1.0>()
  q = Div(n, root) e = Erf(q) p = Add(e, one) t = Mul(n, p) u = Mul(t, half)
  second = Add(u, b)
  axes = Constant<value_ints = [2, 3]>()
  first = ReduceMean<keepdims = 0>(u, axes)
}"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    model = parse(NET)
    onnx.helper.set_model_props(model, {"names": "{0: 'cat', 1: 'Käse'}", "stride": "32"})
    return save(model, tmp_path)


def told(arguments: list[str], capsys: Screen) -> tuple[int, str]:
    code = cli.run(["export", *arguments])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("m.pb", "the model is written as .tflite or .onnx or .mlpackage or .aimodel"),
        ("folder.onnx", "it is a folder"),
        ("/dev/null", "it is a device"),
        ("nowhere/m.onnx", "does not exist"),
        ("model.onnx", "is the model itself"),
    ],
)
def test_a_wrong_place_is_refused_before_the_work(name: str, said: str, net: Path, capsys: Screen) -> None:
    (net.parent / "folder.onnx").mkdir()
    before = net.read_bytes(), sorted(net.parent.iterdir())
    code, text = told([str(net), "-o", str(net.parent / name)], capsys)
    assert code == 2 and said in text and "load" not in text.splitlines()
    assert before == (net.read_bytes(), sorted(net.parent.iterdir()))


def test_a_missing_extra_is_one_message_with_what_installs_it(net: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Absent("it is not installed", "pip install it")
    monkeypatch.setattr("autoglmc.compiler.devices.litert.adapter.LiteRtAdapter.missing", lambda self: absent)
    monkeypatch.setattr("autoglmc.compiler.devices.coreml.CoreMlAdapter.cannot_compile", lambda self: absent)
    monkeypatch.setattr("autoglmc.compiler.export.core_ai_asset.not_installed", lambda: absent)
    for suffix in ("tflite", "mlpackage", "aimodel"):
        code, text = told([str(net), "-o", str(net.with_suffix(f".{suffix}"))], capsys)
        assert (
            code == 1
            and f".{suffix} cannot be written: it is not installed" in text.replace(" file", "")
            and "help: pip install it" in text
        )


def test_nhwc_is_for_tflite_alone(net: Path, capsys: Screen) -> None:
    code, text = told([str(net), "-o", str(net.with_name("m.onnx")), "--nhwc"], capsys)
    assert code == 2 and "--nhwc is for .tflite files" in text and not net.with_name("m.onnx").exists()


def test_an_open_dim_is_named_with_the_option_that_binds_it(tmp_path: Path, capsys: Screen) -> None:
    path = save(parse(DYNAMIC), tmp_path)
    code, text = told([str(path), "-o", str(tmp_path / "m.onnx")], capsys)
    assert code == 2 and "batch, seq" in text and "--shape batch=N,seq=N" in text
    assert told([str(path), "-o", str(tmp_path / "m.onnx"), "--shape", "batch=2,seq=3"], capsys)[0] == 0


def test_an_onnx_file_keeps_names_order_and_labels_and_loses_operators(net: Path, capsys: Screen) -> None:
    out, before = net.with_name("out.onnx"), net.read_bytes()
    assert cli.run(["export", str(net), "-o", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    made, source = onnx.load(out), onnx.load(net)
    assert net.read_bytes() == before
    assert facts["verified"] and facts["operators"] == len(made.graph.node) < facts["source_operators"]
    assert {node.domain for node in made.graph.node} <= {""} and "Gelu" in {node.op_type for node in made.graph.node}
    assert [v.name for v in made.graph.input] == [v.name for v in source.graph.input] == ["b", "z", "a"]
    assert [(v.name, v.type) for v in made.graph.output] == [(v.name, v.type) for v in source.graph.output]
    assert {p.key: p.value for p in made.metadata_props} == {"names": "{0: 'cat', 1: 'Käse'}", "stride": "32"}
    assert [one["name"] for one in facts["parity"]["outputs"]] == ["second", "first"]
    assert all(one["relative"] < 1e-5 and one["range"] > 0 for one in facts["parity"]["outputs"])


def test_unverified_ends_with_4_and_the_screen_says_why(net: Path, capsys: Screen) -> None:
    out = net.with_name("out.onnx")
    assert cli.run(["export", str(net), "-o", str(out), "--no-verify"]) == 4
    assert "no: --no-verify" in capsys.readouterr().out and out.exists()


class OnOrt:
    """The model itself, with an error of some size in one place."""

    def __init__(self, model: onnx.ModelProto, error: float) -> None:
        self._session, self._error = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]), error

    def run(self, values: Mapping[str, Any]) -> dict[str, Any]:
        (found,) = self._session.run(None, dict(values))
        found = np.array(found)
        found[0, 0] += self._error
        return {"y": found}


@pytest.mark.parametrize("terms", [EXACT, OTHER_KERNELS])
def test_a_wrong_conversion_raises_and_a_right_one_is_measured(terms: Any) -> None:
    model = parse("g (float[1,4] x) => (float[1,4] y) { y = Tanh(x) }")

    def compared(error: float) -> Any:
        return parity(source_of(model), OnOrt(model, error), {"x": (1, 4)}, {"y": (1, 4)}, terms, lambda message: None)

    (right,) = compared(0).outputs
    assert right.name == "y" and right.difference < 1e-6
    with pytest.raises(VerifyError, match=r"the converted model differs: y is off by"):
        compared(1e-4)


def test_what_proves_nothing_is_not_written(tmp_path: Path, capsys: Screen) -> None:
    path = save(parse("g (float[1,4] x) => (float[1,4] y) { r = RandomNormalLike(x) y = Add(x, r) }"), tmp_path)
    code, text = told([str(path), "-o", str(tmp_path / "m.onnx")], capsys)
    assert code == 1 and "y is random" in text and "--no-verify" in text and not (tmp_path / "m.onnx").exists()


def test_a_file_that_is_there_stays_where_the_export_fails(tmp_path: Path, capsys: Screen) -> None:
    path = save(parse("g (float[1,4] x) => (float[1,4] y) { r = RandomNormalLike(x) y = Add(x, r) }"), tmp_path)
    (tmp_path / "m.onnx").write_text("old")
    assert told([str(path), "-o", str(tmp_path / "m.onnx")], capsys)[0] == 1
    assert (tmp_path / "m.onnx").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "model.onnx"]


def test_quiet_prints_the_file_alone(tmp_path: Path, capsys: Screen) -> None:
    path = save(parse(RELU), tmp_path)
    assert cli.run(["export", str(path), "-o", str(tmp_path / "m.onnx"), "-q"]) == 0
    assert capsys.readouterr() == (f"{tmp_path / 'm.onnx'}\n", "")
