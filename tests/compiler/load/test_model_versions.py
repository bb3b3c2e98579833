from __future__ import annotations

import onnx
import pytest
from small_models import RELU, parse

from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.versions import check_versions, opset_of


@pytest.mark.parametrize("opset", [7, 13, 18, 21])
def test_known_versions_pass_and_are_named(opset: int) -> None:
    assert check_versions(parse(RELU, opset=opset), "") == f"opset {opset}, IR version 8"


@pytest.mark.parametrize(("opset", "ir", "words"), [(999, 8, "opset 999"), (18, 99, "IR version 99"), (0, 8, "opset 0")])
def test_unknown_versions_are_named_with_what_is_installed(opset: int, ir: int, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        check_versions(parse(RELU, opset=opset, ir=ir), "m.onnx")
    assert words in caught.value.message
    assert opset == 0 or (onnx.__version__ in caught.value.message and "pip install" in caught.value.help)


def test_what_onnx_knows_but_the_runtime_does_not_is_refused() -> None:
    newest = onnx.defs.onnx_opset_version()
    import onnxruntime

    model = parse(RELU, opset=newest)
    try:
        onnxruntime.InferenceSession(model.SerializeToString())
    except Exception:
        with pytest.raises(ModelError, match="onnxruntime"):
            check_versions(model, "")
    else:
        assert check_versions(model, "")


def test_no_opset_at_all() -> None:
    model = parse(RELU)
    del model.opset_import[:]
    with pytest.raises(ModelError, match="names no opset"):
        check_versions(model, "")
    model.ir_version = 2
    assert opset_of(model) == 1
