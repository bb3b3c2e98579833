"""HW0601 (only when asked for): numbers marked `@guess` that a limit of the target rests on."""

from __future__ import annotations

from collections.abc import Sequence

from ...targets.model import Limit
from ..lower.context import Context
from ..text.diagnostics import Note

TIMES = frozenset({"dispatch", "launch", "peak", "sustained", "bandwidth", "handoff", "copy_bandwidth"})
RESTS_ON = {
    "latency": TIMES,
    "power": TIMES | {"active_power", "idle_power"},
    "memory": frozenset({"page", "row_align", "align", "length_multiple"}),
}
"""By kind of limit, the numbers its prediction is computed from: the third word of a fact's path ("device.npu.peak.fp16"). What is
counted or measured (partitions, package size, accuracy, error) rests on none."""


def check_guesses(limits: Sequence[Limit], context: Context) -> None:
    for fact in context.facts:
        if fact.provenance != "guess":
            continue
        asked = [limit for limit in limits if fact.path.split(".")[2] in RESTS_ON.get(limit.kind, ())]
        if asked:
            named = " and ".join(f"`{_written(limit)}`" for limit in asked)
            message = f"`{fact.path}` is a guess, and {named} {'rests' if len(asked) == 1 else 'rest'} on it"
            notes = [Note("the limit is here", context.spans[f"limits.{limit.kind}.{limit.subject}"]) for limit in asked]
            help = 'measure it, or name where it is from: `@src("…")`, `@vendor("…")`, `@proxy("…")`'
            context.report.add("warning", "HW0601", context.spans[fact.path], message, help, notes)


def _written(limit: Limit) -> str:
    return " ".join(word for word in (limit.kind, limit.subject, limit.comparison, limit.text) if word)
