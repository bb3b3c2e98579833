"""A compilation of a pruned model: it is compiled and verified; the model as it was says how accurate it is, and how fast it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import structs

from ...bundle.pruning_record import PruningRecord
from ...load.source import MemoryModel
from ...output_file import check_file_place, write_file
from ...pipeline.run_passes import PassOptions
from ...plan.plan_model import PlannedModel, plan_model
from ...precision.asked_accuracy import cosine_text
from ...precision.choose import LEAST_COSINE, least_cosine
from ...precision.plain_model import serialised
from ...prune.prune_model import PrunedModel, prune_model
from ...prune.request import PruneRequest
from ..job import Clock, Job
from ..result import CompileResult
from ..search import Log
from ..verdict import AccuracyMissed
from .accuracy_rounds import exhausted, tighter
from .check_alone import check_alone

MOST_ROUNDS = 4
"""Choices of rates that are compiled, at most."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of the model."""

    made: PrunedModel
    record: PruningRecord

    @property
    def model(self) -> MemoryModel:
        """The model that is compiled."""
        return self.made.model

    @property
    def notes(self) -> tuple[str, ...]:
        return self.made.notes


def check_pruned_with(request: PruneRequest | None, expect: object, passes: object) -> None:
    """Raises UsageError for what the compilation of a pruned model cannot be held against or done with."""
    if request is not None:
        check_alone("--prune", "--save-pruned", "pruned", "--prune", expect, passes)


def pruned_within(
    job: Job, request: PruneRequest, without: frozenset[str], effort: float, compiled: Callable[[Pruned, str, Log], CompileResult]
) -> CompileResult:
    """The bundle of the pruned model. Where rates may be chosen (`auto`) and the bundle's own run breaks a limit on the accuracy, they are
    chosen again that lose less. compiled: with what it does differently from the attempt before, and the log until then.

    Raises Infeasible with what would do where none keeps the limits, and what `prune` and `compiled` raise."""
    log: Log
    if request.save is not None:
        check_file_place(request.save, "the pruned model", (".onnx",), "--save-pruned")
    with job.clock.stage("plan without pruning"):
        before = _planned(job, without, effort)
    least, change, log = least_cosine(job.target) or LEAST_COSINE, "", ()
    for left in reversed(range(MOST_ROUNDS)):
        pruned = prune(job, request, without, effort, before, least)
        try:
            return compiled(pruned, change, log)
        except AccuracyMissed as missed:
            if not left or request.rate != "auto" or not pruned.record.structured:
                raise exhausted(missed, "pruned" if pruned.record.structured else "fp32") from missed
            log, least = missed.log, tighter(least, missed)
            change = f"rates that keep a cosine of {cosine_text(least)} on the calibration samples, since {missed.message}"
    raise AssertionError("the last round returns or raises")


def prune(
    job: Job, request: PruneRequest, without: frozenset[str], effort: float, before: PlannedModel | None, least: float = LEAST_COSINE
) -> Pruned:
    """The model of the job as it was asked for, written where `request.save` says. before: the plan of the model as it was given. least:
    the cosine that chosen rates have to keep, on the calibration samples. Raises what `prune_model` raises."""
    made = prune_model(job.load(), job.target, request, job.clock.stage, without, _seconds(before), least)
    if request.save is not None:
        write_file(request.save, serialised(made.model.proto, request.save))
    with job.clock.stage("plan with pruning"):
        after = _planned(job.of(made.model), without, effort)
    seconds = None if before is None or after is None else (before.predicted.latency, after.predicted.latency)
    return Pruned(made, structs.replace(made.record, seconds=seconds))


def _seconds(planned: PlannedModel | None) -> dict[str, float]:
    """Of every operator as it is placed, by the first tensor that it writes."""
    placement = None if planned is None else planned.work.placement
    if placement is None:
        return {}
    return {node.writes[0]: time for node, time in zip(placement.question.nodes, placement.seconds, strict=True) if node.writes}


def _planned(job: Job, without: frozenset[str], effort: float) -> PlannedModel | None:
    """The plan of a model; None where none keeps the limits of the target."""
    silent = Clock(lambda message: None)
    found = plan_model(job.load(), job.target, effort, silent.stage, PassOptions(without=without), diagnose=False)
    return found if isinstance(found, PlannedModel) else found.breaking
