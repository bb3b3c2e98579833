"""Whether the places of tensors in memories are a plan: inside each memory's budget, apart from each other while both are live, and so that
every kernel finds its operands: written there, copied there before, or where inputs and weights are by default.

A segment is followed kernel by kernel. Nothing here is shared with what plans the places.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from ....targets.dtypes import DTYPE, packed_bytes
from ...bundle.manifest import Manifest
from ...bundle.plan_records import MemoriesRecord, PlaceRecord, SegmentRecord, TransferRecord
from ...errors import BundleError
from .check_arena import first_overlap

if TYPE_CHECKING:
    import onnx

LINE = 64
"""Bytes of a cache line, which places begin at."""
SAME_BYTES = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "QuantizeLinear", "DequantizeLinear"})
"""Operators whose result may be the bytes of their first operand."""
NO_KERNEL = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Shape", "Size", "Constant"})
"""Operators that need no operand's bytes."""


def check_memories(manifest: Manifest, where: str) -> None:
    """Raises BundleError naming the segment and the place or transfer at fault."""
    budgets = {limit.subject: limit.limit for limit in manifest.limits if limit.kind == "budget"}
    planned = [(segment, segment.memories) for segment in manifest.segments if segment.memories is not None]
    resident = {(p.tensor, p.memory): p for _, memories in planned for p in memories.places if p.kind == "resident"}
    for segment, memories in planned:
        for problem in (*_misfits(segment, memories, budgets), _overlap(memories.places), _on_resident(memories, resident)):
            if problem:
                raise BundleError(f"segments[{segment.index}].memories{problem}", where=where)


def _misfits(segment: SegmentRecord, memories: MemoriesRecord, budgets: dict[str, float]) -> Iterator[str]:
    steps = len(segment.kernels)
    for k, place in enumerate(memories.places):
        field = f".places[{k}] ({place.tensor})"
        if not place.first <= place.last < steps:
            yield f"{field}: kernels {place.first} to {place.last} of {steps}"
        if place.memory not in budgets:
            yield f"{field}: limits give no budget of a memory {place.memory!r}"
        elif place.offset + place.bytes > budgets[place.memory]:
            yield f"{field}: ends at {place.offset + place.bytes}, {place.memory!r} has {budgets[place.memory]:.0f} bytes"
        if place.offset % LINE or place.bytes % LINE:
            yield f"{field}: offset {place.offset} or bytes {place.bytes} are no multiple of {LINE}"
    for k, copy in enumerate(memories.transfers):
        if copy.step >= steps or copy.source == copy.destination:
            yield f".transfers[{k}] ({copy.tensor}): kernel {copy.step} of {steps}, from {copy.source!r} to {copy.destination!r}"


@dataclass(frozen=True, slots=True)
class _Live:
    """A place as `first_overlap` wants it."""

    name: str
    offset: int
    bytes: int
    lifetime: tuple[int, int]


def _overlap(places: Sequence[PlaceRecord]) -> str:
    """Two places that share bytes of a memory while both are live; "" for none."""
    for memory in dict.fromkeys(place.memory for place in places):
        here = [_Live(p.tensor, p.offset, p.bytes, (p.first, p.last)) for p in places if p.memory == memory]
        if problem := first_overlap(here):
            return f".places of {memory!r}{problem.removeprefix('.slots')}"
    return ""


def _on_resident(memories: MemoriesRecord, resident: Mapping[tuple[str, str], PlaceRecord]) -> str:
    """A place on the bytes of a weight that stays in all runs, or such a weight at two offsets; "" for none."""
    for memory in dict.fromkeys(place.memory for place in memories.places):
        kept = sorted((p.offset, p.offset + p.bytes, p.tensor) for p in resident.values() if p.memory == memory)
        for (_, end, one), (begin, _, other) in pairwise(kept):
            if begin < end:
                return f".places: {one!r} and {other!r} overlap, which stay in {memory!r} in all runs"
        for place in (p for p in memories.places if p.memory == memory):
            at = bisect_left(kept, (place.offset + place.bytes,)) - 1
            if (
                at >= 0
                and kept[at][1] > place.offset
                and (place.kind, place.tensor, place.offset) != ("resident", kept[at][2], kept[at][0])
            ):
                return f".places: {place.tensor!r} overlaps {kept[at][2]!r}, which stays in {memory!r} in all runs"
        for place in (p for p in memories.places if p.memory == memory and p.kind == "resident"):
            if resident[place.tensor, memory] is not place and resident[place.tensor, memory].bytes != place.bytes:
                return f".places: {place.tensor!r} is resident in {memory!r} with two sizes"
    return ""


def unreadable(segment: SegmentRecord, model: onnx.ModelProto) -> str:
    """The first operand that a kernel does not find where the places and transfers say; "" for none."""
    if segment.memories is None:
        return ""
    field = f"segments[{segment.index}].memories"
    problem = _wrong_same(segment.memories, model) or _Walk(segment, segment.memories, model).problem()
    return f"{field}: {problem}" if problem else ""


def _wrong_same(memories: MemoriesRecord, model: onnx.ModelProto) -> str:
    """Tensors said to be the same bytes that no operator makes so; "" for none."""
    joined: dict[str, set[str]] = {}
    for node in model.graph.node:
        if node.op_type in SAME_BYTES and not node.domain and node.input and node.output:
            joined.setdefault(node.input[0], set()).add(node.output[0])
            joined.setdefault(node.output[0], set()).add(node.input[0])
    for place in memories.places:
        group, found = {place.tensor, *place.same}, {place.tensor}
        queue = [place.tensor]
        for name in queue:
            new = (joined.get(name, set()) & group) - found
            found |= new
            queue.extend(sorted(new))
        if found != group:
            return f"{min(group - found)!r} is not the bytes of {place.tensor!r}"
    return ""


@dataclass
class _Walk:
    """Follows a segment: where each tensor's value can be read."""

    segment: SegmentRecord
    memories: MemoriesRecord
    model: onnx.ModelProto
    valid: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = {name: place.tensor for place in self.memories.places for name in (place.tensor, *place.same)}
        self.places: dict[str, list[PlaceRecord]] = {}
        for place in self.memories.places:
            self.places.setdefault(place.tensor, []).append(place)
        self.weights = {tensor.name for tensor in self.model.graph.initializer}
        self.border = {self._of(port.tensor) for port in (*self.segment.inputs, *self.segment.outputs)}
        self.readers = Counter(name for node in self.model.graph.node for name in _reads(node))
        self.to_place = _between_kernels(self.segment, self.model) - self.border - _viewed(self.model, self.border)

    def problem(self) -> str:
        memories = self.memories
        by_name = {node.name: node for node in self.model.graph.node}
        for name in [*(port.tensor for port in self.segment.inputs), *self.weights]:
            self.valid[self._of(name)] = {memories.stored if name in self.weights else memories.own}
        for place in memories.places:
            if place.kind == "resident" and self._of(place.tensor) in self.valid:
                self.valid[place.tensor].add(place.memory)
        copies: dict[tuple[int, str], list[TransferRecord]] = {}
        for copy in memories.transfers:
            copies.setdefault((copy.step, copy.when), []).append(copy)
        for step, names in enumerate(self.segment.kernels):
            for problem in (
                *(self._copy(copy, step) for copy in copies.get((step, "before"), ())),
                *self._kernel(step, [by_name[name] for name in names if name in by_name], copies),
                *(self._copy(copy, step) for when in ("during", "after") for copy in copies.get((step, when), ())),
                *(self._empty(place) for place in self.memories.places if place.first == step),
            ):
                if problem:
                    return problem
            self._forget(step)
        return next(
            (f"output {p.tensor!r} is not in {memories.own!r} at the end" for p in self.segment.outputs if not self._ended(p.tensor)), ""
        )

    def _empty(self, place: PlaceRecord) -> str:
        if place.memory in self.valid.get(place.tensor, set()):
            return ""
        return f"{place.tensor!r} has a place in {place.memory!r} from kernel {place.first} on, and nothing puts it there"

    def _forget(self, step: int) -> None:
        """What ends with a kernel is lost, also where a later place has the same bytes."""
        for place in (place for place in self.memories.places if place.last == step):
            if not any(p.memory == place.memory and p.first <= step < p.last for p in self.places[place.tensor]):
                if not self._lies(place.tensor, place.memory, -1):
                    self.valid[place.tensor].discard(place.memory)

    def _of(self, name: str) -> str:
        return self.root.get(name, name)

    def _ended(self, name: str) -> bool:
        return self._of(name) not in self.places or self.memories.own in self.valid.get(self._of(name), set())

    def _lies(self, tensor: str, memory: str, step: int) -> bool:
        """Whether bytes of the memory are the tensor's at a kernel."""
        default = self.memories.stored if tensor in self.weights else self.memories.own
        always = memory == default and (tensor in self.weights or tensor in self.border)
        return always or any(p.memory == memory and p.first <= step <= p.last for p in self.places.get(tensor, ()))

    def _readable(self, tensor: str, step: int) -> set[str]:
        return {memory for memory in self.valid.get(tensor, set()) if self._lies(tensor, memory, step)}

    def _copy(self, copy: TransferRecord, step: int) -> str:
        tensor = self._of(copy.tensor)
        if copy.source not in self._readable(tensor, step):
            return f"{copy.kind} of {copy.tensor!r} at kernel {step}: it is not in {copy.source!r}"
        if not self._lies(tensor, copy.destination, step):
            return f"{copy.kind} of {copy.tensor!r} at kernel {step}: it has no place in {copy.destination!r}"
        self.valid[tensor] = self._readable(tensor, step) | {copy.destination}
        return ""

    def _kernel(self, step: int, nodes: Sequence[onnx.NodeProto], copies: dict[tuple[int, str], list[TransferRecord]]) -> Iterator[str]:
        working = [node for node in nodes if node.domain or node.op_type not in NO_KERNEL]
        made = {name for node in nodes for name in node.output if name}
        for node in working:
            for name in _reads(node):
                tensor = self._of(name)
                if name not in made and tensor in self.places and not self._readable(tensor, step):
                    yield f"kernel {step} ({node.name}) reads {name!r}, which is in no memory then"
        inner = Counter(name for node in nodes for name in _reads(node))
        for name in (name for node in working for name in node.output if name):
            tensor = self._of(name)
            if inner[name] and inner[name] == self.readers[name] and tensor not in self.border and tensor not in self.places:
                continue  # it never leaves the kernel
            spilled = any(self._of(copy.tensor) == tensor for copy in copies.get((step, "after"), ()))
            begun = {p.memory for p in self.places.get(tensor, ()) if p.first == step} - ({self.memories.own} if spilled else set())
            if tensor in self.places and tensor not in self.border and not begun and tensor not in self.valid:
                yield f"kernel {step} writes {name!r}, which has no place then"
            if tensor not in self.places and tensor in self.to_place:
                yield f"{name!r} has no place"
            if tensor not in self.valid:
                self.valid[tensor] = begun or {self.memories.own}


def _viewed(model: onnx.ModelProto, outside: set[str]) -> set[str]:
    """Tensors whose bytes are those of a result: they lie where it lies."""
    found = set(outside)
    for node in reversed(model.graph.node):
        if not node.domain and node.op_type in SAME_BYTES & NO_KERNEL and node.output[0] in found:
            found.add(node.input[0])
    return found


def _between_kernels(segment: SegmentRecord, model: onnx.ModelProto) -> set[str]:
    """Tensors of a known size of a cache line or more that one kernel writes and another one reads. Not what QuantizeLinear or its
    counterpart reads or makes, which may be in no memory as it stands, nor what is computed from weights alone."""
    kernel = {name: k for k, names in enumerate(segment.kernels) for name in names}
    constant = {tensor.name for tensor in model.graph.initializer}
    written: dict[str, int] = {}
    source: dict[str, str] = {}
    found = set()
    for node in model.graph.node:
        read = [source.get(name, name) for name in node.input if name]
        if all(name in constant for name in node.input if name) and not any(a.HasField("g") for a in node.attribute):
            constant.update(node.output)
        if node.domain or node.op_type not in SAME_BYTES:
            found |= {name for name in read if name in written and written[name] != kernel[node.name]}
        elif node.op_type in NO_KERNEL:
            source[node.output[0]] = read[0]
        if node.domain or node.op_type not in NO_KERNEL | SAME_BYTES:
            written.update((name, kernel[node.name]) for name in node.output if name not in constant)
    large = {info.name for info in model.graph.value_info if (_bytes(info.type.tensor_type) or 0) >= LINE}
    return found & large


def _bytes(tensor: onnx.TypeProto.Tensor) -> int | None:
    shape = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    return packed_bytes(DTYPE.get(tensor.elem_type, ""), [dim for dim in shape if dim is not None]) if None not in shape else None


def _reads(node: onnx.NodeProto) -> list[str]:
    return list(dict.fromkeys(name for name in node.input if name))
