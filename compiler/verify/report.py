"""The result of a verification."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..bundle.manifest import LimitRecord, MeasuredRecord
from .compare import TensorDifference
from .judge import measured


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What was compared, how far it is apart, and whether that is verified."""

    verified: bool
    reason: str
    """Why not; where verified, what that rests on."""
    outputs: tuple[TensorDifference, ...]
    boundaries: tuple[TensorDifference, ...]
    """Tensors between segments that the model has under the same name, in schedule order. They locate an error; outputs decide."""
    constant: tuple[str, ...]
    """Outputs that no input value reaches."""
    unresponsive: tuple[str, ...]
    """Outputs that an input reaches but that never changed."""
    inputs: tuple[str, ...]
    """The input sets compared: "given", "seed 0" …"""
    tolerance: float | None
    """On max_abs_over_std; None where limits of the target decide."""
    approximated: bool
    limits: tuple[LimitRecord, ...]
    """Measured accuracy and error limits."""
    emulated: tuple[str, ...]
    narrow: tuple[str, ...] = ()
    """Segments that a device computed in a narrower dtype: "1 (npu): fp16 on Hexagon HTP v75 (emulator)"."""
    native: tuple[str, ...] = ()
    """Segments that another runtime than onnxruntime's CPU really ran."""

    def records(self) -> tuple[MeasuredRecord, ...]:
        """For the manifest, to three digits: what is beyond those is the machine's, not the bundle's."""
        sets = ", ".join(self.inputs)
        return tuple(
            MeasuredRecord(output=d.name, inputs=sets, max_abs=_three(d.max_abs), max_rel=_three(d.max_rel), cosine=round(d.cosine, 6))
            for d in self.outputs
        )

    def measured(self) -> dict[tuple[str, str], float]:
        """The worst of all outputs by (kind, subject) of a limit."""
        return measured(self.outputs)

    def as_json(self) -> dict[str, Any]:
        """All fields as plain data."""
        return asdict(self)


def _three(value: float) -> float:
    return float(f"{value:.3g}")
