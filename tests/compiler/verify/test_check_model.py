from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from models import NAMES, model_path
from small_models import DYNAMIC, RELU, parse, save

from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.verify.check_model import CHECKS, check_model

ADD = "g (float[4] x) => (float[4] y) { y = Add(x, w) }"


def statuses(path: Path) -> dict[str, str]:
    results = check_model(path)
    assert tuple(result.name for result in results) == CHECKS
    assert all(result.message for result in results)
    return {result.name: result.status for result in results}


def failing(*names: str) -> dict[str, str]:
    return {name: "fail" if name in names else "pass" for name in CHECKS}


@pytest.mark.parametrize("name", NAMES)
def test_real_models_pass_all_five(name: str) -> None:
    assert statuses(model_path(name)) == failing()


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        check_model(tmp_path / "no.onnx")


def test_what_is_no_model_fails_the_first_and_skips_the_rest_with_a_reason(tmp_path: Path) -> None:
    results = check_model(save(b"hello", tmp_path))
    assert [result.status for result in results] == ["fail", *["skipped"] * 4]
    assert all("cannot be read" in result.message for result in results[1:])


def test_an_opset_too_new_does_not_hide_the_later_checks(tmp_path: Path) -> None:
    found = statuses(save(parse(RELU, opset=999), tmp_path))
    assert found["versions"] == "fail" and found["weights"] == "pass" and "skipped" not in found.values()


def test_a_cycle_fails_structure(tmp_path: Path) -> None:
    found = statuses(save(parse("g (float[4] x) => (float[4] y) { a = Add(x, y) y = Relu(a) }"), tmp_path))
    assert found == {**failing("structure"), "forward": "skipped"}, "one fault has one name, and no runtime is given such a model"


def test_unsorted_nodes_fail_structure(tmp_path: Path) -> None:
    found = statuses(save(parse("g (float[4] x) => (float[4] y) { y = Neg(a) a = Relu(x) }"), tmp_path))
    assert found["structure"] == "fail"


def test_missing_weights_fail_once_and_skip_the_run(tmp_path: Path) -> None:
    model = parse(ADD)
    tensor = onnx.numpy_helper.from_array(np.ones(4, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="gone.bin")
    model.graph.initializer.append(tensor)
    assert statuses(save(model, tmp_path)) == {**failing("weights"), "forward": "skipped"}


def test_external_weights_are_found_and_named(tmp_path: Path) -> None:
    model = parse(ADD)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(4, np.float32), "w"))
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    results = check_model(tmp_path / "m.onnx")
    assert [result.status for result in results] == ["pass"] * 5
    assert "w.bin" in results[3].message


def test_the_run_says_which_sizes_it_took(tmp_path: Path) -> None:
    forward = check_model(save(parse(DYNAMIC), tmp_path))[4]
    assert forward.status == "pass" and "x [1,4], z [1,32]" in forward.message


def test_a_run_that_fails_names_what_was_tried(tmp_path: Path) -> None:
    model = parse("g (float[n,7] x) => (float[m,5] y) { y = Reshape(x, s) }")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 5]), "s"))
    forward = check_model(save(model, tmp_path))[4]
    assert forward.status == "fail" and "x [1,7]" in forward.message and "tried" in forward.help


def test_sizes_may_be_given(tmp_path: Path) -> None:
    """As for compiling: of a dim, of a whole input; the rest is tried."""
    model = parse("g (float[n,k] x) => (float[m,5] y) { y = Reshape(x, s) }")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 5]), "s"))
    path = save(model, tmp_path)
    assert check_model(path)[4].status == "fail"
    assert "x [1,10]" in check_model(path, {"k": 10})[4].message
    assert "x [3,5]" in check_model(path, {"x": (3, 5)})[4].message
    assert check_model(path, {"k": 7})[4].status == "fail"
    with pytest.raises(UsageError, match="no dim or input of that name"):
        check_model(path, {"z": 4})


def test_the_command_takes_sizes_of_a_model_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from autoglmc.compiler import cli

    path = save(parse(DYNAMIC), tmp_path)
    assert cli.run(["check", str(path), "--shape", "batch=3,seq=2"]) == 0
    assert "x [3,4]" in capsys.readouterr().out
    assert cli.run(["check", "a16", "--shape", "batch=3"]) == 2
    assert "--shape is about a model" in capsys.readouterr().err


def test_outputs_that_are_not_finite_fail(tmp_path: Path) -> None:
    forward = check_model(save(parse("g (float[4] x) => (float[4] y) { a = Sub(x, x) y = Div(a, a) }"), tmp_path))[4]
    assert forward.status == "fail" and "'y' is not finite" in forward.message


def test_a_model_that_needs_an_unknown_operator_fails_only_the_run(tmp_path: Path) -> None:
    found = statuses(save(parse("g (float[4] x) => (float[4] y) { y = my.own(x) }", my=1), tmp_path))
    assert found == failing("forward")


def test_a_stock_target_is_checked_by_its_name(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And says at once which runtimes are missing, with the line that installs them."""
    from autoglmc.compiler import cli
    from autoglmc.compiler.devices.adapter import Absent
    from autoglmc.compiler.devices.qnn import QnnAdapter

    monkeypatch.setattr(QnnAdapter, "missing", lambda self: Absent("onnxruntime-qnn is not installed", "pip install onnxruntime-qnn"))
    assert cli.run(["check", "workstation"]) == 0
    said = capsys.readouterr().out
    assert "'workstation' with npu, gpu, xnn, cpu" in said
    assert "npu: qnn htp soc 57 arch 75 does not run here: onnxruntime-qnn is not installed (pip install onnxruntime-qnn)" in said
