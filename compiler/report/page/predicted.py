"""The predicted schedule: when each step and each handoff happens if steps run one after the other, in the order of the manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...bundle.manifest import Manifest
from ...bundle.plan_records import HandoffRecord, StepRecord

HANDOFFS = "handoffs"
"""The lane of what goes from one device to another."""


def predicted(manifest: Manifest) -> dict[str, Any]:
    """Seconds of the whole run, of its segments and of its handoffs; joules of all segments, None where one states none; the lanes; and
    spans {"lane", "kind", "what", "segment" or "handoff", "step", "begin", "end"} in order of time.

    A handoff happens right before the first step that reads it on the other device; what the host reads comes last.
    """
    spans: list[dict[str, Any]] = []
    clock = 0.0
    for span in _ordered(manifest):
        seconds = span.pop("seconds")
        spans.append({**span, "begin": clock, "end": clock + seconds})
        clock += seconds
    joules = [segment.predicted_joules for segment in manifest.segments]
    lanes = list(dict.fromkeys(segment.device for segment in manifest.segments))
    return {
        "seconds": manifest.predicted_seconds,
        "segment_seconds": sum(segment.predicted_seconds for segment in manifest.segments),
        "handoff_seconds": sum(handoff.seconds for handoff in manifest.handoffs),
        "joules": None if None in joules else sum(one for one in joules if one is not None),
        "lanes": [*lanes, HANDOFFS] if manifest.handoffs else lanes,
        "spans": spans,
    }


def _ordered(manifest: Manifest) -> Iterator[dict[str, Any]]:
    left = dict(enumerate(manifest.handoffs))
    for number, step in enumerate(manifest.schedule):
        for key in [key for key, one in left.items() if _is_due(manifest, step, one)]:
            yield _handoff(key, left.pop(key), number)
        if step.segment is not None:
            segment = manifest.segments[step.segment]
            what = {"lane": segment.device, "kind": "run", "what": f"segment {segment.index}", "segment": segment.index, "step": number}
            yield {**what, "seconds": segment.predicted_seconds}
    for key, one in left.items():
        yield _handoff(key, one, len(manifest.schedule))


def _is_due(manifest: Manifest, step: StepRecord, handoff: HandoffRecord) -> bool:
    slots = manifest.arena.slots
    if step.segment is None:
        ends = [slots[end] for end in (step.source, step.destination) if end is not None]
        return [slot.tensor for slot in ends] == [handoff.tensor] * 2 and handoff.consumer in _holders(ends[1:])
    segment = manifest.segments[step.segment]
    return segment.device == handoff.consumer and handoff.tensor in {port.tensor for port in segment.inputs}


def _holders(slots: Sequence[Any]) -> set[str]:
    return {name for slot in slots for name in (slot.device, *slot.aliases)}


def _handoff(number: int, one: HandoffRecord, step: int) -> dict[str, Any]:
    what = f"{one.mode.replace('_', ' ')} {one.tensor}"
    return {"lane": HANDOFFS, "kind": one.mode, "what": what, "handoff": number, "step": step, "seconds": one.seconds}
