"""Core AI, Apple's successor to Core ML from iOS 27 and macOS 27 on: segments as .aimodel folders.

They are written through Apple's authoring API and accepted by Apple's verifier, on any machine. Apple's devices are not here: what runs
is the interpreter that Apple ships with coreai-core, on this machine's CPU; a remark says so. Programs have the segment's own dtypes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import BundleError
from ..adapter import Absent, LoadedSegment, Needs, Port
from ..in_place import caches_in
from ..views import view_at
from .api import ENTRY
from .asset import write_asset
from .program import Function
from .run import Interpreted

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

RELEASE = "1.0.0b3"
"""Of coreai-core: another beta has other operators, and its raw operators are no stable API."""
INSTALL = f"pip install 'coreai-core=={RELEASE}'"
SYSTEMS = ("ios", "macos")
OLDEST = 27
NOT_RUN = "Apple device"


class CoreAiAdapter:
    """`runtime coreai ios >= 27`."""

    name = "coreai"
    needs = Needs()
    suffix = ".aimodel"
    narrow = ""
    keeps_caches = True
    in_place = "Apple's interpreter on this CPU"

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = words

    def missing(self) -> Absent | None:
        """An Apple device is never here; with the extra its segments are run by Apple's interpreter."""
        return self.cannot_compile()

    def cannot_compile(self) -> Absent | None:
        floors = stated(self._words)
        if not floors or any(float(version) < OLDEST for version in floors.values()):
            line = " ".join(("coreai", *self._words))
            return Absent(f"`runtime {line}`: Core AI begins with ios >= {OLDEST} and macos >= {OLDEST}")
        return not_installed()

    def versions(self) -> Mapping[str, str]:
        return {"coreai_core": RELEASE, **{f"minimum_{system}": version for system, version in sorted(stated(self._words).items())}}

    def compile(self, model: Path, blob: Path) -> None:
        """Raises Refused naming the operator and node that is not converted."""
        self.join({ENTRY: model}, blob)

    def join(self, models: Mapping[str, Path], blob: Path) -> None:
        import onnx

        loaded = {name: onnx.load_model(path) for name, path in models.items()}
        write_asset([Function(name=name, model=model, states=caches_in(model)) for name, model in loaded.items()], blob, {})

    def load(self, path: Path, blob: Path | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        assert blob is not None
        try:
            return _StandIn(path, Interpreted(blob), inputs, outputs)
        except (RuntimeError, ValueError, OSError) as error:
            raise BundleError(f"Core AI cannot load {blob.name}: {_brief(error)}", where=str(path)) from error


def stated(words: Sequence[str]) -> Mapping[str, str]:
    """System -> its oldest version, of `ios >= 27 macos >= 27`."""
    given = [word for word in words if word != ">="]
    return {system: version for system, version in zip(given[::2], given[1::2], strict=False) if system in SYSTEMS}


def not_installed() -> Absent | None:
    """Why no asset can be written here."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("coreai-core")
    except PackageNotFoundError:
        return Absent("Core AI (coreai-core) is not installed", INSTALL)
    return None if found == RELEASE else Absent(f"coreai-core {found} is installed, and only {RELEASE} is supported", INSTALL)


class _StandIn:
    """A segment on Apple's interpreter, in place of an Apple device. Its tensors are copied; int64 is int32 in the asset."""

    copies = True
    not_run = NOT_RUN
    device = "Core AI's interpreter on this CPU, in place of an Apple device"

    def __init__(self, path: Path, asset: Interpreted, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        import onnx

        self._path, self._asset = path, asset
        self._function = path.stem if path.stem in asset.functions else ENTRY
        self._states = caches_in(onnx.load_model(path, load_external_data=False))
        self._inputs, self._outputs = ({port.name: view_at(port) for port in ports} for ports in (inputs, outputs))
        self.remarks = (f"{path.stem} was written for Core AI and ran on Apple's interpreter on this CPU: it never ran on an Apple device",)

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            given = {name: narrowed(view) for name, view in self._inputs.items()}
            kept = {past: given.pop(past) for past in self._states}
            made, left = self._asset.step(given, kept, self._function)
            made |= {present: left[past] for past, present in self._states.items()}
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"Core AI cannot run {self._path.name}: {_brief(error)}", where=str(self._path)) from error
        if missing := [name for name in self._outputs if name not in made]:
            raise BundleError(f"Core AI's asset does not write {', '.join(missing)}", where=str(self._path))
        for name, view in self._outputs.items():
            view[...] = made[name]
        return {}

    def misplaced(self) -> Sequence[str]:
        return ()  # it has no addresses of ours to report: marks.py is the proof


def narrowed(array: Array) -> Array:
    """As an asset takes it: int64 is int32. Raises ValueError for numbers that int32 does not hold."""
    import numpy

    if array.dtype != numpy.int64:
        return array
    made = array.astype(numpy.int32)
    if not numpy.array_equal(made, array):
        raise ValueError("an input of int64 has numbers beyond int32, in which a .aimodel has it")
    return made


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:1000] or type(error).__name__
