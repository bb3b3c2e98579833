"""The forms in which onnxruntime's kernels on the CPU want weights, as a file has them.

A kernel packs its weights when a session is loaded, and keeps the packed copy in private memory. onnxruntime can also write packed weights
beside the graph that it executes ("prepacked_0" in the external data of an initializer: the kind of operator and a hash of the packed
bytes, then where they lie). A session that finds them there still packs each weight once, and drops its copy for the mapped one if both are
the same bytes: so a file packed for other kernels costs memory, and never changes a result.
"""

from __future__ import annotations

import platform
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .cpu_session import open_session
from .ort_settings import OrtSettings

if TYPE_CHECKING:
    import onnx

PREPACKED = re.compile(r"prepacked_\d{1,6}")
"""Keys of external data that say where packed forms of the tensor lie."""
NOT_TAKEN = frozenset({"ConvTranspose"})
"""Kinds of operators that keep their own packed weights although the file has them (onnxruntime 1.32, measured by
tests/compiler/emit/test_packed_kinds.py)."""
FACTS = Path("/proc/cpuinfo")
CHOOSING = re.compile(r"avx\w*|amx\w*|fma|f16c|asimd\w*|sve\w*|i8mm|bf16|sme(?!p\b)\w*")
"""Instruction sets by which onnxruntime's kernels choose a form of weights."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One form of a weight."""

    key: str
    """The kind of operator and a hash of the bytes, as onnxruntime names it."""
    places: tuple[tuple[int, int], ...]
    """(offset, bytes) in the file."""

    @property
    def kind(self) -> str:
        """Of the operator whose kernel wants it."""
        return self.key.partition("+")[0]

    @property
    def size(self) -> int:
        return sum(length for _, length in self.places)


@dataclass(frozen=True, slots=True)
class PackedSegment:
    """What onnxruntime makes of a segment's weights."""

    file: Path
    forms: Mapping[str, tuple[Packed, ...]]
    """By initializer of the segment, of those that a kernel packs."""
    own: int
    """Bytes that a session holds itself whatever lies in the file: constants that its optimisers make, and small ones."""
    mapped: int
    """Bytes of weights that kernels read as the segment has them, so from the mapped file."""


@contextmanager
def packed_segment(model: Path, settings: OrtSettings) -> Iterator[PackedSegment]:
    """A segment's weights as the kernels here pack them; the file is there as long as the context. Raises what onnxruntime raises."""
    import onnx

    names = {t.name: t for t in onnx.load_model(model, load_external_data=False).graph.initializer if t.data_location == t.EXTERNAL}
    with tempfile.TemporaryDirectory(prefix="autoglmc-") as folder:
        executed = Path(folder) / "executed.onnx"
        open_session(model, settings=settings, threads=1, executed=executed, packed=True)
        graph = onnx.load_model(executed, load_external_data=False).graph
        own, mapped, forms = sum(map(_held, _of_bodies(graph))), 0, {}
        for tensor in graph.initializer:
            found, kept = tuple(_forms(tensor)), _same(tensor, names.get(tensor.name))
            if not kept or any(form.kind in NOT_TAKEN for form in found):
                own += _held(tensor)
            elif found:
                forms[tensor.name] = found
            else:
                mapped += _bytes(tensor)
        yield PackedSegment(executed.with_suffix(".bin"), forms, own, mapped)


def _same(tensor: onnx.TensorProto, given: onnx.TensorProto | None) -> bool:
    """Whether it is a large weight of the segment, unchanged: an optimiser that changes one gives it another name."""
    return given is not None and (tensor.data_type, tuple(tensor.dims)) == (given.data_type, tuple(given.dims))


def _forms(tensor: onnx.TensorProto) -> Iterator[Packed]:
    for entry in tensor.external_data:
        if PREPACKED.fullmatch(entry.key):
            key, *places = entry.value.split("|")
            yield Packed(key, tuple((int(offset), int(length)) for offset, length, _ in (place.split(";") for place in places)))


def _of_bodies(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Initializers of bodies, which the file of packed forms is not known to serve."""
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        for body in (attribute.g, *attribute.graphs):
            yield from body.initializer
            yield from _of_bodies(body)


def _held(tensor: onnx.TensorProto) -> int:
    """Bytes that a session has of it: packed, or as it is."""
    return sum(form.size for form in _forms(tensor)) or _bytes(tensor)


def _bytes(tensor: onnx.TensorProto) -> int:
    if tensor.data_location == tensor.EXTERNAL:
        return next((int(entry.value) for entry in tensor.external_data if entry.key == "length"), 0)
    return len(tensor.raw_data) or tensor.ByteSize()


def packing_runtime() -> str:
    """The version whose kernels pack here: "onnxruntime 1.32.0"."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def packing_processor() -> str:
    """What chooses the form here: the architecture, and those of its instruction sets that may."""
    text = FACTS.read_text(encoding="utf-8", errors="replace") if FACTS.exists() else ""
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    flags = sorted({word for word in line[1].split() if CHOOSING.fullmatch(word)}) if line else []
    return " ".join((platform.machine(), *flags))[:400]
