"""A compiled model bound to addresses: LiteRT reads and writes the arena itself."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from ctypes import c_void_p
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...errors import BundleError
from ..adapter import LoadedSegment, Port
from ..views import packed_bytes
from .compiled import Compiled, Value
from .library import STATUS, Library

ALIGN = 64
"""LITERT_HOST_MEMORY_BUFFER_ALIGNMENT: LiteRT refuses other addresses."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


class BoundSegment:
    """One binding; `again` shares the compiled model and its weights."""

    copies = False

    def __init__(self, path: Path, model: Compiled, inputs: Sequence[Port], outputs: Sequence[Port], device: str) -> None:
        """Raises BundleError where the ports are not the model's, LiteRtError where LiteRT does not take an address."""
        self._path, self._model, self._outputs, self.device, self._halted = path, model, tuple(outputs), device, False
        self._buffers: dict[str, c_void_p] = {}
        weakref.finalize(self, _destroy, model.library, self._buffers, model)
        self._arrays = (
            self._bound(matched(path, "inputs", inputs, model.inputs), model.inputs),
            self._bound(matched(path, "outputs", outputs, model.outputs), model.outputs),
        )
        taken, given = self._arrays
        self._run, self._given = model.library.running(), (model.handle, 0, len(taken), taken, len(given), given)

    def _bound(self, ports: Sequence[Port], values: Sequence[Value]) -> Any:
        """An array of LiteRT's buffers over the ports' memory, in the model's order."""
        for port, value in zip(ports, values, strict=True):
            size = packed_bytes(port)
            self._buffers[port.name] = self._model.library.made(
                "LiteRtCreateTensorBufferFromHostMemory", ctypes.byref(value.type), port.address, size, None
            )
        return (c_void_p * len(ports))(*(self._buffers[port.name] for port in ports))

    def again(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        return BoundSegment(self._path, self._model, inputs, outputs, self.device)

    def halt(self, stop: bool) -> None:
        """Before the next run, not within one: what XNNPACK takes is a single call."""
        self._halted = stop

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._halted:
            raise BundleError(f"the run of {self._path.name} was stopped", where=str(self._path))
        status = self._run(*self._given)
        if status:
            what = STATUS.get(status, "failed")
            raise BundleError(f"LiteRT cannot run {self._path.name}: {what} (status {status})", where=str(self._path))
        return NOTHING

    def misplaced(self) -> Sequence[str]:
        return [port.name for port in self._outputs if self._address(port.name) != port.address]

    def _address(self, name: str) -> int:
        return int(self._model.library.made("LiteRtGetTensorBufferHostMemory", self._buffers[name]).value or 0)


def matched(path: Path, what: str, ports: Sequence[Port], values: Sequence[Value]) -> list[Port]:
    """The ports in the model's order. Raises BundleError where they are not the model's, or have no address."""
    by_name = addressed(path, what, ports, [value.name for value in values])
    for value in values:
        port = by_name[value.name]
        if (port.dtype, port.shape) != (value.dtype, value.shape):
            own, listed = f"{value.dtype}{list(value.shape)}", f"{port.dtype}{list(port.shape or ())}"
            raise BundleError(f"{path.name}: {port.name} is {own}, the manifest lists {listed}", where=str(path))
    return [by_name[value.name] for value in values]


def addressed(path: Path, what: str, ports: Sequence[Port], names: Sequence[str]) -> dict[str, Port]:
    """The ports by name. Raises BundleError where they are not those that the model has, or one has no address."""
    by_name = {port.name: port for port in ports}
    if sorted(by_name) != sorted(names):
        raise BundleError(f"{path.name} has the {what} {sorted(names)}, the manifest lists {sorted(by_name)}", where=str(path))
    for port in ports:
        if port.address is None or port.shape is None:
            raise BundleError(f"{path.name}: {port.name} has no address, and LiteRT is only given addresses", where=str(path))
    return by_name


def _destroy(library: Library, buffers: Mapping[str, c_void_p], model: Compiled) -> None:
    """`model` is held until its buffers are gone."""
    for buffer in buffers.values():
        library.destroy("LiteRtDestroyTensorBuffer", buffer)
