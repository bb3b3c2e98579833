"""Links between the models of a bundle, as its entries were planned: where each lies, and which cannot lie there and are copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..bundle.link_record import LinkRecord
from ..bundle.manifest import Manifest
from ..bundle.plan_records import SlotRecord, ValueRecord

ROW_ALIGN = 64
"""Bytes: rows that are written at any of them begin where kernels expect a tensor to begin (plan/arena.py: BASE_ALIGN)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPlan:
    """An output of a further model that is an input of the first one; fields are those of LinkRecord, but `row`."""

    model: str
    output: str
    input: str
    axis: int
    label: str
    bytes: int
    row: int
    """Bytes of one row of the input."""

    @property
    def aligned(self) -> bool:
        """Whether every row that it may begin with lies where a tensor may begin."""
        return not self.label or self.row % ROW_ALIGN == 0


def link_records(links: Sequence[LinkPlan], manifests: Mapping[str | None, Sequence[Manifest]]) -> tuple[LinkRecord, ...]:
    """manifests: of the entries, by model, the first one's first."""
    first = next(iter(manifests.values()))
    return tuple(_record(link, [_slot(one, one.model.inputs, link.input) for one in first], manifests[link.model]) for link in links)


def _record(link: LinkPlan, read: Sequence[SlotRecord], writers: Sequence[Manifest]) -> LinkRecord:
    written = [_slot(one, one.model.outputs, link.output) for one in writers]
    offset = read[0].offset
    assert all(slot.offset == offset for slot in read), "what another model writes lies at one place in every arena (plan/states.py)"
    reason = next((said for slot in written if (said := _why_copied(link, slot, offset))), "")
    copied = max(slot.packed or 0 for slot in written) if reason else 0
    return LinkRecord(
        model=link.model,
        output=link.output,
        input=link.input,
        axis=link.axis,
        label=link.label,
        offset=offset,
        bytes=link.bytes,
        copied=copied,
        reason=reason,
    )


def _why_copied(link: LinkPlan, slot: SlotRecord, offset: int) -> str:
    """offset: of the input."""
    if not link.aligned:
        return f"a row of {link.output!r} has {link.row} bytes, and results begin at multiples of {ROW_ALIGN}"
    if slot.offset != offset:
        forms = slot.packed_on_cpu or slot.device_dtype != slot.dtype
        why = "its rows are padded or converted" if forms else "its bytes are another tensor's, or may not begin there"
        return f"{slot.device} cannot write {link.output!r} where {link.input!r} is read: {why}"
    return ""


def _slot(manifest: Manifest, values: Sequence[ValueRecord], name: str) -> SlotRecord:
    index = next(value.slot for value in values if value.name == name)
    assert index is not None, "linked tensors have a known shape (driver/entries/linked_shapes.py)"
    return manifest.arena.slots[index]
