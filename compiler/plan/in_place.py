"""Which results take the bytes of an input of their segment: those for which that makes the arena smaller, and for which there is a proof.

Only where the runtime tells what it executes (devices/in_place.py); for any other a segment may write its outputs whenever it likes.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...passes.place.segment import Segment
from ...targets.dtypes import DTYPE, packed_bytes
from ..activity import doing
from ..bundle.plan_records import SlotRecord
from ..devices.find_adapter import adapter_for
from ..devices.in_place import TellsExecution, proof_of
from ..errors import BundleError
from .schedule import Place, Schedule
from .segments import Compiled
from .stand_ins import write_stand_in

if TYPE_CHECKING:
    import onnx

LARGEST_WEIGHTS = 256 << 20
"""Bytes; the weights of a segment that is loaded to see what its runtime makes of it."""
MOST_TRIED = 64
"""Pairs; each that is left out once to see whether it is needed costs a plan of the arena."""
MOST_LOOKED_AT = 20_000
"""Nodes read in all while results of one segment are held against its inputs: each pair reads the segment once."""
Measure = Callable[["Sequence[Pair]"], int]
"""Bytes of an arena with these results in place."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A result that may lie where an input of its segment lies. Slots by index."""

    segment: int
    source: int
    result: int


@dataclass(frozen=True, slots=True)
class Body:
    """Slots that share bytes, as the one buffer that they are to whoever packs them."""

    name: str
    bytes: int
    align: int
    lifetime: tuple[int, int]
    offset: int = 0
    """0 as long as it is not placed."""


def choose(
    compiled: Compiled, made: Schedule, slots: Sequence[SlotRecord], measure: Measure, held: frozenset[int] = frozenset()
) -> dict[Pair, str]:
    """The pairs without any of which the arena would be larger, and why each is safe. held: slots that are no part of any."""
    left = _candidates(compiled, made, slots, held)
    proofs: dict[Pair, str] = {}
    while left:
        chosen = _needed(left, measure)
        for pair in chosen:
            if pair not in proofs:
                proofs[pair] = _proof(compiled, slots, pair)
        if all(proofs[pair] for pair in chosen):
            return {pair: proofs[pair] for pair in chosen}
        left = [pair for pair in left if proofs.get(pair, "?")]
    return {}


def _needed(pairs: Sequence[Pair], measure: Measure) -> list[Pair]:
    total = measure(pairs)
    if total >= measure(()):
        return []
    kept = list(pairs)
    for pair in pairs if len(pairs) <= MOST_TRIED else ():
        fewer = [other for other in kept if other is not pair]
        if measure(fewer) <= total:
            kept = fewer
    return kept


def _candidates(compiled: Compiled, made: Schedule, slots: Sequence[SlotRecord], held: frozenset[int]) -> list[Pair]:
    """Pairs that the lifetimes and the segments' own edges allow; each slot takes over one, and is taken over once."""
    found: list[Pair] = []
    ran = {step.segment: index for index, step in enumerate(made.steps) if step.segment is not None}
    behind = _behind(made)
    ranges = {k for k, slot in enumerate(slots) if slot.inside is not None}
    for segment in compiled.segments:
        taken = ranges | held
        if not _tells(compiled, segment):
            continue
        model, looked = None, 0
        for result, source in _fitting(segment, made, slots, ran[segment.index], behind):
            if {result, source} & taken:
                continue
            looked += len(segment.part.nodes)
            if looked > MOST_LOOKED_AT:
                break
            model = model or segment.without_weights()
            if proof_of(model, slots[source].tensor, slots[result].tensor):
                found.append(Pair(segment.index, source, result))
                taken |= {result, source}
    return found


def _behind(made: Schedule) -> list[int]:
    """Per step those whose results it needs, and theirs, one bit each."""
    found: list[int] = []
    for step in made.steps:
        reached = 0
        for earlier in step.needs:
            reached |= found[earlier] | 1 << earlier
        found.append(reached)
    return found


def _fitting(segment: Segment, made: Schedule, slots: Sequence[SlotRecord], step: int, behind: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(result, input) of the same bytes, where the input is read by this step for the last time, whatever order `needs` allow: a segment
    that had to wait for other readers would no longer run beside them."""
    read = [k for tensor in segment.inputs if (k := made.at.get((tensor, segment.device))) is not None]
    dying = [k for k in read if _dies(made.places[k], step, behind[step])]
    for tensor in segment.outputs:
        result = made.at.get((tensor, segment.device))
        for source in dying if result is not None else ():
            assert result is not None
            if alike(slots[source], slots[result]):
                yield result, source


def _dies(place: Place, step: int, behind: int) -> bool:
    others = [other for other in place.reads if other != step]
    return not place.kept and len(others) == len(place.reads) - 1 and all(behind >> other & 1 for other in others)


def alike(a: SlotRecord, b: SlotRecord) -> bool:
    """Contiguous in both, element for element of one width."""
    plain = not a.packed_on_cpu and not b.packed_on_cpu and a.device_dtype == a.dtype == b.dtype == b.device_dtype
    return plain and a.packed == b.packed and a.bytes == b.bytes and bool(a.packed)


def _tells(compiled: Compiled, segment: Segment) -> bool:
    runtime = compiled.runtimes.get(segment.device)
    return runtime is not None and isinstance(adapter_for(runtime.adapter, runtime.words), TellsExecution)


def _proof(compiled: Compiled, slots: Sequence[SlotRecord], pair: Pair) -> str:
    """Over what the runtime executes; "" where it refuses the segment, or that is too large to ask."""
    executed = executed_by(compiled, pair.segment)
    return "" if executed is None else proof_of(executed, slots[pair.source].tensor, slots[pair.result].tensor)


def executed_by(compiled: Compiled, index: int) -> onnx.ModelProto | None:
    """What the runtime of a segment makes of it; None where it does not tell, refuses the segment, or that is too large to ask. Of a large
    one with caches, which are copied in every run unless they are known to be extended in place, it is asked without the weights; whoever
    loads the bundle asks again with them."""
    segment = next(s for s in compiled.segments if s.index == index)
    runtime = compiled.runtimes[segment.device]
    adapter = adapter_for(runtime.adapter, runtime.words)
    weights = sum(packed_bytes(DTYPE.get(t.data_type, ""), t.dims) or 0 for t in segment.constants)
    if not isinstance(adapter, TellsExecution) or (weights > LARGEST_WEIGHTS and not compiled.kept.states):
        return None
    try:
        with doing(f"asking the runtime what it makes of segment {segment.index} ({segment.device})"):
            if weights <= LARGEST_WEIGHTS:
                return adapter.executed(segment.model.SerializeToString())
            with tempfile.TemporaryDirectory(prefix="autoglmc-") as folder:
                return adapter.executed(write_stand_in(segment.without_weights(), segment.constants, Path(folder)))
    except BundleError:
        return None  # whoever loads the bundle reports it


def bodies(slots: Sequence[SlotRecord], pairs: Iterable[Pair]) -> tuple[list[Body], list[int]]:
    """What is to be packed, and per slot the body that it lies in."""
    over: dict[int, int] = {k: slot.inside.slot for k, slot in enumerate(slots) if slot.inside is not None}
    over |= {pair.result: pair.source for pair in pairs}
    members: dict[int, list[int]] = {}
    for k in range(len(slots)):
        first = k
        while first in over:
            first = over[first]
        members.setdefault(first, []).append(k)
    found: list[Body] = []
    lies_in = [0] * len(slots)
    for first, group in members.items():
        for k in group:
            lies_in[k] = len(found)
        found.append(_joined(slots[first].name, [slots[k] for k in group]))
    return found, lies_in


def _joined(name: str, group: Sequence[SlotRecord]) -> Body:
    lifetime = min(slot.lifetime[0] for slot in group), max(slot.lifetime[1] for slot in group)
    return Body(name, max(slot.bytes for slot in group), math.lcm(*(slot.align for slot in group)), lifetime)
