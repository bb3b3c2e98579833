"""What only a strict check says of numbers: guesses that a limit of the target rests on (HW0601), and no source stated (HW0602)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...targets.model import Limit
from ..lower.context import Context
from ..text.diagnostics import Note
from ..words.properties import PROPERTIES
from ..words.property import NumberField

SOURCES = '`@measured("…")`, `@src("…")`, `@vendor("…")`, `@proxy("…")`'


def check_guesses(limits: Sequence[Limit], context: Context) -> None:
    for fact in context.facts:
        if fact.provenance != "guess":
            continue
        asked = [limit for limit in limits if limit.kind in _predicted_from(fact.path)]
        if asked:
            named = " and ".join(f"`{_written(limit)}`" for limit in asked)
            message = f"`{fact.path}` is a guess, and {named} {'rests' if len(asked) == 1 else 'rest'} on it"
            notes = [Note("the limit is here", context.spans[f"limits.{limit.kind}.{limit.subject}"]) for limit in asked]
            context.report.add("warning", "HW0601", context.spans[fact.path], message, f"measure it, or state its source: {SOURCES}", notes)


def check_provenance(context: Context) -> None:
    """Numbers of memories, devices and links that say nothing of where they are from; limits are what is wanted, and need no source."""
    bare = [(fact.path, context.spans[fact.path]) for fact in context.facts if fact.provenance == "stated"]
    for what, span in [*bare, *context.unsourced]:
        help = f"state its source: {SOURCES}, or `@guess`"
        context.report.add("warning", "HW0602", span, f"`{what}` does not say where it is from", help)


def _predicted_from(path: str) -> tuple[str, ...]:
    """The kinds of limit whose prediction is computed from a number: "device.npu.peak.fp16". What is counted or measured (partitions,
    package size, accuracy, error) is computed from none."""
    block, _, field, *rest = path.split(".")
    if field == "calibration":  # "device.cpu.calibration.rate.Conv.value"
        numbers: Iterable[NumberField] = PROPERTIES[field][rest[0]].numbers
        field = rest[-1]
    else:
        numbers = (number for row in PROPERTIES[block].values() for number in row.numbers)
    return next((number.predicts for number in numbers if number.field == field), ())


def _written(limit: Limit) -> str:
    return " ".join(word for word in (limit.kind, limit.subject, limit.comparison, limit.text) if word)
