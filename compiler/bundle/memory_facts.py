"""What a plan does with several memories, counted for screens and programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .manifest import Manifest
from .plan_records import MemoriesRecord, SegmentRecord


def transfers_of(manifest: Manifest) -> list[dict[str, Any]]:
    """Per device that has several memories: tensors by what happens to them, bytes copied, and the seconds that nothing overlaps."""
    planned = [(segment, segment.memories) for segment in manifest.segments if segment.memories is not None]
    names = dict.fromkeys(segment.device for segment, _ in planned)
    return [{"device": name, **_counts([memories for segment, memories in planned if segment.device == name])} for name in names]


def _counts(several: Iterable[MemoriesRecord]) -> dict[str, Any]:
    numbered = list(enumerate(several))
    copies = [(k, one) for k, memories in numbered for one in memories.transfers]
    placed = [(k, one, memories.own) for k, memories in numbered for one in memories.places]
    by_kind = {kind: {(k, one.tensor) for k, one in copies if one.kind == kind} for kind in ("spill", "fill", "move", "load")}
    return {
        "placed": len({(k, one.tensor) for k, one, own in placed if one.kind == "working" and one.memory != own}),
        "spilled": len(by_kind["spill"]),
        "filled": len(by_kind["fill"] | by_kind["move"]),
        "streamed": len(by_kind["load"]),
        "resident": len({(one.tensor, one.memory) for _, one, _ in placed if one.kind == "resident"}),
        "bytes": sum(one.bytes for _, one in copies),
        "seconds": sum(one.seconds for _, one in copies if one.when != "during"),
        "overlapped": sum(one.seconds for _, one in copies if one.when == "during"),
    }


def schedule_of(segments: Iterable[SegmentRecord]) -> Iterator[dict[str, Any]]:
    """Every transfer, in the order in which they happen."""
    for segment in segments:
        for one in segment.memories.transfers if segment.memories is not None else ():
            kernel = segment.kernels[one.step]
            yield {
                "segment": segment.index, "kernel": kernel[0] if kernel else "", "when": one.when, "kind": one.kind, "tensor": one.tensor,
                "from": one.source, "to": one.destination, "bytes": one.bytes, "seconds": one.seconds,
            }  # fmt: skip
