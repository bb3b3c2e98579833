"""What a user asks of the numbers of a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ...passes.place.objectives import LATENCY
from ...targets.precision import FormName
from ..errors import UsageError, did_you_mean
from .asked_accuracy import AskedAccuracy
from .ranges import Method, check_method
from .weight_rounding import WeightsMethod, check_weights_method

PrecisionName = Literal["fp32", "fp16", "int8", "int16", "int4", "auto"]
PRECISIONS: tuple[PrecisionName, ...] = get_args(PrecisionName)
FORM_OF: Mapping[PrecisionName, FormName] = {"fp32": "fp32", "fp16": "fp16", "int8": "a8w8", "int16": "a16w8", "int4": "w4"}
"""The form of every operator that a device of the target runs in it; "auto" chooses one for each."""
GIVE_DATA = "--calibration-data FOLDER, FILE.npz or SCRIPT.py:FUNCTION: inputs as the model will meet them"
Data = str | Path | Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionRequest:
    """One of a compilation."""

    precision: PrecisionName = "auto"
    data: Data | None = None
    """Samples to calibrate with (`calibration_data.open_data`)."""
    method: Method = "minmax"
    weights_method: WeightsMethod = "rtn"
    """How weights in blocks are rounded."""
    save: Path | None = None
    """Where to write the plain quantised model."""
    objective: str = LATENCY
    """What "auto" makes best within the limits."""

    @property
    def weights_alone(self) -> bool:
        """Whether activations stay in floats, which no data is needed for."""
        return self.precision == "int4" or (self.precision == "int8" and self.data is None)

    @property
    def form(self) -> FormName | None:
        """The one that is asked for; None where one is chosen for each operator."""
        return "w8" if self.weights_alone and self.precision == "int8" else FORM_OF.get(self.precision)


def request_of(
    precision: str | None, data: Data | None, method: str | None = None, save: Path | None = None, weights_method: str | None = None
) -> PrecisionRequest | None:
    """None where nothing is asked for. Calibration data alone lets the solver choose. Raises UsageError for a wrong word, and for integers
    of activations without data."""
    if precision is None and data is None:
        for given, option in ((method, "--calibration-method"), (save, "--save-quantized"), (weights_method, "--weights-method")):
            if given is not None:
                raise UsageError(f"{option} needs --precision or --calibration-data")
        return None
    name = _checked(precision or "auto")
    if data is None and name == "auto":
        raise UsageError("--precision auto needs calibration data: what each operator loses is measured on it", help=GIVE_DATA)
    if data is None and name == "int16":
        raise UsageError(f"--precision {name} needs calibration data: ranges of tensors are not known without", help=GIVE_DATA)
    if save is not None and name == "fp32":
        raise UsageError("--precision fp32 makes no quantised model, so --save-quantized has nothing to write")
    rounds = check_weights_method(weights_method or ("gptq" if name == "int4" and data is not None else "rtn"))
    if rounds != "rtn" and name not in ("auto", "int4"):
        raise UsageError(f"--weights-method {rounds} is for weights in blocks, which --precision int4 and auto write", help="leave it out")
    if rounds != "rtn" and data is None:
        raise UsageError(f"--weights-method {rounds} needs calibration data: it looks at what weights are multiplied with", help=GIVE_DATA)
    return PrecisionRequest(precision=name, data=data, method=check_method(method or "minmax"), weights_method=rounds, save=save)


def check_measurable(asked: AskedAccuracy, request: PrecisionRequest | None, runs: bool, pruning: bool, samples: bool) -> None:
    """Raises UsageError for a limit on the accuracy that nothing would be measured for. runs: whether the bundle is run; pruning: whether
    the model loses channels; samples: whether there is calibration data."""
    if not asked:
        return
    if not runs:
        raise UsageError("--accuracy and --no-verify exclude each other", help="the bundle's own run shows how accurate it is")
    changed = pruning or (request is not None and request.precision != "fp32")
    without = [limit.subject for limit in asked.limits if limit.subject != "cosine" or changed]
    if without and not samples:
        raise UsageError(f"--accuracy '{without[0]} …' needs calibration data: it is measured on samples", help=GIVE_DATA)


def _checked(name: str) -> PrecisionName:
    for known in PRECISIONS:
        if known == name:
            return known
    raise UsageError(f"'{name}' is not a precision", help=did_you_mean(name, PRECISIONS) or f"one of {', '.join(PRECISIONS)}")
