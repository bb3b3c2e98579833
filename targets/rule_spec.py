"""A `rule` of a target's own file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .formula import Expression
from .origin import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """A rewrite rule as plain data: the content of a .hw `rule` block. Formulas stay expressions."""

    name: str
    parameters: tuple[str, ...]
    match: tuple[Expression, ...]
    let: tuple[tuple[str, Expression], ...]
    emit: tuple[Expression, ...]
    error: float | None
    """Of a bounded claim: the largest absolute error; else None."""
    origin: Origin
    claim: Literal["exact", "reassociates", "bounded"] = "reassociates"
    """What `error` says, checked numerically when the file is read; without it a rule holds over the reals."""
    over: tuple[float, float] | None = None
    """The range of every input for which `error` is claimed; None for all reals."""
    where: Expression | None = None
    """The condition of `match`, over the operator at its root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFacts:
    """What `compiler` tells `grammar` about a built-in rule so that `rewrite` lines can be checked."""

    name: str
    matches: tuple[str, ...]
    emits: tuple[str, ...]
    error: float
    """Absolute bound of the tightest form of the rule; 0 for exact and reassociating rules."""
