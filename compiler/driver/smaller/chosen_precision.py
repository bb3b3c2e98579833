"""A compilation of a float model in other number formats: the quantised model is compiled, the float one says how accurate it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from ...bundle.precision_record import PrecisionRecord
from ...inputs.samples import Given, samples_of
from ...load.source import MemoryModel
from ...output_file import check_file_place, write_file
from ...precision.plain_model import serialised
from ...precision.quantise_model import QuantisedModel, quantise_model
from ...precision.request import PrecisionRequest
from ...precision.weights.quantise_weights import quantise_weights
from ..job import Job
from .check_alone import check_alone

VERIFIED_ON = 8
"""Samples that a bundle is compared with its model on, besides generated inputs: those lie outside the ranges of many a model, and how two
runs of a quantised model differ there says nothing."""


@dataclass(frozen=True, slots=True)
class ChosenPrecision:
    """What became of the model."""

    quantised: QuantisedModel

    @property
    def model(self) -> MemoryModel:
        """The model that is compiled."""
        return self.quantised.model

    @property
    def record(self) -> PrecisionRecord:
        return self.quantised.record

    @property
    def notes(self) -> tuple[str, ...]:
        return self.quantised.notes

    def real_inputs(self, inputs: Given | None) -> Given | None:
        """What to compare the bundle on first: the caller's `inputs`, then samples of the calibration data, held out ones if there are."""
        data, split = self.quantised.data, self.quantised.split
        if data is None or split is None:
            return inputs
        judged = islice(split.judged(data), VERIFIED_ON)
        return (*samples_of(inputs), *((f"calibration sample {number}", arrays) for number, arrays in enumerate(judged, 1)))


def check_with(request: PrecisionRequest | None, expect: object, passes: Sequence[object]) -> None:
    """Raises UsageError for what a compilation in other number formats cannot be held against or done with."""
    if request is not None and request.precision != "fp32":
        check_alone("--precision", "--save-quantized", "quantised", "--precision and --calibration-data", expect, passes)


def choose_precision(job: Job, request: PrecisionRequest, without: frozenset[str], least: float) -> ChosenPrecision:
    """The model of the job in the forms that were asked for; chosen ones within a cosine of `least`. Raises as `quantise_model` does."""
    if request.weights_alone:
        return ChosenPrecision(quantise_weights(job.load(), job.target, request, job.clock.stage))
    return ChosenPrecision(quantise_model(job.load(), job.target, request, job.clock.stage, without, least))


def check_saved(request: PrecisionRequest) -> None:
    """Raises UsageError where the quantised model cannot be written."""
    if request.save is not None:
        check_file_place(request.save, "the quantised model", (".onnx",), "--save-quantized")


def save_quantised(request: PrecisionRequest, chosen: ChosenPrecision) -> None:
    """Where `request.save` says, if it does."""
    if request.save is not None:
        write_file(request.save, serialised(chosen.model.proto, request.save))
