"""OpenVINO: a second CPU runtime, with the same calls for Intel GPUs and NPUs.

Inputs and outputs are tensors over the arena's own pages. A compiled segment is checked to be on the requested device and to compute
what it says: left to itself OpenVINO computes fp32 models in bf16 where the CPU has it (error 0.03), and quantises what is multiplied by
int8 or int4 weights (error 0.03 to 0.05). A compiled file carries none of that: what counts is what is set when it is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import BundleError
from .adapter import Absent, LoadedSegment, Needs, Port
from .views import ONNX_TYPES, view_at

BINDABLE = frozenset({"fp32", "fp16", "int32", "int8", "uint8", "bool"})
"""Dtypes that it computes as they are or wider. Without a word it computes fp64 in fp32 and int64 in int32, which gives other results."""

PINNED: Mapping[str, str] = {
    "INFERENCE_PRECISION_HINT": "f32",
    "EXECUTION_MODE_HINT": "ACCURACY",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    "KV_CACHE_PRECISION": "f32",
    "KEY_CACHE_PRECISION": "f32",
    "VALUE_CACHE_PRECISION": "f32",
    "CPU_DENORMALS_OPTIMIZATION": "NO",
    "CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE": "1",
}
"""What OpenVINO may decide about the numbers, where a device has the property. The mode alone would do for the quantisation (its default
follows the mode), but a later version may tie them otherwise."""
PRECISION = "INFERENCE_PRECISION_HINT"


class OpenVinoAdapter:
    """`runtime openvino cpu`; `gpu` and `npu` where OpenVINO finds one."""

    name = "openvino"
    needs = Needs(align=64)
    suffix = ".ovblob"
    narrow = ""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._device = words[0].upper() if words else "CPU"

    def missing(self) -> Absent | None:
        try:
            import openvino
        except ImportError:
            return Absent("OpenVINO is not installed", "pip install 'openvino>=2026.4,<2026.5'")
        found = openvino.Core().available_devices
        if not any(name == self._device or name.startswith(f"{self._device}.") for name in found):
            return Absent(f"OpenVINO finds no {self._device} here, only {', '.join(found) or 'nothing'}")
        return None

    def cannot_compile(self) -> Absent | None:
        return self.missing()

    def versions(self) -> Mapping[str, str]:
        import openvino

        build = {"openvino": str(openvino.__version__), "mode": "accuracy"}
        if self._device == "CPU":
            return build
        return {**build, "device": str(openvino.Core().get_property(self._device, "FULL_DEVICE_NAME"))}

    def compile(self, model: Path, blob: Path) -> None:
        import openvino

        _check_dtypes(model)
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(str(model)), self._device, self._settings(core))
        self._check(compiled)
        blob.write_bytes(compiled.export_model().getvalue())

    def load(self, path: Path, blob: Path | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        import openvino

        assert blob is not None
        try:
            mapped = _mapped(blob)
            core = openvino.Core()
            compiled = core.import_model(mapped, self._device, self._settings(core))
            self._check(compiled)
            return _BoundSegment(path, (compiled, mapped), inputs, outputs)
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"OpenVINO cannot load {blob.name}: {str(error).strip()[:1000]}", where=str(path)) from error

    def _settings(self, core: Any) -> dict[str, str]:
        """PINNED as far as the device has it; the precision always, so that a device without that is refused."""
        found = core.get_property(self._device, "SUPPORTED_PROPERTIES")
        pinned = {name: value for name, value in PINNED.items() if name == PRECISION or found.get(name) == "RW"}
        return {**pinned, "PERFORMANCE_HINT": "LATENCY"}

    def _check(self, compiled: Any) -> None:
        """Raises RuntimeError where it would run elsewhere, or compute otherwise, than requested."""
        devices = list(compiled.get_property("EXECUTION_DEVICES"))
        if any(device.split(".")[0] != self._device for device in devices):
            raise RuntimeError(f"it would run on {', '.join(devices)}, not on {self._device}")
        known = compiled.get_property("SUPPORTED_PROPERTIES")
        for name in (name for name in PINNED if name == PRECISION or name in known):
            found = _said(compiled.get_property(name))
            if found != _said(PINNED[name]):
                raise RuntimeError(f"{name} would be {found}, not {PINNED[name]}: its results would be less exact than the segment's own")


def _mapped(blob: Path) -> Any:
    """The file's pages as a tensor: reading it would hold its weights once more. Private pages, since OpenVINO takes no others; it
    writes to none."""
    import numpy
    import openvino

    return openvino.Tensor(numpy.memmap(blob, numpy.uint8, "c"), shared_memory=True)


def _said(value: Any) -> str:
    """A property's value as it is set: OpenVINO answers in types, enums, booleans, numbers or text."""
    if hasattr(value, "get_type_name"):
        return str(value.get_type_name())
    text = str(getattr(value, "name", value))
    return {"False": "NO", "True": "YES", "1.0": "1"}.get(text, text)


def _check_dtypes(path: Path) -> None:
    """Raises RuntimeError for a segment with a tensor that OpenVINO would compute in a narrower dtype; constants are fine."""
    import onnx

    model = onnx.load_model(path, load_external_data=False)
    typed = onnx.shape_inference.infer_shapes(model).graph
    names = {number: name for name, number in ONNX_TYPES.items()}
    weights = {tensor.name for tensor in typed.initializer}
    for value in (*typed.input, *typed.value_info, *typed.output):
        dtype = names.get(value.type.tensor_type.elem_type, "no tensor of a known dtype")
        if value.name not in weights and dtype not in BINDABLE:
            raise RuntimeError(f"{value.name} is {dtype}; OpenVINO keeps only {', '.join(sorted(BINDABLE))} as they are")


class _BoundSegment:
    copies = False

    def __init__(self, path: Path, model: tuple[Any, Any], inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        """`model`: as compiled, and the mapped file that its weights lie in."""
        compiled, _ = model
        self._path, self._model, self._halted = path, model, False
        _same_names(path, "inputs", inputs, compiled.inputs)
        _same_names(path, "outputs", outputs, compiled.outputs)
        self._request = compiled.create_infer_request()
        self._outputs = tuple(outputs)
        self._tensors = {port.name: _tensor(path, port) for port in (*inputs, *outputs)}
        for name, tensor in self._tensors.items():
            self._request.set_tensor(name, tensor)
        self.device = f"OpenVINO {', '.join(compiled.get_property('EXECUTION_DEVICES'))}"

    def again(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        """Another request of the same compiled model, whose weights are there once."""
        return _BoundSegment(self._path, self._model, inputs, outputs)

    def halt(self, stop: bool) -> None:
        self._halted = stop
        if stop:
            self._request.cancel()

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._halted:
            raise BundleError(f"the run of {self._path.name} was stopped", where=str(self._path))
        try:
            self._request.infer()
        except RuntimeError as error:
            raise BundleError(f"OpenVINO cannot run {self._path.name}: {str(error).strip()[:1000]}", where=str(self._path)) from error
        return {}

    def misplaced(self) -> Sequence[str]:
        return [p.name for p in self._outputs if self._tensors[p.name].get_size() and self._address(p.name) != p.address]

    def _address(self, name: str) -> int:
        return int(self._request.get_tensor(name).data.ctypes.data)


def _same_names(path: Path, what: str, listed: Sequence[Port], found: Sequence[Any]) -> None:
    names = [port.name for port in listed]
    taken = [name for value in found for name in value.get_names() if name in names]
    if sorted(names) != sorted(taken) or len(names) != len(found):
        known = sorted(name for value in found for name in value.get_names())
        raise BundleError(f"{path.name} has the {what} {known}, the manifest lists {sorted(names)}", where=str(path))


def _tensor(path: Path, port: Port) -> Any:
    """A tensor over the port's own memory. Raises BundleError where OpenVINO would need a copy or change the dtype."""
    import openvino

    if port.address is None or port.shape is None:
        raise BundleError(f"{path.name}: {port.name} has no address, and OpenVINO is only given addresses", where=str(path))
    if port.dtype not in BINDABLE:
        kept = ", ".join(sorted(BINDABLE))
        raise BundleError(f"{path.name}: {port.name} is {port.dtype}; OpenVINO keeps only {kept} as they are", where=str(path))
    return openvino.Tensor(view_at(port), shared_memory=True)
