"""`autoglmc why`: all of it, as data for the screen and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...passes.place.force_placement import all_on
from ...passes.place.placed import Placement
from ...targets.model import Target
from ..bundle.manifest import GuessRecord
from ..emit.facts import guesses
from ..load.bind_shapes import Shapes
from ..load.source import Source
from .change import Change
from .groups import Group, group_operators, preferred_device
from .origins import find_nodes
from .plans import ExplainedPlan, make_plan
from .shapes import flag, prepared, smaller_shapes
from .trials import Trial, every_change, names_of, smallest_change, together
from .verdicts import Alike, alike

TRIES = 5
"""Groups for which the model is placed again with a change, by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """A group of operators, and what would place it on the preferred device."""

    group: Group
    tried: Trial | None
    """The smallest change after which the device takes the operators; None where there is none, or they could run there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Operators that were asked about and of which every device says the same."""

    alike: Alike
    tried: tuple[Trial, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The result of `why`: about the whole plan, or about the operators that `asked` names."""

    model: Source
    device: str
    """The preferred one."""
    assumed: str
    """The --shape that was assumed, "" where all dims had a size."""
    plan: ExplainedPlan
    all_there: float | None = None
    """Predicted seconds with everything on the device that it can run."""
    rows: tuple[GroupRow, ...] = ()
    together: Trial | None = None
    """All changes of `rows`, at once."""
    guesses: tuple[GuessRecord, ...] = ()
    traces: tuple[str, ...] = ()
    subjects: tuple[Subject, ...] = ()
    asked: str = ""


def explain_model(
    model: Source,
    target: Target,
    *,
    word: str = "",
    shapes: Shapes | None = None,
    device: str | None = None,
    effort: float = 1.0,
    tries: int = TRIES,
) -> Why:
    """Why operators of the model are not on the preferred device of the target (or `device`); with `word`, a node's name or an operator,
    what every device says about it. Raises UsageError for an unknown device or node, and what loading a model raises."""
    return plan_to_explain(model, target, shapes=shapes, device=device, effort=effort).why(word, tries)


def plan_to_explain(
    model: Source,
    target: Target,
    *,
    shapes: Shapes | None = None,
    device: str | None = None,
    effort: float = 1.0,
) -> ToExplain:
    """The plan of a model, of which `why` then says what is asked. Raises UsageError for an unknown device, and what loading a model
    raises."""
    preferred = preferred_device(target, device)
    work, made = prepared(model, target, shapes or {}, effort)
    plan = make_plan(work)
    head = Why(model=model, device=target.devices[preferred].name, assumed=flag(made), plan=plan)
    return ToExplain(head, preferred, {**(shapes or {}), **made})


@dataclass(frozen=True, slots=True)
class ToExplain:
    """A plan that can be asked about."""

    head: Why
    """What is the same whatever is asked."""
    device: int
    shapes: Shapes

    @property
    def plan(self) -> ExplainedPlan:
        return self.head.plan

    def why(self, word: str = "", tries: int = TRIES, file: Source | None = None) -> Why:
        """file: the model in which nodes are looked for that the plan does not have, if it is another one. Raises UsageError for a word
        that names no node and no operator."""
        return self._about(word, file or self.head.model) if word else self._overall(tries)

    def _overall(self, tries: int) -> Why:
        groups = group_operators(self.plan, self.device)
        rows, left = [], tries
        for group in groups:
            tried = None
            if group.kind != "elsewhere":
                tried = self._smallest(group, left > 0)
                left -= 1
            rows.append(GroupRow(group=group, tried=tried))
        placement = self.plan.placement
        decided = () if placement is None else guesses(placement)
        there = None if placement is None else self._all_there(placement)
        return replace(self.head, all_there=there, rows=tuple(rows), together=self._together(rows), guesses=decided)

    def _all_there(self, placement: Placement) -> float | None:
        """What the plan is predicted to take, and what the other would take more of what operators are placed by."""
        there = all_on(placement, self.device)
        return None if there is None or self.plan.total is None else self.plan.total + (there - placement.solution.price.total)

    def _about(self, word: str, file: Source) -> Why:
        found = find_nodes(self.plan, file, word)
        subjects = []
        for one in alike(self.plan, found.numbers):
            refused = not one.verdicts[self.device].runs
            group = Group(one.operator, one.runs_on, "refused", one.verdicts[self.device].because, (), "", list(one.numbers))
            tried = every_change(self.plan, group, self.device, self._shapes(group)) if refused else ()
            subjects.append(Subject(alike=one, tried=tried))
        return replace(self.head, asked=word, traces=found.traces, subjects=tuple(subjects))

    def _smallest(self, group: Group, price: bool) -> Trial | None:
        tried = smallest_change(self.plan, group, self.device, price, self._shapes(group))
        return tried[-1] if tried and not tried[-1].refusal else None

    def _shapes(self, group: Group) -> Sequence[Change]:
        work = self.plan.work
        return list(smaller_shapes(group.reason, self.shapes, self.head.model, work.target, work.effort))

    def _together(self, rows: Sequence[GroupRow]) -> Trial | None:
        """All changes but those that reload the model, at once; None where there is only one."""
        chosen = [(r.tried.change, names_of(self.plan, r.group)) for r in rows if r.tried is not None and r.tried.change.kind != "shape"]
        return together(self.plan, chosen, self.device) if len(chosen) > 1 else None
