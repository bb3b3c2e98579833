"""onnxruntime on the CPU: the device every target has, and the stand-in for those that are not here.

Inputs and outputs are bound by address through io_binding. Strings and sequences cannot be bound; a segment with one of those among
its ports is run by feeding and fetching, which copies, and says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import BundleError
from .adapter import Absent, LoadedSegment, Needs, Port
from .cpu_session import open_session
from .interruption import new_run_options
from .ort_settings import DEFAULT, OrtSettings
from .ort_values import to_ort, to_plain
from .views import ONNX_TYPES, view_at

if TYPE_CHECKING:
    import onnx
    import onnxruntime

UNBOUND = frozenset({"string", "sequence", "optional"})
NOTHING: Mapping[str, Any] = MappingProxyType({})


class OrtAdapter:
    """`runtime ort`."""

    name = "ort"
    needs = Needs()
    suffix = ""
    narrow = ""
    spin = True
    """Every session has threads of its own. Where a bundle has several, those that spin take the cores from those that compute."""

    def __init__(self, settings: OrtSettings = DEFAULT) -> None:
        self.settings = settings

    def missing(self) -> Absent | None:
        try:
            import onnxruntime  # noqa: F401
        except ImportError:
            return Absent("onnxruntime is not installed", "pip install onnxruntime")
        return None

    def cannot_compile(self) -> Absent | None:
        return self.missing()

    def versions(self) -> Mapping[str, str]:
        return {}

    def compile(self, model: Path, blob: Path) -> None:
        raise NotImplementedError("onnxruntime loads the segment itself")

    def executed(self, model: Path | bytes) -> onnx.ModelProto:
        from .executed_graph import executed_graph

        with as_bundle_error(model if isinstance(model, Path) else Path("a segment")):
            return executed_graph(model, self.settings)

    def load(self, path: Path, blob: Path | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        with as_bundle_error(path):
            session = open_session(path, spin=self.spin, settings=self.settings)
        return bound(path, session, inputs, outputs)


def bound(path: Path, session: onnxruntime.InferenceSession, inputs: Sequence[Port], outputs: Sequence[Port]) -> BoundSegment | FedSegment:
    """A session of any execution provider, bound to its ports."""
    _same_names(path, "inputs", [port.name for port in inputs], [value.name for value in session.get_inputs()])
    _same_names(path, "outputs", [port.name for port in outputs], [value.name for value in session.get_outputs()])
    if any(port.address is None and port.dtype in UNBOUND for port in (*inputs, *outputs)):
        return FedSegment(path, session, inputs, outputs)
    return BoundSegment(path, session, inputs, outputs)


def _same_names(path: Path, what: str, listed: Sequence[str], found: Sequence[str]) -> None:
    if sorted(listed) != sorted(found):
        raise BundleError(f"{path.name} has the {what} {sorted(found)}, the manifest lists {sorted(listed)}", where=str(path))


@contextlib.contextmanager
def as_bundle_error(path: Path) -> Iterator[None]:
    """Turns onnxruntime's exceptions, which share no base class, into a BundleError."""
    try:
        yield
    except BundleError:
        raise
    except Exception as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: Exception) -> BundleError:
    return BundleError(f"onnxruntime cannot run {path.name}: {str(error).strip()[:1000]}", where=str(path))


class BoundSegment:
    """A session with one binding; `again` shares the session, so its weights are resident once."""

    copies = False
    device = "CPU"

    def __init__(self, path: Path, session: onnxruntime.InferenceSession, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        self._path, self._session, self._options = path, session, new_run_options()
        self._outputs = {port.name: port for port in outputs}
        self._named_inputs = tuple(port.name for port in inputs if port.address is None)
        self._named_outputs = tuple(port.name for port in outputs if port.address is None)
        self._binding = session.io_binding()
        with as_bundle_error(path):
            for port in inputs:
                if port.address is not None:
                    self._binding.bind_input(port.name, "cpu", 0, ONNX_TYPES[port.dtype], port.shape, port.address)
            for port in outputs:
                if port.address is not None:
                    self._binding.bind_output(port.name, "cpu", 0, ONNX_TYPES[port.dtype], port.shape, port.address)

    def again(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        return BoundSegment(self._path, self._session, inputs, outputs)

    def halt(self, stop: bool) -> None:
        self._options.terminate = stop

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._named_inputs or self._named_outputs:
            return self._run_named(values)
        try:
            self._session.run_with_iobinding(self._binding, self._options)
        except Exception as error:  # onnxruntime's share no base class
            raise _refused(self._path, error) from error
        return NOTHING

    def _run_named(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        with as_bundle_error(self._path):
            for name in self._named_inputs:
                self._binding.bind_ortvalue_input(name, to_ort(values[name]))
            for name in self._named_outputs:
                self._binding.bind_output(name, "cpu")  # again: the shape may be another one than in the last run
            self._session.run_with_iobinding(self._binding, self._options)
            return {name: value for name, value in self._bound_outputs().items() if name in self._named_outputs}

    def misplaced(self) -> Sequence[str]:
        found = self._bound_outputs()
        wrong = []
        for name, port in self._outputs.items():
            empty = port.shape is not None and 0 in port.shape  # no byte is written, so no address is kept
            if port.address is not None and not empty and found[name].data_ptr() != port.address:
                wrong.append(name)
        return wrong

    def _bound_outputs(self) -> dict[str, Any]:
        """get_outputs() keeps the order in which outputs were bound: by address first, then by name."""
        order = [n for n, p in self._outputs.items() if p.address is not None] + list(self._named_outputs)
        return dict(zip(order, self._binding.get_outputs(), strict=True))


class FedSegment:
    """A session that is fed and fetched by name, so that its tensors are copied."""

    copies = True
    device = "CPU"

    def __init__(self, path: Path, session: onnxruntime.InferenceSession, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        self._path, self._session, self._options = path, session, new_run_options()
        self._inputs, self._outputs = tuple(inputs), tuple(outputs)

    def again(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        return FedSegment(self._path, self._session, inputs, outputs)

    def halt(self, stop: bool) -> None:
        self._options.terminate = stop

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        feed = {port.name: view_at(port) if port.address is not None else to_plain(values[port.name]) for port in self._inputs}
        with as_bundle_error(self._path):
            results = self._session.run([port.name for port in self._outputs], feed, self._options)
        named = {}
        for port, result in zip(self._outputs, results, strict=True):
            if port.address is None:
                named[port.name] = result
            elif result.shape != port.shape:  # an assignment would stretch it
                raise BundleError(
                    f"{self._path.name}: the runtime returned {port.name} in shape {list(result.shape)}, not {list(port.shape or ())}"
                )
            else:
                view_at(port)[...] = result
        return named

    def misplaced(self) -> Sequence[str]:
        return ()
