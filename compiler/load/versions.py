"""Is the model of an IR version and opset that the installed onnx and onnxruntime know?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..devices.cpu_session import open_session
from ..errors import ModelError

if TYPE_CHECKING:
    import onnx

DEFAULT_DOMAINS = ("", "ai.onnx")
RUNTIME_FLOOR = (23, 11)
"""Opset and IR version that the oldest onnxruntime we accept (1.22) runs: up to here no test is needed."""


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the default operator set; 1 where a model from before IR 3 names none."""
    return next((entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS), 1)


def check_versions(model: onnx.ModelProto, where: str) -> str:
    """A sentence that names the versions found; raises ModelError when one is missing or too new."""
    import onnx

    opset, ir = opset_of(model), model.ir_version
    if not model.opset_import and ir >= 3:
        raise ModelError(
            "the model names no opset (opset_import is missing)", where=where, help="export it again; the file may be cut short"
        )
    if opset < 1:
        raise ModelError(f"opset {opset} does not exist", where=where, help="export the model again")
    known = onnx.defs.onnx_opset_version()
    if opset > known:
        raise _too_new(f"opset {opset}", f"onnx {onnx.__version__} (opset {known})", where, f"export with opset {known} or older")
    if ir > onnx.IR_VERSION:
        raise _too_new(
            f"IR version {ir}", f"onnx {onnx.__version__} (IR {onnx.IR_VERSION})", where, f"export with IR {onnx.IR_VERSION} or older"
        )
    if (opset > RUNTIME_FLOOR[0] or ir > RUNTIME_FLOOR[1]) and not _runtime_takes(opset, ir):
        import onnxruntime

        raise _too_new(
            f"opset {opset}, IR version {ir}",
            f"onnxruntime {onnxruntime.__version__}",
            where,
            f"export with opset {RUNTIME_FLOOR[0]} or older",
        )
    return f"opset {opset}, IR version {ir}"


def _too_new(what: str, installed: str, where: str, other: str) -> ModelError:
    return ModelError(
        f"{what} is newer than the installed {installed}", where=where, help=f"pip install --upgrade onnx onnxruntime, or {other}"
    )


def _runtime_takes(opset: int, ir: int) -> bool:
    """Whether onnxruntime loads one Identity of that version; it has no function that says so."""
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", [x], [y])
    probe = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    try:
        open_session(probe.SerializeToString())
    except Exception:
        return False
    return True
