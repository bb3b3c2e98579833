"""Unit by unit, what a choice of forms was made from, and why what stays in fp32 does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from msgspec import structs

from ...passes.graph.graph import Graph
from ...passes.graph.node import Node
from ...passes.precision.choose_forms import FLOAT, FormChoice, FormQuestion, Losses, Stated
from ...passes.precision.operators import weight_operands
from ...passes.precision.why_float import NOT_WRITTEN, no_other_form, place
from ...targets.model import Target
from ...targets.precision import FORMS, Form, FormName, Prefer
from ...targets.quantised.forms_on import choices_on
from ..bundle.precision_record import FormRecord, UnitRecord
from ..quantities import percent, time

LARGEST = 1e6
"""A loss as large stands for every larger one, and for outputs that are not finite."""
DATA = frozenset({"Constant"})


@dataclass(frozen=True)
class UnitTable:
    """Of a choice."""

    question: FormQuestion
    stated: Stated
    losses: Losses
    choice: FormChoice
    most: float
    """What losses might add up to."""

    def rows(self) -> tuple[UnitRecord, ...]:
        """Largest gains of time first, then of bytes."""
        return tuple(sorted(merged(self._row(unit) for unit in range(len(self.stated[0].units))), key=_gain))

    def _row(self, unit: int) -> UnitRecord:
        nodes = [self.question.asked.nodes[k] for k in self.question.units[unit]]
        forms = self._forms(unit)
        written = {node.writes[0] for node in nodes if node.writes} & set(self.choice.forms)
        chosen: FormName = self.choice.units[unit] if written else FLOAT
        because = "" if chosen != FLOAT else self._because(unit, nodes, forms)
        kept = [row for name, row in forms.items() if chosen == FLOAT or name in (FLOAT, chosen)]
        return _unit(nodes, chosen, tuple(kept) if len(forms) > 1 or FLOAT not in forms else (), because)

    def _forms(self, unit: int) -> dict[FormName, FormRecord]:
        """All of a unit, the most exact first; of a form on several devices the fastest, or the one that was chosen."""
        found: dict[FormName, FormRecord] = {}
        for device, row in enumerate(self.stated[1][unit]):
            for number, name in enumerate(row):
                option = self.stated[0].units[unit].options[device][number]
                made = FormRecord(
                    form=name,
                    device=self.stated[0].devices[device],
                    loss=rounded_to_4(self.losses.get((unit, name), 0.0)),
                    seconds=rounded_to_4(option.seconds),
                    weight_bytes=self.stated[0].units[unit].stored(option),
                )
                here = self.choice.units[unit] == name and self.choice.solution.assignment[unit] == device
                before = found.get(name)
                if here or before is None or (before.seconds > made.seconds and not self._is_chosen(unit, before)):
                    found[name] = made
        return {name: found[name] for name in FORMS if name in found}

    def _is_chosen(self, unit: int, row: FormRecord) -> bool:
        chosen = self.stated[0].devices[self.choice.solution.assignment[unit]]
        return self.choice.units[unit] == row.form and row.device == chosen

    def _because(self, unit: int, nodes: list[Node], forms: Mapping[FormName, FormRecord]) -> str:
        if self.choice.units[unit] != FLOAT:
            return "in integers it would only move values between operators in floats"
        others = [row for name, row in forms.items() if name != FLOAT]
        if not others:
            return no_other_form(self.question.asked.graph, nodes[0], self.question.asked.target)
        return "; ".join(self._line(unit, row) or self._against(row, forms.get(FLOAT)) for row in others)

    def _line(self, unit: int, row: FormRecord) -> str:
        """Where a `prefer` line bounds its loss."""
        device = next(one for one in self.question.asked.target.devices if one.name == row.device)
        graph, nodes = self.question.asked.graph, (self.question.asked.nodes[k] for k in self.question.units[unit])
        for line in (choice.line for node in nodes for choice in choices_on(device, graph.view(node)) if choice.form.name == row.form):
            if isinstance(line, Prefer) and line.most_loss is not None and row.loss > line.most_loss:
                most = f"{line.most_loss * 100:.6g} %"
                return f"{row.form} loses {_loss(row.loss)}, and the target prefers it up to {most} ({place(line.origin)})"
        return ""

    def _against(self, row: FormRecord, floats: FormRecord | None) -> str:
        used = sum(self.losses.get((unit, name), 0.0) ** 2 for unit, name in enumerate(self.choice.units))
        left = max(self.most**2 - used, 0.0) ** 0.5
        if row.loss > left:
            allowed = f"all operators together may lose {percent(self.most)}, and the others leave {percent(left)}"
            return f"{row.form} loses {_loss(row.loss)}: {allowed}"
        if floats is None or row.seconds >= floats.seconds:
            beside = "" if floats is None else f", {time(floats.seconds)} in fp32 on {floats.device}"
            return f"{row.form} is not faster: {time(row.seconds)} on {row.device}{beside}"
        saved = floats.seconds - row.seconds
        return f"{row.form} saves {time(saved)} on {row.device}, less than conversions at its borders cost, or nothing within a tie"


def rows_of_one_form(graph: Graph, target: Target, forms: Mapping[str, Form], wanted: str) -> tuple[UnitRecord, ...]:
    """Where one form was asked for: what stays in fp32, and why."""
    return merged(_left(graph, target, forms, f"it would not be faster in {wanted} between operators in floats, or has no finite range"))


def rows_of_weights(graph: Graph, target: Target, forms: Mapping[str, Form]) -> tuple[UnitRecord, ...]:
    """Where fewer bits were asked for weights alone: which ones stay in fp32, and why."""
    because = "its weights are too small to benefit, or no device that runs it reads weights in this form"
    return merged(_left(graph, target, forms, because, with_weights=True))


def merged(rows: Iterable[UnitRecord]) -> tuple[UnitRecord, ...]:
    """Those that had nothing to choose from as one for each kind of operator and reason, where its first one stood."""
    found: dict[tuple[object, ...], UnitRecord] = {}
    for number, row in enumerate(rows):
        key: tuple[object, ...] = (number,) if row.forms else (row.kind, row.chosen, row.because)
        before = found.get(key)
        found[key] = row if before is None else structs.replace(before, operators=before.operators + row.operators)
    return tuple(found.values())


def _left(graph: Graph, target: Target, forms: Mapping[str, Form], otherwise: str, *, with_weights: bool = False) -> Iterator[UnitRecord]:
    """otherwise: the reason of what the form could be written in; with_weights: only of operators that have constant weights."""
    for node in graph.nodes:
        if not node.writes or node.writes[0] in forms or node.operator in DATA or (with_weights and not weight_operands(graph, node)):
            continue
        because = no_other_form(graph, node, target)
        yield _unit([node], FLOAT, (), otherwise if because.startswith(NOT_WRITTEN) else because)


def _unit(nodes: list[Node], chosen: FormName, forms: tuple[FormRecord, ...], because: str) -> UnitRecord:
    names = tuple(node.name or node.writes[0] for node in nodes if node.name or node.writes)
    return UnitRecord(operators=names, kind=nodes[0].kind, chosen=chosen, forms=forms, because=because)


def _gain(row: UnitRecord) -> tuple[float, int, str]:
    by_name = {one.form: one for one in row.forms}
    if row.chosen == FLOAT or row.chosen not in by_name or FLOAT not in by_name:
        return 0.0, 0, row.operators[0] if row.operators else ""
    new, old = by_name[row.chosen], by_name[FLOAT]
    return new.seconds - old.seconds, new.weight_bytes - old.weight_bytes, row.operators[0]


def rounded_to_4(value: float) -> float:
    """With four digits: a manifest is a part of the package."""
    return float(f"{min(value, LARGEST):.4g}")


def _loss(loss: float) -> str:
    return percent(loss) if loss < 10 else "more than the outputs themselves"
