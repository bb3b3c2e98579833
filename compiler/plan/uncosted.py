"""What a plan's latency leaves out: operators that cannot be costed, in sentences for a user; the limits that it then cannot prove."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from msgspec import structs

from ...passes.place.placed import Question
from ...passes.place.segment import Segment
from ...passes.place.uncosted import Part, Uncosted, UpperBound, upper_bounds
from ..bundle.confidence_record import UncostedRecord
from ..bundle.manifest import LimitRecord
from ..quantities import count
from .confidence import TIMED

NAMED = 3
"""Causes, and operators of each, that a sentence names."""


def placed_parts(question: Question) -> tuple[Part, ...]:
    """The operators of a placement problem, as its costs are asked for."""
    return ((question.graph, question.nodes),)


def emitted_parts(segments: Sequence[Segment]) -> tuple[Part, ...]:
    """The operators of segments, likewise."""
    return tuple((segment.graph, segment.part.nodes) for segment in segments)


def uncosted_records(missing: Sequence[Uncosted]) -> tuple[UncostedRecord, ...]:
    """The same for the manifest."""
    return tuple(UncostedRecord(**dataclasses.asdict(one)) for one in missing)


def cost_lines(parts: Sequence[Part], missing: Sequence[Uncosted]) -> list[str]:
    """For a user: which operators have no cost and why (`missing`), and which are costed by an upper bound; nothing where all have one."""
    return [*_uncosted_line(missing), *_bounds_line(upper_bounds(parts))]


def unproven_without(limits: Sequence[LimitRecord], missing: Sequence[Uncosted]) -> tuple[LimitRecord, ...]:
    """The limits, those of time and energy unproven where operators have no cost; one that is broken by what is costed stays so."""
    if not missing:
        return tuple(limits)
    doubt = f"{count(len(missing), 'operator')} cannot be costed"
    return tuple(
        structs.replace(limit, unproven="; ".join(filter(None, (limit.unproven, doubt))))
        if limit.kind in TIMED and limit.value is not None
        else limit
        for limit in limits
    )


def _uncosted_line(missing: Sequence[Uncosted]) -> list[str]:
    if not missing:
        return []
    causes: dict[tuple[str, str], list[str]] = {}
    for one in missing:
        causes.setdefault((one.because, one.shape), []).append(one.operator)
    parts = []
    for (because, shape), operators in list(causes.items())[:NAMED]:
        kinds = list(dict.fromkeys(operators))
        shown = ", ".join(kinds[:NAMED]) + (" …" if len(kinds) > NAMED else "")
        parts.append(f"{because} ({len(operators)}: {shown}{f'; give {shape}' if shape else ''})")
    more = f"; and {count(len(causes) - NAMED, 'more cause')}" if len(causes) > NAMED else ""
    return [f"{count(len(missing), 'operator')} cannot be costed, so the latency is a lower bound: {'; '.join(parts)}{more}"]


def _bounds_line(bounds: Sequence[UpperBound]) -> list[str]:
    if not bounds:
        return []
    shown = ", ".join(f"{one.operator} '{one.node}' as if {one.supposes}" for one in bounds[:NAMED])
    more = f" and {len(bounds) - NAMED} more" if len(bounds) > NAMED else ""
    return [f"{count(len(bounds), 'operator')} costed by an upper bound: {shown}{more}"]
