"""A runtime's answers against what a target's table says: what it claims that the runtime does not do, and what it leaves out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ...targets.model import Device, Target
from ...targets.origin import Origin
from ...targets.support import No, supports
from .ask import Answer
from .case import Case

Kind = Literal["agrees", "too much", "too little"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`too much`: the table says yes and the runtime refuses or is wrong; `too little`: the table says no and the runtime is right."""

    kind: Kind
    operator: str
    case: str
    reason: str
    """Against it: the runtime's words where the table claims too much, the table's where it claims too little."""
    origin: Origin | None
    """The line of the .hw file that says so."""


def claims(device: Device, target: Target, case: Case) -> bool:
    return not isinstance(supports(device, case.view, target.precision), No)


def against(device: Device, target: Target, answers: Iterable[Answer]) -> Iterable[Finding]:
    """One finding per answer."""
    for answer in answers:
        said = supports(device, answer.case.view, target.precision)
        kind: Kind = "agrees"
        if isinstance(said, No):
            reason, origin = said.reason, said.origin
            kind = "agrees" if answer.fault else "too little"
        else:
            reason, origin = answer.fault, said.rule.origin if said.rule is not None else device.origin
            kind = "too much" if answer.fault else "agrees"
        yield Finding(kind=kind, operator=answer.case.operator, case=answer.case.name, reason=reason, origin=origin)
