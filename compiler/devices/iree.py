"""GPUs through IREE and Vulkan.

A segment is imported to MLIR, given one more argument per output (the buffer to write into), and compiled to SPIR-V. Its buffers are the
arena's own pages, imported into the Vulkan device; where its driver imports no memory of the host (VK_EXT_external_memory_host), inputs and
outputs are copied, and the session has a note about it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import BundleError
from ..own_python import PYTHON
from ..parent import ending
from .adapter import Absent, CompilerFault, LoadedSegment, Needs, Port
from .iree_segments import PAGE, VulkanSegment, vulkan_name

TARGET = "vp_android_baseline_2022"
"""What nearly every phone's Vulkan driver offers."""
SIGNALS = 128
"""From there on the exit code of a program that started another one says by which signal that ended."""
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
            vulkan_name()
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
            return VulkanSegment(path, blob, inputs, outputs)
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
    if done.returncode < 0 or done.returncode > SIGNALS:
        raise CompilerFault(f"{module} ended with {ending(done.returncode)}: {_complaint(done.stderr or done.stdout)}")
    if done.returncode:
        raise RuntimeError(_complaint(done.stderr or done.stdout))


def _complaint(text: str) -> str:
    """The errors of a compiler's log, without the IR and stack it prints after them."""
    lines = [line for line in text.splitlines() if "error:" in line or "Error" in line]
    return "\n".join(lines[:6]) or text.strip()[-1000:]
