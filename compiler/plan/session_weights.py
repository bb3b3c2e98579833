"""What sessions hold of a plan's weights: forms that each session makes for itself, and bytes that all of them read in one place.

onnxruntime keeps packed forms of matrices, and what it computes from constants alone, in private memory, for every segment of every entry;
it maps tables, of which it reads rows. Other runtimes have weights of their own in every entry, unless they put
several segments into one file (devices/adapter.py, Joining), and a target without a runtime reads them where they are stored. Measured
beside it: docs/decoders.md, memory of all entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...passes.place.memory.folded import folded_nodes
from ...passes.place.segment import Segment
from ...targets.dtypes import DTYPE, packed_bytes
from ...targets.model import Runtime, Target
from ..devices.adapter import Joining
from ..devices.find_adapter import PLAN_ONLY, adapter_for
from .held import weight_bytes

if TYPE_CHECKING:
    import onnx

ORT = "ort"
TABLES = frozenset({"Gather", "GatherElements", "GatherND"})
"""Operators that read their first operand as a file has it."""
REWRITTEN = frozenset({"Conv", "ConvTranspose"})
"""Operators of whose weights onnxruntime's optimisers make others, while those of the model are still there."""
COPIES = 2
"""Of what it computes from constants, while it does: in the graph, and as a tensor (measured with onnxruntime 1.32)."""


TRIMMED = 32 << 20
"""Bytes from which glibc gives a freed block back for certain. What was computed in smaller ones may stay beside its packed form: two
entries whose weights are widened from int8 held 1.0 to 1.6 times the widened ones, from one run to the next."""


@dataclass(frozen=True, slots=True)
class SessionWeights:
    """Bytes."""

    own: int = 0
    """Private in every session."""
    shared: int = 0
    """Read where they are stored, by all sessions."""
    made: int = 0
    """Of `own`, what is computed from weights when a session is loaded: it lies where the session has its activations, although what it is
    made of may be read from another memory."""
    loading: int = 0
    """The most that is there a second time while one segment is loaded."""


def session_weights(segments: Sequence[Segment], target: Target) -> SessionWeights:
    """Of the segments of one entry."""
    by_ort = [segment for segment in segments if _runtime(segment, target).adapter == ORT]
    others = [segment for segment in segments if segment not in by_ort]
    alone = [segment for segment in others if _apart(_runtime(segment, target))]
    each = [_by_ort(segment) for segment in by_ort]
    packed = {name for one in each for name in one.packed}
    sizes = {tensor.name: _bytes(tensor) for segment in by_ort for tensor in segment.constants}
    mapped = sum(size for name, size in sizes.items() if name not in packed)
    return SessionWeights(
        own=weight_bytes(alone) + sum(one.own for one in each),
        made=sum(one.made for one in each),
        shared=weight_bytes([segment for segment in others if segment not in alone]) + mapped,
        loading=max((*(one.loading for one in each), *(weight_bytes([segment]) for segment in others)), default=0),
    )


@dataclass(frozen=True, slots=True)
class _ByOrt:
    """One segment."""

    packed: frozenset[str]
    own: int
    made: int
    loading: int


def _by_ort(segment: Segment) -> _ByOrt:
    graph, nodes = segment.graph, segment.part.nodes
    folded = folded_nodes(graph, nodes, {*segment.inputs, *segment.outputs})
    run = [node for node in nodes if node not in folded]
    made = {name for node in folded for name in node.writes}
    kept = {name: graph.tensor(name).bytes or 0 for node in run for name in node.reads if name in made}
    sizes = {tensor.name: _bytes(tensor) for tensor in segment.constants}
    read = {name for node in run for k, name in enumerate(node.reads) if k or node.operator not in TABLES}
    packed = {name: size for name, size in sizes.items() if name in read}
    rewritten = {name for node in run if node.operator in REWRITTEN for name in node.reads}
    forms = max(max(packed.values(), default=0), sum(size for name, size in packed.items() if name in rewritten))
    widest = max((graph.tensor(name).bytes or 0 for name in made), default=0)
    computed = COPIES * sum(kept.values()) + widest
    left = sum(size for size in kept.values() if size < TRIMMED)
    bodies = sum(node.body_bytes for node in nodes)
    held = sum(kept.values()) + left
    return _ByOrt(frozenset(packed), sum(packed.values()) + held + bodies, held, max(forms, computed - left))


def _bytes(tensor: onnx.TensorProto) -> int:
    return packed_bytes(DTYPE.get(tensor.data_type, ""), tensor.dims) or 0


def _runtime(segment: Segment, target: Target) -> Runtime:
    return target.device(segment.device).runtime


def _apart(runtime: Runtime) -> bool:
    """Whether segments have weights each for itself, and do not read them where they are stored or in one file of all of them."""
    return runtime.adapter != PLAN_ONLY and not isinstance(adapter_for(runtime.adapter, runtime.words), Joining)
