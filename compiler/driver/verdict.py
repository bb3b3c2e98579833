"""The outcome of an attempt: a bundle, or why there is none. Verdicts are values; the search decides what to do about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from ...passes.place.placed import Placement
from ..bundle.manifest import AttemptRecord, BoundRecord, LimitRecord, Outcome
from ..differing_digits import differing
from ..errors import Infeasible, TargetError, UserError, VerifyError
from ..probe.culprits import Culprit
from .constraints import SettingsOfSegment
from .result import CompileResult

Fault = Literal["refused by a runtime", "computed wrong"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The bundle is written; it is verified, or could not be verified here and says so."""

    result: CompileResult
    kind: ClassVar[Outcome] = "accepted"

    @property
    def reason(self) -> str:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulty:
    """A runtime refuses operators that the target's table allows, or computes them wrong."""

    kind: Fault
    device: str
    culprits: tuple[Culprit, ...]
    """At least one; one of each kind of operator."""
    operators: Mapping[str, int]
    """Operators of the device in this plan, by kind."""
    writers: Mapping[str, str]
    """Rule that wrote a node, by the node's name; nodes of the model itself are not in it."""
    problem: UserError
    """What to raise if nothing else is tried."""
    unjudged: frozenset[str] = frozenset()
    """Devices of the target whose runtimes are not here: nothing is to be moved there."""
    holding: frozenset[str] = frozenset()
    """Devices that have operators in this plan."""

    @property
    def reason(self) -> str:
        return f"{self.device}: {'; '.join(f'{culprit.operator}: {culprit.reason}' for culprit in self.culprits)}"


@dataclass(frozen=True, slots=True)
class Misoptimised:
    """onnxruntime's own optimisations make segments wrong or fail on them; it is known without which ones they are right."""

    settings: tuple[SettingsOfSegment, ...]
    """At least one."""
    problem: UserError
    """What to raise if nothing else is tried."""
    kind: ClassVar[Outcome] = "wrong by a runtime's optimiser"

    @property
    def reason(self) -> str:
        return "; ".join(one.decision.reason for one in self.settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inexact:
    """The bundle computes its model, but less exactly than the target's limits ask (or than is sane, where it states none)."""

    differences: tuple[str, ...]
    """Outputs that are off by more than approximations should make them, besides limits of the target."""
    limits: tuple[LimitRecord, ...]
    """Limits of the target that are broken, with what was measured."""
    bounds: tuple[BoundRecord, ...]
    """The approximated sites of the bundle."""
    where: str
    kind: ClassVar[Outcome] = "over an error budget"

    @property
    def reason(self) -> str:
        return "; ".join((*map(measured_against, self.limits), *self.differences))

    @property
    def problem(self) -> VerifyError:
        return VerifyError(self.reason, where=self.where)


@dataclass(frozen=True, slots=True)
class Inaccurate:
    """The bundle computes what it was compiled from, in forms that lose more than limits on the accuracy allow."""

    limits: tuple[LimitRecord, ...]
    """Those that are broken, with what the bundle's own run showed."""
    where: str
    kind: ClassVar[Outcome] = "over an error budget"

    @property
    def reason(self) -> str:
        return "; ".join(map(measured_against, self.limits))

    @property
    def problem(self) -> UserError:
        return UserError(self.reason, where=self.where)


class AccuracyMissed(UserError):
    """Limits on the accuracy that a bundle breaks: another choice of forms may keep them.

    limits: those, with what was measured; log: the attempts so far."""

    kind = "accuracy"

    def __init__(self, limits: tuple[LimitRecord, ...], message: str, where: str, log: tuple[AttemptRecord, ...] = ()) -> None:
        super().__init__(message, where=where)
        self.limits, self.log = limits, log


@dataclass(frozen=True, slots=True)
class OverLimit:
    """The plan breaks a limit of the target, or there is none: a device is missing for an operator."""

    problem: Infeasible | TargetError
    others: tuple[Placement, ...] = ()
    """Plans that may keep the limit, fastest first; empty where no slower plan can."""

    @property
    def kind(self) -> Outcome:
        return "over a limit" if isinstance(self.problem, Infeasible) else "not placeable"

    @property
    def reason(self) -> str:
        return self.problem.message


@dataclass(frozen=True, slots=True)
class Rejected:
    """The bundle is wrong or cannot be made, and no operator that the search could place elsewhere is to blame."""

    problem: UserError
    devices: frozenset[str] = frozenset()
    """Devices that computed it, where numbers are what is wrong: without them it may be right."""
    unjudged: frozenset[str] = frozenset()
    """As in Faulty."""
    kind: ClassVar[Outcome] = "rejected"

    @property
    def reason(self) -> str:
        return self.problem.message


Verdict = Accepted | Faulty | Misoptimised | Inexact | Inaccurate | OverLimit | Rejected


def measured_against(limit: LimitRecord) -> str:
    """`error abs: measured 0.013, and the target allows <= 0.001`; as many digits as make the two differ."""
    value, who = differing(limit.value or 0.0, limit.limit)[0], "--accuracy" if limit.origin == "--accuracy" else "the target"
    return f"{limit.kind} {limit.subject}: measured {value}, and {who} allows {limit.comparison} {limit.text}"
