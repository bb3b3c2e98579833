"""`python -m autoglmc.compiler.devices.try_models ADAPTER FOLDER FIRST [WORD…]`: compiles and runs small models, for compiler/probe.

FOLDER holds 0.onnx, 1.onnx …, each with 0.npz where it is to be run. Per model 0.txt is written (empty if all went well, else what the
runtime said) and 0.out.npz; 0.crashed where the message is of a compiler's process that crashed. The parent process starts again after the
model that ended this one.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..parent import end_with_parent
from .adapter import FAULTS, Adapter, CompilerFault, Port
from .find_adapter import adapter_for
from .marks import elements_at, run_marked
from .views import ONNX_TYPES, packed_bytes, view_at

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

PAGE = 4096
CRASHED = ".crashed"
"""Suffix of an empty file."""


def main(arguments: list[str]) -> int:
    """ADAPTER FOLDER FIRST [WORD…]; the exit code."""
    end_with_parent()
    name, folder, first, *words = arguments
    adapter = adapter_for(name, words)
    assert adapter is not None, name
    number = int(first)
    while (path := Path(folder) / f"{number}.onnx").is_file():
        try:
            _one(adapter, path)
            message = ""
        except FAULTS as fault:
            path.with_suffix(CRASHED).touch()
            message = str(fault) if isinstance(fault, CompilerFault) else f"{type(fault).__name__}: {fault}"
        except Exception as error:  # runtimes raise types of their own
            message = str(error).strip() or type(error).__name__
        path.with_suffix(".txt").write_text(message, encoding="utf-8")
        number += 1
    return 0


def _one(adapter: Adapter, path: Path) -> None:
    import numpy
    import onnx

    blob = None
    if adapter.suffix:
        blob = path.with_suffix(adapter.suffix)
        adapter.compile(path, blob)
    given = path.with_suffix(".npz")
    if not given.is_file():
        return
    values = dict(numpy.load(given))
    memory = _Memory(onnx.load_model(path, load_external_data=False).graph)
    segment = adapter.load(path, blob, memory.inputs, memory.outputs)
    for port in memory.inputs:
        view_at(port)[...] = values[port.name]
    unwritten = run_marked(lambda: segment.run({}), {port.name: elements_at(port) for port in memory.outputs})
    if unwritten:
        raise RuntimeError("; ".join(map(str, unwritten)))
    if wrong := segment.misplaced():
        raise RuntimeError(f"did not write {', '.join(wrong)} at its address")
    outputs: Mapping[str, Array] = {port.name: view_at(port).copy() for port in memory.outputs}
    numpy.savez(path.with_suffix(".out.npz"), **outputs)  # type: ignore[arg-type]


class _Memory:
    """Page-aligned ports for the inputs and outputs of a model of known shapes."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        weights = {tensor.name for tensor in graph.initializer}
        self._maps: list[mmap.mmap] = []
        self.inputs = self._ports([value for value in graph.input if value.name not in weights])
        self.outputs = self._ports(list(graph.output))

    def _ports(self, values: Sequence[onnx.ValueInfoProto]) -> list[Port]:
        return [self._port(value) for value in values]

    def _port(self, value: onnx.ValueInfoProto) -> Port:
        import ctypes

        kind = value.type.tensor_type
        dtype = next(name for name, number in ONNX_TYPES.items() if number == kind.elem_type)
        shape = tuple(dim.dim_value for dim in kind.shape.dim)
        port = Port(value.name, dtype, shape, None)
        self._maps.append(mmap.mmap(-1, max(-(-packed_bytes(port) // PAGE), 1) * PAGE))
        return replace(port, address=ctypes.addressof(ctypes.c_char.from_buffer(self._maps[-1])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
