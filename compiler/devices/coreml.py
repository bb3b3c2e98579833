"""Core ML: segments are emitted as .mlpackage folders, on any machine; they run only in an app on an Apple machine.

The conversion is ours (mil/), through coremltools' builder; whatever it does not convert is refused with the operator and node. fp32 is
computed in fp16.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import BundleError
from .adapter import Absent, LoadedSegment, Needs, Port

if TYPE_CHECKING:
    import onnx

TARGETS = {("ios", 16): "iOS16", ("ios", 17): "iOS17", ("ios", 18): "iOS18", ("macos", 13): "macOS13", ("macos", 14): "macOS14"}
TARGETS |= {("macos", 15): "macOS15"}
"""System and its oldest version -> coremltools' name. Between two of them the older one is emitted: newer systems read it."""
NOTHING: Mapping[str, str] = MappingProxyType({})
ELSEWHERE = Absent("Core ML segments are emitted as .mlpackage and run only in an app on an Apple machine")


class CoreMlAdapter:
    """`runtime coreml mlprogram ios >= 17`."""

    name = "coreml"
    needs = Needs()
    suffix = ".mlpackage"
    narrow = "fp16"

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = words

    def missing(self) -> Absent | None:
        """With coremltools or without."""
        return self._never_emitted() or ELSEWHERE

    def cannot_compile(self) -> Absent | None:
        from importlib.util import find_spec

        lack = self._never_emitted()
        if lack is None and find_spec("coremltools") is None:
            return Absent("coremltools is not installed", "pip install 'coremltools>=9.0,<9.1'")
        return lack

    def _never_emitted(self) -> Absent | None:
        """Of words that no coremltools serves."""
        if self._words[:1] != ("mlprogram",):
            return Absent(f"`runtime coreml {' '.join(self._words)}`: only mlprogram is emitted")
        if self._target_name() is None:
            return Absent(f"`runtime coreml {' '.join(self._words)}`: MLPrograms are emitted for ios >= 16 or macos >= 13")
        return None

    def versions(self) -> Mapping[str, str]:
        from importlib.metadata import version

        return {"coremltools": version("coremltools"), "deployment_target": str(self._target_name())}

    def compile(self, model: Path, blob: Path) -> None:
        import onnx

        emit_package(onnx.load_model(model), blob, self._words)

    def load(self, path: Path, blob: Path | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        raise BundleError(ELSEWHERE.reason, where=str(path))

    def _target_name(self) -> str | None:
        return target_name(self._words)


def target_name(words: tuple[str, ...]) -> str | None:
    """The newest deployment target that the `ios >= 17` of the line allows; iOS 16 where it says nothing."""
    given = [word for word in words[1:] if word != ">="]
    floors = dict(zip(given[::2], given[1::2], strict=False))
    system = "macos" if "macos" in floors and "ios" not in floors else "ios"
    stated = int(float(floors.get(system, "16" if system == "ios" else "13")))
    known = [version for name, version in TARGETS if name == system and version <= stated]
    return TARGETS[system, max(known)] if known else None


def emit_package(model: onnx.ModelProto, folder: Path, words: tuple[str, ...], metadata: Mapping[str, str] = NOTHING) -> None:
    """The model as an .mlpackage folder for the system that `words` name. metadata: the model's own, which the package keeps.

    Raises mil.node.Refused naming the operator and node that is not converted."""
    logging.disable(logging.WARNING)  # coremltools warns that Core ML itself is not here
    import coremltools

    from .mil.package import write_package
    from .mil.program import build_program

    target: Any = getattr(coremltools.target, str(target_name(words)))
    write_package(build_program(model, target), folder, target, metadata)
