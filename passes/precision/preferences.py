"""`prefer a8w8 Conv where loss <= 0.1 %;`: what lines of the target leave of the forms that a unit may have on a device.

Where a preferred form loses more than its line allows, the unit is not in it. Where one does not, the unit has the first such form, and
none that no line prefers (`strict`); if that together loses more than the limits on the whole allow, those may be chosen as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...targets.model import Device
from ...targets.precision import FormName, Prefer
from ...targets.quantised.forms_on import choices_on
from ..solve.problem import Option, Problem, Unit
from .choose_forms import FLOAT, FormQuestion, Losses, OptionForms

Lines = Mapping[FormName, float | None]
"""Forms that lines prefer, in their order, and the largest loss at which each does; None at any."""


def with_preferences(
    question: FormQuestion, stated: tuple[Problem, OptionForms], losses: Losses, strict: bool
) -> tuple[Problem, OptionForms]:
    """The problem with what is left. `stated` itself where no line of the target prefers anything."""
    devices = question.asked.target.devices
    if not any(device.precision.prefers for device in devices):
        return stated
    problem, names = stated
    units, left = [], []
    for number, unit in enumerate(problem.units):
        rows = []
        for column, device in enumerate(devices):
            pairs = list(zip(names[number][column], unit.options[column], strict=True))
            lines = _lines(question, number, device)
            rows.append(_left(pairs, lines, {name: losses.get((number, name), 0.0) for name, _ in pairs}, strict))
        units.append(_unit(unit, rows))
        left.append([[name for name, _ in row] for row in rows])
    return replace(problem, units=tuple(units)), left


def _lines(question: FormQuestion, unit: int, device: Device) -> Lines:
    """Of those of its operators that have another form; of two lines about one form the tighter loss."""
    found: dict[FormName, float | None] = {}
    tensors = set(question.tensors(unit)) if device.precision.prefers else set()
    for node in (question.asked.nodes[k] for k in question.units[unit]):
        if tensors.isdisjoint(node.writes[:1]):
            continue
        for choice in choices_on(device, question.asked.graph.view(node)):
            if isinstance(choice.line, Prefer):
                bounds = [bound for bound in (found.get(choice.form.name), choice.most_loss) if bound is not None]
                found[choice.form.name] = min(bounds, default=None)
    return found


def _left(
    pairs: list[tuple[FormName, Option]], lines: Lines, losses: Mapping[FormName, float], strict: bool
) -> list[tuple[FormName, Option]]:
    def kept(name: FormName) -> bool:
        most = lines.get(name)
        return name == FLOAT or most is None or losses[name] <= most

    allowed = [(name, option) for name, option in pairs if kept(name)]
    there = {name for name, _ in allowed}
    first = next((name for name in lines if name in there), None)
    return [(name, option) for name, option in allowed if name == first] if strict and first is not None else allowed


def _unit(unit: Unit, rows: list[list[tuple[FormName, Option]]]) -> Unit:
    options = tuple(tuple(option for _, option in row) for row in rows)
    return replace(unit, seconds=tuple(row[0].seconds if row else None for row in options), options=options)
