"""Verification as part of a compilation: the bundle is run against the model before it takes its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..bundle.manifest import LimitRecord, MeasuredRecord
from ..devices.find_adapter import PLAN_ONLY, absence
from ..emit.emit import ManifestFacts
from ..errors import BundleError, ModelError, VerifyError
from ..load.load_model import LoadedModel
from ..plan.segments import Compiled
from ..run.bundle import Bundle
from ..verify.fitting_inputs import MadeUp
from ..verify.judge import beyond, broken, broken_limits
from ..verify.report import VerifyReport
from ..verify.verify import SETS, verify
from .error_budget import OverBudget
from .route_around import WrongOnDevice


@dataclass(slots=True)
class Measurement:
    """Verifies the bundle of a folder when called; `report` then holds the result, or why there is none."""

    loaded: LoadedModel
    facts: ManifestFacts
    emulate: bool
    inputs: Mapping[str, Any] | None = None
    """Compared besides generated ones."""
    report: VerifyReport | str = field(default="it was not asked for")

    def __call__(self, folder: Path) -> tuple[tuple[LimitRecord, ...], tuple[MeasuredRecord, ...]]:
        """The limits with what was measured, and the errors. Raises VerifyError for a bundle that computes something else than its
        model, OverBudget for one that is only less exact than the target's limits want; one whose outputs do not respond to any
        input is kept, and the report says that nothing is proved."""
        try:
            report = self.report = verify(self.loaded.source, Bundle.load(folder), emulate=self.emulate, inputs=self.inputs)
        except BundleError as problem:
            self._blame_the_model(folder)
            # the folder is gone when this is read, and the user did nothing wrong
            message = f"the bundle does not run: {problem.message.replace(f'{folder}/', '')}"
            help = "the untouched model does run here: please report this"
            raise VerifyError(message, where=str(self.loaded.source), help=help) from problem
        different = beyond(report.outputs, report.boundaries, report.tolerance, bool(report.narrow))
        over = broken_limits(report.limits)
        found = self._problem(report, different, over)
        if found is not None:
            raise WrongOnDevice(found) if report.native else found
        known = {(limit.kind, limit.subject): limit for limit in report.limits}
        return tuple(known.get((limit.kind, limit.subject), limit) for limit in self.facts.limits), report.records()

    def _problem(self, report: VerifyReport, different: list[str], over: tuple[LimitRecord, ...]) -> VerifyError | None:
        """What is to be raised for it, if anything."""
        if (different and report.approximated) or (over and not different):
            return OverBudget(different, over, self.facts.errors.bounds, where=str(self.loaded.source))
        wrong = [*different, *broken(over)]
        help = "loosen the limit or the `tol` of a rewrite line in the target; if no approximation was taken, please report this"
        message = f"the bundle differs from the model: {'; '.join(wrong)}"
        return VerifyError(message, where=str(self.loaded.source), help=help) if wrong else None

    def _blame_the_model(self, folder: Path) -> None:
        """Raises ModelError where the untouched model does not run either: bound to sizes that it cannot have."""
        from ..verify.reference import Reference, read_graph

        source, inputs = self.loaded.source, Bundle.load(folder).manifest.model.inputs
        shapes = {value.name: value.shape for value in inputs if value.shape is not None}
        model = read_graph(source)
        made_up = MadeUp(model, Reference(source, model), shapes, tuple(value.name for value in inputs))
        if all(made_up.attempt(seed) is None for seed in range(SETS)):
            sizes = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            message = f"the untouched model does not run with {sizes}: {made_up.unfit[0]}"
            raise ModelError(message, where=str(source), help="bind sizes that it can have with --shape")


def measurement(
    loaded: LoadedModel, compiled: Compiled, facts: ManifestFacts, *, emulate: bool, inputs: Mapping[str, Any] | None = None
) -> Measurement | str:
    """How to measure, or why that is not possible here: a runtime is missing and nobody asked for a stand-in."""
    absent = []
    for segment in compiled.segments:
        runtime = compiled.runtimes[segment.device]
        lack = absence(runtime.adapter, runtime.words)
        if lack is not None:
            named = "" if runtime.adapter == PLAN_ONLY else f": runtime {runtime.adapter}"
            absent.append(f"{segment.index} ({segment.device}{named}): {lack.reason}")
    if absent and not emulate:
        return f"segment {'; '.join(absent)}; --emulate runs such segments on the CPU"
    return Measurement(loaded, facts, emulate, inputs)
