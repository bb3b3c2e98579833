"""What sessions of a bundle hold of its weights in private memory: whether that is allowed, before anything is loaded, and the peaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from ..devices.packed_weights import packing_processor, packing_runtime
from ..errors import UsageError
from .entries import open_together, with_plan
from .manifest import Manifest
from .plan_records import SegmentRecord
from .resident_record import ResidentRecord

ANY = 1 << 62
"""A budget for whoever asks what a bundle computes, and not what it takes."""


def check_resident(folder: Path, manifest: Manifest, budget: int | None) -> None:
    """budget: bytes; None for what the bundle was compiled for, where it was compiled for any.

    Raises UsageError, with the smallest budget that would do, where sessions of entries that are open at the same time would hold more."""
    record = manifest.resident
    check_bytes(budget)
    if record is None:
        if budget in (None, ANY):
            return
        what = "how much of the weights its sessions hold is not known: the bundle was compiled without --resident"
        help = "compile the model again with --resident SIZE; if that is too small, the error names the least"
        raise UsageError(what, where=str(folder), help=help)
    allowed = record.budget if budget is None else budget
    reason = _packs_otherwise(manifest)
    needed = max(_needed(group, record, bool(reason)) for group in open_together(manifest).values())
    if needed > allowed:
        what = f"{allowed:,} B of resident weights cannot be kept: sessions hold {needed:,} B of their own{reason}"
        again = "compile the model again on this machine, or " if reason else ""
        raise UsageError(what, where=str(folder), help=f"{again}allow {needed} bytes: --resident {needed}")


def check_bytes(resident: int | None) -> None:
    """Raises UsageError for anything but a number of bytes, or None."""
    if resident is not None and (isinstance(resident, bool) or not isinstance(resident, int) or resident < 1):
        raise UsageError(f"resident is a whole number of bytes, at least 1, not {resident!r}")


def _needed(plans: Sequence[Manifest], record: ResidentRecord, otherwise: bool) -> int:
    """Bytes of weights that sessions of these entries hold; otherwise: where kernels want another form than the file has."""
    held = [record.segments[file] for file in _segments(plans) if file in record.segments]
    if otherwise:
        return sum(one.whole for one in held)
    return sum(one.private for one in held) + max((one.packing for one in held), default=0)


def _segments(plans: Sequence[Manifest]) -> dict[str, SegmentRecord]:
    """By file."""
    return {segment.file: segment for plan in plans for segment in plan.segments}


def _packs_otherwise(manifest: Manifest) -> str:
    """Why kernels here may want other forms of weights than the file has; "" where they want the same."""
    record = manifest.resident
    assert record is not None
    if record.runtime != packing_runtime():
        return f", since weights were packed by {record.runtime}, and this is {packing_runtime()}"
    if record.processor != packing_processor():
        return f", since weights were packed for '{record.processor}', and this is '{packing_processor()}'"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """Predicted private bytes of a process that loads and runs entries of a bundle, without what the runtime itself takes."""

    private: int
    """Weights that its sessions hold of their own."""
    packing: int
    """The largest weight, which is packed while it is loaded."""
    arena: int
    inside: int
    """The most that tensors inside of one segment take."""
    mapped: int
    """Weights that are read where the file is mapped: no private bytes."""

    @property
    def loading(self) -> int:
        """The most while sessions are loaded, the arena being there already."""
        return self.private + self.packing + self.arena

    @property
    def running(self) -> int:
        """The most in a run."""
        return self.private + self.arena + self.inside


def peaks_of(manifest: Manifest) -> dict[str, Peaks]:
    """By entry, each loaded alone, and where there are several "" for all of them in one session, or "with vision" for those that are open
    at the same time; {} without --resident."""
    record = manifest.resident
    if record is None:
        return {}
    groups: dict[str, tuple[Manifest, ...]] = {entry.name: (with_plan(manifest, entry),) for entry in manifest.entries}
    groups |= {f"with {name}" if name else "": plans for name, plans in open_together(manifest).items()}
    return {name: _peaks(group, record) for name, group in groups.items()}


def _peaks(plans: Sequence[Manifest], record: ResidentRecord) -> Peaks:
    segments = _segments(plans)
    held = [record.segments[file] for file in segments if file in record.segments]
    return Peaks(
        private=sum(one.private for one in held),
        packing=max((one.packing for one in held), default=0),
        arena=max(plan.arena.mapped for plan in plans),
        inside=max((segment.peak_internal_bytes for segment in segments.values()), default=0),
        mapped=sum(one.mapped for one in held),
    )


def resident_facts(manifest: Manifest) -> dict[str, Any] | None:
    """The record and the peaks as plain data; None without --resident."""
    if manifest.resident is None:
        return None
    peaks = {name: {**asdict(one), "loading": one.loading, "running": one.running} for name, one in peaks_of(manifest).items()}
    return {**to_builtins(manifest.resident), "peaks": peaks}
