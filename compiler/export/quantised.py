"""A float model in int8 for a .tflite file, quantised as for a target with LiteRT; and how near the file is to the float model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

from ..hw.load_target import load_target
from ..load.bind_shapes import Shapes
from ..load.load_model import load_model
from ..load.source import Source
from ..precision.accuracy import accuracy_of
from ..precision.quantise_model import QuantisedModel, quantise_model
from ..precision.request import Data, PrecisionRequest
from .parity import DIGITS, Converted

TARGET = Path(__file__).with_name("tflite.hw")


@dataclass(frozen=True, slots=True)
class Quantised:
    """source: the float model."""

    source: Source
    made: QuantisedModel

    def accuracy(self, converted: Converted) -> tuple[Mapping[str, Any], ...]:
        """Of each output, against the float model, on the samples that scales were made without, where there are enough."""
        assert self.made.data is not None and self.made.split is not None
        samples, held_out = self.made.split.judged(self.made.data), self.made.split.holds_out
        return tuple(_plain(structs.asdict(one)) for one in accuracy_of(converted.run, self.source, samples, held_out))

    def about(self, accuracy: tuple[Mapping[str, Any], ...]) -> Mapping[str, Any]:
        """For the file's metadata: the float model, what it was calibrated with, and how near to it the file is."""
        record = self.made.record
        calibration = None if record.calibration is None else structs.asdict(record.calibration)
        return {"source_sha256": record.source_sha256, "calibration": calibration, "accuracy": list(accuracy)}


def quantise_for_tflite(source: Source, shapes: Shapes | None, data: Data, tell: Callable[[str], None]) -> Quantised:
    """Raises UsageError for a model that is quantised already, or data that is not its inputs; ModelError where it does not run on them."""

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        tell(name)
        yield

    loaded = load_model(source, shapes)
    return Quantised(source, quantise_model(loaded, load_target(TARGET), PrecisionRequest(precision="int8", data=data), stage))


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Rounded: what is beyond those digits is the machine's."""
    return {name: float(f"{value:.{DIGITS + 3}g}") if isinstance(value, float) else value for name, value in facts.items()}
