"""Where the search stands: the constraints of the next attempt, and what earlier attempts taught. Frozen; a policy makes the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...passes.place.placed import Placement
from ...passes.rule.rewrite import Decision
from ..errors import Infeasible
from .constraints import Constraints
from .verdict import Inexact


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """What runtimes refused or computed wrong so far."""

    decisions: tuple[Decision, ...] = ()
    planned: Mapping[str, int] = field(default_factory=dict)
    """Operators that the first plan had on each device at fault."""
    faults: tuple[tuple[str, str], ...] = ()
    """(device, operator), one for each refused or wrong result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    constraints: Constraints = field(default_factory=Constraints)
    routes: Routes = field(default_factory=Routes)
    steps: tuple[Decision, ...] = ()
    """Approximations disabled for the error budget, since the last change of routes."""
    over: Inexact | None = None
    """The last verdict over the error budget, since the last change of routes."""
    refused: tuple[Infeasible, ...] = ()
    """Plans of these constraints that broke a limit."""
    waiting: tuple[Placement, ...] = ()
    """Plans of these constraints still to be tried, fastest first."""
    narrower: State | None = None
    """Where to go if these constraints leave no plan: they keep off more than the fault itself."""
    change: str = ""
    """What this attempt does differently from the one before, for people."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What the search decided, for the manifest."""
        return (*self.routes.decisions, *self.steps)
