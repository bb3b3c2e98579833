"""`autoglmc what-if` for one model and one target: the plan as it is, and as it would be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..load.bind_shapes import Shapes
from .moves import moves
from .number import Number
from .outcome import Outcome, outcome_json
from .plan_again import plan_for, prepare
from .setting import Machine, Setting, applied


def compare(
    model: Path,
    machine: Machine,
    settings: Sequence[Setting],
    *,
    shapes: Shapes,
    effort: float = 1.0,
    objective: str = "latency",
    tell: Callable[[str], None] = lambda message: None,
    warn: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """model, sha256, target, digest, objective, settings, before, after, same_plan, moved. Raises UserError for a model that cannot be
    loaded and a setting that the language refuses."""
    other = applied(machine, settings, warn)
    prepared = prepare(model, machine.target, shapes, effort, tell)
    tell("plan as the target is")
    before = plan_for(prepared, machine.target, objective)
    tell("plan with the settings")
    after = plan_for(prepared, other, objective)
    return {
        "model": str(model),
        "sha256": prepared.loaded.sha256,
        "target": machine.target.name,
        "digest": machine.target.digest,
        "objective": objective,
        "settings": [setting_json(machine.number(one.path), one.text) for one in settings],
        **compared_json(before, after),
    }


def compared_json(before: Outcome, after: Outcome) -> dict[str, Any]:
    return {
        "before": outcome_json(before),
        "after": outcome_json(after),
        "same_plan": before.plan == after.plan and bool(before.plan),
        "moved": [move.as_json() for move in moves(before, after)],
    }


def setting_json(number: Number, text: str) -> dict[str, Any]:
    return {"path": number.path, "before": number.text or None, "after": text, "provenance": number.provenance or None}


def number_json(number: Number) -> dict[str, Any]:
    """A row of `--list`."""
    return {
        "path": number.path,
        "short": number.short,
        "text": number.text or None,
        "condition": number.condition or None,
        "value": number.value,
        "provenance": number.provenance or None,
        "note": number.note,
        "origin": number.place or None,
        "meaning": number.meaning,
    }
