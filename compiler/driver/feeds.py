"""The inputs on which a bundle was held against its model, again: those that showed a difference first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..inputs.samples import Given, samples_of
from ..inputs.trials import Trials
from ..plan.plan_model import PlannedModel
from ..reference.recall import Recalling
from ..verify.reference import read_graph
from ..verify.report import VerifyReport
from ..verify.trial import Untouched


def feeds_of(planned: PlannedModel, oracle: Recalling, inputs: Given | None, report: VerifyReport | None) -> list[Mapping[str, Any]]:
    """Arrays by name. The oracle recalls what it answered. report: of the comparison, None where the bundle did not run."""
    compiled = planned.compiled
    sizes = {name: compiled.tensors[name].shape for name in (*compiled.graph_inputs, *compiled.graph_outputs)}
    known = {name: tuple(dim or 0 for dim in shape) for name, shape in sizes.items() if shape is not None}
    shapes = {name: shape for name, shape in known.items() if name in compiled.graph_inputs}
    outputs = {name: known.get(name) for name in compiled.graph_outputs}
    graph = read_graph(planned.loaded.source)
    trials = Trials(graph, Untouched(oracle, ()), shapes, compiled.graph_inputs, outputs, samples_of(inputs)).sets()
    shown = {one.worst.inputs for one in (report.outputs if report is not None else ()) if one.fault and one.worst is not None}
    return [trial.values for trial in sorted(trials, key=lambda trial: trial.label not in shown)]
