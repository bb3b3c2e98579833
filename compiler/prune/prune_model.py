"""From a float model to a smaller one: channels and heads of the smallest magnitude removed from the graph, once it is recovered and
simplified (a normalisation is in the weights then, and attention is one operator)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Literal

from ...passes.prune.compensate import compensate, remainders
from ...passes.prune.groups import Group, channels_in, groups_of, ranked, reason
from ...passes.prune.remove import remove
from ...passes.prune.spread import Spread
from ...passes.prune.turns import spread_of
from ...passes.prune.unshare import unshare
from ...targets.model import Target
from ..bundle.pruning_record import PrunedLayerRecord, PruningRecord
from ..errors import UsageError
from ..load.load_model import LoadedModel
from ..load.source import MemoryModel, check_unchanged
from ..pipeline.run_passes import Stage, run_passes
from ..plan.plan_model import start
from ..precision.calibration_data import CalibrationData, Sample, census, open_data
from ..precision.choose import LEAST_COSINE
from ..precision.kept_ranges import key_of
from ..precision.plain_model import plain_model
from ..precision.quantise_model import SIMPLE, input_types, weight_bytes
from ..precision.quantised_already import check_float
from ..precision.split import Split
from .choose_rates import choose_rates
from .layers import Layers, layers_of
from .moments import moments_of
from .rates import gone
from .request import PruneRequest
from .savings import Savings
from .sensitivity import judge_of

LOSSES = "pruning 2"
"""How losses are measured: others are not kept under one name with these."""
MOST, FEWEST, JUDGING = 64, 8, 3
"""Calibration samples that are looked at; of eight or more every third is for judging."""
NO_SECONDS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedModel:
    """A model without some of its channels and heads."""

    model: MemoryModel
    record: PruningRecord
    """Without the seconds, which plans show, and the accuracy, which the bundle's own run shows."""
    data: CalibrationData | None
    split: Split | None
    notes: tuple[str, ...]


def prune_model(
    loaded: LoadedModel,
    target: Target,
    request: PruneRequest,
    stage: Stage,
    without: frozenset[str] = frozenset(),
    seconds: Mapping[str, float] = NO_SECONDS,
    least: float = LEAST_COSINE,
) -> PrunedModel:
    """The model as `request` asks for it. seconds: what operators take as they are placed, by the first tensor that each writes. least: the
    cosine that rates which nobody stated have to keep.

    Raises UsageError for a layer that the model does not have or that cannot be pruned, for a model in which nothing can, and for data that
    does not fit; ModelError where the model does not run on the data."""
    where = str(loaded.source)
    with stage("graph"):
        work = start(loaded, target, without=without)
    check_float(work.graph, where)
    data = None if request.data is None else open_data(request.data, input_types(loaded.proto))
    found = None if data is None else census(data)
    split = None if found is None else Split(found.samples)
    run_passes(work, stage, until=SIMPLE)
    with stage("prune"):
        graph = work.graph
        unshare(graph)
        spread = spread_of(graph)
        groups = groups_of(spread)
        if not groups:
            raise UsageError(f"nothing of the model can be pruned{_because(spread)}", where=where, help="compile it without --prune")
        layers = layers_of(loaded.proto, spread, groups)
        asked = {layers.group(name): rate for name, rate in request.layers.items()}
        fitting, judging = _parts(data, split)
        moments = moments_of(graph, spread, fitting) if fitting else {}
        groups = ranked(groups, remainders(graph, spread, moments))
        if request.rate != "auto":
            rates = [asked.get(k, request.rate) for k in range(len(groups))]
        else:
            assert found is not None
            judge = judge_of(graph, spread, judging, moments)
            key = key_of(plain_model(graph), found.sha256, LOSSES)
            rates = choose_rates(judge, groups, asked, Savings(spread, seconds), least, key)
        before, went = weight_bytes(graph), gone(spread, groups, rates)
        compensate(graph, spread, went, moments)
        lost = set(went.tolist())
        remove(graph, spread, lost)
        records = tuple(_record(layers, group, lost) for group in groups if lost.intersection(group.roots.tolist()))
    record = PruningRecord(
        source_sha256=loaded.sha256,
        structured=records,
        weight_bytes=(before, weight_bytes(graph)),
        seconds=None,
        samples=split.calibrating if split is not None else 0,
        accuracy=(),
    )
    model = MemoryModel(plain_model(graph), where)
    check_unchanged(loaded.files)
    return PrunedModel(model=model, record=record, data=data, split=split, notes=_notes(data, records))


def _parts(data: CalibrationData | None, split: Split | None) -> tuple[list[Sample], list[Sample]]:
    """Samples that weights are fitted on, and those that choices are judged on: others, where there are enough: a few samples are fitted
    better than the next ones will be."""
    if data is None or split is None:
        return [], []
    samples = list(islice(split.calibrated(data), MOST))
    if len(samples) < FEWEST:
        return samples, samples
    return [one for k, one in enumerate(samples) if k % JUDGING], samples[::JUDGING]


def _record(layers: Layers, group: Group, lost: set[int]) -> PrunedLayerRecord:
    whole = group.width if group.heads and group.channels == len(group.roots) * group.width else 1
    left = group.channels - channels_in(layers.spread, group, lost)
    kind: Literal["channels", "heads"] = "heads" if whole > 1 else "channels"
    return PrunedLayerRecord(layers=layers.told(group), kind=kind, before=group.channels // whole, after=left // whole)


def _because(spread: Spread) -> str:
    if not spread.makers:
        return ": it has no Conv, Gemm or MatMul with constant weights"
    return f": of the channels of its first layer, {reason(spread, spread.makers[0])}"


def _notes(data: CalibrationData | None, records: tuple[PrunedLayerRecord, ...]) -> tuple[str, ...]:
    if not records:
        return ("no layer has so many channels that one goes at these rates: the model is as it was",)
    if data is None:
        return ("what pruning costs in accuracy was not measured: give --calibration-data",)
    return ()
