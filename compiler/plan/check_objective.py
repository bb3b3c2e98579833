"""Whether plans for a target can be chosen for an objective."""

from __future__ import annotations

from ...passes.place.objectives import ENERGY, OBJECTIVES
from ...targets.model import Target
from ..errors import TargetError, UsageError


def check_objective(objective: str, target: Target) -> None:
    """Raises UsageError for an objective that there is not, TargetError where the target states too little for it."""
    if objective not in OBJECTIVES:
        raise UsageError(f"there is no objective {objective!r}", help=f"one of {', '.join(OBJECTIVES)}")
    silent = [device for device in target.devices if device.computing_power is None]
    if objective == ENERGY and silent:
        names = ", ".join(device.name for device in silent)
        help = "state its `power active … W`; there is no default"
        verb = "states" if len(silent) == 1 else "state"
        raise TargetError(f"the plan of the least energy is not known: {names} {verb} no power", where=str(silent[0].origin), help=help)
