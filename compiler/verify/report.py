"""The result of a verification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from msgspec import structs

from ..bundle.manifest import LimitRecord, MeasuredRecord
from ..bundle.verification_record import SegmentVerdict, StageVerdict, VerificationRecord
from .compare import TensorDifference
from .expected import ExpectedOutput
from .limits import measured
from .verdicts import elsewhere

LONGEST = 300
"""Characters of a reason in a repr."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """How far a bundle is from its model: every output and every tensor between segments, on every input set."""

    verified: bool
    """Whether the bundle computes its model, as far as the inputs can tell, and every segment was judged on its own runtime (or on the
    CPU in its place, where that was asked for)."""
    reason: str
    """Why not; where verified, what that rests on."""
    outputs: tuple[TensorDifference, ...]
    """One for each output of the model."""
    boundaries: tuple[TensorDifference, ...]
    """Tensors between segments that the model has under the same name, in schedule order. They locate an error; outputs decide."""
    constant: tuple[str, ...]
    """Outputs that no input value reaches."""
    unresponsive: tuple[str, ...]
    """Outputs that an input reaches but that never changed."""
    inputs: tuple[str, ...]
    """The input sets compared: "given", "seed 0" …"""
    approximated: bool
    """Whether the bundle has operators that are approximated."""
    limits: tuple[LimitRecord, ...]
    """Measured accuracy and error limits."""
    emulated: tuple[str, ...]
    """Segments that ran on the CPU in place of their device: "0 (npu)"."""
    narrow: tuple[str, ...] = ()
    """Segments that a device computed in a narrower dtype: "1 (npu): fp16 on Hexagon HTP v75 (emulator)"."""
    native: tuple[str, ...] = ()
    """Segments that another runtime than onnxruntime's CPU really ran."""
    reasons: tuple[str, ...] = ()
    """Why it is not verified, a sentence each; () where it is."""
    segments: tuple[SegmentVerdict, ...] = ()
    """What each segment was judged on, in the order of the manifest."""
    expected: tuple[ExpectedOutput, ...] = ()
    """Every output against what the source framework computes, where that was given."""
    stages: tuple[StageVerdict, ...] = ()
    """How the stages before the bundle compare with the reference."""
    exercised: float = 1.0
    """Share of the outputs that an input can reach which did respond."""
    not_exercised: tuple[str, ...] = ()
    """What no input set reached: inputs without effect, branches never taken …"""
    runtime_faults: tuple[str, ...] = ()
    """Where onnxruntime itself computes the untouched model wrong."""
    unchecked: tuple[str, ...] = ()
    """Operators whose reference value rests on a single implementation."""

    @property
    def passed(self) -> bool:
        """`verified`, under the name that `CheckReport` has too."""
        return self.verified

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Segments that were not judged on their own runtime and why, a sentence for each reason."""
        return elsewhere(self.segments)

    @property
    def faults(self) -> tuple[str, ...]:
        """Why the bundle is wrong, or the comparison proves nothing: `reasons` without those that only say where segments ran."""
        away = self.elsewhere
        return tuple(reason for reason in self.reasons if reason not in away)

    @property
    def differences(self) -> tuple[str, ...]:
        """One sentence for each output that is further off than rounding explains, then the first tensor between segments that is."""
        return differences(self.outputs, self.boundaries)

    @property
    def agrees(self) -> bool:
        """Whether the bundle computes its model wherever its segments ran, stand-ins included."""
        return self.verified or (bool(self.reasons) and not self.faults)

    @property
    def summary(self) -> str:
        """One line: whether it is verified, and why."""
        return f"{'verified' if self.verified else 'not verified'}: {self.reason}"

    def __repr__(self) -> str:
        worst = max(self.outputs, key=lambda d: d.max_abs_over_std, default=None)
        off = f", {worst.name} is off by {worst.max_abs:.3g} at most" if worst else ""
        reason = self.summary if len(self.summary) <= LONGEST else f"{self.summary[: LONGEST - 1]}…"
        return f"<VerifyReport {reason}{off}>"

    def records(self) -> tuple[MeasuredRecord, ...]:
        """For the manifest, to three digits: what is beyond those is the machine's, not the bundle's."""
        sets = ", ".join(self.inputs)
        return tuple(
            MeasuredRecord(output=d.name, inputs=sets, max_abs=_three(d.max_abs), max_rel=_three(d.max_rel), cosine=round(d.cosine, 6))
            for d in self.outputs
        )

    def verification(self) -> VerificationRecord:
        """For the manifest."""
        same = ("verified", "reasons", "inputs", "segments", "stages", "exercised", "not_exercised", "runtime_faults", "unchecked")
        return VerificationRecord(**{name: getattr(self, name) for name in same})

    def measured(self) -> dict[tuple[str, str], float]:
        """The worst of all outputs by (kind, subject) of a limit."""
        return measured(self.outputs)

    def as_json(self) -> dict[str, Any]:
        """What `verify --json` prints."""
        plain: dict[str, Any] = {**asdict(self), "agrees": self.agrees, "elsewhere": list(self.elsewhere)}
        for name in ("limits", "segments", "stages"):
            plain[name] = [structs.asdict(record) for record in plain[name]]
        return plain


def differences(outputs: Sequence[TensorDifference], boundaries: Sequence[TensorDifference]) -> tuple[str, ...]:
    """`VerifyReport.differences`."""
    wrong = [d.fault for d in outputs if d.fault]
    first = next((d.name for d in boundaries if d.fault), None) if wrong else None
    return (*wrong, *((f"the first tensor between segments that differs is {first}",) if first else ()))


def _three(value: float) -> float:
    return float(f"{value:.3g}")
