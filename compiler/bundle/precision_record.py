"""How the numbers of a bundle were chosen, where it was compiled from a float model into integers or halves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import structs

from .record import Count, Positive, Record, Seconds, Sha256


class CalibrationRecord(Record, frozen=True, kw_only=True):
    """Where scales come from."""

    method: Literal["minmax", "percentile", "entropy"]
    """What a range is: all values, all but 0.001 % of them, or the one that loses least information (Kullback-Leibler)."""
    samples: Positive
    sha256: Sha256
    """Of the samples: names, shapes and numbers."""


class AccuracyRecord(Record, frozen=True, kw_only=True):
    """An output of the bundle against the float model, both run on samples."""

    output: str
    samples: Positive
    held_out: bool
    """Whether scales were made without these samples."""
    cosine: float
    """Mean over the samples; `least_cosine` of the worst one."""
    least_cosine: float
    top1: float | None
    """The share of rows whose largest element is at the same place; null for an output without rows of several numbers."""
    cosine_interval: tuple[float, float] | None = None
    """95 %, by bootstrap over the samples; null of fewer than two."""
    top1_interval: tuple[float, float] | None = None


class ScoreRecord(Record, frozen=True, kw_only=True):
    """What a function of the user's (`--accuracy script.py:function`) returned for the bundle's own run."""

    script: str
    before: float | None
    """For the float model; null where the function compares the two itself."""
    after: float
    """For the bundle."""
    samples: Positive
    """Numbers that the function returned; a score is their mean."""
    interval: tuple[float, float] | None = None
    """95 %, of `after` less `before` (of `after` where that is null), by bootstrap over pairs; null of fewer than two numbers."""


class FormRecord(Record, frozen=True, kw_only=True, array_like=True):
    """What operators that are chosen for together would be in one form: in the manifest an array of its fields, since there are several for
    each unit."""

    form: str
    device: str
    """The one that is fastest in it, of those that may run them; for the form that was chosen, the one they were placed on then."""
    loss: float
    """By how much the outputs of the model change where these operators alone run in the form: root mean square over that of outputs."""
    seconds: Seconds
    """Predicted, without conversions between forms."""
    weight_bytes: Count


class UnitRecord(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Operators of the float model that a form was chosen for together; or all of one kind that stay in fp32 for one reason, where there
    was nothing to choose from."""

    operators: tuple[str, ...]
    """Names of nodes."""
    kind: str
    """Of the first: Conv."""
    chosen: str
    """A form; fp32."""
    forms: tuple[FormRecord, ...] = ()
    """Of what stays in fp32 all that it was chosen from, else fp32 and the chosen one; () where one form was asked for, or there is no
    other."""
    because: str = ""
    """Why they stay in fp32; "" where they do not."""

    def as_json(self) -> dict[str, Any]:
        """With the fields of its forms by name, for programs."""
        return {**structs.asdict(self), "operators": list(self.operators), "forms": [structs.asdict(one) for one in self.forms]}


class PrecisionRecord(Record, frozen=True, kw_only=True):
    """What was chosen, and what it costs in accuracy."""

    source_sha256: Sha256
    """Of the float model."""
    calibration: CalibrationRecord | None
    """null where no scale depends on data."""
    forms: Mapping[str, tuple[str, ...]]
    """By form (fp16, a16w8, a8w8, w8, w4) the operators that were written in it: of each the first tensor that it writes in the float
    model. What is in none is in fp32."""
    weight_bytes: tuple[Count, Count]
    """Of the float model, and of what became of it."""
    accuracy: tuple[AccuracyRecord, ...]
    """() where the bundle was not run."""
    model_bytes: Count | None = None
    """Of the float model's files."""
    units: tuple[UnitRecord, ...] = ()
    """Largest gains of time first."""
