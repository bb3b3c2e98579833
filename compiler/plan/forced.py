"""What the target's limits cost: the plan that would be best without them, and which of them it breaks."""

from __future__ import annotations

from ...passes.place.placed import Placement
from ...passes.solve.price import Excess
from ..quantities import amount, times


def forced_by_limits(placement: Placement) -> tuple[str, ...]:
    """A sentence where the limits forced another plan; () where they did not."""
    if placement.unlimited is None or placement.conflict is not None:
        return ()
    without, ours = times(placement.unlimited.solution.price.total, placement.solution.price.total)
    broken = ", ".join(map(_told, placement.unlimited.breaks))
    return (f"the limits of the target rule out a plan of {without}, which would have {broken}; this one takes {ours}",)


def _told(excess: Excess) -> str:
    kind, _, subject = excess.name.partition(" ")
    values = amount(kind, excess.value), amount(kind, excess.most)
    return f"{kind}{f' {subject}' if subject else ''} {values[0]} (allowed: {values[1]})"


def contradiction(placement: Placement | None) -> str:
    """Which limits no plan keeps together, where it takes several; "" otherwise."""
    clash = None if placement is None else placement.conflict
    if clash is None or len(clash.limits) < 2:
        return ""
    *most, last = (f"`{name}`" for name in clash.limits)
    names = f"{', '.join(most)} and {last}"
    none = "no plan keeps" if clash.proven else "no plan was found that keeps"
    return f"{none} {names} together; giving up any one of them is enough"
