"""From a float model to one whose weights alone are in fewer bits. Its operators and its dims stay, so that it is the same model for every
size that it is compiled for: entries of a bundle have these weights in common.

What exporters scatter over many operators stays scattered: they compute in floats, and are recovered when the model is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ....passes.graph.graph import Graph
from ....passes.precision.block_rounding import BlockRounding
from ....passes.precision.eligible import kept_forms
from ....passes.precision.weight_forms import grids_on, in_blocks_of_4, weight_forms
from ....targets.model import Target
from ....targets.precision import Form
from ...bundle.precision_record import UnitRecord
from ...load.load_model import LoadedModel
from ...load.source import MemoryModel
from ...pipeline.run_passes import Stage
from ...plan.plan_model import rules_for
from ...quantities import count
from ..calibration_data import CalibrationData, Census, census, open_data
from ..kept_ranges import key_of_file
from ..losses import float_outputs
from ..quantise_model import MOST_FITTED, QuantisedModel, in_forms, input_types, notes_on_samples, nothing_to_write
from ..quantised_already import check_float
from ..request import PrecisionRequest
from ..split import Split
from ..unit_table import rows_of_weights
from .choose_weights import SAMPLES, choose_weights, judge_weights
from .fit_weights import FittedWeights, fit_weights
from .own_grids import OwnGrids, own_grids
from .weight_candidates import candidates
from .weight_prices import WeightPrices

WITHOUT_DATA = "--precision int8 without calibration data: the weights alone are in 8 bits, activations stay in floats"
ENOUGH = 2
"""Times as many samples as losses are measured on: of fewer, weights are fitted on all of them."""
Sample = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SampleForm:
    """What calibration samples are, where they are not just all inputs of the model."""

    given: Collection[str]
    """Inputs that a sample has arrays for."""
    completed: Callable[[Sample], Sample]
    """With all inputs."""
    left_out: Collection[str] = ()
    """Outputs that accuracy is not of."""


@dataclass(frozen=True, slots=True)
class _Samples:
    """To fit weights on, and to measure losses with."""

    data: CalibrationData
    census: Census
    split: Split
    form: SampleForm

    @property
    def measured(self) -> tuple[Sample, ...]:
        """Those that losses are measured on."""
        return self._first(SAMPLES)

    @property
    def fitted(self) -> tuple[Sample, ...]:
        """Those that weights are fitted on: others than losses are measured on, if there are enough."""
        first = self._first(MOST_FITTED + SAMPLES)
        return first[SAMPLES:] if len(first) > ENOUGH * SAMPLES else first

    def _first(self, number: int) -> tuple[Sample, ...]:
        """Of those that are not held out."""
        return tuple(map(self.form.completed, islice(self.split.calibrated(self.data), number)))


def quantise_weights(
    loaded: LoadedModel, target: Target, request: PrecisionRequest, stage: Stage, form: SampleForm | None = None, least: float = 1.0
) -> QuantisedModel:
    """loaded: its dims may be unbound; its weights are taken over. form: of the samples. least: the cosine with the float model that a
    choice has to keep, on the samples.

    Raises UsageError for a model that is quantised already, for samples that do not fit, and where no weight can be written in the form on
    the target; ModelError where the model does not run on a sample."""
    where = str(loaded.source)
    with stage("graph"):
        graph = Graph(loaded.proto)
    check_float(graph, where)
    samples = None
    if request.data is not None:
        with stage("read samples"):
            samples = _samples(loaded, request, form)
    blocks = in_blocks_of_4(graph, target) if request.form != "w8" else {}
    with stage("look for grids"):
        own = own_grids(graph, lambda node: grids_on(graph, target, node), ("w4", "w8") if request.form != "w8" else ("w8",))
    fitted = FittedWeights(BlockRounding({}, own.made), {})
    if samples is not None and request.weights_method == "gptq":
        with stage("fit weights"):
            fitted = fit_weights(graph, blocks, samples.fitted, own)
    with stage("choose weights"):
        wanted, units = _wanted(graph, loaded.sha256, target, request, samples, fitted, own, least)
        forms = kept_forms(graph, wanted, {})
    if not forms and request.form is not None:
        raise nothing_to_write(graph, target, request, where)
    with stage("quantise"):
        model, record = in_forms(loaded, graph, forms, {}, fitted.rounding, None, units)
    data, split = (None, None) if samples is None else (samples.data, samples.split)
    notes = (*own.notes(wanted), *_notes(request, samples, forms, own), *notes_on_samples(split))
    return QuantisedModel(model=MemoryModel(model, where), record=record, choice=None, data=data, split=split, notes=notes)


def _notes(request: PrecisionRequest, samples: _Samples | None, written: Mapping[str, Form], own: OwnGrids) -> tuple[str, ...]:
    if request.precision == "int8":
        return (WITHOUT_DATA,)
    kept = own.kept("w4")
    fitted = [name for name, form in written.items() if form.name == "w4" and name not in kept]
    if samples is None or request.weights_method != "gptq" or not fitted:
        return ()
    which = "other weights" if kept else "weights"
    return (f"{which} in 4 bits are fitted to {count(len(samples.fitted), 'calibration sample')} (gptq)",)


def _samples(loaded: LoadedModel, request: PrecisionRequest, form: SampleForm | None) -> _Samples:
    assert request.data is not None, "the caller has looked"
    kinds = input_types(loaded.proto)
    form = form or SampleForm([kind.name for kind in kinds], lambda sample: sample)
    data = open_data(request.data, [kind for kind in kinds if kind.name in form.given])
    found = census(data)
    return _Samples(data, found, Split(found.samples, calibrates=request.form is None or request.weights_method == "gptq"), form)


def _wanted(
    graph: Graph,
    sha256: str,
    target: Target,
    request: PrecisionRequest,
    samples: _Samples | None,
    fitted: FittedWeights,
    own: OwnGrids,
    least: float,
) -> tuple[Mapping[str, Form], tuple[UnitRecord, ...]]:
    """Forms of operators, by the first tensor that each writes, and what they were chosen from. sha256: of the model's file."""
    if request.form is not None:
        forms = weight_forms(graph, target, request.form, own.forms)
        return forms, rows_of_weights(graph, target, forms)
    assert samples is not None, "auto has data"
    outputs = [name for name in float_outputs(graph) if name not in samples.form.left_out]
    found = candidates(graph, target, WeightPrices(target, rules_for(target, frozenset())), own.forms)
    key = key_of_file(sha256, samples.census.sha256, f"weights {request.weights_method} {outputs} {samples.form.given}")
    judge = judge_weights(graph, outputs, samples.measured, fitted.rounding)
    choice = choose_weights(judge, found, fitted, key, least)
    return choice.forms, choice.units
