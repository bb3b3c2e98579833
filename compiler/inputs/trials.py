"""Trial inputs for a model, run on the untouched model: those given, those planned, and more where a branch or a clip was not reached.

What is kept is what a bundle is compared on; `coverage` says what none of it exercised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ModelError
from ..mapped_arrays import MappedArrays
from .coverage import Coverage, Seen
from .fitting_inputs import LONGEST_REASON, misfit
from .points import Point, points_of, sight_of
from .probe import pairs
from .recipes import Cook, Recipe, planned
from .roles import Role, parts_of
from .samples import check_names
from .search import candidates
from .trial_set import TrialSet

if TYPE_CHECKING:
    import onnx

MORE = 8
"""Runs beyond the plan to reach what it did not."""
PATIENCE = 4
"""Such runs in a row that show nothing new, after which the search ends."""
CONTROLS = 3
"""Sets with other values of integer controls that are kept."""
PROBED = 16
"""Inputs that are changed alone."""
PROBES = 24
"""Runs for that."""
WORK, LEAST = 4_000_000_000, 3
"""Elementary operations after which no more sets are made (some seconds of one core), once there are that many."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the untouched model made of one set of inputs."""

    outputs: Mapping[str, Any]
    reached: frozenset[tuple[str, str]]
    """(path of a node, side) of every side that a value reached, as compiler/inputs/points.py names paths and sides."""
    work: int = 0
    """Elementary operations that it took; counted, not timed."""


class Untouched(Protocol):
    """The model as it was given."""

    def run(self, inputs: Mapping[str, Any]) -> Run:
        """Raises ModelError where the model refuses these inputs."""
        ...


class Trials:
    """Everything is run once, when first asked for.

    shapes: full shapes of inputs that the model leaves open. inputs: names of those to feed. outputs: shapes that a bundle has memory for.
    given: (label, arrays) of real samples, which come first; what the model raises on them is passed on.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        untouched: Untouched,
        shapes: Mapping[str, tuple[int, ...]],
        inputs: Sequence[str],
        outputs: Mapping[str, tuple[int, ...] | None] | None = None,
        given: Iterable[tuple[str, Mapping[str, Any]]] = (),
    ) -> None:
        self.unfit: list[str] = []
        """Why inputs could not be used, each reason once."""
        self._model, self._untouched, self._given = model, untouched, tuple(given)
        self._outputs = outputs or {}
        sight = sight_of(model, shapes)
        parts = parts_of(model, sight, shapes)
        settled = {part.name for part in parts if part.settled}
        reach = {name: sight.depends.of(name) - settled for name in sight.flow.outputs}
        self._live = [name for name in inputs if any(name in found for found in reach.values())]
        self._cook = Cook(model, [part if part.name in self._live else replace(part, role=Role.OTHER) for part in parts], shapes, inputs)
        self._seen = Seen({name: found for name, found in reach.items() if found}, points_of(sight))
        self._operators = frozenset(step.operator for step in sight.flow.steps)
        self._kept: list[TrialSet] = []
        self._arrays = MappedArrays()
        self._work = 0

    def sets(self) -> list[TrialSet]:
        """The sets to compare on, the given ones first."""
        return list(self._all)

    @property
    def coverage(self) -> Coverage:
        """What the sets exercised, and what not."""
        self.sets()
        return self._seen.coverage(self._live)

    @cached_property
    def _all(self) -> list[TrialSet]:
        for label, values in self._given:
            check_names(values, tuple(self._cook.parts))
            run = self._run(values)
            self._keep(TrialSet(label, values, run.outputs, run.reached, given=True))
        before = len(self._kept)
        self._plan()
        if len(self._kept) == before and self._cook.narrow():
            self._plan()
        if self._kept and len(self._kept) == before:
            self._vary(self._kept[0])
        self._search()
        self._probe()
        return self._kept

    def _keep(self, trial: TrialSet) -> None:
        self._kept.append(trial)
        self._seen.add(trial.outputs, trial.reached)

    def _plan(self) -> None:
        """Where the plain sets are refused and other values of an integer control are not, all others are made with those."""
        controls, refused = 0, list[Recipe]()
        for recipe in planned(self._cook):
            if recipe.kind == "control" and controls == CONTROLS:
                continue
            trial = self._first(recipe) if recipe.label == "seed 0" else self._attempt(recipe)
            if trial is None:
                refused.append(recipe)
            elif self._tells(recipe, trial):
                self._keep(trial)
                controls += recipe.kind == "control"
            if trial is not None and recipe.kind == "control" and len(refused) > 1 and not self._cook.settled:
                self._cook.settled = {name: trial.values[name] for name in recipe.changes}
                self._again([one for one in refused if one.kind != "control"])

    def _vary(self, sample: TrialSet) -> None:
        """Where the model takes nothing that is made up: a given sample with other numbers, everything else as it is."""
        for recipe in planned(self._cook):
            if recipe.kind == "scale":
                trial = self._attempt(replace(recipe, label=f"{recipe.label} on {sample.label}", start=sample.values))
                if trial is not None and self._tells(recipe, trial):
                    self._keep(trial)

    def _first(self, recipe: Recipe) -> TrialSet | None:
        trial = self._attempt(recipe)
        return self._turned(recipe, trial) if self._closed(trial) else trial

    def _again(self, recipes: Iterable[Recipe]) -> None:
        for recipe in recipes:
            trial = self._attempt(recipe)
            if trial is not None and self._tells(recipe, trial):
                self._keep(trial)

    def _attempt(self, recipe: Recipe) -> TrialSet | None:
        """A set as made, and run; None where the model does not take it, and `unfit` says why, or enough was computed already."""
        if self._work > WORK and len(self._kept) >= LEAST:
            return None
        try:
            values = self._arrays.kept(self._cook.make(recipe))
            run = self._run(values)
        except ModelError as problem:
            self._note(problem.message.splitlines()[0][:LONGEST_REASON])
            return None
        if reason := misfit(self._model, self._outputs, run.outputs):
            self._note(reason)
            return None
        plain = recipe.kind == "plain" and not recipe.changes and recipe.start is None
        return TrialSet(recipe.label, values, run.outputs, run.reached, plain)

    def _run(self, values: Mapping[str, Any]) -> Run:
        run = self._untouched.run(values)
        self._work += run.work
        return run

    def _note(self, reason: str) -> None:
        if reason not in self.unfit:
            self.unfit.append(reason)

    def _closed(self, trial: TrialSet | None) -> bool:
        """Whether masks of ones seem to hide everything."""
        return any(part.role is Role.MASK for part in self._cook.parts.values()) and (
            trial is None or any(_finite(value) == 0 for value in trial.outputs.values())
        )

    def _turned(self, recipe: Recipe, trial: TrialSet | None) -> TrialSet | None:
        """The set with masks that close where they are one, where that shows more."""
        self._cook.inverted = True
        turned = self._attempt(recipe)
        if turned is None or self._closed(turned):
            self._cook.inverted = False
            return trial
        return turned

    def _tells(self, recipe: Recipe, trial: TrialSet) -> bool:
        """Not a set on which an output is no number at all, nor one whose numbers are so large that some became none."""
        if recipe.kind == "plain" and not recipe.changes:
            return True
        shares = {name: _finite(value) for name, value in trial.outputs.items()}
        usual = {name: _finite(value) for name, value in self._kept[0].outputs.items()} if self._kept else {}
        if recipe.kind == "scale":
            return all(share >= min(usual.get(name, 1.0), 1.0) for name, share in shares.items())
        return all(share > 0 or usual.get(name) == 0 for name, share in shares.items())

    def _search(self) -> None:
        """More sets, each kept if it reaches something new."""
        tried = {trial.label for trial in self._kept}
        patience = PATIENCE
        for _ in range(MORE):
            unmoved = [Point(name, "changed", name, "", self._seen.depends[name]) for name in self._seen.unmoved()]
            missing = [*unmoved, *self._seen.missing()]
            if not missing or not patience:
                return
            starts = {key: (trial.label, trial.values) for trial in reversed(self._kept) for key in trial.reached}
            recipe = next((r for r in candidates(self._cook, missing, starts, self._operators) if r.label not in tried), None)
            if recipe is None:
                return
            tried.add(recipe.label)
            patience = PATIENCE if self._consider(recipe) else patience - 1

    def _consider(self, recipe: Recipe) -> TrialSet | None:
        trial = self._attempt(recipe)
        if trial is None or not self._tells(recipe, trial) or not self._seen.new(trial.outputs, trial.reached):
            return None
        self._keep(trial)
        return trial

    def _probe(self) -> None:
        """Each input changed alone, on top of one set, until an output changes."""
        runs = 0
        for name in self._probed():
            for before, after in pairs(name, self._kept):
                if isinstance(after, TrialSet):
                    found: TrialSet | None = after
                elif runs < PROBES:
                    runs += 1
                    found = self._attempt(after)
                else:
                    break
                if found is not None and self._seen.alone(name, before.outputs, found.outputs):
                    if found is not after and self._seen.new(found.outputs, found.reached):
                        self._keep(found)
                    break

    def _probed(self) -> list[str]:
        """Masks, flags and integers first: they are what is ignored unseen."""
        late = (Role.REAL, Role.IMAGE, Role.OTHER)
        return sorted(self._live, key=lambda name: name in self._cook.parts and self._cook.parts[name].role in late)[:PROBED]


def _finite(value: Any) -> float:
    """The share of an output's elements that are numbers; 1.0 for what is not a tensor of floats, or is empty."""
    import numpy as np

    if value is None or isinstance(value, (list, tuple)):
        return 1.0
    array = np.asarray(value)
    return float(np.isfinite(array).mean()) if array.dtype.kind == "f" and array.size else 1.0
