"""GPUs through IREE and Vulkan.

A segment is imported to MLIR, given one more argument per output (the buffer to write into), and compiled to SPIR-V. Its buffers are the
arena's own pages, imported into the Vulkan device; there is no other memory for its inputs and outputs.
"""

from __future__ import annotations

import copy
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import BundleError
from ..own_python import PYTHON
from .adapter import Absent, LoadedSegment, Needs, Port
from .views import bytes_at, numpy_dtype, packed_bytes

PAGE = 4096
"""Vulkan's minImportedHostPointerAlignment on the drivers tried; a driver that wants more refuses the import with its number."""
TARGET = "vp_android_baseline_2022"
"""What nearly every phone's Vulkan driver offers."""
MEMORY = 0x56
"""HOST_LOCAL | DEVICE_VISIBLE | HOST_CACHED | HOST_COHERENT of iree_hal_memory_type_t."""
USAGE = 0xC03
"""TRANSFER | DISPATCH_STORAGE of iree_hal_buffer_usage_t."""
ENTRY = re.compile(r"func\.func @(?P<name>[^(]+)\((?P<args>.*?)\) -> (?P<results>\(.*?\)|!torch\.\S+) attributes", re.DOTALL)
RETURN = re.compile(r"^(?P<indent>[ \t]*)return (?P<values>%[^:]*) : .*$", re.MULTILINE)


class IreeAdapter:
    """`runtime iree vulkan`."""

    name = "iree"
    needs = Needs(align=PAGE, length_multiple=PAGE)
    suffix = ".vmfb"
    narrow = ""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = words

    def missing(self) -> Absent | None:
        lack = self._lacks("iree.runtime")
        if lack is not None:
            return lack
        try:
            _device_name()
        except (RuntimeError, ValueError, IndexError) as error:
            lines = str(error).strip().splitlines()
            reason = f"no Vulkan device: {lines[-1][:200] if lines else type(error).__name__}"
            return Absent(reason, "install a Vulkan driver; in software: apt-get install mesa-vulkan-drivers")
        return None

    def cannot_compile(self) -> Absent | None:
        return self._lacks("iree.compiler", "iree.runtime")

    def _lacks(self, *modules: str) -> Absent | None:
        """What of IREE is not here; a machine that only runs segments needs no compiler."""
        from importlib import import_module

        if self._words[:1] != ("vulkan",):
            return Absent(f"`runtime iree {' '.join(self._words)}` lacks `vulkan`")
        try:
            for module in modules:
                import_module(module)
        except ImportError:
            return Absent("IREE is not installed", "pip install 'iree-base-compiler>=3.13,<3.14' 'iree-base-runtime>=3.13,<3.14'")
        return None

    def versions(self) -> Mapping[str, str]:
        """Compiler and runtime are released together under one number."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            release = version("iree-base-compiler")
        except PackageNotFoundError:
            release = version("iree-base-runtime")
        return {"iree_compiler": release, "vulkan_target": TARGET}

    def compile(self, model: Path, blob: Path) -> None:
        imported, written = blob.with_suffix(".mlir"), blob.with_suffix(".written.mlir")
        _tool("iree.compiler.tools.import_onnx", str(model), "-o", str(imported))
        written.write_text(destination_passing(imported.read_text(encoding="utf-8")), encoding="utf-8")
        flags = ("--iree-hal-target-device=vulkan", f"--iree-vulkan-target={TARGET}", "--mlir-disable-threading")
        _tool("iree.compiler.tools.scripts.iree_compile", str(written), "-o", str(blob), *flags)

    def load(self, path: Path, blob: Path | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        assert blob is not None
        try:
            return _ImportedSegment(path, blob, inputs, outputs)
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"IREE cannot load {blob.name}: {str(error).strip()[:1000]}", where=str(path)) from error


def destination_passing(text: str) -> str:
    """MLIR of an imported ONNX model whose function writes its results into further arguments instead of returning them.

    Raises ValueError for a text that the importer of another version may have written."""
    entry, back = ENTRY.search(text), RETURN.search(text)
    if entry is None or back is None:
        raise ValueError("the imported model has no function of the expected form: this version of IREE is not supported")
    results = re.findall(r"!torch\.vtensor<[^>]*>", entry["results"])
    values = [value.strip() for value in back["values"].split(",")]
    if len(values) != len(results):
        raise ValueError(f"the imported function returns {len(values)} values of {len(results)} types")
    places = [kind.replace("vtensor", "tensor", 1) for kind in results]
    added = ", ".join(f"%out{k}: {kind}" for k, kind in enumerate(places))
    head = f"func.func @{entry['name']}({', '.join(filter(None, (entry['args'], added)))}) attributes"
    writes = (
        f"{back['indent']}torch.overwrite.tensor.contents {value} overwrites %out{k} : {kind}, {place}"
        for k, (value, kind, place) in enumerate(zip(values, results, places, strict=True))
    )
    body = text[entry.end() : back.start()] + "\n".join((*writes, f"{back['indent']}return")) + text[back.end() :]
    return text[: entry.start()] + head + body


def _tool(module: str, *arguments: str) -> None:
    done = subprocess.run([*PYTHON, "-m", module, *arguments], capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise RuntimeError(_complaint(done.stderr or done.stdout))


def _complaint(text: str) -> str:
    """The errors of a compiler's log, without the IR and stack it prints after them."""
    lines = [line for line in text.splitlines() if "error:" in line or "Error" in line]
    return "\n".join(lines[:6]) or text.strip()[-1000:]


def _device_name() -> str:
    import iree.runtime

    found = iree.runtime.get_driver("vulkan").query_available_devices()
    return str(found[0]["name"])


class _ImportedSegment:
    copies = False

    def __init__(self, path: Path, blob: Path, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        import iree.runtime as runtime

        self._path = path
        config = self._config = runtime.Config("vulkan")
        self.device = f"Vulkan: {_device_name()}"
        module = runtime.VmModule.mmap(config.vm_instance, str(blob))
        self._context = runtime.SystemContext(config=config)
        self._context.add_vm_module(module)
        entry = next(name for name in module.function_names if "$" not in name and not name.startswith("__"))
        self._function = module.lookup_function(entry)
        self._bind(inputs, outputs)

    def _bind(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        for port in (*inputs, *outputs):
            if port.address is None or port.shape is None:
                raise BundleError(f"{self._path.name}: {port.name} has no address, and IREE is only given addresses", where=str(self._path))
        self._views = [_view(self._config, port) for port in (*inputs, *outputs)]

    def again(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        """The same context, and so the same weights on the device."""
        other = copy.copy(self)
        other._bind(inputs, outputs)
        return other

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        import iree.runtime as runtime

        arguments, results = runtime.VmVariantList(len(self._views)), runtime.VmVariantList(0)
        for view in self._views:
            arguments.push_ref(view)
        try:
            self._context.vm_context.invoke(self._function, arguments, results)
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"IREE cannot run {self._path.name}: {str(error).strip()[:1000]}", where=str(self._path)) from error
        return {}

    def misplaced(self) -> Sequence[str]:
        return ()  # IREE reports no addresses: marks.py is the proof


def _view(config: Any, port: Port) -> Any:
    import iree.runtime as runtime
    from iree.runtime.array_interop import map_dtype_to_element_type

    memory = bytes_at(port, -(-packed_bytes(port) // PAGE) * PAGE)
    buffer = config.device.allocator.import_host_allocation(memory, memory_type=MEMORY, allowed_usage=USAGE)
    return runtime.HalBufferView(buffer, port.shape, map_dtype_to_element_type(numpy_dtype(port.dtype)))
