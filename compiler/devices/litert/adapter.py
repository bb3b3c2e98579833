"""LiteRT (TensorFlow Lite without TensorFlow) on the CPU, with XNNPACK's kernels: what Android apps run models with.

A segment is written as a .tflite file by our own emitter and run by LiteRT's C interface, bound to the arena's addresses. fp32 is computed
in fp32. Where the C interface is not the expected one, LiteRT's interpreter runs the segment and its tensors are copied; a note says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import BundleError
from ..adapter import Absent, LoadedSegment, Needs, Port
from ..silence import silenced
from .bound import ALIGN, BoundSegment
from .compiled import Compiled, Options
from .copying import CopyingSegment
from .library import LiteRtError
from .offsets import beyond_the_end
from .probe import refusal

if TYPE_CHECKING:
    import numpy
    import onnx

RELEASE = "2.3"
"""Of ai-edge-litert: the C interface of another may differ without saying so."""
INSTALL = "pip install 'ai-edge-litert>=2.3,<2.4'"
STDERR = 2


class LiteRtAdapter:
    """`runtime litert`."""

    name = "litert"
    needs = Needs(align=ALIGN)
    suffix = ".tflite"
    narrow = ""

    def missing(self) -> Absent | None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("ai-edge-litert")
        except PackageNotFoundError:
            return Absent("LiteRT (ai-edge-litert) is not installed", INSTALL)
        if found.split(".")[:2] != RELEASE.split("."):
            return Absent(f"LiteRT {found} is installed, and only {RELEASE} is supported", INSTALL)
        return None

    def cannot_compile(self) -> Absent | None:
        return self.missing()

    def versions(self) -> Mapping[str, str]:
        from importlib.metadata import version

        return {"ai_edge_litert": version("ai-edge-litert")}

    def compile(self, model: Path, blob: Path) -> None:
        import onnx

        blob.write_bytes(self.written(onnx.load_model(model)))

    def written(self, model: onnx.ModelProto, *, integers_alone: bool = False) -> bytes:
        """The .tflite file of a segment; `integers_alone`: as `write_tflite` has it. Raises ValueError naming what LiteRT cannot run."""
        import onnx

        from ..tflite.emit import write_tflite

        return write_tflite(onnx.shape_inference.infer_shapes(model), integers_alone=integers_alone)

    def load(self, path: Path, blob: Path | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        assert blob is not None
        try:
            pages = _mapped(blob)
            beyond_the_end(pages)
            why = refusal()
            if why:
                with silenced(STDERR):
                    return CopyingSegment(path, blob, inputs, outputs, _threads(), why)
            with silenced(STDERR):
                model = Compiled(pages, Options(threads=_threads()))
            return BoundSegment(path, model, inputs, outputs, "LiteRT CPU")
        except (LiteRtError, RuntimeError, ValueError, OSError) as error:
            raise BundleError(f"LiteRT cannot load {blob.name}: {str(error).strip()[:1000]}", where=str(path)) from error


def _threads() -> int:
    """As many as there are processors for this process, as onnxruntime takes."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _mapped(blob: Path) -> numpy.ndarray[Any, Any]:
    """The file's pages, shared with whoever else maps it. Private: LiteRT's types want them writable; nobody writes to them."""
    import numpy

    return numpy.memmap(blob, numpy.uint8, "c")
