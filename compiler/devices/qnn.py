"""Qualcomm's Hexagon NPU through onnxruntime-qnn: the real compiler of the HTP, and on x86-64 Linux its emulator.

A segment is compiled to an EPContext model (one Hexagon graph, nothing else in it) and bound by address like any onnxruntime session.
fp32 segments are computed in fp16. Falling back to the CPU inside the runtime is turned off: a segment the compiler refuses fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .adapter import Absent, LoadedSegment, Needs, Port
from .ort import BoundSegment, as_bundle_error, bound
from .silence import silenced

if TYPE_CHECKING:
    import onnxruntime

PROVIDER = "QNNExecutionProvider"
INTEGERS = "offload_graph_io_quantization"
"""Otherwise a QuantizeLinear that reads an input and a DequantizeLinear that writes an output are left to the CPU, which is refused."""
STDOUT = 1
"""The emulator prints a line there when its first graph starts, whatever stands there (`--json`)."""


class QnnAdapter:
    """`runtime qnn htp arch 75 soc 57`: both numbers are required, the compiler optimises for exactly that chip."""

    name = "qnn"
    needs = Needs()
    suffix = ".qnn.onnx"
    narrow = "fp16"

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = words
        self._options = dict(zip(words[1::2], words[2::2], strict=False))

    def missing(self) -> Absent | None:
        if self._words[:1] == ("gpu",):
            return Absent("QNN's GPU back end needs an Adreno GPU")
        if self._words[:1] != ("htp",) or not {"arch", "soc"} <= self._options.keys():
            return Absent(f"`runtime qnn {' '.join(self._words)}` lacks `htp soc N arch N`")
        if not (self._options["arch"].isdecimal() and self._options["soc"].isdecimal()):
            return Absent(f"`runtime qnn {' '.join(self._words)}`: arch and soc are numbers")
        try:
            import onnxruntime_qnn  # noqa: F401
        except ImportError:
            return Absent("onnxruntime-qnn is not installed", "pip install 'onnxruntime-qnn>=2.7,<2.8'")
        return None

    def cannot_compile(self) -> Absent | None:
        return self.missing()

    def versions(self) -> Mapping[str, str]:
        import onnxruntime
        import onnxruntime_qnn
        from onnxruntime_qnn import build_and_package_info

        return {
            "onnxruntime": onnxruntime.__version__,
            "onnxruntime_qnn": str(onnxruntime_qnn.__version__),
            "qnn_sdk": str(getattr(build_and_package_info, "qnn_version", "")),
            "arch": self._options["arch"],
            "soc_model": self._options["soc"],
        }

    def compile(self, model: Path, blob: Path) -> None:
        import onnxruntime

        compiler = onnxruntime.ModelCompiler(self._session_options(), str(model), embed_compiled_data_into_model=True)
        compiler.compile_to_file(str(blob))

    def load(self, path: Path, blob: Path | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        import onnxruntime

        assert blob is not None
        with as_bundle_error(path), silenced(STDOUT):
            session = onnxruntime.InferenceSession(str(blob), self._session_options())
        return _HexagonSegment(bound(path, session, inputs, outputs), f"Hexagon HTP v{self._options['arch']}{_emulated()}")

    def _session_options(self) -> onnxruntime.SessionOptions:
        import onnxruntime
        import onnxruntime_qnn

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        chosen = {"backend_path": onnxruntime_qnn.get_qnn_htp_path(), "htp_arch": self._options["arch"], INTEGERS: "0"}
        options.add_provider_for_devices([_device()], {**chosen, "soc_model": self._options["soc"]})
        return options


@cache
def _device() -> Any:
    """onnxruntime's name for the back end; registering the library is once a process."""
    import onnxruntime
    import onnxruntime_qnn

    onnxruntime.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
    return next(device for device in onnxruntime.get_ep_devices() if device.ep_name == PROVIDER)


def _emulated() -> str:
    import platform

    return " (emulator)" if platform.machine() in ("x86_64", "AMD64") else ""


class _HexagonSegment:
    def __init__(self, session: BoundSegment | Any, device: str, warm: bool = False) -> None:
        self._session, self.device = session, device
        self.copies: bool = session.copies
        self._warm = warm

    def again(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        return _HexagonSegment(self._session.again(inputs, outputs), self.device, self._warm)

    def halt(self, stop: bool) -> None:
        self._session.halt(stop)

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._warm:
            return self._session.run(values)
        self._warm = True
        with silenced(STDOUT):
            return self._session.run(values)

    def misplaced(self) -> Sequence[str]:
        return self._session.misplaced()
