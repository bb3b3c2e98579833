"""Which form every operator runs in: one placement problem in which a unit may run on any device in any form that the device takes.

A form other than the model's own adds to the loss of the whole model. Losses are measured for each unit alone and their squares add up
(rounding of one unit is taken to be uncorrelated with another's), so a limit on the loss is a limit on a sum (`Problem.most_error`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...targets.model import Target
from ...targets.operator_view import TensorView
from ...targets.precision import FORMS, Form, FormName
from ..place.candidates import Implementation
from ..place.known_plans import known_assignments
from ..place.objectives import LATENCY, OVERLAP, THROUGHPUT, aimed_problem, solver_for
from ..place.place_operators import RouteTimes, build_problem, device_sets, gather, route_times, tied
from ..place.placed import DeviceAnswers
from ..solve.problem import Net, Option, Problem, Unit
from ..solve.solve import Solution
from .form_costs import Copies, change_seconds
from .unit_forms import UnitForms, without_idle_moves

FLOAT: FormName = "fp32"
HELD: tuple[str, ...] = ("fp32", "fp16", "uint16", "uint8")
"""Dtypes that activations are held in; a form of the solver's is a place here. Whether a device wants int8 or uint8 makes no difference to
what a change costs."""
PLACE: Mapping[str, int] = {name: place for place, held in enumerate(HELD) for name in (held, held.removeprefix("u"))}
OF_ONE_REQUEST = (OVERLAP, THROUGHPUT)
"""Objectives for which forms are chosen as for latency."""
SECONDS = 5.0
"""Of the solver's deterministic clock."""
Changes = Callable[[TensorView], tuple[tuple[tuple[float | None, ...], ...], ...]]
"""Seconds of a tensor on each device, from each form of HELD into each."""
OptionForms = list[list[list[FormName]]]
"""By unit, device and option."""
Stated = tuple[Problem, OptionForms]
"""What form_problem returns."""
Losses = Mapping[tuple[int, FormName], float]
"""By unit and form: how far the model's outputs move where this unit alone runs in the form (relative, root mean square)."""


@dataclass(frozen=True)
class FormQuestion:
    """The units of a graph of floats, and what each may run in."""

    asked: DeviceAnswers
    units: tuple[tuple[int, ...], ...]
    offered: UnitForms

    def tensors(self, unit: int) -> list[str]:
        """Of the unit's operators that have another form somewhere, the first tensor that each writes."""
        names = (self.asked.nodes[k].writes for k in self.units[unit])
        return [writes[0] for writes in names if writes and writes[0] in self.offered]

    def forms(self, unit: int) -> list[FormName]:
        """Those other than fp32 that some device may run the unit in."""
        names = {form.name: None for tensor in self.tensors(unit) for forms in self.offered[tensor].values() for form in forms}
        return [name for name in FORMS if name in names and name != FLOAT]

    def on(self, unit: int, device: str) -> dict[FormName, Form]:
        """Forms other than fp32 that the device takes the unit in, preferred ones first; of one name the first. What has no such form
        stays as it is."""
        found: dict[FormName, Form] = {}
        for tensor in self.tensors(unit):
            for form in self.offered[tensor].get(device, ()):
                if form.name != FLOAT:
                    found.setdefault(form.name, form)
        return found

    def rounds(self, unit: int, column: int) -> bool:
        """Whether a device computes operators of fp32 in fp16 as they stand."""
        answers = (
            self.asked.answers[k][column] for k in self.units[unit] if not self.offered.keys().isdisjoint(self.asked.nodes[k].writes[:1])
        )
        return any(isinstance(answer, Implementation) and answer.compute_dtype == "fp16" for answer in answers)

    def written(self, unit: int, device: str, form: FormName) -> dict[str, Form]:
        """The unit in a form of the device's, for `quantise`."""
        if form == FLOAT:
            return {}
        of = {tensor: _by_name(self.offered[tensor].get(device, ())) for tensor in self.tensors(unit)}
        return {tensor: forms[form] for tensor, forms in of.items() if form in forms}

    def border(self, unit: int, device: str, form: FormName) -> tuple[int, int]:
        """The places of what its first operator on floats reads and its last one writes, where those that have the form are in it."""
        written = self.written(unit, device, form)
        names = [n for k in self.units[unit] for n in self.asked.nodes[k].writes[:1] if self.asked.graph.tensor(n).dtype == "fp32"]
        ends = (names[0], names[-1]) if names else ("", "")
        first, last = (PLACE[written[name].activations] if name in written else 0 for name in ends)
        return first, last

    def anywhere(self, unit: int, form: FormName) -> dict[str, Form]:
        """The unit as the first device that takes it in the form would run it."""
        devices = (device.name for device in self.asked.target.devices)
        return next((found for device in devices if (found := self.written(unit, device, form))), {})


@dataclass(frozen=True, slots=True)
class FormChoice:
    """What the solver chose."""

    forms: Mapping[str, Form]
    """Of operators, for `quantise`."""
    units: tuple[FormName, ...]
    solution: Solution


def form_question(asked: DeviceAnswers, offered: UnitForms) -> FormQuestion:
    """Units whose operators run on the same devices in the same forms; or are one kernel of some device, whatever their forms."""
    runs = device_sets(asked)
    forms = [_offered_names(offered, node.writes[0]) if node.writes else frozenset() for node in asked.nodes]
    joined = list(range(len(runs)))
    for before, behind in sorted(tied(asked), reverse=True):  # a tree each, whose root is its last operator
        if runs[before] == runs[behind]:
            joined[before] = joined[behind]
    every: dict[int, frozenset[tuple[str, FormName]]] = {}
    for k, own in zip(joined, forms, strict=True):
        every[k] = every.get(k, frozenset()) | own
    return FormQuestion(asked, gather(asked, [(devices, every[k]) for devices, k in zip(runs, joined, strict=True)]), offered)


def _offered_names(offered: UnitForms, tensor: str) -> frozenset[tuple[str, FormName]]:
    return frozenset((device, form.name) for device, forms in offered.get(tensor, {}).items() for form in forms)


def form_problem(question: FormQuestion, copies: Copies, losses: Losses) -> Stated:
    """The problem, and for every unit and device the form of each option."""
    target = question.asked.target
    plain, crossing, changes = build_problem(question.asked, question.units, ()), route_times(target), _changes(target)
    units, names = [], []
    for number, unit in enumerate(plain.units):
        rows = [_options(question, copies, losses, number, column, unit) for column in range(len(plain.devices))]
        names.append([[name for name, _ in row] for row in rows])
        options = tuple(tuple(option for _, option in row) for row in rows)
        units.append(replace(unit, seconds=tuple(row[0].seconds if row else None for row in options), options=options))
    return replace(plain, units=tuple(units), nets=tuple(_in_forms(question, net, crossing, changes) for net in plain.nets)), names


def limited(stated: Stated, most_loss: float) -> Problem:
    """The problem with a limit on what the choice may lose."""
    return replace(stated[0], most_error=most_loss**2)


def aimed_at(question: FormQuestion, stated: Stated, objective: str) -> Stated:
    """The problem for an objective."""
    return aimed_problem(stated[0], question.asked.target, objective), stated[1]


def choose_forms(question: FormQuestion, stated: Stated, most_loss: float, objective: str = LATENCY) -> FormChoice | None:
    """The best plan, in terms of an objective that the problem was aimed at, whose loss is at most `most_loss`; None if the target's limits
    leave none. What devices compute at once is known of segments only: for OF_ONE_REQUEST the fastest plan of one request is the answer."""
    problem = limited(stated, most_loss)
    found = solver_for(LATENCY if objective in OF_ONE_REQUEST else objective)(problem, known_assignments(problem), SECONDS)
    return None if found is None else choice_of(question, stated, found)


def choice_of(question: FormQuestion, stated: Stated, found: Solution) -> FormChoice:
    """What a solution of the problem means."""
    problem, names = stated
    options = found.options or (0,) * len(problem.units)
    chosen = [names[u][d][j] for u, (d, j) in enumerate(zip(found.assignment, options, strict=True))]
    forms: dict[str, Form] = {}
    for unit, (device, name) in enumerate(zip(found.assignment, chosen, strict=True)):
        forms |= question.written(unit, problem.devices[device], name)
    return FormChoice(without_idle_moves(question.asked.graph, forms), tuple(chosen), found)


def floats_alone(stated: Stated) -> Stated:
    """The same with every unit as it stands, whatever that loses."""
    problem, names = stated
    kept = [
        [[option for option, name in zip(on, row, strict=True) if name == FLOAT] for on, row in zip(unit.options, rows, strict=True)]
        for unit, rows in zip(problem.units, names, strict=True)
    ]
    units = tuple(
        replace(
            unit,
            seconds=tuple(on[0].seconds if on else None for on in each),
            options=tuple(tuple(replace(o, error=0.0) for o in on) for on in each),
        )
        for unit, each in zip(problem.units, kept, strict=True)
    )
    return replace(problem, units=units), [[[FLOAT] * len(on) for on in each] for each in kept]


def _options(question: FormQuestion, copies: Copies, losses: Losses, number: int, column: int, unit: Unit) -> list[tuple[FormName, Option]]:
    """The fastest first; none where the device runs the unit in no form."""
    device = question.asked.target.devices[column]
    plain = unit.seconds[column]
    names = [question.asked.nodes[k].name for k in question.units[number]]
    allowed = question.on(number, device.name)
    found: list[tuple[FormName, Option]] = []
    if plain is not None:
        lost = losses.get((number, "fp16"), 0.0) if question.rounds(number, column) else 0.0
        found.append((FLOAT, Option(plain, lost**2)))
    for name in (name for name in allowed if name in copies):
        copy = copies[name][column]
        members = copy.members(names)
        seconds = copy.seconds(members, column)
        if seconds is not None and members:
            takes, leaves = question.border(number, device.name, name)
            error = losses.get((number, name), 0.0) ** 2
            found.append((name, Option(seconds, error, copy.weight_bytes(members), leaves, takes)))
    return sorted(found, key=lambda pair: pair[1].seconds)


def _by_name(forms: Iterable[Form]) -> dict[FormName, Form]:
    found: dict[FormName, Form] = {}
    for form in forms:
        found.setdefault(form.name, form)
    return found


def _in_forms(question: FormQuestion, net: Net, crossing: RouteTimes, changes: Changes) -> Net:
    """A tensor of floats that may be held in other dtypes."""
    tensor = question.asked.graph.tensor(net.tensor)
    if tensor.dtype != "fp32" or tensor.const:
        return net
    in_form = tuple(crossing(replace(tensor, dtype=dtype)) for dtype in HELD)
    least = tuple(tuple(_least([form[a][b] for form in in_form]) for b in range(len(net.seconds))) for a in range(len(net.seconds)))
    return replace(net, seconds=least, in_form=in_form, recode=changes(tensor))


def _changes(target: Target) -> Changes:
    """Remembered by shapes."""
    known: dict[tuple[int | None, ...] | None, tuple[tuple[tuple[float | None, ...], ...], ...]] = {}

    def changes(tensor: TensorView) -> tuple[tuple[tuple[float | None, ...], ...], ...]:
        if tensor.shape not in known:
            known[tensor.shape] = tuple(
                tuple(tuple(change_seconds(target, d, tensor, f, g) for g in HELD) for f in HELD) for d in target.devices
            )
        return known[tensor.shape]

    return changes


def _least(values: Sequence[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)
