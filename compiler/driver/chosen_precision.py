"""A compilation of a float model in other number formats: the quantised model is compiled, the float one says how accurate it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from msgspec import structs

from ..bundle.manifest import Manifest
from ..bundle.precision_record import PrecisionRecord
from ..errors import UsageError
from ..inputs.samples import Given, samples_of
from ..load.source import MemoryModel, Source
from ..output_file import check_file_place, write_file
from ..precision.accuracy import measure_accuracy
from ..precision.plain_model import serialised
from ..precision.quantise_model import QuantisedModel, quantise_model
from ..precision.request import PrecisionRequest
from .job import Job

VERIFIED_ON = 8
"""Samples that a bundle is compared with its model on, besides generated inputs: those lie outside the ranges of many a model, and how two
runs of a quantised model differ there says nothing."""


@dataclass(frozen=True, slots=True)
class ChosenPrecision:
    """What became of the model."""

    source: Source
    """The float model."""
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

    def measured(self, folder: Path, manifest: Manifest) -> Manifest:
        """The manifest with the accuracy of the bundle in the folder, by its own run."""
        data, split = self.quantised.data, self.quantised.split
        if data is None or split is None or manifest.precision is None:
            return manifest
        found = measure_accuracy(folder, self.source, split.judged(data), split.holds_out)
        return structs.replace(manifest, precision=structs.replace(manifest.precision, accuracy=found))


def check_with(request: PrecisionRequest | None, expect: object, passes: Sequence[object]) -> None:
    """Raises UsageError for what a compilation in other number formats cannot be held against or done with."""
    if request is None or request.precision == "fp32":
        return
    if passes:
        help = "rewrite the model with the passes first (autoglmc.rewrite), or compile the file of --save-quantized with them"
        raise UsageError("passes of your own and --precision exclude each other", help=help)
    if expect is not None:
        message = "--expect asks for what the source framework computes, which a quantised bundle comes near to only"
        raise UsageError(message, help="compile without --precision and --calibration-data, or without --expect")


def choose_precision(job: Job, request: PrecisionRequest, without: frozenset[str], source: Source) -> ChosenPrecision:
    """The model of the job in the forms that were asked for, written where `request.save` says. `source`: what its accuracy is measured
    against, the float model that it was made of. Raises what `quantise_model` raises."""
    if request.save is not None:
        check_file_place(request.save, "the quantised model", (".onnx",), "--save-quantized")
    made = quantise_model(job.load(), job.target, request, job.clock.stage, without)
    if request.save is not None:
        write_file(request.save, serialised(made.model.proto, request.save))
    return ChosenPrecision(source, made)
