"""Whether what one model of a bundle writes for another one lies where that reads it, in every entry of both."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...bundle.entries import with_plan
from ...bundle.link_record import LinkRecord
from ...bundle.manifest import Manifest
from ...bundle.plan_records import SlotRecord, ValueRecord


def wrong_links(manifest: Manifest) -> Iterator[str]:
    """What contradicts the entries, a sentence each."""
    whole = [(link.input, link.label) for link in manifest.links if not link.label]
    if len(set(whole)) < len(whole):
        yield "links: two write all rows of one input"
    own = [(link.model, link.input) for link in manifest.links]
    if len(set(own)) < len(own):
        yield "links: one model writes one input twice"
    for one in manifest.links:
        if any((one.offset, one.bytes, one.axis) != (other.offset, other.bytes, other.axis) for other in _of(manifest, one.input)):
            yield f"links: {one.input!r} lies at two places"
            return
    for k, link in enumerate(manifest.links):
        if link.model not in manifest.models:
            yield f"links[{k}]: {link.model!r} is none of the models"
            return
        for entry in manifest.entries:
            view, at = with_plan(manifest, entry), f"links[{k}], in the entry {entry.name!r}"
            if entry.model == manifest.entries[0].model:
                yield from _wrong_input(link, view, at)
            elif entry.model == link.model:
                yield from _wrong_output(link, view, at)
                yield from _other_rows(link, manifest, view, at)


def links_once(manifest: Manifest) -> tuple[LinkRecord, ...]:
    """One for each input."""
    return tuple({link.input: link for link in manifest.links}.values())


def allowed(manifest: Manifest, model: str | None) -> set[str]:
    """Tensors of a model that may lie where a link has its input."""
    if manifest.entries[0].model == model:
        return {link.input for link in manifest.links}
    return {link.output for link in manifest.links if link.model == model and not link.copied}


def _of(manifest: Manifest, input: str) -> list[LinkRecord]:
    return [link for link in manifest.links if link.input == input]


def _wrong_input(link: LinkRecord, view: Manifest, at: str) -> Iterator[str]:
    slot = _slot(view, view.model.inputs, link.input)
    if slot is None:
        yield f"{at}: {link.input!r} is no input with a slot"
    elif 0 in slot.shape or slot.packed_on_cpu or link.axis >= len(slot.shape) or math.prod(slot.shape[: link.axis]) != 1:
        yield f"{at}: rows of {link.input!r} along axis {link.axis} do not lie one behind the other"
    elif slot.offset != link.offset or slot.bytes > link.bytes:
        yield f"{at}: {link.input!r} takes {slot.bytes} bytes at {slot.offset}, and {link.bytes} at {link.offset} are kept for it"


def _wrong_output(link: LinkRecord, view: Manifest, at: str) -> Iterator[str]:
    slot = _slot(view, view.model.outputs, link.output)
    if slot is None:
        yield f"{at}: {link.output!r} is no output with a slot"
    elif (slot.packed or 0) > link.bytes:
        yield f"{at}: {link.output!r} has {slot.packed} bytes, and {link.bytes} are kept for {link.input!r}"
    elif not link.copied and (slot.packed_on_cpu or slot.offset != link.offset):
        yield f"{at}: {link.output!r} lies at {slot.offset}, {link.input!r} at {link.offset}, and nothing says that it is copied"


def _other_rows(link: LinkRecord, manifest: Manifest, view: Manifest, at: str) -> Iterator[str]:
    """Where an output is not rows as the input has them."""
    main = with_plan(manifest, manifest.entries[0])
    output, input = _slot(view, view.model.outputs, link.output), _slot(main, main.model.inputs, link.input)
    if output is None or input is None or link.axis >= len(input.shape) or 0 in input.shape:
        return  # told beside
    row = (input.packed or 0) // input.shape[link.axis]
    if output.dtype != input.dtype:
        yield f"{at}: {link.output!r} is {output.dtype}, {link.input!r} {input.dtype}"
    elif not row or (output.packed or 0) % row:
        yield f"{at}: {link.output!r} has {output.packed} bytes, a row of {link.input!r} {row}"


def _slot(view: Manifest, values: tuple[ValueRecord, ...], name: str) -> SlotRecord | None:
    index = next((value.slot for value in values if value.name == name), None)
    return None if index is None or index >= len(view.arena.slots) else view.arena.slots[index]
